"""ULIDs live in `cluster.ids`."""

from cluster.ids import LENGTH, Ulids, is_ulid

__all__ = ["LENGTH", "Ulids", "is_ulid"]
