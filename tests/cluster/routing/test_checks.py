"""What a whole rule set hardly means."""

import pytest

from cluster.routing.checks import unserved
from cluster.routing.needs import KnownAgent
from cluster.routing.ruleset import compile_rules

ANN = KnownAgent("ann", skills={"refund": 5, "zh": 1})
BOB = KnownAgent("bob", skills={"sales": 3})


def warnings(text: str) -> list[str]:
    return [str(one) for one in compile_rules({"main.toml": text}).warnings]


@pytest.mark.parametrize(
    "text",
    [
        "[rule.a]\nroute = 'q'",
        "[rule.a]\nwhen = 'lang == \"zh\"'\nroute = 'q'\n[rule.b]\nroute = 'q'",
        "[rule.a]\nmode = 'shadow'\nroute = 'q'\n[rule.b]\nroute = 'q'",
        "[rule.a]\nmode = 'canary:5'\nroute = 'q'\n[rule.b]\nroute = 'q'",
        """
        [queue.general]
        [queue.b]
        [queue.c]
        overflow = { after = '5m', do = 'queue', to = 'b' }
        [rule.a]
        steps = [{ queue = 'c' }]
        """,
    ],
)
def test_what_is_well_has_no_warning(text: str) -> None:
    assert warnings(text) == []


def test_a_rule_behind_one_that_matches_always_is_never_tried() -> None:
    text = "[rule.b]\nwhen = 'lang == \"zh\"'\nroute = 'q'\n[rule.a]\nroute = 'q'\n"
    (only,) = warnings(text)
    assert only == (
        "main.toml:1: rule 'b' is never tried: 'a' before it matches always; give 'b' a higher"
        " priority, or 'a' a 'when'"
    )
    assert warnings(text.replace("[rule.a]", "[rule.a]\nwhen = 'true'")) == warnings(text)


def test_a_rule_that_asks_what_one_before_it_asks_never_decides() -> None:
    text = "[rule.a]\nwhen = 'tags.x  > 5'\nroute = 'q'\n[rule.b]\nwhen = 'tags.x > 5'\nroute = 'r'"
    (only,) = warnings(text)
    assert only.startswith("main.toml:4: rule 'b' never decides: 'a' before it asks the same")


def test_a_queue_that_nothing_names_is_told_with_its_place() -> None:
    (only,) = warnings("[queue.general]\n\n[queue.old]\n")
    assert only.startswith("main.toml:3: no rule, step, overflow or fallback names queue 'old'")


def found(text: str, *agents: KnownAgent) -> list[str]:
    return [str(one) for one in unserved(compile_rules({"main.toml": text}), agents)]


def test_skills_that_nobody_has_are_told_with_what_was_meant() -> None:
    text = (
        "[queue.general]\nskills = ['refnd']\n[rule.a]\nskills = ['gold']\n"
        "steps = [\n{ queue = 'general', require = 'agent.skill.sals > 1' } ]"
    )
    assert found(text, ANN, BOB) == [
        "main.toml:1: nobody has the skill 'refnd'; did you mean 'refund'?",
        "main.toml:3: nobody has the skill 'gold'; known are: refund, sales, zh",
        "main.toml:6: nobody has the skill 'sals'; did you mean 'sales'?",
    ]


def test_a_queue_that_no_one_agent_can_serve_is_told() -> None:
    (unknown,) = found("[queue.general]\nagent_order = 'proficiency:refnd'\n", ANN)
    assert "nobody has the skill 'refnd'" in unknown
    text = "[queue.general]\nskills = { refund = 4, sales = 1 }\n"
    (only,) = found(text, ANN, BOB)
    assert only.startswith("main.toml:1: nobody can serve queue 'general': no one agent has refund")
    assert found(text, KnownAgent("eve", skills={"refund": 4, "sales": 9})) == []


def test_a_step_that_asks_for_more_than_anyone_holds_is_told() -> None:
    text = (
        "[queue.general]\n[rule.a]\nskills = { refund = 2 }\nsteps = [\n"
        "{ queue = 'general', skills = { refund = 9 }, for = '5s' },\n{ queue = 'general' } ]"
    )
    (only,) = found(text, ANN)
    assert only.startswith("main.toml:5: nobody can serve this step of rule 'a': no one agent has")


def test_without_agents_nobody_serves_anything() -> None:
    (only,) = found("[queue.general]\n")
    assert "no one agent has anything: there are no agents" in only
