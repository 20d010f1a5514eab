"""Lines of what is alike, and pages along them, held against the plain way to do it."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from cluster.state.model import Conversation
from cluster.state.route import Route, Step
from cluster.state.state import State
from node.auth import Principal
from node.finding import facets as by
from node.finding.facets import Facets
from node.finding.filters import STATES, Wanted, proposals
from node.finding.walk import LOOKS_MAX, cursor_of, read_cursor, walk
from node.protocol.catalogue import ConversationFilter
from tests.node.finding.made import ANN, conversation, said, with_event

SUE = Principal("supervisor", "sue", 0)
QUEUES, CHANNELS, AGENTS = ("vip", "general"), ("web", "app"), ("ann", "bob")

made = st.builds(
    lambda state, queue, channel, owner, tier, visitor: {
        "state": state,
        "route": Route((Step(queue),)),
        "channel": channel,
        "owner": owner if state == "assigned" else "",
        "tags": {"tier": tier, "ids": [tier, "x"]},
        "visitor": visitor,
    },
    st.sampled_from(STATES),
    st.sampled_from(QUEUES),
    st.sampled_from(CHANNELS),
    st.sampled_from(AGENTS),
    st.sampled_from(["gold", "bronze"]),
    st.sampled_from(["v1", "v2"]),
)
filters = st.builds(
    ConversationFilter,
    state=st.sampled_from(["", "open", *STATES]),
    queue=st.sampled_from(["", *QUEUES]),
    channel=st.sampled_from(["", *CHANNELS]),
    agent=st.sampled_from(["", *AGENTS]),
    visitor=st.sampled_from(["", "v1"]),
    tags=st.sampled_from([{}, {"tier": "gold"}, {"ids": "x", "tier": "bronze"}]),
    since=st.integers(0, 30),
    until=st.sampled_from([0, 5, 25]),
)

VIP = Route((Step("vip"),))


def filled(several: list[dict[str, Any]]) -> tuple[State, Facets]:
    """A state of conversations, two of each millisecond, and the lines over it."""
    state, facets = State(), Facets()
    facets.begin({})
    for number, fields in enumerate(several):
        one = replace(conversation(number), opened_ms=number // 2, **fields)
        if one.owner:
            one = with_event(one, "assigned", ANN, agent=one.owner)
        state.put_conversation(one)
        if one.tail:
            facets.note(one, one.tail[-1])
        else:
            facets.take_in({one.cv: one}, 0)
            facets._put(one)
    return state, facets


def pages(
    state: State,
    facets: Facets,
    wanted: ConversationFilter,
    principal: Principal = SUE,
    *,
    newest: bool = True,
    limit: int = 3,
) -> list[Conversation]:
    """All that a client would list, page by page, its cursors as text."""
    found: list[Conversation] = []
    cursor = ""
    while True:
        page = walk(
            proposals(wanted, principal, state, facets),
            state.conversations,
            Wanted(wanted, principal, state, facets).matches,
            beyond=read_cursor(cursor),
            newest=newest,
            limit=limit,
            since=wanted.since,
            until=wanted.until,
        )
        found += page.found
        if page.beyond is None:
            return found
        cursor = cursor_of(page.beyond)


@given(st.lists(made, max_size=60), filters, st.booleans())
def test_pages_hold_what_a_look_at_all_would_find(
    several: list[dict[str, Any]], wanted: ConversationFilter, newest: bool
) -> None:
    state, facets = filled(several)
    matches = Wanted(wanted, SUE, state, facets).matches
    plain = sorted(
        (one for one in state.conversations.values() if matches(one)),
        key=lambda one: (one.opened_ms, one.cv),
        reverse=newest,
    )
    assert pages(state, facets, wanted, newest=newest) == plain


@given(st.lists(made, max_size=40), st.data())
def test_lines_that_followed_are_those_that_are_made_anew(
    several: list[dict[str, Any]], data: st.DataObject
) -> None:
    state, facets = filled(several)
    for cv in data.draw(st.lists(st.sampled_from(sorted(state.conversations)))) if several else ():
        one = state.conversations.get(cv)
        if one is None:
            continue
        if data.draw(st.booleans()):
            del state.conversations[cv]
            facets.drop(cv)
        else:
            fields = data.draw(made)
            changed = with_event(replace(one, **fields), "tagged")
            state.conversations[cv] = changed
            facets.note(changed, changed.tail[-1])
    anew = Facets()
    anew.begin(state.conversations)
    while not anew.complete:
        anew.take_in(state.conversations, 7)
    for facet in {*facets._lines, *anew._lines}:
        if facet[0] != "agent":  # who had it without an event that says so is known by following
            assert list(facets.line(facet)) == list(anew.line(facet)), facet
    assert sorted(facets.queues()) == sorted(anew.queues())


def test_a_list_that_changes_between_pages_repeats_and_loses_nothing_that_stays() -> None:
    state, facets = filled([{"state": "waiting", "route": VIP} for _ in range(10)])
    every = ConversationFilter(state="waiting")
    matches = Wanted(every, SUE, state, facets).matches
    first = walk(
        proposals(every, SUE, state, facets),
        state.conversations,
        matches,
        beyond=None,
        newest=True,
        limit=4,
    )
    assert first.beyond is not None
    for number in (9, 5, 4):  # one told already, the last of the page before it, and one to come
        one = with_event(
            replace(state.conversations[conversation(number).cv], state="closed"), "closed"
        )
        state.conversations[one.cv] = one
        facets.note(one, one.tail[-1])
    new = conversation(50, state="waiting", queue="vip")
    state.put_conversation(new)
    facets._put(new)
    rest = walk(
        proposals(every, SUE, state, facets),
        state.conversations,
        matches,
        beyond=first.beyond,
        newest=True,
        limit=99,
    )
    numbers = [int(one.cv[-10:]) for one in (*first.found, *rest.found)]
    assert numbers == [9, 8, 7, 6, 3, 2, 1, 0]


def test_a_page_looks_at_no_more_than_it_may_and_says_that_there_is_more() -> None:
    state, facets = State(), Facets()
    for number in range(LOOKS_MAX + 10):
        one = conversation(number, channel="rare" if number == 3 else "web", subject=str(number))
        state.conversations[one.cv] = one
    facets.begin(state.conversations)
    facets.take_in(state.conversations, LOOKS_MAX * 2)
    page = walk(
        proposals(ConversationFilter(), SUE, state, facets),
        state.conversations,
        lambda one: one.channel == "rare",
        beyond=None,
        newest=True,
        limit=5,
    )
    assert page.found == []
    assert page.beyond is not None
    assert pages(state, facets, ConversationFilter(channel="rare")) == [
        state.conversations[conversation(3).cv]
    ]


def test_values_of_tags_beyond_the_bound_are_found_by_looking(monkeypatch: Any) -> None:
    monkeypatch.setattr(by, "TAG_FACETS_MAX", 3)
    state, facets = State(), Facets()
    for number in range(20):
        state.put_conversation(conversation(number, tags={"order": number}))
    facets.begin(state.conversations)
    facets.take_in(state.conversations, 99)
    assert facets.tags_full
    for number in (0, 2, 3, 19):
        found = pages(state, facets, ConversationFilter(tags={"order": number}))
        assert [one.tags["order"] for one in found] == [number]


def test_an_agent_that_had_a_conversation_is_found_with_it_until_another_has_it() -> None:
    one = with_event(conversation(1, state="assigned", owner="ann"), "assigned", ANN, agent="ann")
    state, facets = State(), Facets()
    state.conversations[one.cv] = one
    facets.note(one, one.tail[-1])
    assert pages(state, facets, ConversationFilter(agent="ann")) == [one]
    two = with_event(replace(one, owner="bob"), "assigned", agent="bob")
    state.conversations[one.cv] = two
    facets.note(two, two.tail[-1])
    assert pages(state, facets, ConversationFilter(agent="ann")) == []
    assert facets.agents(one.cv) == ("ann", "bob")
    closed = with_event(replace(two, owner="", state="closed"), "closed")
    state.conversations[one.cv] = closed
    facets.note(closed, closed.tail[-1])
    for agent in ("ann", "bob"):
        assert pages(state, facets, ConversationFilter(agent=agent)) == [closed]


def test_speaking_moves_nothing() -> None:
    one = conversation(1)
    facets = Facets()
    facets._put(one)
    before = facets._known[one.cv].lines
    facets.note(spoken := said(one, "hello"), spoken.tail[-1])
    assert facets._known[one.cv].lines is before
