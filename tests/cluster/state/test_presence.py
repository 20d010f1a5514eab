"""Agents, their sessions, and the nodes that hold them."""

import pytest
from msgspec.structs import replace

from cluster.state import commands as c
from cluster.state import limits
from cluster.state.commands import By
from cluster.state.outcome import AgentChanged, OfferGone, SessionGone
from tests.cluster.state.desk import ANN, BOB, LI, OPS, SUE, Desk


def session(sid: str = "s1", by: By = BOB, node: str = "n1", boot: str = "b1") -> c.OpenSession:
    return c.OpenSession(sid, by, node, boot, {"refund": 3}, 2)


def test_an_agent_is_offline_until_saying_otherwise() -> None:
    desk = Desk()
    assert desk.done(session()) == {"sid": "s1", "status": "offline"}
    assert not list(desk.state.free)
    desk.done(c.SetStatus(BOB, "bob", "online"))
    assert list(desk.state.free) == [(desk.now_ms, "bob")]
    assert AgentChanged("bob") in desk.notices


def test_a_second_session_keeps_the_status_and_brings_new_claims() -> None:
    desk = Desk()
    desk.online()
    result = desk.done(c.OpenSession("s2", By("agent", "bob", "Robert"), "n1", "b1", {"x": 1}, 7))
    assert result["status"] == "online"
    agent = desk.agent()
    assert (agent.name, agent.skills, agent.capacity) == ("Robert", {"x": 1}, 7)
    assert agent.sessions == ("sid-bob", "s2")


def test_an_opening_that_comes_late_does_not_take_a_session_from_where_it_went() -> None:
    desk = Desk()
    desk.done(c.BootNode("n2", "b2", ""))
    desk.done(session())
    at_n1 = desk.state.sessions["s1"]
    seen = ("n1", "b1", at_n1.since_ms)
    late = replace(session(node="n2", boot="b2"), seen=seen)
    desk.now_ms += 1
    desk.done(replace(session(), seen=seen))  # the agent came back to n1 meanwhile
    assert desk.refused(late).code == "stale"
    assert desk.state.sessions["s1"].node == "n1"
    again = ("n1", "b1", desk.state.sessions["s1"].since_ms)
    desk.done(replace(late, seen=again))
    assert SessionGone("s1", "n1", "b1") in desk.notices


def test_one_session_of_two_leaves_the_agent_present() -> None:
    desk = Desk()
    desk.online()
    desk.done(session("s2"))
    desk.assigned()
    desk.done(c.LoseSession("sid-bob", "n1", "b1"))
    assert desk.state.is_present(desk.agent())
    desk.wait(limits.SESSION_GRACE_MS)
    desk.done(c.ExpireSession("sid-bob"))
    assert (desk.agent().status, desk.conversation().owner) == ("online", "bob")


def test_a_session_opened_elsewhere_within_the_grace_keeps_everything() -> None:
    desk = Desk()
    desk.online()
    desk.assigned()
    desk.done(c.BootNode("n2", "x1", ""))
    desk.done(c.LoseSession("sid-bob", "n1", "b1"))
    desk.wait(limits.SESSION_GRACE_MS - 3_000)
    desk.done(session("sid-bob", node="n2", boot="x1"))
    assert SessionGone("sid-bob", "n1", "b1") in desk.notices
    desk.wait(limits.SESSION_GRACE_MS)
    assert desk.refused(c.ExpireSession("sid-bob")).code == "conflict"
    assert (desk.agent().status, desk.conversation().owner) == ("online", "bob")
    assert not list(desk.state.lost)


def test_the_old_nodes_loss_does_not_touch_a_session_that_moved() -> None:
    desk = Desk()
    desk.online()
    desk.done(c.BootNode("n2", "x1", ""))
    desk.done(session("sid-bob", node="n2", boot="x1"))
    assert desk.refused(c.LoseSession("sid-bob", "n1", "b1")).code == "conflict"
    assert desk.state.is_present(desk.agent())


def test_a_session_opened_again_where_it_is_tells_nobody_that_it_left() -> None:
    desk = Desk()
    desk.online()
    desk.done(session("sid-bob"))
    assert not [n for n in desk.notices if isinstance(n, SessionGone)]


def test_a_lost_session_expires_after_the_grace_and_not_before() -> None:
    desk = Desk()
    desk.online()
    assert desk.refused(c.ExpireSession("sid-bob")).code == "conflict"
    desk.done(c.LoseSession("sid-bob", "n1", "b1"))
    lost_ms = desk.now_ms
    desk.done(c.LoseSession("sid-bob", "n1", "b1"))
    assert list(desk.state.lost) == [(lost_ms, "sid-bob")], "a second loss prolongs nothing"
    assert desk.refused(c.ExpireSession("sid-bob")).code == "conflict"
    desk.wait(limits.SESSION_GRACE_MS - 3_000)
    desk.done(c.ExpireSession("sid-bob"))
    assert SessionGone("sid-bob", "n1", "b1") in desk.notices
    assert desk.agent().status == "offline"
    assert desk.refused(c.ExpireSession("sid-bob")).code == "not_found"


def test_an_agent_who_is_lost_gives_everything_back_with_its_age() -> None:
    desk = Desk()
    desk.online()
    desk.assigned("cv1")
    desk.waiting("cv2")
    desk.offered("cv2")
    desk.waiting("cv3")
    desk.done(c.LoseSession("sid-bob", "n1", "b1"))
    assert desk.conversation("cv1").owner == "bob", "kept through the grace"
    desk.wait(limits.SESSION_GRACE_MS)
    desk.done(c.ExpireSession("sid-bob"))
    assert desk.line() == ["cv1", "cv2", "cv3"]
    assert desk.events("cv1")[-2:] == ["unassigned", "queued"]
    assert desk.conversation("cv1").tail[-2].data == {"agent": "bob", "reason": "agent_lost"}
    assert desk.conversation("cv1").fence == 1
    assert [n.why for n in desk.notices if isinstance(n, OfferGone)] == ["lost"]
    assert (desk.agent().load, desk.agent().sessions) == (0, ())
    assert desk.refused(desk.say(BOB, "cv1", fence=1)).code == "not_owner"


def test_logging_out_has_no_grace() -> None:
    desk = Desk()
    desk.online()
    desk.assigned()
    desk.done(c.CloseSession("sid-bob"))
    assert (desk.conversation().owner, desk.agent().status) == ("", "offline")
    assert desk.refused(c.CloseSession("sid-bob")).code == "not_found"
    assert desk.refused(c.LoseSession("sid-bob", "n1", "b1")).code == "not_found"


def test_an_agent_who_comes_back_late_is_offline_until_saying_otherwise() -> None:
    desk = Desk()
    desk.online()
    desk.done(c.CloseSession("sid-bob"))
    assert desk.done(session())["status"] == "offline"


def test_a_session_belongs_to_one_agent() -> None:
    desk = Desk()
    desk.online()
    assert desk.refused(session("sid-bob", LI)).code == "forbidden"
    assert desk.refused(session("s9", ANN)).code == "forbidden"


def test_sessions_skills_and_capacity_are_bounded() -> None:
    desk = Desk()

    def code(**fields: object) -> str:
        command = c.OpenSession(**{"sid": "s", "by": BOB, "node": "n1", "boot": "b1", **fields})  # type: ignore[arg-type]
        return desk.refused(command).code

    assert code(capacity=0) == "bad_request"
    assert code(capacity=limits.CAPACITY_MAX + 1) == "bad_request"
    assert code(sid="") == "bad_request"
    assert code(skills={str(n): 1 for n in range(65)}) == "too_large"
    for number in range(limits.SESSIONS_PER_AGENT_MAX):
        desk.done(session(f"s{number}"))
    assert code() == "conflict"
    desk.done(session("s0"))


# -- status


def test_going_online_begins_the_idle_time_and_staying_online_does_not() -> None:
    desk = Desk()
    desk.online()
    since_ms = desk.now_ms
    desk.done(c.SetStatus(BOB, "bob", "online", "still"))
    assert desk.agent().idle_since_ms == since_ms
    desk.done(c.SetStatus(BOB, "bob", "away"))
    assert desk.agent().idle_since_ms == since_ms
    desk.done(c.SetStatus(BOB, "bob", "online"))
    assert desk.agent().idle_since_ms == desk.now_ms


@pytest.mark.parametrize(
    ("by", "code"),
    [
        (SUE, None),
        (OPS, None),
        (LI, "forbidden"),
        (ANN, "forbidden"),
        (By("visitor", "bob"), "forbidden"),
        (By("service", "bob"), "forbidden"),
    ],
)
def test_who_may_set_the_status_of_another(by: By, code: str | None) -> None:
    desk = Desk()
    desk.online()
    command = c.SetStatus(by, "bob", "away")
    if code is None:
        desk.done(command)
        assert (desk.state.audit[-1].by, desk.state.audit[-1].what) == (by, "status")
    else:
        assert desk.refused(command).code == code


def test_a_status_is_of_somebody_known_and_its_reason_short() -> None:
    desk = Desk()
    assert desk.refused(c.SetStatus(BOB, "bob", "online")).code == "not_found"
    desk.online()
    audited = len(desk.state.audit)
    assert desk.refused(c.SetStatus(BOB, "bob", "away", "x" * 257)).code == "too_large"
    desk.done(c.SetStatus(BOB, "bob", "away", "lunch"))
    assert desk.agent().reason == "lunch"
    assert len(desk.state.audit) == audited, "one's own status is nobody's business"


# -- nodes


def test_a_node_that_begins_anew_loses_the_sessions_of_its_earlier_life() -> None:
    desk = Desk()
    desk.done(c.BootNode("n2", "x1", "ws://n2"))
    desk.online(BOB, node="n1")
    desk.done(session("s2", LI, "n2", "x1"))
    desk.done(c.BootNode("n2", "x2", "ws://n2"))
    assert list(desk.state.lost) == [(desk.now_ms, "s2")]
    assert desk.state.nodes["n2"].boot == "x2"
    assert desk.refused(session("s3", LI, "n2", "x1")).code == "conflict"
    assert desk.state.audit[-1].what == "node.boot"


def test_a_boot_that_announces_itself_again_loses_nothing() -> None:
    desk = Desk()
    desk.online()
    desk.done(c.BootNode("n1", "b1", "ws://n1"))
    assert desk.state.is_present(desk.agent())


def test_a_silent_nodes_sessions_are_lost_and_its_agents_keep_their_grace() -> None:
    desk = Desk()
    desk.done(c.BootNode("n2", "x1", ""))
    desk.online(BOB)
    desk.done(session("s-li", LI, "n2", "x1"))
    desk.done(c.LoseNode("n2", "x1"))
    lost_ms = desk.now_ms
    assert desk.state.nodes["n2"].lost_ms == lost_ms
    assert list(desk.state.lost) == [(lost_ms, "s-li")]
    desk.done(c.LoseNode("n2", "x1"))
    assert desk.state.nodes["n2"].lost_ms == lost_ms
    audited = [record.what for record in desk.state.audit]
    assert audited.count("node.lose") == 1


def test_a_node_given_up_too_early_is_back_with_its_first_session() -> None:
    desk = Desk()
    desk.online()
    desk.done(c.LoseNode("n1", "b1"))
    desk.done(session("sid-bob"))
    assert desk.state.nodes["n1"].lost_ms == 0
    assert desk.state.is_present(desk.agent())
    desk.done(c.LoseNode("n1", "b1"))
    assert not desk.state.is_present(desk.agent()), "its next loss is noticed as well"


def test_the_loss_of_an_earlier_life_is_no_loss() -> None:
    desk = Desk()
    desk.done(c.BootNode("n2", "x1", ""))
    desk.done(c.BootNode("n2", "x2", ""))
    assert desk.refused(c.LoseNode("n2", "x1")).code == "conflict"
    assert desk.refused(c.LoseNode("n9", "x1")).code == "conflict"


def test_nodes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "NODES_MAX", 1)
    desk = Desk()
    assert desk.refused(c.BootNode("n2", "x1", "")).code == "conflict"
    assert desk.refused(c.BootNode("n1", "", "")).code == "bad_request"
    desk.done(c.BootNode("n1", "b1", ""))


# -- what arrives when the world has moved on


def test_the_logout_seen_by_the_old_node_does_not_end_a_session_that_moved() -> None:
    """A client closes its old socket only once the new one is up, at another node."""
    desk = Desk()
    desk.online()
    desk.assigned()
    desk.done(c.BootNode("n2", "x1", ""))
    desk.done(session("sid-bob", node="n2", boot="x1"))
    assert desk.refused(c.CloseSession("sid-bob", "n1", "b1")).code == "conflict"
    assert desk.conversation().owner == "bob"
    desk.done(c.CloseSession("sid-bob", "n2", "x1"))
    assert desk.agent().status == "offline"


def test_a_session_is_at_a_node_that_can_be_lost() -> None:
    """One at a node that never announced itself would be live for ever."""
    desk = Desk()
    assert desk.refused(session(node="ghost")).code == "conflict"
    assert not desk.state.sessions


@pytest.mark.parametrize("by", [BOB, SUE])
def test_nobody_is_online_without_being_here(by: By) -> None:
    """A status that arrives after the session's end must not greet the agent next morning."""
    desk = Desk()
    desk.online()
    desk.done(c.CloseSession("sid-bob"))
    assert desk.refused(c.SetStatus(by, "bob", "online")).code == "conflict"
    desk.done(c.SetStatus(by, "bob", "offline"))
    assert desk.done(session())["status"] == "offline"
