"""Accounts, tokens and the audit log, for operators.  No I/O."""

from typing import Literal

from cluster.state.commands import AccountKind
from node.protocol.requests.base import OPERATOR, Request


class UserPut(Request, tag="user.put"):
    """Make an account, or change what is given of one.

    Name, skills, languages and capacity count at once, also for an agent who is here.  Tokens that
    are out count no more when the account is disabled, gets another kind, or another secret.  A
    repetition with the same key and another secret is answered like the first, whose secret it is.
    """

    roles = OPERATOR

    key: str
    user: str
    """The id: what the person logs in with, and others know it by."""
    kind: AccountKind | None = None
    """Needed to make one."""
    name: str | None = None
    skills: dict[str, int] | None = None
    """An agent's, with levels 0 to 100."""
    capacity: int | None = None
    disabled: bool | None = None
    secret: str | None = None
    """A password or a secret of 15 characters or more; only its hash is kept."""
    langs: list[str] | None = None
    """Languages an agent speaks, as tags: `zh`, `en`."""
    rev_expected: int | None = None
    """Refused unless the account is at this revision; 0: unless there is none."""


class UserSecret(Request, tag="user.secret"):
    """Give an account another password, or a service its next secret.

    With `keep`, for services, the newest secret so far counts beside it, and without a `secret`
    alone: so the one before goes when every copy of the program has the next.  Without `keep` the
    old ones count no more, nor does any token issued so far.
    """

    roles = OPERATOR

    key: str
    user: str
    secret: str | None = None
    keep: bool = False


class UserGet(Request, tag="user.get"):
    """One account; never its secrets."""

    roles = OPERATOR

    user: str


class UserList(Request, tag="user.list"):
    """Accounts in the order of their ids, those behind `after`: at most `limit`."""

    roles = OPERATOR

    after: str = ""
    limit: int = 100


class UserRemove(Request, tag="user.remove"):
    """Forget an account; no token that its principal has counts any more."""

    roles = OPERATOR

    key: str
    user: str


class TokenRevoke(Request, tag="token.revoke"):
    """Let tokens count no more, at any node: connections they opened end with 4109.

    Name one: by itself, or by `jti` and `exp` as the audit log has them.  Or name a principal by
    `kind` and `user`: all that were issued to it so far, whoever issued them.
    """

    roles = OPERATOR

    key: str
    token: str = ""
    jti: str = ""
    exp: int = 0
    """When the token ends, milliseconds UTC; with `jti`."""
    kind: Literal["", "visitor", "agent", "supervisor", "operator", "service"] = ""
    user: str = ""


class AuditList(Request, tag="audit.list"):
    """Who did what: the newest lines, or those after a cursor, oldest first, at most `limit`.

    `after` is a `next` of an earlier answer; "0" is the oldest line kept.
    """

    roles = OPERATOR

    after: str = ""
    limit: int = 100
