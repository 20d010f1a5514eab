"""One node of the cluster: sockets, people, processes."""

__version__ = "0.1.0"
