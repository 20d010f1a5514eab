"""Accounts and tokens in the state machine: who counts, from which index on."""

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from cluster.state import commands as c
from cluster.state import limits, snapshot
from cluster.state.commands import By
from cluster.state.model import Account
from cluster.state.outcome import AccessRevoked, AgentChanged, Done
from cluster.state.tokens import is_revoked
from tests.cluster.state.desk import ANN, BOB, OPS, SUE, Desk

HASH = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA"
POS = By("service", "pos")


def put(desk: Desk, account_id: str = "bob", **fields: Any) -> c.PutAccount:
    return c.PutAccount(fields.pop("by", OPS), desk.key(), account_id, **fields)


def with_bob(**fields: Any) -> Desk:
    desk = Desk()
    desk.done(put(desk, kind="agent", secret=HASH, **fields))
    return desk


def issued(desk: Desk, by: By = BOB, jti: str = "j1", ttl_s: int = 3600) -> int:
    """Let somebody log in; return when their token begins."""
    rev = desk.state.accounts[by.id].rev
    return int(desk.done(c.IssueToken(by, jti, ttl_s, rev))["iat"])


def counts(desk: Desk, iat_s: int, by: By = BOB, jti: str = "j1") -> bool:
    return not is_revoked(desk.state, by.kind, by.id, jti=jti, iat_s=iat_s)


def test_an_account_is_made_once_and_changed_field_by_field() -> None:
    desk = Desk()
    made = put(desk, kind="agent", name="Bob", skills={"refund": 3}, secret=HASH, rev_expected=0)
    assert desk.done(made) == {"user": "bob", "rev": 1}
    assert desk.refused(replace(made, key="other")).code == "conflict"
    assert desk.done(put(desk, capacity=4)) == {"user": "bob", "rev": 2}
    bob = desk.state.accounts["bob"]
    assert (bob.name, bob.skills, bob.capacity, bob.secrets) == ("Bob", {"refund": 3}, 4, (HASH,))
    assert (bob.by, bob.at_ms, bob.made_ms < bob.at_ms) == (OPS, desk.state.now_ms, True)


def test_a_retry_with_another_salt_has_one_effect() -> None:
    desk = Desk()
    command = put(desk, kind="service", secret=HASH)
    first = desk.done(command)
    outcome = desk.run(replace(command, secret=HASH + "other"))
    assert outcome == Done(first, dup=True)
    assert desk.state.accounts["bob"].secrets == (HASH,)
    assert desk.refused(replace(command, name="else")).code == "key_reused"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"id": ""}, "bad_request"),
        ({"id": "x" * 257}, "too_large"),
        ({"name": "x" * 257}, "too_large"),
        ({"secret": "in plain words"}, "bad_request"),
        ({"secret": limits.ARGON2ID_PREFIX + "x" * 257}, "too_large"),
        ({"capacity": 0}, "bad_request"),
        ({"capacity": limits.CAPACITY_MAX + 1}, "bad_request"),
        ({"skills": {"a": 101}}, "bad_request"),
        ({"skills": {str(n): 1 for n in range(65)}}, "too_large"),
        ({"kind": None}, "not_found"),
        ({"by": SUE}, "forbidden"),
        ({"by": BOB}, "forbidden"),
        ({"by": ANN}, "forbidden"),
    ],
)
def test_what_is_no_account_is_refused(fields: dict[str, Any], code: str) -> None:
    desk = Desk()
    good = put(desk, kind="agent")
    assert desk.refused(replace(good, **fields)).code == code
    assert desk.state.accounts == {}


def test_a_visitor_has_no_account() -> None:
    desk = Desk()
    outcome = desk.run(put(desk, kind="visitor"))
    assert getattr(outcome, "code", "") == "bad_request"


def test_there_are_no_more_accounts_than_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ACCOUNTS_MAX", 1)
    desk = with_bob()
    assert desk.refused(put(desk, "li", kind="agent")).code == "at_capacity"
    desk.done(c.RemoveAccount(OPS, desk.key(), "bob"))
    desk.done(put(desk, "li", kind="agent"))


def test_a_service_has_two_secrets_while_it_changes_them_and_people_have_one() -> None:
    desk = with_bob()
    desk.done(put(desk, "pos", kind="service", secret=HASH + "1"))
    iat_s = issued(desk, POS)
    desk.done(c.SetSecret(OPS, desk.key(), "pos", HASH + "2", keep=True))
    desk.done(c.SetSecret(OPS, desk.key(), "pos", HASH + "3", keep=True))
    assert list(desk.state.accounts["pos"].secrets) == [HASH + "3", HASH + "2"]
    assert counts(desk, iat_s, POS)
    desk.done(c.SetSecret(OPS, desk.key(), "pos", keep=True))
    assert list(desk.state.accounts["pos"].secrets) == [HASH + "3"]
    assert counts(desk, iat_s, POS)
    assert desk.refused(c.SetSecret(OPS, desk.key(), "pos")).code == "bad_request"
    desk.done(c.SetSecret(OPS, desk.key(), "pos", HASH + "4"))
    assert list(desk.state.accounts["pos"].secrets) == [HASH + "4"]
    assert not counts(desk, iat_s, POS)
    kept = c.SetSecret(OPS, desk.key(), "bob", HASH + "2", keep=True)
    assert desk.refused(kept).code == "bad_request"


@pytest.mark.parametrize(
    "change",
    [
        {"disabled": True},
        {"kind": "supervisor"},
        {"secret": HASH + "new"},
    ],
)
def test_a_token_of_before_such_a_change_counts_no_more(change: dict[str, Any]) -> None:
    desk = with_bob()
    iat_s = issued(desk)
    assert counts(desk, iat_s)
    desk.done(put(desk, **change))
    assert AccessRevoked("agent", "bob") in desk.notices
    assert not counts(desk, iat_s)
    desk.done(put(desk, kind="agent", disabled=False))
    assert not counts(desk, iat_s), "nothing that was revoked comes back"
    assert counts(desk, issued(desk))


def test_skills_and_capacity_of_an_account_count_at_once_and_tokens_stay() -> None:
    desk = with_bob(skills={"refund": 1})
    iat_s = issued(desk)
    desk.online(BOB, capacity=9)
    assert (desk.agent().skills, desk.agent().capacity) == ({"refund": 1}, 1)
    desk.done(put(desk, skills={"vip": 2}, capacity=3, name="Bobby"))
    assert desk.notices == [AgentChanged("bob")]
    assert (desk.agent().skills, desk.agent().capacity, desk.agent().name) == (
        {"vip": 2},
        3,
        "Bobby",
    )
    assert counts(desk, iat_s)


def test_an_account_that_is_gone_leaves_no_token_behind() -> None:
    desk = with_bob()
    iat_s = issued(desk)
    desk.done(c.RemoveAccount(OPS, desk.key(), "bob"))
    assert not counts(desk, iat_s)
    desk.done(put(desk, kind="agent", secret=HASH))
    assert not counts(desk, iat_s)
    assert desk.refused(c.RemoveAccount(OPS, desk.key(), "eve")).code == "not_found"


def test_no_command_of_a_disabled_account_holds_whatever_node_proposes_it() -> None:
    desk = with_bob()
    desk.online(BOB)
    desk.assigned()
    desk.done(put(desk, disabled=True))
    refused = desk.refused(desk.say(BOB))
    assert (refused.code, refused.data["rule"]) == ("forbidden", "account.disabled")
    opening = c.OpenSession("sid-2", BOB, "n1", "b1")
    assert desk.refused(opening).data["rule"] == "account.disabled"
    assert desk.refused(c.IssueToken(BOB, "j", 60, 2)).data["rule"] == "account.disabled"
    desk.done(desk.say(SUE)), "another principal of that id would be another"
    desk.done(c.SetStatus(SUE, "bob", "away"))


def test_a_token_is_before_or_after_a_revocation_in_the_very_same_moment() -> None:
    desk = with_bob()
    for _ in range(3):
        iat_s = issued(desk)
        assert counts(desk, iat_s)
        desk.done(c.RevokeTokens(OPS, desk.key(), "agent", "bob"))
        assert not counts(desk, iat_s)


def test_a_token_from_elsewhere_whose_clock_is_ahead_is_revoked_all_the_same() -> None:
    desk = Desk()
    desk.done(c.RevokeTokens(OPS, desk.key(), "agent", "bob"))
    now_s = desk.state.now_ms // 1000
    assert not counts(desk, 0), "one that does not say when it was issued"
    assert not counts(desk, now_s + limits.CLOCKS_S)
    assert counts(desk, now_s + limits.CLOCKS_S + 1)
    assert counts(desk, now_s, SUE)


def test_a_secret_that_changed_while_it_was_looked_at_gives_no_token() -> None:
    desk = with_bob()
    desk.done(c.SetSecret(OPS, desk.key(), "bob", HASH + "new"))
    refused = desk.refused(c.IssueToken(BOB, "j", 60, 1))
    assert (refused.code, refused.data["rule"]) == ("conflict", "account.changed")
    assert desk.refused(c.IssueToken(By("supervisor", "bob"), "j", 60, 2)).code == "conflict"


def test_one_revoked_token_is_forgotten_when_it_has_ended_and_not_before() -> None:
    desk = with_bob()
    iat_s = issued(desk, jti="j1", ttl_s=60)
    desk.done(c.RevokeTokens(OPS, desk.key(), jti="j1", exp_s=iat_s + 60))
    assert desk.notices == [AccessRevoked("", "", "j1")]
    assert not counts(desk, iat_s)
    assert counts(desk, iat_s, jti="j2")
    while desk.state.now_ms // 1000 <= iat_s + 60 + limits.CLOCKS_S:
        assert not counts(desk, iat_s)
        desk.run(c.ExpireOffer("none"))
    for _ in range(2 * limits.CLOCKS_S):
        desk.run(c.ExpireOffer("none"))
    assert desk.state.revoked == {}
    late = c.RevokeTokens(OPS, desk.key(), jti="j1", exp_s=iat_s + 60)
    assert desk.refused(late).code == "conflict"


def test_too_many_single_tokens_are_refused_and_a_principal_can_be_revoked_instead(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "TOKENS_REVOKED_MAX", 1)
    desk = with_bob()
    exp_s = desk.state.now_ms // 1000 + 99
    desk.done(c.RevokeTokens(OPS, desk.key(), jti="j1", exp_s=exp_s))
    desk.done(c.RevokeTokens(OPS, desk.key(), jti="j1", exp_s=exp_s))
    full = c.RevokeTokens(OPS, desk.key(), jti="j2", exp_s=exp_s)
    assert desk.refused(full).code == "at_capacity"
    desk.done(c.RevokeTokens(OPS, desk.key(), "agent", "bob"))


def test_what_is_forgotten_of_too_many_cutoffs_revokes_more_and_never_less(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "CUTOFFS_MAX", 2)
    desk = Desk()
    for name in ("a", "b", "a", "c"):
        desk.done(c.RevokeTokens(OPS, desk.key(), "agent", name))
    assert [name for _, name in desk.state.cutoffs] == ["a", "c"]
    floor_s = desk.state.cutoff_floor_s
    assert floor_s > 0
    assert not counts(desk, floor_s, By("agent", "b"))
    assert not counts(desk, floor_s, By("agent", "whoever"))
    assert counts(desk, floor_s + 1, By("agent", "whoever"))
    loaded = snapshot.load(snapshot.dump(desk.state.frozen_copy()))
    assert loaded.cutoff_floor_s == floor_s


def test_only_operators_revoke_and_they_say_what() -> None:
    desk = with_bob()
    for by in (ANN, BOB, SUE, POS):
        assert desk.refused(c.RevokeTokens(by, "k", "agent", "bob")).data["rule"] == "role"
        assert desk.refused(c.RemoveAccount(by, "k", "bob")).data["rule"] == "role"
        assert desk.refused(c.SetSecret(by, "k", "bob", HASH)).data["rule"] == "role"
    assert desk.refused(c.RevokeTokens(OPS, "k")).code == "bad_request"
    assert desk.refused(c.RevokeTokens(OPS, "k", "agent")).code == "bad_request"


def test_the_audit_log_says_who_did_what_where_and_never_a_secret() -> None:
    desk = with_bob(name="Bob")
    issued(desk)
    desk.done(c.SetSecret(OPS, desk.key(), "bob", HASH + "2"))
    desk.done(c.RevokeTokens(OPS, desk.key(), "agent", "bob"))
    desk.done(c.AddAudit(SUE, "conversation.read", {"cv": "cv1"}))
    desk.done(c.RemoveAccount(OPS, desk.key(), "bob"))
    lines = [record for record in desk.state.audit if record.what != "node.boot"]
    assert [(line.by.id, line.what) for line in lines] == [
        ("ops", "user.put"),
        ("bob", "token.issue"),
        ("ops", "user.secret"),
        ("ops", "token.revoke"),
        ("sue", "conversation.read"),
        ("ops", "user.remove"),
    ]
    assert {line.detail["node"] for line in lines} == {"n1"}
    assert "argon2" not in repr(desk.state.audit)
    assert desk.refused(c.AddAudit(SUE, "anything")).code == "bad_request"
    assert desk.refused(c.AddAudit(SUE, "members.change", {"a": {}})).code == "bad_request"


def test_a_snapshot_of_before_there_were_accounts_loads_and_one_without_any_is_as_before() -> None:
    desk = Desk()
    desk.online()
    frames = list(snapshot.dump(desk.state.frozen_copy()))
    counts_said = msgspec.msgpack.decode(frames[-1][4:])[1]
    assert [name for name, _ in counts_said][-1] == "audit"
    header = msgspec.msgpack.decode(frames[0][4:])
    assert header.keys() == {"format", "now_ms", "applied_index"}
    assert snapshot.load(frames).accounts == {}


def test_accounts_and_revocations_survive_a_snapshot() -> None:
    desk = with_bob()
    iat_s = issued(desk)
    desk.done(c.RevokeTokens(OPS, desk.key(), "agent", "bob"))
    desk.done(c.RevokeTokens(OPS, desk.key(), jti="j9", exp_s=iat_s + 99))
    loaded = snapshot.load(snapshot.dump(desk.state.frozen_copy()))
    assert loaded.accounts == desk.state.accounts
    assert isinstance(loaded.accounts["bob"], Account)
    assert is_revoked(loaded, "agent", "bob", jti="", iat_s=iat_s)
    assert is_revoked(loaded, "agent", "li", jti="j9", iat_s=iat_s)
    assert snapshot.digest(loaded) == snapshot.digest(desk.state)
