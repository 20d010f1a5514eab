"""Tokens that were issued, and those that count no more.  No I/O; nothing here is secret.

    a token counts unless             because of
    -----------------------------     ----------
    its `jti` is revoked              token.revoke of one token
    it was issued at the cutoff of    token.revoke of all; the account was disabled, removed, is of
    its principal, or before          another kind, or has another secret
    the account is disabled           user.put

    time     ──────●───────────────────┬──────────▶
                   issued, iat         cutoff: all up to here, of this principal

Whoever has a token of ours had it from `issue`, so that it is before or after each revocation by
the log's order: its `iat` is set here, above the cutoff so far.  Tokens from elsewhere say
themselves when they were issued, by a clock that may be `CLOCKS_S` ahead; one that does not say so
was issued before everything.

A single token is forgotten when it has ended.  Of too many cutoffs the oldest is forgotten along
with all tokens as old as it (`cutoff_floor_s`): what was revoked never comes back.
"""

from typing import Any

from cluster.state import limits
from cluster.state.change import Change, no
from cluster.state.checks import check_by, check_ids, check_names, check_operator
from cluster.state.commands import IssueToken, PrincipalKind, RevokeTokens
from cluster.state.model import Cutoff
from cluster.state.outcome import AccessRevoked
from cluster.state.state import State


def is_revoked(state: State, kind: str, principal_id: str, *, jti: str, iat_s: int) -> bool:
    """Say whether a token of that principal was revoked; `iat_s` 0 for one that does not say."""
    if jti and jti in state.revoked:
        return True
    if iat_s <= state.cutoff_floor_s and state.cutoff_floor_s:
        return True
    cutoff = state.cutoffs.get((kind, principal_id))
    return cutoff is not None and iat_s <= cutoff.at_s


def revoke(change: Change, command: RevokeTokens) -> dict[str, Any]:
    """Let one token, or all of a principal so far, count no more."""
    by = command.by
    check_operator(by, "revoke tokens")
    if command.jti:
        _revoke_one(change, command)
    elif command.kind is None or command.kind == "system":
        no("bad_request", "name a token by its jti, or a principal by kind and id")
    else:
        check_ids(command.id)
        cut_off(change, command.kind, command.id)
    change.note_here(
        by, "token.revoke", kind=command.kind, id=command.id, jti=command.jti, exp=command.exp_s
    )
    return {}


def _revoke_one(change: Change, command: RevokeTokens) -> None:
    check_ids(command.jti)
    if command.id:
        check_ids(command.id)
    if not change.now_ms // 1000 - limits.CLOCKS_S < command.exp_s <= limits.EXP_MAX_S:
        no("conflict", "the token has ended: there is nothing to revoke")
    state = change.state
    if command.jti not in state.revoked and len(state.revoked) >= limits.TOKENS_REVOKED_MAX:
        message = f"{limits.TOKENS_REVOKED_MAX} single tokens are revoked; revoke its principal's"
        no("at_capacity", message)
    state.put_revoked(command.jti, command.exp_s)
    change.notices.append(AccessRevoked(command.kind or "", command.id, command.jti))


def cut_off(change: Change, kind: PrincipalKind, principal_id: str) -> None:
    """Let no token that the principal was issued so far count any more."""
    state = change.state
    at_s = change.now_ms // 1000 + limits.CLOCKS_S
    old = state.cutoffs.get((kind, principal_id))
    if old is not None:
        at_s = max(at_s, old.at_s + 1)
    state.put_cutoff(Cutoff(kind, principal_id, at_s))
    if len(state.cutoffs) > limits.CUTOFFS_MAX:
        oldest = state.cutoffs.pop(next(iter(state.cutoffs)))
        state.cutoff_floor_s = max(state.cutoff_floor_s, oldest.at_s)
    change.notices.append(AccessRevoked(kind, principal_id))


def issue(change: Change, command: IssueToken) -> dict[str, Any]:
    """Let somebody who proved a secret have a token; return when it begins and ends.

    `iat` and `exp` are seconds UTC by the cluster's time.
    """
    by = command.by
    check_by(by)
    check_ids(command.jti)
    check_names(command.address)
    shortest, longest = limits.TOKEN_TTL_S
    if not shortest <= command.ttl_s <= longest:
        no("bad_request", f"a life of {command.ttl_s} s; {shortest} to {longest}")
    state = change.state
    account = state.accounts.get(by.id)
    if account is None or not account.speaks_for(by.kind, by.id) or account.rev != command.rev:
        no("conflict", "the account has changed meanwhile: try again", rule="account.changed")
    cutoff = state.cutoffs.get((by.kind, by.id))
    floor_s = max(state.cutoff_floor_s, cutoff.at_s if cutoff is not None else 0)
    iat_s = max(change.now_ms // 1000, floor_s + 1)
    exp_s = iat_s + command.ttl_s
    change.note_here(by, "token.issue", jti=command.jti, exp=exp_s, address=command.address)
    return {"iat": iat_s, "exp": exp_s}


def forget_old(state: State) -> None:
    """Drop revoked tokens that have ended: `FORGET_TOKENS_MAX` at most."""
    before_s = state.now_ms // 1000 - 2 * limits.CLOCKS_S
    for _ in range(limits.FORGET_TOKENS_MAX):
        first = state.revoked_ends.first
        if first is None or first[0] >= before_s:
            return
        state.drop_revoked(first[1])
