"""The rules, and the canned responses: what a desk is set up with.  No I/O."""

from cluster.state.commands.base import By, CommandBase
from cluster.state.route import Queue, ServiceLevel


class ApplyRules(CommandBase, frozen=True, tag="rules.apply"):
    by: By
    files: dict[str, str]
    """File name to TOML text, already compiled without error by whoever proposes."""
    queues: dict[str, Queue]
    """Every queue that `files` name, as compiled."""
    slas: dict[str, ServiceLevel] = {}
    """Every [sla.NAME] of `files`, as compiled."""
    rev_expected: int | None = None
    node: str = ""
    """Where it was asked, for the audit log."""
    reroute: bool = False
    """Whether these rules decide anew about who waits already."""


class RollbackRules(CommandBase, frozen=True, tag="rules.rollback"):
    """Put the files of an earlier revision into force again, as a new one."""

    by: By
    rev: int
    rev_expected: int | None = None
    node: str = ""
    """Where it was asked, for the audit log."""
    reroute: bool = False
    """Whether these rules decide anew about who waits already."""


class PutCanned(CommandBase, frozen=True, tag="canned.put"):
    """Write a canned response, or write it anew."""

    by: By
    key: str
    shortcut: str
    title: str
    texts: dict[str, str]
    """By language."""
    queues: tuple[str, ...] = ()
    rev_expected: int | None = None
    """0: there must be none yet."""


class RemoveCanned(CommandBase, frozen=True, tag="canned.remove"):
    by: By
    key: str
    shortcut: str
    rev_expected: int | None = None
