"""Which queue a conversation goes to, and which agent it is offered to.  No I/O."""
