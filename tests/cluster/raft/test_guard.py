"""`fit_append` against Raft's own rule, on any two logs that can meet."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.raft.guard import Answers, fit_append, holds
from cluster.raft.messages import COMMAND, AppendAck, AppendEntries, LogEntry, PeerError


@dataclass
class Log:
    """Terms by index, from the base on."""

    base_index: int
    terms: list[int] = field(default_factory=list)

    @property
    def base_term(self) -> int:
        return self.terms[0]

    @property
    def last_index(self) -> int:
        return self.base_index + len(self.terms) - 1

    @property
    def last_term(self) -> int:
        return self.terms[-1]

    def term_at(self, index: int) -> int | None:
        position = index - self.base_index
        return self.terms[position] if 0 <= position < len(self.terms) else None


@st.composite
def meetings(draw: st.DrawFn) -> tuple[list[int], Log, int, AppendEntries]:
    """A leader's terms (by index - 1), a follower's log, its commit index, and an append.

    The logs share a prefix that covers all that is committed; behind it the leader's is of
    newer terms.
    """
    shared = sorted(draw(st.lists(st.integers(0, 3), min_size=1, max_size=8)))
    shared[0] = 0
    mine = sorted(draw(st.lists(st.integers(shared[-1], 4), max_size=5)))
    theirs = sorted(draw(st.lists(st.integers(max([5, *mine]), 8), max_size=6)))
    leader = shared + theirs
    commit_index = draw(st.integers(1, len(shared)))
    base_index = draw(st.integers(1, commit_index))
    follower = Log(base_index, (shared + mine)[base_index - 1 :])
    prev_index = draw(st.integers(1, len(leader)))
    end = draw(st.integers(prev_index, len(leader)))
    entries = tuple(
        LogEntry(COMMAND, index, leader[index - 1]) for index in range(prev_index + 1, end + 1)
    )
    append = AppendEntries(
        term=9,
        request=1,
        prev_index=prev_index,
        prev_term=leader[prev_index - 1],
        commit_index=draw(st.integers(1, len(leader))),
        entries=entries,
    )
    return leader, follower, commit_index, append


@given(meetings())
def test_an_append_does_what_raft_says_and_cuts_nothing_that_matches(
    meeting: tuple[list[int], Log, int, AppendEntries],
) -> None:
    leader, log, commit_index, append = meeting
    proven = append.prev_index + len(append.entries)
    before = {index: log.term_at(index) for index in range(log.base_index, log.last_index + 1)}
    fitted = fit_append(log, append, commit_index)
    message = fitted.message
    if log.term_at(message.prev_index) != message.prev_term:
        # The library answers with a reset, asking for what may well match.
        assert commit_index < fitted.next_index <= log.last_index + 1
        return
    # What the library does: cut behind prev, add the entries.
    after = {index: term for index, term in before.items() if index <= message.prev_index}
    after |= {entry.index: entry.term for entry in message.entries}
    assert fitted.next_index == proven + 1
    for index in range(log.base_index, proven + 1):
        assert after[index] == leader[index - 1]  # now as the leader's
    matching = [i for i, t in before.items() if i <= len(leader) and leader[i - 1] == t]
    assert after.keys() >= set(matching)
    new_commit = min(message.commit_index, max(after))
    assert all(after[i] == leader[i - 1] for i in after if commit_index < i <= new_commit)


@given(meetings(), st.integers(1, 12), st.integers(0, 8))
def test_what_is_committed_is_never_replaced_whatever_is_sent(
    meeting: tuple[list[int], Log, int, AppendEntries], prev_index: int, prev_term: int
) -> None:
    _, log, commit_index, append = meeting
    count = len(append.entries)
    hostile = AppendEntries(
        term=9,
        request=1,
        prev_index=prev_index,
        prev_term=prev_term,
        commit_index=append.commit_index,
        entries=tuple(LogEntry(COMMAND, prev_index + 1 + n, 8) for n in range(count)),
    )
    try:
        message = fit_append(log, hostile, commit_index).message
    except PeerError:
        return
    if log.term_at(message.prev_index) == message.prev_term:
        assert message.prev_index >= min(commit_index, log.last_index)


def test_a_snapshot_is_held_when_committed_or_matching() -> None:
    log = Log(5, [1, 1, 2, 2])
    assert holds(log, 4, 1, commit_index=6)
    assert holds(log, 8, 2, commit_index=6)
    assert not holds(log, 8, 3, commit_index=6)
    assert not holds(log, 9, 2, commit_index=6)


def test_a_base_that_differs_is_refused() -> None:
    log = Log(5, [2, 2])
    entries = tuple(LogEntry(COMMAND, index, 1) for index in (4, 5))
    append = AppendEntries(9, 1, 3, 1, 1, entries)
    with pytest.raises(PeerError, match="not the one in the snapshot"):
        fit_append(log, append, 5)


# -- the edges, one by one: mutants of the guard that the laws above let live


def append(prev: tuple[int, int], *entries: tuple[int, int]) -> AppendEntries:
    made = tuple(LogEntry(COMMAND, index, term) for index, term in entries)
    return AppendEntries(
        term=9, request=1, prev_index=prev[0], prev_term=prev[1], commit_index=1, entries=made
    )


def test_the_entry_at_the_commit_index_itself_is_not_replaced() -> None:
    log = Log(1, [0, 1, 1, 2])
    with pytest.raises(PeerError, match=r"entries\[index 3\] would replace a committed entry"):
        fit_append(log, append((2, 1), (3, 5)), 3)
    assert fit_append(log, append((2, 1), (3, 5)), 2).message.entries[0].index == 3


def test_what_precedes_at_the_commit_index_itself_is_not_doubted() -> None:
    log = Log(1, [0, 1, 1, 2])
    with pytest.raises(PeerError, match="prev_term 5 contradicts a committed entry"):
        fit_append(log, append((3, 5)), 3)
    assert fit_append(log, append((3, 5)), 2).next_index == 3


def test_a_conflict_is_asked_for_from_where_its_term_begins() -> None:
    assert fit_append(Log(1, [0, 1, 1, 1]), append((4, 5)), 1).next_index == 2
    assert fit_append(Log(1, [0, 1, 2, 2, 2]), append((5, 5)), 1).next_index == 3
    assert fit_append(Log(1, [0, 1, 2, 2, 2]), append((5, 5)), 4).next_index == 5
    assert fit_append(Log(1, [0, 3]), append((2, 5)), 1).next_index == 2


def test_an_entry_that_matches_behind_one_that_does_not_is_not_held() -> None:
    """No honest log is like this; what comes from a peer may be."""
    fitted = fit_append(Log(1, [0, 1, 1]), append((1, 0), (2, 5), (3, 1)), 1)
    assert [entry.index for entry in fitted.message.entries] == [2, 3]


def acked(request: int, next_index: int, *, success: bool) -> AppendAck:
    return AppendAck(term=3, request=request, success=success, next_index=next_index)


def test_an_ack_goes_no_further_than_the_leaders_log() -> None:
    answers = Answers()
    assert answers.answered_request == 0
    ack = acked(1, 8, success=True)
    assert answers.admit(ack, request_last=1, match_index=1, last_index=7) == ack
    with pytest.raises(PeerError, match="next_index 9 is behind the leader's log"):
        answers.admit(acked(1, 9, success=True), request_last=1, match_index=1, last_index=7)


def test_a_reset_is_served_once_for_all_that_was_under_way() -> None:
    answers = Answers()
    first = answers.admit(acked(1, 4, success=False), request_last=5, match_index=1, last_index=7)
    assert first is not None
    assert first.next_index == 4
    for request in (2, 5):
        late = acked(request, 4, success=False)
        assert answers.admit(late, request_last=6, match_index=1, last_index=7) is None
    newer = acked(6, 99, success=False)
    served = answers.admit(newer, request_last=6, match_index=1, last_index=7)
    assert served is not None
    assert served.next_index == 8, "the end of the log, and no further"
