"""Operators' doings with accounts, tokens and the audit log.  Waits for the port and for threads.

    user.put, user.secret        the secret is hashed here, in a thread; only the hash goes on
    user.get, user.list          behind a barrier: what was acknowledged anywhere is here
    token.revoke                 one token, or all of a principal so far
    audit.list                   lines behind a cursor

No answer holds a secret or its hash.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from itertools import islice

from msgspec.structs import replace

from cluster.state import commands, limits
from cluster.state.model import Account
from node.auth import BadToken, Principal, claimed
from node.desk.auditing import BadCursor, read_after, read_newest
from node.desk.context import Context
from node.desk.lookup import Answered, Later
from node.desk.operations.effects import Asker, Handlers
from node.desk.passwords import BadPassword, Busy, Passwords
from node.desk.plain import NotAllowed, check_key, check_name
from node.protocol import catalogue as ops
from node.protocol.results import AccountView

USER_CHARACTERS_MAX = 128
NAME_CHARACTERS_MAX = 128
"""What a token can say of its bearer (`node.auth`)."""
LIST_MAX = 100
AUDIT_LIST_MAX = 500


class Accounts:
    """Serves these operations."""

    def __init__(
        self, context: Context, passwords: Passwords, barrier: Callable[[], Awaitable[None]]
    ) -> None:
        self._context = context
        self._passwords = passwords
        self._barrier = barrier

    def handlers(self) -> Handlers:
        return {
            ops.UserPut: self._put,
            ops.UserSecret: self._set_secret,
            ops.UserGet: self._get,
            ops.UserList: self._list,
            ops.UserRemove: self._remove,
            ops.TokenRevoke: self._revoke,
            ops.AuditList: self._audit,
        }

    def _put(
        self, asker: Asker, principal: Principal, request: ops.UserPut
    ) -> commands.Command | Later:
        """Return the command, or what makes it once the secret is hashed."""
        _check(request.key, request.user)
        _check_profile(request)
        command = commands.PutAccount(
            by=principal.by,
            key=request.key,
            id=request.user,
            kind=request.kind,
            name=request.name,
            skills=request.skills,
            capacity=request.capacity,
            langs=None if request.langs is None else tuple(request.langs),
            disabled=request.disabled,
            rev_expected=request.rev_expected,
        )
        if request.secret is None:
            return command
        return Later(partial(self._with_secret, command, request.secret))

    def _set_secret(
        self, asker: Asker, principal: Principal, request: ops.UserSecret
    ) -> commands.Command | Later:
        """Return the command, or what makes it once the secret is hashed."""
        _check(request.key, request.user)
        command = commands.SetSecret(
            by=principal.by, key=request.key, id=request.user, keep=request.keep
        )
        if request.secret is None:
            return command
        return Later(partial(self._with_secret, command, request.secret))

    async def _with_secret(
        self, command: commands.PutAccount | commands.SetSecret, secret: str
    ) -> commands.Command:
        try:
            hashed = await self._passwords.hash(secret)
        except BadPassword as error:
            raise NotAllowed("bad_request", f"secret: {error}") from None
        except Busy as error:
            raise NotAllowed("overloaded", str(error)) from None
        return replace(command, secret=hashed)

    def _get(self, asker: Asker, principal: Principal, request: ops.UserGet) -> Later:
        """Return what reads one account."""

        async def read() -> Answered:
            await self._barrier()
            account = self._context.state.accounts.get(request.user)
            if account is None:
                raise NotAllowed("not_found", f"no account {request.user[:64]!r}")
            return Answered({"user": _view(account)})

        return Later(read)

    def _list(self, asker: Asker, principal: Principal, request: ops.UserList) -> Later:
        """Return what reads a page of accounts."""
        limit = min(request.limit, LIST_MAX) or LIST_MAX

        async def read() -> Answered:
            await self._barrier()
            accounts = self._context.state.accounts
            behind = (one for one in sorted(accounts) if one > request.after)
            found = list(islice(behind, limit + 1))
            views = [_view(accounts[one]) for one in found[:limit]]
            return Answered({"users": views, "more": len(found) > limit})

        return Later(read)

    def _remove(
        self, asker: Asker, principal: Principal, request: ops.UserRemove
    ) -> commands.Command:
        """Return the command."""
        _check(request.key, request.user)
        return commands.RemoveAccount(by=principal.by, key=request.key, id=request.user)

    def _revoke(
        self, asker: Asker, principal: Principal, request: ops.TokenRevoke
    ) -> commands.Command:
        """Return the command."""
        check_key(request.key)
        check_name(request.user, "user")
        check_name(request.jti, "jti")
        jti, exp_s = request.jti, request.exp // 1000
        if sum(map(bool, (request.token, jti, request.kind))) != 1:
            raise NotAllowed("bad_request", "name a token, or jti and exp, or kind and user")
        if bool(request.kind) != bool(request.user):
            raise NotAllowed("bad_request", "kind and user: name both, or none")
        if request.token:
            jti, exp_s = _named(request.token)
        elif jti and not exp_s:
            raise NotAllowed("bad_request", "exp: is needed with jti; the audit log has both")
        return commands.RevokeTokens(
            by=principal.by,
            key=request.key,
            kind=request.kind or None,
            id=request.user,
            jti=jti,
            exp_s=exp_s,
        )

    def _audit(self, asker: Asker, principal: Principal, request: ops.AuditList) -> Later:
        """Return what reads lines of the audit log."""
        limit = min(request.limit, AUDIT_LIST_MAX) or AUDIT_LIST_MAX

        async def read() -> Answered:
            await self._barrier()
            records = self._context.state.audit
            if not request.after:
                return Answered(read_newest(records, limit))
            try:
                return Answered(read_after(records, request.after, limit))
            except BadCursor as error:
                raise NotAllowed("bad_request", f"after: {error}") from None

        return Later(read)


def _check(key: str, user: str) -> None:
    check_key(key)
    check_name(user, "user")
    if not 1 <= len(user) <= USER_CHARACTERS_MAX:
        raise NotAllowed("bad_request", f"user: 1 to {USER_CHARACTERS_MAX} characters")
    if ":" in user or any(ord(one) < 0x20 or ord(one) == 0x7F for one in user):
        # RFC 7617, 2: HTTP's Basic ends the name at the first colon.
        raise NotAllowed("bad_request", "user: holds a colon or a control character")


def _check_profile(request: ops.UserPut) -> None:
    check_name(request.name or "", "name")
    if len(request.name or "") > NAME_CHARACTERS_MAX:
        raise NotAllowed("bad_request", f"name: over {NAME_CHARACTERS_MAX} characters")
    skills = request.skills or {}
    if len(skills) > limits.SKILLS_MAX:
        raise NotAllowed("too_large", f"skills: over {limits.SKILLS_MAX}")
    for skill, level in skills.items():
        check_name(skill, "skills: a name")
        if not skill or not 0 <= level <= limits.SKILL_LEVEL_MAX:
            raise NotAllowed("bad_request", f"skills.{skill[:32]}: 0 to {limits.SKILL_LEVEL_MAX}")
    langs = request.langs or []
    if len(langs) > limits.LANGS_MAX:
        raise NotAllowed("too_large", f"langs: over {limits.LANGS_MAX}")
    for lang in langs:
        check_name(lang, "langs: a language")
        if not 1 <= len(lang) <= limits.LANG_BYTES_MAX:
            raise NotAllowed("bad_request", f"langs: 1 to {limits.LANG_BYTES_MAX} characters each")


def _named(token: str) -> tuple[str, int]:
    """Return by what a token is revoked."""
    try:
        jti, exp_s = claimed(token)
    except BadToken as error:
        raise NotAllowed("bad_request", f"token: {error}") from None
    if not jti or not exp_s:
        raise NotAllowed("bad_request", "token: has no jti and exp; revoke by kind and user")
    return jti, exp_s


def _view(account: Account) -> AccountView:
    return AccountView(
        user=account.id,
        kind=account.kind,
        name=account.name,
        skills=account.skills,
        capacity=account.capacity,
        disabled=account.disabled,
        secrets=len(account.secrets),
        rev=account.rev,
        by=account.by,
        at=account.at_ms,
        made=account.made_ms,
        langs=list(account.langs),
    )
