from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.routing.decide import Decision, decide, decide_values
from cluster.routing.ruleset import RuleSet, compile_rules, default_rules
from cluster.state.model import Conversation
from cluster.state.route import Route, Step

RULES = """
[vars]
tags.arpu = "number"
tags.tier = "string"

[queue.general]
[queue.premium]
priority = 5
skills = ["vip"]
[queue.refunds]

[rule.a_refund]
when = 'attrs.intent == "refund"'
route = "refunds"
skills = ["refund"]

[rule.b_gold]
when = 'tags.tier == "gold"'
route = "premium"
skills = ["vip", "gold"]
set = { priority = 80 }

[rule.c_rich]
when = 'tags.arpu > 5000'
route = "premium"

[rule.first]
priority = 10
when = 'channel == "phone"'
route = "general"

[fallback]
route = "general"
"""


@pytest.fixture(scope="module")
def rules() -> RuleSet:
    return compile_rules({"main.toml": RULES})


def conversation(**fields: Any) -> Conversation:
    values: dict[str, Any] = {"channel": "web", "lang": "zh", "subject": "", "tags": {}}
    values |= {"attrs": {}} | fields
    return Conversation("cv1", "ann", "Ann", opened_ms=0, **values)


@pytest.mark.parametrize(
    ("fields", "queue", "priority", "rule", "skills"),
    [
        ({}, "general", 0, "", ()),
        ({"tags": {"arpu": 6000}}, "premium", 5, "c_rich", ("vip",)),
        ({"tags": {"arpu": "6000"}}, "premium", 5, "c_rich", ("vip",)),
        ({"tags": {"arpu": 6000, "tier": "gold"}}, "premium", 80, "b_gold", ("vip", "gold")),
        ({"tags": {"tier": 5}}, "general", 0, "", ()),
        ({"attrs": {"intent": "refund"}}, "refunds", 0, "a_refund", ("refund",)),
        ({"attrs": {"intent": "refund"}, "channel": "phone"}, "general", 0, "first", ()),
        ({"queue_hint": "refunds"}, "refunds", 0, "", ()),
        ({"queue_hint": "nowhere"}, "general", 0, "", ()),
        ({"queue_hint": "refunds", "tags": {"arpu": 6000}}, "premium", 5, "c_rich", ("vip",)),
    ],
)
def test_the_first_rule_that_matches_decides_then_the_hint_then_the_fallback(
    rules: RuleSet,
    fields: dict[str, Any],
    queue: str,
    priority: int,
    rule: str,
    skills: tuple[str, ...],
) -> None:
    decision = decide(rules, conversation(**fields), 0)
    said = (decision.queue, decision.priority, decision.rule, decision.skills)
    assert said == (queue, priority, rule, skills)


def test_the_trace_says_what_became_of_each_rule_in_the_order_tried(rules: RuleSet) -> None:
    decision = decide(rules, conversation(tags={"tier": "gold"}, attrs={"intent": "other"}), 0)
    assert decision.trace == (("first", "false"), ("a_refund", "false"), ("b_gold", "matched"))
    decision = decide(rules, conversation(), 0)
    assert decision.trace == (
        ("first", "false"),
        ("a_refund", "'intent' is missing"),
        ("b_gold", "'tier' is missing"),
        ("c_rich", "'arpu' is missing"),
    )


def test_a_rule_without_a_condition_matches_always() -> None:
    rules = compile_rules({"main.toml": "[rule.all]\nroute = 'everything'\n"})
    decision = decide(rules, conversation(), 0)
    assert (decision.queue, decision.rule) == ("everything", "all")


def test_the_built_in_rules_send_everything_to_the_general_queue() -> None:
    assert decide(default_rules(), conversation(), 0) == Decision(Route((Step("general"),)))


def test_the_trace_is_bounded_and_the_decision_is_not() -> None:
    text = "".join(f"[rule.r{n:03}]\nwhen='false'\nroute='q'\n" for n in range(150))
    rules = compile_rules({"main.toml": text + "[rule.zz]\nroute = 'last'\n"})
    decision = decide(rules, conversation(), 0)
    assert (decision.queue, len(decision.trace)) == ("last", 151)


def test_values_of_a_table_test_are_decided_like_a_conversation(rules: RuleSet) -> None:
    assert decide_values(rules, {"channel": "phone"}, 0).rule == "first"
    assert decide_values(rules, {"tags": {"arpu": 9000}, "attrs": 5}, 0).rule == "c_rich"


scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9))
flat = st.dictionaries(
    st.sampled_from(["arpu", "tier", "intent", "other", "\ud800"]),
    st.one_of(scalars, st.lists(scalars, max_size=3), st.just(object())),
)


@given(tags=flat, attrs=flat, channel=st.text(max_size=5), hint=st.text(max_size=5))
@settings(max_examples=300, deadline=None)
def test_a_decision_is_total_and_the_same_every_time(
    rules: RuleSet, tags: dict[str, Any], attrs: dict[str, Any], channel: str, hint: str
) -> None:
    one = conversation(tags=tags, attrs=attrs, channel=channel, queue_hint=hint)
    decision = decide(rules, one, 0)
    assert decision.queue in rules.queues
    assert decision == decide(rules, one, 0)
    assert decision == decide(compile_rules({"main.toml": RULES}), one, 0)
    matched = [rule for rule, what in decision.trace if what == "matched"]
    assert matched == ([decision.rule] if decision.rule else [])
