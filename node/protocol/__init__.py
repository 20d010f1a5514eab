"""The language of clients, `unidesk.v1`.  No I/O."""
