"""`node.client.tracker`: every event once, no hole unseen."""

from hypothesis import given
from hypothesis import strategies as st

from node.client.tracker import CONVERSATIONS_MAX, RESUMED_MAX, Tracker, Verdict
from node.protocol.catalogue import Ev, Gap


def event(cv: str, seq: int, kind: str = "msg") -> Ev:
    return Ev(cv=cv, seq=seq, type=kind, ts=0)


def feed(tracker: Tracker, events: list[Ev]) -> list[int]:
    """Return what of `events` is taken."""
    taken = []
    for one in events:
        if tracker.judge(one) is not Verdict.DUPLICATE:
            tracker.take(one)
            taken.append(one.seq)
    return taken


@given(st.integers(1, 30), st.lists(st.integers(0, 29), max_size=10))
def test_resumes_that_overlap_give_every_event_once_and_in_order(
    length: int, restarts: list[int]
) -> None:
    tracker = Tracker()
    taken: list[int] = []
    for restart in restarts:
        upto = min(length, tracker.last("C") + 3)
        begin = min(restart, tracker.last("C"))
        taken += feed(tracker, [event("C", seq) for seq in range(begin + 1, upto + 1)])
    taken += feed(tracker, [event("C", seq) for seq in range(1, length + 1)])

    assert taken == list(range(1, length + 1))
    assert tracker.jumps == []


@given(st.integers(2, 50))
def test_a_hole_is_noticed(seq: int) -> None:
    tracker = Tracker()
    feed(tracker, [event("C", seq)])

    assert [(jump.had, jump.got) for jump in tracker.jumps] == [(0, seq)]


def test_a_gap_that_has_less_than_was_seen_is_a_hole() -> None:
    tracker = Tracker()
    feed(tracker, [event("C", 1), event("C", 2), event("C", 3)])

    assert tracker.take_gap(Gap(cv="C", have=3, first=1, last=2)) is Verdict.JUMP
    assert len(tracker.jumps) == 1


def test_a_conversation_that_is_not_ours_any_more_is_forgotten() -> None:
    tracker = Tracker()
    feed(tracker, [event("C", 1)])
    tracker.take_gap(Gap(cv="C", have=1, first=0, last=0))

    assert tracker.resume() == []
    assert tracker.last("C") == 0


def test_closed_conversations_are_not_resumed_but_their_events_stay_known() -> None:
    tracker = Tracker()
    feed(tracker, [event("C", 1), event("C", 2, "closed")])

    assert tracker.resume() == []
    assert tracker.judge(event("C", 1)) is Verdict.DUPLICATE


def test_memory_and_resume_are_bounded_and_open_conversations_are_kept_longest() -> None:
    tracker = Tracker()
    feed(tracker, [event("open", 1)])
    for number in range(CONVERSATIONS_MAX + 10):
        feed(tracker, [event(f"closed{number}", 1, "closed")])
    assert tracker.last("open") == 1
    for number in range(RESUMED_MAX + 10):
        feed(tracker, [event(f"open{number}", 1)])

    assert len(tracker.resume()) == RESUMED_MAX
