"""What another set of rules changes: in its files, and for what really came."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cluster.routing.changes import Changes, changes
from cluster.routing.recorded import decide_again, tried
from cluster.routing.replay import EXAMPLES_MAX, Move, Replay
from cluster.routing.ruleset import compile_rules
from cluster.state.routings import Routing

OLD = """\
[queue.premium]
[queue.refunds]
[queue.general]
[rule.vip]
priority = 10
when = 'tags.arpu > 5000'
route = "premium"
[rule.refund]
when = 'attrs.intent == "refund"'
route = "refunds"
[fallback]
route = "general"
"""
NEW = OLD.replace("tags.arpu > 5000", "tags.arpu > 8000")


def routing(number: int, **values: Any) -> Routing:
    return Routing(number, 1_000, f"cv{number}", 1, "", "", **values)


def test_only_what_the_change_moves_is_counted() -> None:
    replay = Replay(compile_rules({"main.toml": OLD}), compile_rules({"main.toml": NEW}))
    for number in range(20):
        replay.step(routing(number, tags={"arpu": number * 500}, attrs={"intent": "other"}))
    assert (replay.looked, replay.moved) == (20, 6)
    assert replay.moves == {Move("premium", "general", "", "vip"): 6}
    assert replay.examples == {Move("premium", "general", "", "vip"): ["cv11", "cv12", "cv13"]}
    assert not replay.errs_now


def test_what_cannot_be_told_is_counted_by_rule_now_and_then() -> None:
    told = OLD.replace('attrs.intent == "refund"', "false")
    replay = Replay(compile_rules({"main.toml": OLD}), compile_rules({"main.toml": told}))
    replay.step(routing(1))
    replay.step(routing(2, tags={"arpu": 9000}))
    assert replay.errs_now == {"vip": 1, "refund": 1}
    assert replay.errs_then == {"vip": 1}


@given(st.lists(st.integers(0, 9_000), max_size=30), st.integers(0, 9_000))
def test_the_numbers_are_those_of_the_decisions(arpus: list[int], threshold: int) -> None:
    old = compile_rules({"main.toml": OLD})
    new = compile_rules({"main.toml": OLD.replace("5000", str(threshold))})
    replay = Replay(old, new)
    routings = [routing(number, tags={"arpu": arpu}) for number, arpu in enumerate(arpus)]
    for one in routings:
        replay.step(one)
    differ = [
        one for one in routings if decide_again(old, one).queue != decide_again(new, one).queue
    ]
    assert replay.moved == len(differ) == sum(replay.moves.values())
    assert all(0 < len(named) <= EXAMPLES_MAX for named in replay.examples.values())


def test_another_way_in_the_same_queue_is_counted_apart() -> None:
    hurried = OLD.replace('route = "premium"\n', 'route = "premium"\nset = { priority = 80 }\n')
    replay = Replay(compile_rules({"main.toml": OLD}), compile_rules({"main.toml": hurried}))
    renamed = compile_rules({"main.toml": OLD.replace("[rule.vip]", "[rule.gold]")})
    only_named = Replay(compile_rules({"main.toml": OLD}), renamed)
    for one in (routing(1, tags={"arpu": 9_000}), routing(2, tags={"arpu": 1})):
        replay.step(one)
        only_named.step(one)
    assert (replay.moved, replay.changed) == (0, 1)
    assert (only_named.moved, only_named.changed) == (0, 0), "a name is no way"


def test_changes_are_told_by_table_and_not_by_line() -> None:
    new = "# a comment\n" + NEW.replace("[queue.refunds]\n", "[queue.refunds]\naccept = '30s'\n")
    assert changes({"a.toml": OLD}, {"b.toml": new}) == Changes(
        changed=("queue.refunds", "rule.vip")
    )
    assert changes({"a.toml": OLD}, {"a.toml": "# other\n" + OLD}).none


def test_a_rule_that_takes_another_turn_has_moved() -> None:
    new = OLD.replace("priority = 10\n", "") + '[rule.a]\nroute = "general"\n'
    found = changes({"a.toml": OLD}, {"a.toml": new})
    assert found.added == ("rule.a",)
    assert found.changed == ("rule.vip",)
    assert len(found.moved) == 1
    assert found.moved[0] in ("rule.vip", "rule.refund")


def test_tables_that_are_one_for_the_set_are_put_together_from_all_files() -> None:
    old = {"a.toml": "[vars]\ntags.arpu = 'number'", "b.toml": "[vars]\nlang = 'string'"}
    new = {"c.toml": "[vars]\ntags.arpu = 'number'\nlang = 'string'"}
    assert changes(old, new).none
    new["c.toml"] = new["c.toml"].replace("number", "bool")
    assert changes(old, new) == Changes(changed=("vars",))


def test_a_recorded_routing_is_explained_with_every_rule_that_was_tried() -> None:
    text = OLD.replace("[rule.refund]", "[rule.refund]\nmode = 'shadow'\npriority = 20")
    text = text.replace("[rule.vip]", "[rule.vip]\nmode = 'canary:99'")
    ruleset = compile_rules({"main.toml": text + "[rule.last]\nwhen = 'true'\nroute = 'general'"})
    came = routing(1, tags={"arpu": 6_000}, attrs={"intent": "refund"})
    decision, rules, contact = tried(ruleset, came)
    assert decision.rule == "vip"
    assert [(one.rule.name, one.mode, one.says) for one in rules] == [
        ("refund", "shadow", "shadow would have matched"),
        ("vip", "canary:99", "matched"),
    ]
    assert contact.values["tags"] == {"arpu": 6_000}
    poor = routing(2, tags={"arpu": 1}, attrs={"intent": "other"})
    assert [(one.rule.name, one.mode) for one in tried(ruleset, poor)[1]][-1] == ("last", "")
