"""The `unidesk` command: each command a module of its own.  Talks to terminals.

exit code   0  it went well
            1  it went wrong: a violation, a failure, a node that is not there
            2  it was asked wrongly: usage, configuration, a file that is none
"""

import io
import os
import signal
import sys


def main() -> int:
    """Run the command that the process was given; return its exit code."""
    _open_standard_streams()
    # Until a command says what a signal means to it, Ctrl-C ends the process without a word.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a locale that lacks a letter loses that letter
    from node.cli.app import run_app  # only now: an import of `node.cli` should cost nothing

    return run_app(sys.argv[1:])


def _open_standard_streams() -> None:
    """Put nothing where standard streams are closed, lest a socket gets their number."""
    for fd, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != fd:
                os.dup2(opened, fd)
            setattr(sys, name, os.fdopen(fd, mode, closefd=False))
