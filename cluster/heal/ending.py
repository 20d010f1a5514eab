"""Why this process must end by itself, and must not simply be started again.  No I/O.

    superseded   the cluster went on without this node, and it has data of the past (rule 17)
    twin         another process of its id lives, or took its place (rule 12)

Both end the process with `EXIT_CODE`: whoever supervises it (`RestartPreventExitStatus=` of
systemd) leaves it to a person.

    rebuild      its state differs from what the others agree on (rule 15)

This one starts anew by itself (`StartAgain`), and the start sets the data aside.
"""

EXIT_CODE = 78
"""EX_CONFIG of sysexits.h: what is there to mend lies outside the program."""


class MustEnd(Exception):
    """This process may not take part; says why, and what a person can do."""

    exit_code = EXIT_CODE


class StartAgain(Exception):
    """This process must begin anew on its folder; says why."""


def superseded(node: str, peer: str, ours: str, theirs: str) -> MustEnd:
    """The end of a node of an earlier epoch."""
    return MustEnd(
        f"{node} is of {ours!r}, and {peer} of {theirs!r}: the cluster went on without this node"
        " (`unidesk cluster recover`), and what this one has may be of the past. Keep its data"
        " folder aside, and start it on an empty one: the others fill it; then"
        f" `unidesk cluster members add {node}`"
    )


def twin(node: str, why: str) -> MustEnd:
    """The end of a process whose node id another one has."""
    return MustEnd(f"a second process of node {node}: {why}")
