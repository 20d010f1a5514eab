"""Shadow and canary rules, the time of a decision, and ways that a rule gives by name."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.routing.decide import Decision, bucket, decide, route_by
from cluster.routing.ruleset import RuleSet, compile_rules
from cluster.state.model import Conversation
from cluster.state.route import Overflow, Route

RULES = """
[hours.office]
tz = "Asia/Shanghai"
week = { mon-fri = "09:00-18:00" }

[channel.web]
weight = 2

[queue.general]
[queue.refunds]
priority = 5
hours = "office"
closed = { do = "callback" }

[rule.a_shadow]
priority = 3
mode = "shadow"
when = 'attrs.intent == "refund"'
steps = [{ queue = "refunds", for = "10s" }, { queue = "general", priority = 9 }]

[rule.b_canary]
priority = 2
mode = "canary:10"
when = 'attrs.intent == "refund"'
route = "refunds"

[rule.c_night]
priority = 1
when = '!open("office") && weekday("Asia/Shanghai") == "wed" && hour("Asia/Shanghai") >= 20'
route = "general"
set = { priority = 7 }
"""
TEN_MS = 1_768_356_000_000  # Wednesday 2026-01-14, 10:00 in Shanghai
HOUR_MS = 3_600_000


def rules() -> RuleSet:
    return compile_rules({"main.toml": RULES})


def refund(cv: str = "cv1", **fields: Any) -> Conversation:
    values: dict[str, Any] = {"channel": "web", "lang": "zh", "subject": "", "tags": {}}
    values |= {"attrs": {"intent": "refund"}} | fields
    return Conversation(cv, "ann", "Ann", opened_ms=0, **values)


def of_bucket(rule: str, *, below: int) -> str:
    return next(f"cv{n}" for n in range(1_000) if (bucket(f"cv{n}", rule) < 10) is bool(below))


def test_a_shadow_is_tried_and_passed_over_and_its_way_is_told() -> None:
    decision = decide(rules(), refund(of_bucket("b_canary", below=0)), TEN_MS)
    assert decision.queue == "general"
    assert decision.rule == ""
    assert decision.trace == (
        ("a_shadow", "shadow would have matched"),
        ("b_canary", "canary out"),
        ("c_night", "false"),
    )
    (shadow,) = decision.shadows
    assert shadow.rule == "a_shadow"
    assert [(step.queue, step.priority) for step in shadow.steps] == [
        ("refunds", 5),
        ("general", 9),
    ]


def test_a_canary_decides_for_its_part_of_all_conversations() -> None:
    ruleset = rules()
    inside = [f"cv{n}" for n in range(2_000) if bucket(f"cv{n}", "b_canary") < 10]
    assert 150 < len(inside) < 250
    assert decide(ruleset, refund(inside[0]), TEN_MS).rule == "b_canary"
    assert decide(ruleset, refund(inside[0], attrs={}), TEN_MS).trace[1] == (
        *("b_canary", "'intent' is missing"),
    )


def test_a_bucket_is_the_same_in_every_version() -> None:
    assert [bucket(f"cv{n}", "vip") for n in range(5)] == [18, 21, 58, 2, 51]
    assert bucket("\ud800", "vip") in range(100)


def test_rules_have_buckets_of_their_own() -> None:
    same = sum(bucket(f"cv{n}", "a") == bucket(f"cv{n}", "b") for n in range(2_000))
    assert same < 60


def test_the_time_decides_what_is_open_and_what_becomes_of_the_rest() -> None:
    ruleset = rules()
    inside = refund(of_bucket("b_canary", below=1))
    assert decide(ruleset, inside, TEN_MS).route.overflow is None
    night = decide(ruleset, inside, TEN_MS + 11 * HOUR_MS).route
    assert night.overflow == Overflow(0, "callback")
    assert [step.queue for step in night.steps] == ["refunds"]
    other = refund(attrs={})
    assert decide(ruleset, other, TEN_MS + 11 * HOUR_MS).rule == "c_night"
    assert decide(ruleset, other, TEN_MS + 9 * HOUR_MS).rule == ""


def test_a_rule_gives_its_way_by_name_whether_it_matches_or_not() -> None:
    route = route_by(rules(), "a_shadow", refund(attrs={}), TEN_MS)
    assert route is not None
    assert (route.rule, route.weight, len(route.steps)) == ("a_shadow", 2, 2)
    assert route_by(rules(), "nowhere", refund(), TEN_MS) is None


scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9))
flat = st.dictionaries(
    st.sampled_from(["intent", "other", "\ud800"]),
    st.one_of(scalars, st.just("refund"), st.lists(scalars, max_size=3)),
)
RULESET = rules()


@given(attrs=flat, cv=st.text(max_size=9), now_ms=st.integers(), channel=st.text(max_size=3))
@settings(max_examples=200, deadline=None)
def test_a_decision_is_total_at_any_time_and_has_a_way(
    attrs: dict[str, Any], cv: str, now_ms: int, channel: str
) -> None:
    one = refund(cv, attrs=attrs, channel=channel)
    decision = decide(RULESET, one, now_ms)
    assert decision == decide(RULESET, one, now_ms)
    assert isinstance(decision, Decision)
    for route in (decision.route, *decision.shadows):
        assert isinstance(route, Route)
        assert route.steps
        assert all(step.queue in RULESET.queues for step in route.steps)
        assert 1 <= route.weight <= 100
