"""Proposals: every one is answered exactly once, and a name is never used for two commands."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from cluster.port import Answer, Unavailable
from cluster.proposals import (
    BATCH_BYTES_MAX,
    BATCH_COMMANDS_MAX,
    DEADLINE_S,
    OVERTAKEN_S,
    PENDING_MAX,
    RESEND_S,
    Proposals,
)
from cluster.state.outcome import Done

NO_LEADER = Unavailable("no_leader", "none")


def submit(proposals: Proposals, command: bytes = b"\xc0", now_s: float = 0.0) -> list[Answer]:
    answers: list[Answer] = []
    assert proposals.submit(command, answers.append, now_s)
    return answers


def test_a_batch_holds_the_commands_in_order_and_the_lowest_number_waited_for() -> None:
    proposals = Proposals("n1", "b")
    answers = [submit(proposals, bytes([i])) for i in range(3)]
    batch = proposals.take(0.0)
    assert batch is not None
    assert [(p.number, bytes(p.command)) for p in batch.proposals] == [
        (1, b"\0"),
        (2, b"\1"),
        (3, b"\2"),
    ]
    assert batch.settled == 1
    assert proposals.take(0.0) is None
    proposals.answer(1, Done())
    assert answers == [[Done()], [], []]
    submit(proposals)
    later = proposals.take(1.0)
    assert later is not None
    assert later.settled == 2


def test_batches_are_bounded_by_count_and_by_bytes() -> None:
    many = Proposals("n1", "b")
    for _ in range(BATCH_COMMANDS_MAX + 1):
        submit(many)
    first, second = many.take(0.0), many.take(0.0)
    assert first is not None
    assert second is not None
    assert (len(first.proposals), len(second.proposals)) == (BATCH_COMMANDS_MAX, 1)
    large = Proposals("n1", "b")
    for _ in range(3):
        submit(large, bytes(BATCH_BYTES_MAX // 2))
    batch = large.take(0.0)
    assert batch is not None
    assert len(batch.proposals) == 2


def test_too_many_waiting_are_refused_at_once() -> None:
    proposals = Proposals("n1", "b")
    for _ in range(PENDING_MAX):
        submit(proposals)
    assert not proposals.submit(b"", lambda _: pytest.fail("answered"), 0.0)


def test_what_never_left_is_surely_not_done_and_what_left_is_unknown() -> None:
    proposals = Proposals("n1", "b")
    sent = submit(proposals)
    proposals.take(0.0)
    unsent = submit(proposals, now_s=0.1)
    proposals.expire(DEADLINE_S + 1)
    assert [answer.code for answer in sent if isinstance(answer, Unavailable)] == ["timeout"]
    assert [answer.code for answer in unsent if isinstance(answer, Unavailable)] == ["no_leader"]
    sent, unsent = submit(proposals), []
    proposals.take(0.0)
    unsent = submit(proposals)
    proposals.fail_all(NO_LEADER)
    assert isinstance(sent[0], Unavailable)
    assert sent[0].code == "timeout"
    assert unsent == [NO_LEADER]


def test_a_new_leader_gets_everything_again_before_what_is_new() -> None:
    proposals = Proposals("n1", "b")
    for _ in range(3):
        submit(proposals)
    proposals.take(0.0)
    proposals.answer(2, Done())
    submit(proposals)
    proposals.resend(1.0)
    batch = proposals.take(1.0)
    assert batch is not None
    assert [p.number for p in batch.proposals] == [1, 3, 4]


def numbers(proposals: Proposals, now_s: float) -> list[int]:
    batch = proposals.take(now_s)
    return [p.number for p in batch.proposals] if batch is not None else []


def test_what_was_overtaken_goes_out_again_in_order_and_at_once() -> None:
    proposals = Proposals("n1", "b")
    for _ in range(2):
        submit(proposals)
    proposals.take(0.0)  # lost with its link
    submit(proposals)
    assert numbers(proposals, 1.0 - RESEND_S / 2) == [3]
    submit(proposals)
    proposals.resend_overdue(0.6)
    assert numbers(proposals, 0.6) == [4], "nothing is overdue yet"
    proposals.overtaken()
    proposals.resend_overdue(0.6 + OVERTAKEN_S)
    assert numbers(proposals, 0.7) == [1, 2, 3, 4]
    proposals.overtaken()
    proposals.resend_overdue(0.7 + OVERTAKEN_S / 2)
    assert numbers(proposals, 0.73) == [], "it has only just been sent again"


class EveryProposalIsAnsweredOnce(RuleBasedStateMachine):
    """Any order of sending, answering, expiring and failing."""

    sent = Bundle("sent")

    def __init__(self) -> None:
        super().__init__()
        self.proposals = Proposals("n1", "b")
        self.answers: list[list[Answer]] = []
        self.now_s = 0.0

    @rule()
    def submit(self) -> None:
        self.answers.append(submit(self.proposals, b"\xc0", self.now_s))

    @rule(target=sent)
    def take(self):  # type: ignore[no-untyped-def]  # a Hypothesis target
        batch = self.proposals.take(self.now_s)
        if batch is None:
            return multiple()
        numbers = [p.number for p in batch.proposals]
        assert numbers == sorted(set(numbers))
        assert all(number >= batch.settled for number in numbers)
        return multiple(*numbers)

    @rule(number=consumes(sent))
    def answer(self, number: int) -> None:
        self.proposals.answer(number, Done())

    @rule()
    def resend(self) -> None:
        self.proposals.resend(self.now_s)

    @rule(seconds=st.floats(0.1, 2 * DEADLINE_S))
    def wait(self, seconds: float) -> None:
        self.now_s += seconds
        self.proposals.expire(self.now_s)

    @rule()
    def fail(self) -> None:
        self.proposals.fail_all(NO_LEADER)

    @invariant()
    def none_is_answered_twice_or_forgotten(self) -> None:
        assert all(len(answers) <= 1 for answers in self.answers)
        assert sum(not answers for answers in self.answers) == len(self.proposals)


TestEveryProposalIsAnsweredOnce = EveryProposalIsAnsweredOnce.TestCase
