"""Lines of the audit log that nobody waits for.  Talks to the port.

What a line tells has happened, whatever becomes of it; a node that cannot write it serves nobody in
a moment.
"""

from cluster.port import Answer, Port
from cluster.state.commands import AddAudit


def write_down(port: Port, line: AddAudit) -> None:
    """Let the log have `line` soon, if it can."""
    port.submit(line, _ignore)


def _ignore(answer: Answer) -> None:
    """See above."""
