"""Bytes that survive: records, segments, recovery, hard state, snapshots."""
