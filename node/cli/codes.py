"""Exit codes of `unidesk`.  No I/O.

    0          it went well
    1, 2       what was asked for went wrong; it was asked wrongly
    3, 4, 78   of one command alone
    128 + n    a signal's number, as shells have it

The table of docs/reference/cli.md shows `MEANING`; a test compares the two.
"""

import signal

OK = 0
FAILED = 1
USAGE = 2
LOST = 3
WARNED = 4
SUPERSEDED = 78
"""`cluster.heal.ending.EXIT_CODE`, which is not imported for the sake of a quick --help."""
SIGNALLED = 128
"""Added to a signal's number, as shells do."""
INTERRUPTED = SIGNALLED + signal.SIGINT
TERMINATED = SIGNALLED + signal.SIGTERM
UNREAD = SIGNALLED + signal.SIGPIPE

MEANING: dict[int, str] = {
    OK: "it went well",
    FAILED: "it went wrong: something is damaged or missing, it was refused, no node answered",
    USAGE: "it was asked wrongly: usage, configuration, a file that is none; the message says what"
    " to mend",
    LOST: "`upgrade` alone: the node has ended, and must be started",
    WARNED: "`doctor` alone: nothing is wrong now, and something should be mended",
    SUPERSEDED: "`serve` alone: the node must not be started again as it is: a second process of"
    " its id lives, or the cluster went on without it",
    INTERRUPTED: "Ctrl-C came before it was done: it may have been done, or not (`serve`, `demo`,"
    " `--watch` and the seats end well by it)",
    TERMINATED: "SIGTERM came before it was done: the same",
    UNREAD: "whoever read the output went away",
}
