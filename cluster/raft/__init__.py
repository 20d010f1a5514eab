"""Raft: PySyncObj as a core without I/O, behind a guard that closes its holes."""
