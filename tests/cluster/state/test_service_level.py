"""Service levels: which clocks run, and what is told of them, once."""

from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.routing.service import due_service
from cluster.state import commands as c
from cluster.state import snapshot
from cluster.state.commands import By
from cluster.state.machine import Machine
from cluster.state.route import Queue, Route, ServiceLevel, Step
from tests.cluster.state.desk import ANN, BOB, OPS, SUE, Desk

GOLD = ServiceLevel(first_response_ms=60_000, next_response_ms=30_000, resolution_ms=600_000)
BOT = By("service", "bot")


def desk_with(level: ServiceLevel = GOLD) -> Desk:
    desk = Desk()
    desk.done(c.ApplyRules(OPS, {"main.toml": "x"}, {"general": Queue()}, slas={"gold": level}))
    return desk


def opened(desk: Desk, cv: str = "cv1", sla: str = "gold", rev: int = 1) -> None:
    desk.open(cv)
    route = Route((Step("general"),), "rule", rev, sla=sla)
    desk.done(c.RouteConversation(cv, route))


def assigned(desk: Desk) -> None:
    desk.online()
    opened(desk)
    desk.done(c.AcceptOffer(desk.offered(), BOB, desk.key()))


def running(desk: Desk, cv: str = "cv1") -> dict[str, tuple[int, int]]:
    """Clock to (when it began, when it runs out), in seconds since the opening."""
    conversation = desk.conversation(cv)
    opened_ms = conversation.opened_ms
    return {
        one.name: ((one.since_ms - opened_ms) // 1000, (one.due_ms - opened_ms) // 1000)
        for one in conversation.service.clocks
    }


def told(desk: Desk, cv: str = "cv1") -> list[tuple[str, str]]:
    return [
        (event.data["name"], event.data["level"])
        for event in desk.conversation(cv).tail
        if event.type == "sla"
    ]


def tell(desk: Desk) -> int:
    """Do what the leader would, until nothing is due; return how often it had to."""
    times = 0
    while due := list(due_service(desk.state, desk.now_ms, bool)):
        for command in due:
            desk.done(command)
            times += 1
    return times


# -- which clocks run


def test_a_conversation_of_no_level_has_no_clocks() -> None:
    desk = desk_with()
    opened(desk, sla="")
    opened(desk, "cv2", sla="silver")
    assert running(desk) == running(desk, "cv2") == {}
    assert desk.refused(c.SlaDue("cv1")).code == "conflict"


def test_the_clocks_of_a_level_run_from_the_opening_however_late_it_was_routed() -> None:
    desk = desk_with()
    desk.open("cv1")
    desk.wait(40_000)
    route = Route((Step("general"),), "rule", 1, sla="gold")
    desk.done(c.RouteConversation("cv1", route))
    assert running(desk) == {"first_response": (0, 60), "resolution": (0, 600)}


def test_a_time_that_a_level_does_not_name_has_no_clock() -> None:
    desk = desk_with(ServiceLevel(resolution_ms=5_000))
    assigned(desk)
    desk.done(desk.say(BOB))
    desk.done(desk.say(ANN))
    assert running(desk) == {"resolution": (0, 5)}


def test_the_first_answer_of_a_person_stops_the_first_response() -> None:
    desk = desk_with()
    assigned(desk)
    desk.done(desk.say(BOT))
    desk.done(desk.say(BOB, visibility="agents"))
    assert "first_response" in running(desk)
    desk.done(desk.say(SUE))
    assert running(desk) == {"resolution": (0, 600)}


def test_a_bot_among_the_agents_helps_and_stops_nothing() -> None:
    desk = desk_with()
    robo = By("agent", "robo")
    desk.done(c.OpenSession("sid-robo", robo, "n1", "b1", {"bot": 1}, 9))
    desk.done(c.SetStatus(robo, "robo", "online"))
    opened(desk)
    desk.done(c.AcceptOffer(desk.offered("cv1", robo), robo, desk.key()))
    desk.done(desk.say(robo))
    assert "first_response" in running(desk)
    assert desk.conversation().service.helped


def test_the_next_response_runs_from_the_first_message_that_has_no_answer() -> None:
    desk = desk_with()
    assigned(desk)
    desk.done(desk.say(ANN))
    assert "next_response" not in running(desk)
    desk.done(desk.say(BOB))
    desk.done(desk.say(ANN))
    since = running(desk)["next_response"][0]
    desk.wait(10_000)
    desk.done(desk.say(ANN))
    assert running(desk)["next_response"] == (since, since + 30)
    desk.done(desk.say(BOB))
    desk.done(desk.say(BOB))
    assert "next_response" not in running(desk)


def test_a_transfer_stops_no_clock() -> None:
    desk = desk_with()
    assigned(desk)
    desk.done(desk.say(BOB))
    desk.done(desk.say(ANN))
    before = running(desk)
    desk.done(c.TransferConversation("cv1", SUE, desk.key(), to_queue="general"))
    assert running(desk) == before


def test_the_close_stops_all_clocks() -> None:
    desk = desk_with()
    opened(desk)
    desk.done(c.CloseConversation("cv1", ANN, desk.key()))
    assert running(desk) == {}
    assert not desk.state.sla_due
    assert desk.refused(c.SlaDue("cv1")).code == "closed"


def test_rules_that_are_applied_later_move_no_clock_that_runs() -> None:
    desk = desk_with()
    assigned(desk)
    shorter = {"gold": ServiceLevel(1, 1, 1)}
    desk.done(c.ApplyRules(OPS, {"main.toml": "y"}, {"general": Queue()}, slas=shorter))
    route = Route((Step("general"),), "rule", 2, sla="gold")
    desk.done(c.TransferConversation("cv1", SUE, desk.key(), to_queue="general"))
    desk.done(c.RouteConversation("cv1", route))
    desk.done(desk.say(SUE))
    desk.done(desk.say(ANN))
    since = running(desk)["next_response"][0]
    assert running(desk) == {"resolution": (0, 600), "next_response": (since, since + 30)}


# -- what is told


def test_a_warning_and_then_a_breach_are_told_once_each() -> None:
    desk = desk_with()
    opened(desk)
    desk.wait(48_000)
    assert tell(desk) == 1
    assert told(desk) == [("first_response", "warning")]
    assert desk.refused(c.SlaDue("cv1")).code == "conflict"
    desk.wait(12_000)
    assert tell(desk) == 1
    desk.wait(60_000)
    assert tell(desk) == 0
    assert told(desk) == [("first_response", "warning"), ("first_response", "breach")]
    assert desk.conversation().service.breaches == {"first_response": 1}
    assert desk.state.tallies == {
        "sla.warning.first_response": 1,
        "sla.breach.first_response": 1,
    }


def test_what_is_told_names_the_moment_it_was_due() -> None:
    desk = desk_with()
    opened(desk)
    at_ms = desk.conversation().opened_ms
    desk.wait(55_000)
    tell(desk)
    event = desk.conversation().tail[-1]
    assert event.hidden
    assert event.data == {
        "name": "first_response",
        "at": at_ms + 48_000,
        "level": "warning",
        "due": at_ms + 60_000,
    }


def test_of_a_clock_that_ran_out_unseen_the_breach_alone_is_told() -> None:
    desk = desk_with()
    opened(desk)
    desk.wait(61_000)
    assert tell(desk) == 1
    assert told(desk) == [("first_response", "breach")]


def test_an_answer_that_overtakes_the_leader_has_the_breach_told_ahead_of_it() -> None:
    desk = desk_with()
    assigned(desk)
    desk.wait(60_000)
    seq = desk.done(desk.say(BOB))["seq"]
    assert desk.events()[-2:] == ["sla", "msg"]
    assert seq == desk.conversation().seq
    assert told(desk) == [("first_response", "breach")]
    assert tell(desk) == 0


def test_a_level_without_warnings_tells_the_breach_alone() -> None:
    desk = desk_with(ServiceLevel(first_response_ms=10_000, warn_percent=0))
    opened(desk)
    desk.wait(7_000)
    assert tell(desk) == 0
    desk.wait(3_000)
    tell(desk)
    assert told(desk) == [("first_response", "breach")]


def test_every_answer_that_comes_too_late_is_a_breach_of_its_own() -> None:
    desk = desk_with()
    assigned(desk)
    desk.done(desk.say(BOB))
    for _ in range(3):
        desk.done(desk.say(ANN))
        desk.wait(31_000)
        desk.done(desk.say(BOB))
    assert desk.conversation().service.breaches == {"next_response": 3}


def test_a_deadline_that_was_not_reached_is_refused_with_what_is_left() -> None:
    desk = desk_with()
    opened(desk)
    refused = desk.refused(c.SlaDue("cv1"))
    assert refused.code == "conflict"
    assert "ms away" in refused.message
    assert desk.refused(c.SlaDue("cv9")).code == "not_found"


# -- against a model that looks at the whole history

STEPS = ("visitor", "agent", "bot", "note", "transfer", "close", "leader", "nothing")
levels = st.builds(
    ServiceLevel,
    st.sampled_from([0, 20_000, 50_000]),
    st.sampled_from([0, 10_000, 30_000]),
    st.sampled_from([0, 60_000, 200_000]),
    st.sampled_from([0, 50, 80, 100]),
)
histories = st.lists(
    st.tuples(st.sampled_from(STEPS), st.sampled_from([0, 1_000, 9_000, 19_000, 60_000])),
    max_size=25,
)


@dataclass
class Run:
    """One run of a clock, as the history says."""

    name: str
    since_ms: int
    within_ms: int
    stop_ms: int | None = None


def runs_of(level: ServiceLevel, history: list[tuple[int, str]]) -> list[Run]:
    """Every run of every clock, from all that happened."""
    begun = history[0][0]
    runs = []
    first = next((at for at, what in history if what == "agent"), None)
    end = next((at for at, what in history if what == "close"), None)
    runs.append(Run("first_response", begun, level.first_response_ms, first or end))
    runs.append(Run("resolution", begun, level.resolution_ms, end))
    asked: int | None = None
    for at, what in history:
        if first is not None and at >= first:
            if what == "visitor" and asked is None:
                asked = at
            elif what in ("agent", "close") and asked is not None:
                runs.append(Run("next_response", asked, level.next_response_ms, at))
                asked = None
    if asked is not None:
        runs.append(Run("next_response", asked, level.next_response_ms))
    return [run for run in runs if run.within_ms]


@settings(max_examples=150, deadline=None)
@given(levels, histories)
def test_clocks_tell_what_a_look_at_the_whole_history_would(
    level: ServiceLevel, steps: list[tuple[str, int]]
) -> None:
    desk = desk_with(level)
    assigned(desk)
    others = (Machine(), Machine())
    for index, payload in enumerate(desk.entries, start=2):
        for machine in others:
            machine.apply(index, payload)
    history: list[tuple[int, str]] = [(desk.conversation().opened_ms, "open")]
    looked: list[int] = []
    for what, wait_ms in steps:
        desk.wait(wait_ms)
        closed = desk.conversation().state == "closed"
        if what == "leader":
            before_ms = desk.now_ms
            if tell(desk) == 0:
                looked.append(before_ms)
            else:
                looked.append(desk.now_ms)
        elif what != "nothing" and not closed:
            _act(desk, what)
            history.append((desk.now_ms, what))
    tell(desk)
    _check(desk, level, history, looked)
    _equal(desk, others)


def _act(desk: Desk, what: str) -> None:
    # Supervisors speak and transfer whoever owns it.
    commands: dict[str, Any] = {
        "visitor": lambda: desk.say(ANN),
        "agent": lambda: desk.say(SUE),
        "bot": lambda: desk.say(BOT),
        "note": lambda: desk.say(SUE, visibility="agents"),
        "transfer": lambda: c.TransferConversation("cv1", SUE, desk.key(), to_queue="general"),
        "close": lambda: c.CloseConversation("cv1", SUE, desk.key()),
    }
    desk.done(commands[what]())


def _check(
    desk: Desk, level: ServiceLevel, history: list[tuple[int, str]], looked: list[int]
) -> None:
    marks = [
        (event.data["name"], event.data["level"], event.data["due"])
        for event in desk.conversation().tail
        if event.type == "sla"
    ]
    assert len(set(marks)) == len(marks), "told twice"
    expected = set()
    for run in runs_of(level, history):
        due_ms = run.since_ms + run.within_ms
        until_ms = desk.now_ms if run.stop_ms is None else run.stop_ms
        if until_ms >= due_ms:
            expected.add((run.name, "breach", due_ms))
        warn_ms = run.since_ms + run.within_ms * level.warn_percent // 100
        if not 0 < level.warn_percent < 100:
            assert (run.name, "warning", due_ms) not in marks
        elif any(warn_ms <= at < min(due_ms, until_ms) for at in looked):
            assert (run.name, "warning", due_ms) in marks
        elif until_ms < warn_ms:
            assert (run.name, "warning", due_ms) not in marks
    assert {mark for mark in marks if mark[1] == "breach"} == expected


def _equal(desk: Desk, others: tuple[Machine, Machine]) -> None:
    """Two machines that saw the same entries, one of them restored halfway, are the same."""
    one, two = others
    start = one.state.applied_index - 1
    for index, payload in enumerate(desk.entries[start:], start=start + 2):
        if index % 7 == 0:
            two.state = snapshot.load(snapshot.dump(two.state.frozen_copy()))
        assert one.apply(index, payload) == two.apply(index, payload)
    assert snapshot.digest(desk.state) == snapshot.digest(one.state) == snapshot.digest(two.state)
