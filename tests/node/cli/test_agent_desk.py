"""`node.cli.agent_desk`: offers that run out, conversations with small numbers."""

from node.cli.agent_desk import TRANSCRIPT_MAX, TRANSCRIPTS_MAX, AgentDesk
from node.protocol.catalogue import Ev, OfferPush


def push(oid: str, ttl: int = 20_000) -> OfferPush:
    return OfferPush(oid=oid, cv=f"cv-{oid}", queue="q", prio=0, exp=0, ttl=ttl)


def message(cv: str, seq: int) -> Ev:
    return Ev(cv=cv, seq=seq, type="msg", ts=0, data={"body": str(seq)})


def test_an_offer_counts_down_and_is_called_out_once_at_each_mark() -> None:
    desk = AgentDesk()
    desk.offer(push("o1"), "Ada", now=100.0)
    called = []
    for tenth in range(250):
        now = 100.0 + tenth / 10
        called += [offered.left_s(now) for offered in desk.due(now, (10, 5))]

    assert called == [10, 5]


def test_the_newest_offer_is_the_one_answered() -> None:
    desk = AgentDesk()
    desk.offer(push("o1"), "Ada", now=0.0)
    desk.offer(push("o2"), "Bob", now=1.0)
    newest = desk.newest_offer(2.0)
    assert newest is not None
    assert newest.oid == "o2"
    desk.offer_gone("o2")
    newest = desk.newest_offer(2.0)
    assert newest is not None
    assert newest.oid == "o1"
    assert desk.offer_gone("never") is None


def test_an_offer_that_nobody_ended_is_not_answered_for_ever() -> None:
    """What ended while there was no connection is not said to be gone."""
    desk = AgentDesk()
    offered = desk.offer(push("o1"), "Ada", now=0.0)
    assert desk.newest_offer(offered.ends_at) is None
    desk.offer(push("o2"), "Bob", now=0.0)
    desk.clear_offers()
    assert desk.newest_offer(1.0) is None


def test_the_first_conversation_is_current_until_it_ends() -> None:
    desk = AgentDesk()
    desk.take("A", 1)
    desk.take("B", 4)
    assert desk.current == ("A", 1)
    assert desk.use(desk.number("B"))
    assert desk.current == ("B", 4)
    desk.drop("B")
    assert desk.current == ("A", 1)
    desk.drop("A")
    assert desk.current is None


def test_only_a_conversation_that_is_held_can_be_used() -> None:
    desk = AgentDesk()
    number = desk.number("A")
    assert not desk.use(number)
    assert not desk.use(99)


def test_what_was_said_before_is_kept_up_to_a_bound() -> None:
    desk = AgentDesk()
    for seq in range(1, TRANSCRIPT_MAX + 11):
        desk.note(message("A", seq))

    assert [event.seq for event in desk.transcript("A")] == list(range(11, TRANSCRIPT_MAX + 11))


def test_what_was_said_is_shown_as_it_was_corrected_also_when_it_returns() -> None:
    desk = AgentDesk()
    for seq, mid in ((1, "a"), (2, "b")):
        desk.note(Ev(cv="A", seq=seq, type="msg", ts=0, mid=mid, data={"body": mid}))
    desk.correct(Ev(cv="A", seq=3, type="edit", ts=0, mid="a", data={"body": "better"}))
    desk.correct(Ev(cv="A", seq=4, type="del", ts=0, mid="b"))
    desk.take("A", 1)
    desk.drop("A")
    assert [event.data["body"] for event in desk.transcript("A")] == ["better"]


def test_of_only_so_many_conversations_is_kept_what_was_said() -> None:
    desk = AgentDesk()
    for number in range(TRANSCRIPTS_MAX + 1):
        desk.note(message(f"cv{number}", 1))
    assert (len(desk.transcript("cv0")), len(desk.transcript("cv1"))) == (0, 1)


def test_a_guest_is_one_until_the_conversation_is_theirs() -> None:
    desk = AgentDesk()
    desk.join("A")
    assert desk.takes_part("A")
    desk.take("A", 2)
    assert not desk.takes_part("A")
    desk.close("A")
    assert desk.closed(desk.number("A")) == "A"
    assert desk.held() == []
