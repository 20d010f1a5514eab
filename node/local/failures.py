"""Why a local cluster does not run.  No I/O."""


class LocalFailure(Exception):
    """The cluster cannot start or go on; the message says what to mend."""


class NodeDied(LocalFailure):
    """A node's process ended by itself; the message ends with the tail of its log."""
