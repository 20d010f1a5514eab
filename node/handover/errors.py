"""How a node's process fails to be replaced.  No I/O."""


class HandoverFailed(Exception):
    """The successor is no use; this process serves on.  The message says why."""


class NodeLost(Exception):
    """The successor failed when it was the node already: the node has ended."""
