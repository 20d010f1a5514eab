"""The `unidesk` command: each command a module of its own.  Talks to terminals.

exit code   0  it went well
            1  it went wrong: a violation, a failure, a node that is not there
            2  it was asked wrongly: usage, configuration, a file that is none
"""

import sys


def main() -> int:
    """Run the command that the process was given; return its exit code."""
    from node.cli.app import run_app  # only now: an import of `node.cli` should cost nothing

    return run_app(sys.argv[1:])
