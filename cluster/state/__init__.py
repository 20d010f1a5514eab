"""The replicated state machine.  No I/O."""
