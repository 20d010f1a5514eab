"""What only time ends, proposed when it is due and no sooner, at a whole desk."""

from cluster.state import commands as c
from cluster.state.route import Overflow, Queue, Route, Step
from tests.cluster.routing.dispatching import act, dispatcher, kinds
from tests.cluster.state.desk import BOB, OPS, Desk


def test_a_step_ends_when_its_time_is_over_and_the_next_one_is_offered() -> None:
    desk, one = Desk(), dispatcher()
    desk.online(BOB)
    desk.open()
    steps = (Step("experts", skills={"dutch": 1}, for_ms=10_000), Step("general"))
    desk.done(c.RouteConversation("cv1", Route(steps)))
    desk.wait(8_000)
    assert act(desk, one) == []
    desk.wait(3_000)
    assert act(desk, one) == [c.AdvanceStep("cv1", 0, 1)]
    desk.wait(1_000)
    assert kinds(act(desk, one)) == ["MakeOffer"]
    assert desk.conversation().queue == "general"


def test_a_wrap_up_ends_by_itself_and_makes_room() -> None:
    desk, one = Desk(), dispatcher()
    desk.done(c.ApplyRules(OPS, {"a": ""}, {"general": Queue(wrap_up_ms=30_000)}))
    desk.online(BOB, capacity=1)
    desk.assigned("cv1", BOB)
    desk.waiting("cv2")
    desk.done(c.CloseConversation("cv1", BOB, "k"))
    desk.wait(20_000)
    assert act(desk, one) == []
    desk.wait(11_000)
    assert act(desk, one) == [c.EndWrapUp("bob", "cv1")]
    desk.wait(1_000)
    assert kinds(act(desk, one)) == ["MakeOffer"]


def test_a_wait_in_vain_overflows_once() -> None:
    desk, one = Desk(), dispatcher()
    desk.open()
    route = Route((Step("general"),), overflow=Overflow(60_000, "message", "leave a message"))
    desk.done(c.RouteConversation("cv1", route))
    desk.wait(50_000)
    assert act(desk, one) == []
    desk.wait(11_000)
    assert act(desk, one) == [c.OverflowConversation("cv1")]
    desk.wait(3_600_000)
    assert act(desk, one) == []
    assert desk.conversation().state == "waiting"
