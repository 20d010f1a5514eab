"""A whole cluster of real node processes on loopback.  Talks to processes and files."""

from node.local.cluster import UNLIMITED, LocalCluster
from node.local.failures import LocalFailure, NodeDied
from node.local.folder import Folder

__all__ = ["UNLIMITED", "Folder", "LocalCluster", "LocalFailure", "NodeDied"]
