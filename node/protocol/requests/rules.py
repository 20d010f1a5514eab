"""Routing rules: put into force, looked at, tried, and explained.  No I/O."""

from typing import Any

import msgspec

from node.protocol.requests.base import AGENT, OPERATOR, SUPERVISOR, Request


class RulesApply(Request, tag="rules.apply"):
    """Replace the routing rules on all nodes at one log index.

    Rules that do not compile are refused with every mistake, its file and its line.
    """

    roles = OPERATOR

    files: dict[str, str]
    rev_expected: int | None = None
    reroute: bool = False
    """Decide anew about who waits already, unless a person said where; their age stays."""


class RulesGet(Request, tag="rules.get"):
    """The rules in force, or those of an earlier revision that is kept."""

    roles = OPERATOR | SUPERVISOR

    rev: int | None = None


class RulesHistory(Request, tag="rules.history"):
    """The revisions that are kept, newest first: who put them into force, and what they changed."""

    roles = OPERATOR | SUPERVISOR


class RulesRollback(Request, tag="rules.rollback"):
    """Put the files of an earlier revision into force again, as a new one: one log entry."""

    roles = OPERATOR

    rev: int
    """One that is kept: see `rules.history`."""
    rev_expected: int | None = None
    """Refused unless this revision is in force."""
    reroute: bool = False
    """Decide anew about who waits already, unless a person said where; their age stays."""


class RulesPlan(Request, tag="rules.plan"):
    """Compile rules, and decide anew what was decided so far: what would move?

    One answer covers some seconds of work; while there is `more`, ask again with `after`, and add
    up.  Nothing changes.
    """

    roles = OPERATOR

    files: dict[str, str]
    after: int = 0
    """`next` of the answer before: goes on behind it."""
    until: int = 0
    """`until` of the first answer: what came later does not count."""
    since: int = 0
    """Only what was decided since then."""
    last: int = 0
    """Only the newest so many; 0 is all that are kept."""


class Contact(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What rules look at."""

    channel: str = ""
    lang: str = ""
    subject: str = ""
    tags: dict[str, Any] = {}
    attrs: dict[str, Any] = {}
    hint: dict[str, str] = {}
    at: int = 0
    """When it comes, for rules that ask for the time; 0 is now."""


class RulesSimulate(Request, tag="rules.simulate"):
    """What would be decided, and why: of a contact, of a conversation, or of all since a time.

    Name one of `contact`, `cv` and `since`.  Of a time, the newest first, as many as one answer
    holds, in short; go on with `before`.
    """

    roles = OPERATOR | SUPERVISOR

    contact: Contact | None = None
    cv: str = ""
    since: int = 0
    before: int = 0
    """`next` of the answer before."""
    files: dict[str, str] = {}
    """The rules that decide; without any, those in force."""


class RulesStats(Request, tag="rules.stats"):
    """What each rule in force did to the decisions that are kept."""

    roles = OPERATOR | SUPERVISOR


class Why(Request, tag="why"):
    """Why a conversation went where it went: its decisions, down to the parts of each condition.

    Agents ask about what they own or are offered; supervisors and operators about any.
    """

    roles = AGENT | SUPERVISOR | OPERATOR

    cv: str
    at: int = 0
    """`seq` of an event: only the decision that was in force then."""
