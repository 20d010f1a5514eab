"""Limits and wrong moments that people do not come to, but a wrong client or a race does."""

from typing import Any

import pytest

from cluster.state import commands as c
from cluster.state import limits
from cluster.state.commands import By, Command
from cluster.state.levels import LEVEL, commands_since
from cluster.state.route import Queue, Route, ServiceLevel, Step
from tests.cluster.state.desk import ANN, BOB, LI, OPS, SUE, Desk

KIM = By("agent", "kim", "Kim")
MANY = tuple(By("agent", f"a{n}") for n in range(limits.MEMBERS_MAX + 1))
SLAS = {f"s{n}": ServiceLevel() for n in range(limits.SLAS_MAX + 1)}
YEARS_S = limits.TOKEN_TTL_S[1] + 1


def refused(desk: Desk, command: Command) -> str:
    """Return how it is refused; nothing but the time has changed then."""
    before = desk.state.conversations, desk.state.agents, desk.state.invitations
    kept = [dict(one) for one in before]
    refusal = desk.refused(command)
    assert [dict(one) for one in before] == kept
    return f"{refusal.code}: {refusal.message}"


def talking(*others: By) -> Desk:
    desk = Desk()
    for by in (BOB, *others):
        desk.online(by)
    desk.assigned("cv1", BOB)
    return desk


def ask_in(desk: Desk, by: By, cv: str = "cv1") -> str:
    iid = f"i-{cv}-{by.id}"
    desk.done(c.InviteAgent(cv, BOB, by.id, iid, 20_000))
    return iid


# -- who takes part


def test_no_more_take_part_than_may() -> None:
    desk = talking(*MANY)
    *members, late, later = MANY
    for by in members:
        desk.done(c.AcceptOffer(ask_in(desk, by), by, desk.key()))
    waits = ask_in(desk, late)
    last = ask_in(desk, later)
    desk.done(c.AcceptOffer(waits, late, desk.key()))
    most = f"at_capacity: {limits.MEMBERS_MAX} take part already"
    assert refused(desk, c.AcceptOffer(last, later, desk.key())) == most
    desk.online(LI)
    assert refused(desk, c.InviteAgent("cv1", BOB, "li", "i9", 20_000)) == most


def test_no_agent_takes_part_in_more_than_they_may() -> None:
    desk = Desk()
    desk.online(BOB, capacity=limits.HELPS_MAX + 1)
    desk.online(LI)
    for number in range(limits.HELPS_MAX + 1):
        desk.assigned(f"cv{number}", BOB)
        iid = ask_in(desk, LI, f"cv{number}")
        if number < limits.HELPS_MAX:
            desk.done(c.AcceptOffer(iid, LI, desk.key()))
    assert refused(desk, c.AcceptOffer(iid, LI, "late")).startswith("at_capacity: li takes part")


def test_no_more_invitations_wait_for_an_agent_than_may() -> None:
    desk = Desk()
    desk.online(BOB, capacity=limits.INVITED_MAX + 1)
    desk.online(LI)
    for number in range(limits.INVITED_MAX + 1):
        desk.assigned(f"cv{number}", BOB)
        if number < limits.INVITED_MAX:
            ask_in(desk, LI, f"cv{number}")
    command = c.InviteAgent(f"cv{number}", BOB, "li", "late", 20_000)
    assert "invitations wait for li already" in refused(desk, command)


@pytest.mark.parametrize("ttl_ms", [limits.OFFER_TTL_MS[0] - 1, limits.OFFER_TTL_MS[1] + 1])
def test_an_invitation_has_a_time_to_accept_that_may_be(ttl_ms: int) -> None:
    desk = talking(LI)
    assert "a time to accept" in refused(desk, c.InviteAgent("cv1", BOB, "li", "i1", ttl_ms))


def test_an_invitation_has_an_id_of_its_own() -> None:
    desk = talking(LI, KIM)
    desk.done(c.InviteAgent("cv1", BOB, "li", "i1", 20_000))
    told = refused(desk, c.InviteAgent("cv1", BOB, "kim", "i1", 20_000))
    assert told == "conflict: an offer of this id is pending"
    desk.waiting("cv2")
    desk.offered("cv2", KIM, "o2")
    told = refused(desk, c.InviteAgent("cv1", BOB, "kim", "o2", 20_000))
    assert told == "conflict: an offer of this id is pending"


def looked_for(*, skills: dict[str, int]) -> Desk:
    """Somebody of the queue of vips is looked for, who holds `skills`."""
    desk = talking(LI)
    desk.done(c.ApplyRules(OPS, {}, {"vip": Queue(skills=skills), "general": Queue()}))
    desk.done(c.TransferConversation("cv1", BOB, "w", to_queue="vip", warm=True, iid="i1"))
    return desk


def test_a_colleague_of_a_queue_is_asked_for_a_time_that_may_be() -> None:
    desk = looked_for(skills={})
    assert "a time to accept of 0 ms" in refused(desk, c.AskColleague("i1", "li", 0))
    desk.done(c.AskColleague("i1", "li", 20_000))


def test_a_colleague_who_is_away_or_lacks_a_skill_is_not_asked() -> None:
    desk = looked_for(skills={"refund": 9})
    told = refused(desk, c.AskColleague("i1", "li", 20_000))
    assert told == "conflict: li lacks refund"
    desk = looked_for(skills={})
    desk.done(c.SetStatus(LI, "li", "away"))
    assert refused(desk, c.AskColleague("i1", "li", 20_000)).startswith("conflict: li is away")


# -- what is asked with too much, or with what does not go together


ROUTE = Route((Step("general", 0),), "r", 0)


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (
            c.AddAudit(SUE, "conversation.read", dict.fromkeys(map(str, range(99)), 1)),
            "too_large: detail: more than",
        ),
        (
            c.OpenSession("s9", KIM, "n1", "b1", langs=("en",) * (limits.LANGS_MAX + 1)),
            f"too_large: more than {limits.LANGS_MAX} languages",
        ),
        (
            c.OpenSession("s9", KIM, "n1", "b1", langs=("x" * (limits.LANG_BYTES_MAX + 1),)),
            "too_large: langs: a tag of more than",
        ),
        (
            c.TransferConversation("cv1", BOB, "w", to_rule="", warm=True, iid="i1"),
            "bad_request: warm: names an agent or a queue",
        ),
        (
            c.SetFields("cv1", BOB, "tags", unset=tuple(map(str, range(99)))),
            "too_large: unset: more than",
        ),
        (
            c.ApplyRules(
                OPS, {}, {}, {f"s{n}": ServiceLevel() for n in range(limits.SLAS_MAX + 1)}
            ),
            f"too_large: more than {limits.SLAS_MAX} service levels",
        ),
        (
            c.ApplyRules(OPS, {}, {}, {"gold": ServiceLevel(1, 1, 1, warn_percent=101)}),
            "bad_request: sla gold: a warning at 101 %",
        ),
        (c.EndStatus("bob"), "conflict: the status does not end now"),
        (c.IdleSession("bob", True, "sid-li", "n1", "b1"), "not_found: no such session"),
        (c.IdleSession("bob", True, "nobody's", "n1", "b1"), "not_found: no such session"),
        (c.RevokeTokens(OPS, "k", "agent", "x" * 999, "j", 2_000), "too_large"),
        (
            c.IssueToken(By("service", "pos"), "j", YEARS_S, 1),
            "bad_request: a life",
        ),
    ],
)
def test_what_goes_beyond_a_limit_is_refused(command: Command, told: str) -> None:
    desk = talking(LI)
    assert refused(desk, command).startswith(told)


def test_nobody_is_sent_to_a_node_that_takes_no_clients() -> None:
    desk = talking()
    desk.done(c.RaiseLevel(LEVEL))
    desk.done(c.BootNode("n2", "b2", "ws://n2"))
    desk.done(c.DrainNode("n2", OPS))
    told = refused(desk, c.DismissSession(OPS, sid="sid-bob", to="n2"))
    assert told == "conflict: n2 is drained: it takes no clients"


def test_a_fault_has_an_id_of_its_own() -> None:
    desk = Desk()
    desk.done(c.RaiseLevel(LEVEL))
    desk.done(c.AllowChaos("b1", ""))
    fault: dict[str, Any] = {"kind": "pause", "groups": (("n1",),), "for_ms": 30_000}
    desk.done(c.StartChaos(OPS, "k1", "f1", **fault))
    told = refused(desk, c.StartChaos(OPS, "k2", "f1", **fault))
    assert told == "conflict: there is a fault f1 already"


def test_commands_of_a_level_are_named() -> None:
    assert commands_since(LEVEL) == ()
    named = commands_since(1)
    assert {"node.drain", "chaos.start"} <= set(named)
    assert "msg.send" not in named
    assert list(named) == sorted(named)
    assert ANN.kind == "visitor"
