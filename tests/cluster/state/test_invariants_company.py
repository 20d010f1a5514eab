"""Who takes part, is asked in, wraps up, rates or logs in: every invariant is broken, and seen."""

from collections import deque
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from cluster.state import commands as c
from cluster.state import limits
from cluster.state.commands import By
from cluster.state.company import Member, Overseer
from cluster.state.events import Tail
from cluster.state.invariants import InvariantViolated, check
from cluster.state.route import Queue, Route, ServiceLevel, Step
from cluster.state.snapshot import SnapshotRefused, dump, load
from cluster.state.sorted_set import SortedSet
from cluster.state.staffing import Unstaffed
from cluster.state.state import State
from tests.cluster.state.damage import agent, conversation
from tests.cluster.state.desk import ANN, BOB, LI, OPS, SUE, Desk

GOLD = ServiceLevel(10_000, 5_000, 30_000)
SUE_LISTENS = Overseer("sue", "", "monitor", "s", "n1", "b1", 1)

KIM = By("agent", "kim", "Kim")
JOE = By("agent", "joe", "Joe")


def member(name: str) -> Member:
    return Member(name, name, 1)


def in_company() -> State:
    """cv1 is Bob's; Li takes part, Kim is asked to take it over, Joe to take part, Sue listens.

    Bob still wraps up cv2.  Nobody is here for the queue of night; there are a rating, an account.
    """
    desk = Desk()
    for by in (BOB, LI, KIM, JOE):
        desk.online(by, capacity=3)
    desk.done(c.ApplyRules(OPS, {}, {"general": Queue(wrap_up_ms=60_000)}, {"gold": GOLD}))
    desk.done(c.PutAccount(OPS, "k", "pos", "service", secret=f"{limits.ARGON2ID_PREFIX}x"))
    for cv in ("cv1", "cv2"):
        desk.open(cv)
        step = Step("general", 0)
        desk.done(c.RouteConversation(cv, Route((step,), "r", 1, sla="gold"), 0))
        desk.done(c.AcceptOffer(desk.offered(cv), BOB, desk.key()))
    desk.done(c.CloseConversation("cv2", BOB, "close"))
    desk.done(c.RateConversation("cv2", ANN, "rate", 5))
    desk.done(c.InviteAgent("cv1", BOB, "li", "i1", 20_000))
    desk.done(c.AcceptOffer("i1", LI, "a"))
    desk.done(c.InviteAgent("cv1", BOB, "joe", "i2", 20_000))
    desk.done(c.TransferConversation("cv1", BOB, "w", to_agent="kim", warm=True, iid="i3"))
    desk.done(c.JoinConversation("cv1", SUE, "monitor", "s", "n1", "b1"))
    check(desk.state)
    return desk.state


def invitation(iid: str, **changes: object) -> Callable[[State], None]:
    def damage(state: State) -> None:
        state.invitations = {**state.invitations, iid: replace(state.invitations[iid], **changes)}

    return damage


def lose_invitation(state: State) -> None:
    state.invitations = {iid: one for iid, one in state.invitations.items() if iid != "i2"}
    conversation("cv1", invitations=("i3",))(state)


def asks_nobody(state: State) -> None:
    invitation("i2", agent="", queue="")(state)
    agent("joe", invitations=())(state)


def owner_as_member(state: State) -> None:
    conversation("cv1", members=(member("bob"),))(state)
    agent("bob", helps=("cv1",))(state)


def account(**changes: object) -> Callable[[State], None]:
    def damage(state: State) -> None:
        state.accounts = {key: replace(one, **changes) for key, one in state.accounts.items()}

    return damage


def wrapping(*cvs: str) -> Callable[[State], None]:
    """Bob wraps these up; his load is as it should be then."""

    def damage(state: State) -> None:
        bob = state.agents["bob"]
        ups = tuple(replace(bob.wrap_ups[0], cv=cv) for cv in cvs)
        load = bob.load + sum(one.weight for one in ups) - sum(o.weight for o in bob.wrap_ups)
        state.put_agent(replace(bob, wrap_ups=ups, load=load))

    return damage


def wrap_up_without_end(state: State) -> None:
    state.wrap_ends = SortedSet()


def rating_of_nobody(state: State) -> None:
    state.ratings = {key: replace(row, counts=(0,) * 5) for key, row in state.ratings.items()}


def routings_with_a_gap(state: State) -> None:
    first, second = state.routings
    state.routings = deque([first, replace(second, number=second.number + 5)])


def somebody_is_there(state: State) -> None:
    state.unstaffed = {"general": Unstaffed("general", 1)}


def clock_twice(state: State) -> None:
    one = state.conversations["cv1"]
    service = replace(one.service, clocks=one.service.clocks[:1] * 2)
    state.put_conversation(replace(one, service=service))


def renumbered(state: State) -> None:
    one = state.conversations["cv1"]
    first, *rest = one.tail
    state.put_conversation(replace(one, tail=Tail.of((replace(first, seq=7), *rest))))


@pytest.mark.parametrize(
    ("name", "said", "damage"),
    [
        ("I2", "7 where 1 belongs", renumbered),
        ("state", "waiting since 5", conversation("cv1", waiting_since_ms=5)),
        ("state", "prefers li", conversation("cv1", preferred="li")),
        ("bounds", "choices", conversation("cv1", choices=((),) * (limits.CHOICES_KEPT + 1))),
        ("clocks", "run", clock_twice),
        ("company", "closed, and somebody takes part", conversation("cv2", invitations=("i9",))),
        ("company", "kim does not take part", conversation("cv1", members=(member("kim"),))),
        ("company", "its owner takes part", owner_as_member),
        ("company", "invitation i9", conversation("cv1", invitations=("i9",))),
        ("company", "its owner is asked in", invitation("i2", agent="bob")),
        ("company", "2 are to take it", invitation("i2", takes=True)),
        ("company", "members", conversation("cv1", members=(member("li"),) * 2)),
        ("company", "overseers", conversation("cv1", overseers=(SUE_LISTENS,) * 99)),
        ("company", "li takes part in cv1, which", conversation("cv1", members=())),
        ("company", "kim: invitation i2", agent("kim", invitations=("i2",))),
        ("company", "invitation i2: not its conv", conversation("cv1", invitations=("i3",))),
        ("company", "invitation i2: asks nobody", asks_nobody),
        ("company", "not its agent's", agent("joe", invitations=())),
        ("company", "joe: invitation i2", lose_invitation),
        ("company", "li: 99, 0", agent("li", helps=("cv1",) * 99)),
        ("presence", "li is gone, and takes part", agent("li", sessions=(), status="offline")),
        ("I4", "bob wraps up", wrapping("cv2", "cv2")),
        ("I4", "bob wraps up", wrapping("cv1")),
        ("bounds", "conversations", wrapping(*map(str, range(limits.WRAP_UPS_MAX + 1)))),
        ("indexes", "wrap_ends: bob, cv2", wrap_up_without_end),
        ("ratings", "0", rating_of_nobody),
        ("state", "routings", routings_with_a_gap),
        ("staffing", "general: somebody is there", somebody_is_there),
        ("state", "revision 0", account(rev=0)),
        ("bounds", "secrets", account(secrets=("x",) * (limits.SECRETS_MAX + 1))),
        ("state", "a secret that is not hashed", account(secrets=("plain",))),
    ],
)
def test_damage_to_company_wrap_ups_and_accounts_is_seen(
    name: str, said: str, damage: Callable[[State], None]
) -> None:
    state = in_company()
    damage(state)
    with pytest.raises(InvariantViolated) as violated:
        check(state)
    assert violated.value.name == name, violated.value
    assert said in violated.value.detail


def test_an_offer_that_its_agent_does_not_know_is_seen() -> None:
    desk = Desk()
    desk.online(BOB)
    desk.online(LI)
    desk.waiting("cv1")
    desk.offered("cv1", LI, "o2")
    state = desk.state
    state.offers = {"o2": replace(state.offers["o2"], agent="bob")}
    agent("li", offers=(), load=0)(state)
    with pytest.raises(InvariantViolated, match="offer o2: not its agent's"):
        check(state)


@pytest.mark.parametrize("step", [7, -1])
def test_a_step_that_the_route_has_not_is_seen_and_no_snapshot_with_it_is_loaded(step: int) -> None:
    state = in_company()
    state.conversations["cv1"] = replace(state.conversations["cv1"], step=step)
    with pytest.raises(InvariantViolated, match=f"cv1: step {step} of 1"):
        check(state)
    with pytest.raises(SnapshotRefused):
        load(dump(state))
