"""Accounts: people and programs of the company that prove themselves with a secret.  No I/O.

    command       account                          tokens issued so far
    -------       -------                          --------------------
    user.put      none ──▶ enabled, or disabled    as they are
                  another name, skills ...        as they are: what the account says counts at once
                  another kind                     revoked, those of the earlier kind
                  disabled                         revoked
                  enabled again                    stay revoked
    user.secret   another secret                   revoked, unless the earlier one is kept
                  the earlier one goes             as they are: they end by themselves
    user.remove   any ──▶ none                     revoked

An account speaks for the principal of its kind and id.  While it is disabled no command of that
principal holds, whichever node proposes it.  Secrets come here as hashes, and leave only for
whoever compares.
"""

from typing import Any

from msgspec.structs import replace

from cluster.state import limits
from cluster.state.change import Change, no
from cluster.state.checks import (
    check_ids,
    check_langs,
    check_names,
    check_operator,
    check_secret,
    check_skills,
)
from cluster.state.commands import By, Command, PutAccount, RemoveAccount, SetSecret
from cluster.state.model import Account
from cluster.state.state import State
from cluster.state.tokens import cut_off


def check_enabled(state: State, command: Command) -> None:
    """Refuse the command of somebody whose account is disabled."""
    if not state.accounts:
        return
    by: By | None = getattr(command, "by", None)
    account = state.accounts.get(by.id) if by is not None else None
    if account is not None and account.disabled and account.kind == getattr(by, "kind", ""):
        no("forbidden", f"the account {account.id[:64]!r} is disabled", rule="account.disabled")


def put(change: Change, command: PutAccount) -> dict[str, Any]:
    """Make an account or change it; a principal that is no more, or may no more, is out."""
    check_administers(command.by)
    _check_fields(command)
    old = change.state.accounts.get(command.id)
    rev = old.rev if old is not None else 0
    if command.rev_expected not in (None, rev):
        no("conflict", f"the account is at revision {rev}", rev=rev)
    new = _changed(change, command, old) if old is not None else _made(change, command)
    change.state.accounts[new.id] = new
    if old is not None and _is_out(command, old, new):
        cut_off(change, old.kind, old.id)
    _tell_agent(change, new)
    change.note_here(
        command.by,
        "user.put",
        id=new.id,
        rev=new.rev,
        kind=command.kind,
        name=command.name,
        skills=None if command.skills is None else _in_words(command.skills),
        capacity=command.capacity,
        langs=None if command.langs is None else " ".join(command.langs) or "none",
        disabled=command.disabled,
        secret="set" if command.secret else "",
    )
    return {"user": new.id, "rev": new.rev}


def set_secret(change: Change, command: SetSecret) -> dict[str, Any]:
    """Let another secret prove the account."""
    check_administers(command.by)
    if command.secret:
        check_secret(command.secret)
    account = _known(change, command.id)
    if command.keep and account.kind != "service":
        no("bad_request", "keep: people have one password; two secrets are for services")
    if not command.secret and not command.keep:
        no("bad_request", "secret: is missing; with keep it may be, and the newest alone stays")
    added = (command.secret,) if command.secret else ()
    kept = account.secrets[:1] if command.keep else ()
    new = _next(change, account, command.by, secrets=(*added, *kept))
    change.state.accounts[new.id] = new
    if not command.keep:
        cut_off(change, new.kind, new.id)
    did = ("next" if added else "earlier gone") if command.keep else "another"
    change.note_here(command.by, "user.secret", id=new.id, rev=new.rev, secret=did)
    return {"user": new.id, "rev": new.rev}


def remove(change: Change, command: RemoveAccount) -> dict[str, Any]:
    """Forget an account; no token that its principal has counts any more."""
    check_administers(command.by)
    account = _known(change, command.id)
    del change.state.accounts[account.id]
    cut_off(change, account.kind, account.id)
    change.note_here(command.by, "user.remove", id=account.id, kind=account.kind)
    return {"user": account.id}


def check_administers(by: By) -> None:
    """Refuse whoever may not decide about others' access."""
    check_operator(by, "change accounts or tokens")


def _check_fields(command: PutAccount) -> None:
    check_ids(command.id)
    check_names(command.name or "")
    check_skills(command.skills or {})
    check_langs(command.langs or ())
    if command.capacity is not None and not 1 <= command.capacity <= limits.CAPACITY_MAX:
        no("bad_request", f"a capacity of {command.capacity}; 1 to {limits.CAPACITY_MAX}")
    if command.secret:
        check_secret(command.secret)


def _is_out(command: PutAccount, old: Account, new: Account) -> bool:
    """Whether who had proved themselves so far must do it again, if they may."""
    return old.kind != new.kind or (new.disabled and not old.disabled) or bool(command.secret)


def _made(change: Change, command: PutAccount) -> Account:
    if command.kind is None:
        no("not_found", f"no account {command.id[:64]!r}; to make one, say of what kind")
    if len(change.state.accounts) >= limits.ACCOUNTS_MAX:
        no("at_capacity", f"{limits.ACCOUNTS_MAX} accounts are there already; remove some")
    account = Account(command.id, command.kind, 0, command.by, change.now_ms, change.now_ms)
    return _changed(change, command, account)


def _changed(change: Change, command: PutAccount, account: Account) -> Account:
    wanted = {
        name: value
        for name in ("kind", "name", "skills", "capacity", "langs", "disabled")
        if (value := getattr(command, name)) is not None
    }
    if command.secret:
        wanted["secrets"] = (command.secret,)
    return _next(change, account, command.by, **wanted)


def _next(change: Change, account: Account, by: By, **changes: Any) -> Account:
    return replace(account, rev=account.rev + 1, by=by, at_ms=change.now_ms, **changes)


def _in_words(skills: dict[str, int]) -> str:
    """Return skills as the audit log has them: the first of very many."""
    words = " ".join(f"{skill}={level}" for skill, level in sorted(skills.items()))
    return words[: limits.AUDIT_CHARACTERS_MAX] or "none"


def _known(change: Change, account_id: str) -> Account:
    account = change.state.accounts.get(account_id)
    if account is None:
        no("not_found", f"no account {account_id[:64]!r}")
    return account


def _tell_agent(change: Change, account: Account) -> None:
    """Let an agent who is here be, from now on, what the account says."""
    agent = change.state.agents.get(account.id) if account.kind == "agent" else None
    if agent is not None:
        change.change_agent(
            agent,
            name=account.name or agent.name,
            skills=account.skills,
            capacity=account.capacity,
            langs=account.langs,
        )
