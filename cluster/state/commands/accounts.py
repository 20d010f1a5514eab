"""Accounts, their tokens, and the audit log.  No I/O."""

from typing import Any

from cluster.state.commands.base import AccountKind, By, CommandBase, PrincipalKind


class PutAccount(CommandBase, frozen=True, tag="user.put"):
    """Make an account, or change what is given of one; None leaves a field as it is."""

    by: By
    key: str
    id: str
    kind: AccountKind | None = None
    name: str | None = None
    skills: dict[str, int] | None = None
    capacity: int | None = None
    langs: tuple[str, ...] | None = None
    disabled: bool | None = None
    secret: str = ""
    """The argon2id hash of a new password or secret, in PHC form; hashed by whoever proposes."""
    rev_expected: int | None = None
    """0: there must be none yet."""


class SetSecret(CommandBase, frozen=True, tag="user.secret"):
    """Another password, or a service's next secret.

    `keep`, for services: the newest secret so far counts beside it.  Without it the old ones
    count no more, nor does any token issued so far.  No secret: the newest alone is kept.
    """

    by: By
    key: str
    id: str
    secret: str = ""
    keep: bool = False


class RemoveAccount(CommandBase, frozen=True, tag="user.remove"):
    by: By
    key: str
    id: str


class IssueToken(CommandBase, frozen=True, tag="token.issue"):
    """Somebody proved their secret at a node.

    Refused if the account is not what it was when the secret was looked at, so that every token
    is before or after each revocation, by the log alone.
    """

    by: By
    jti: str
    ttl_s: int
    rev: int
    """Revision of the account whose secret was proved."""
    address: str = ""


class RevokeTokens(CommandBase, frozen=True, tag="token.revoke"):
    """One token by its `jti`, or else all that were issued so far to the principal."""

    by: By
    key: str
    kind: PrincipalKind | None = None
    id: str = ""
    jti: str = ""
    exp_s: int = 0
    """When the one token ends, seconds UTC: until then it is remembered."""


class AddAudit(CommandBase, frozen=True, tag="audit.add"):
    """What somebody did that is no command of its own: looked into a conversation ..."""

    by: By
    what: str
    detail: dict[str, Any] = {}
