import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.routing.decide import decide_values
from cluster.routing.expression import VARIABLES_MAX
from cluster.routing.reading import MISTAKES_MAX
from cluster.routing.rules import QueueRules
from cluster.routing.ruleset import (
    RULES_MAX,
    TESTS_MAX,
    RuleSet,
    compile_rules,
    default_rules,
    parse_duration_ms,
)
from cluster.state.limits import QUEUES_MAX, RULES_BYTES_MAX
from cluster.state.route import Queue
from cluster.toml_source import SourceError, SourceErrors

SEED = """\
[rule.vip_user]
when  = 'tags.arpu > 5000'
route = "premium_support"

[fallback]
route = "general"
"""

MANY = [f"s{number}" for number in range(65)]


def compiled(text: str, **more: str) -> RuleSet:
    return compile_rules({"main.toml": text} | {f"{name}.toml": one for name, one in more.items()})


def mistakes(text: str, **more: str) -> list[str]:
    with pytest.raises(SourceErrors) as failure:
        compiled(text, **more)
    return [str(error) for error in failure.value.errors]


def test_three_lines_are_a_rule() -> None:
    rules = compiled(SEED)
    assert [rule.name for rule in rules.rules] == ["vip_user"]
    assert rules.fallback == "general"
    assert rules.declared == {"premium_support", "general"}
    assert decide_values(rules, {"tags": {"arpu": 6000}}, 0).queue == "premium_support"
    assert decide_values(rules, {"tags": {}}, 0).queue == "general"


def test_every_key_is_taken_over() -> None:
    rules = compiled(
        """
        [ruleset]
        version = 3
        description = "all of it"
        [vars]
        tags.arpu = "number"
        attrs.intent = "string"
        channel = "string"
        [queue.premium]
        accept = "5m"
        skills = ["vip", "vip", "zh"]
        priority = 7
        description = "who pays"
        [rule.a]
        priority = -1
        when = 'tags.arpu > 5'
        route = "premium"
        skills = ["refund"]
        set = { priority = 80 }
        description = "one"
        test = [{ in = { tags = { arpu = 6 }, channel = "web" }, queue = "premium" }]
        [fallback]
        route = "premium"
        """
    )
    queue = Queue(accept_ms=300_000, skills={"vip": 0, "zh": 0})
    assert rules.queues == {"premium": QueueRules("premium", queue, 7)}
    (rule,) = rules.rules
    assert (rule.priority, rule.conversation_priority, rule.skills) == (-1, 80, {"refund": 0})
    assert rule.tests[0].values == {"tags": {"arpu": 6}, "channel": "web"}


def test_rules_are_tried_by_priority_and_then_by_name_over_all_files() -> None:
    one = "[rule.%s]\npriority = %d\nroute = 'q'\n"
    rules = compiled(one % ("b", 0) + one % ("low", -5), z=one % ("a", 0) + one % ("top", 9))
    assert [rule.name for rule in rules.rules] == ["top", "a", "b", "low"]


def test_no_rules_at_all_send_everything_to_the_general_queue() -> None:
    for rules in (compile_rules({}), compiled(""), default_rules()):
        assert (rules.rules, rules.fallback, set(rules.queues)) == ((), "general", {"general"})
        assert rules.declared == {"general"}


def test_a_hint_may_name_declared_queues_only_where_some_are_declared() -> None:
    assert compiled("[queue.a]\n[queue.general]").declared == {"a", "general"}
    assert compiled("[rule.x]\nroute = 'a'\n[fallback]\nroute='b'").declared == {"a", "b"}


def test_the_digest_tells_files_and_names_apart() -> None:
    digests = {
        compile_rules(files).digest
        for files in [{"a": "x=1" * 0, "b": "#"}, {"a": "#", "b": ""}, {"c": "#", "b": ""}]
    }
    assert len(digests) == 3
    one = compile_rules({"a": "#", "b": ""}).digest
    assert one == compile_rules({"b": "", "a": "#"}).digest


@pytest.mark.parametrize(
    ("text", "start", "mend"),
    [
        ("[rul.a]", "main.toml:1: unknown table [rul]", "did you mean 'rule'?"),
        ("a = 1", "main.toml:1: unknown table [a]", "known are: channel, fallback"),
        ("rule = 1", "main.toml:1: 'rule' is a table", "write [rule.NAME]"),
        ("[[queue]]", "main.toml:1: 'queue' is a table", "write [queue.NAME]"),
        ("vars = 1", "main.toml:1: 'vars' is a table", "write [vars]"),
        ("fallback = 'x'", "main.toml:1: 'fallback' is a table", "write [fallback]"),
        ("ruleset = 1", "main.toml:1: 'ruleset' is a table", "write [ruleset]"),
        ("[ruleset]\nverson = 1", "main.toml:2: unknown key 'verson'", "mean 'version'?"),
        ("[ruleset]\ntenant = 1", "main.toml:2: a tenant of 1", 'tenant = "acme"'),
        ("[ruleset]\nversion = '1'", "main.toml:2: a version of '1'", "whole number"),
        ("[ruleset]\nversion = true", "main.toml:2: a version of True", "whole number"),
        ("[ruleset]\ndescription = 1", "main.toml:2: a description is text", "quotes"),
        ("[vars]\ntags.a = 'int'", "main.toml:2: tags.a: 'int' is no type", "use number"),
        ("[vars]\ntags.a = ['number']", "main.toml:2: tags.a:", "use number"),
        ("[vars]\ntags = 'number'", "main.toml:2: no variable 'tags'", "tags.NAME"),
        ("[vars]\ntag.a = 'number'", "main.toml:2: no variable 'tag.a'", "tags.NAME"),
        ("[vars]\ntags.a.b = 'number'", "main.toml:2: no variable 'tags.a.b'", "tags.NAME"),
        ("[vars]\ntags.a-b = 'number'", "main.toml:2: no variable 'tags.a-b'", "letters"),
        ("[vars]\ntags.in = 'number'", "main.toml:2: no variable 'tags.in'", "letters"),
        ("[vars]\ntags.'é' = 'number'", "main.toml:", "letters"),
        ("[vars]\nlang = 'number'", "main.toml:2: lang is a string", 'write "string"'),
        ("[queue.general]\nacept = '5s'", "main.toml:2: unknown key 'acept'", "'accept'?"),
        ("[queue.general]\nhours = 'x'", "main.toml:2: no [hours.x]", "add [hours.x]"),
        ("[queue.general]\naccept = 5", "main.toml:2: 5 is no duration", '"20s"'),
        ("[queue.general]\naccept = '5 s'", "main.toml:2: '5 s' is no duration", '"20s"'),
        ("[queue.general]\naccept = '0s'", "main.toml:2: '0s' to accept", '"100ms"'),
        ("[queue.general]\naccept = '2h'", "main.toml:2: '2h' to accept", '"1h"'),
        ("[queue.general]\nskills = 'a'", "main.toml:2: skills is a list", '["refund"]'),
        ("[queue.general]\nskills = [1]", "main.toml:2: skills is a list", '["refund"]'),
        ("[queue.general]\nskills = ['']", "main.toml:2: the name of a skill", '["refund"]'),
        (f"[queue.general]\nskills = ['{'x' * 257}']", "main.toml:2: the name of a", "refund"),
        (
            f"[queue.general]\nskills = {MANY}",
            "main.toml:2: more than 64",
            "fewer",
        ),
        ("[queue.general]\npriority = 1.5", "main.toml:2: a priority of 1.5", "-1000 to"),
        ("[queue.general]\npriority = true", "main.toml:2: a priority of True", "-1000 to"),
        ("[queue.general]\npriority = 1001", "main.toml:2: a priority of 1001", "-1000 to"),
        ("[queue]\ngeneral = 1", "main.toml:2: queue.general is a table", "[queue.general]"),
        ("[queue.General]", "main.toml:1: a queue named 'General'", "use a-z"),
        ("[rule.'a b']\nroute = 'q'", "main.toml:1: a rule named 'a b'", "use a-z"),
        ("[rule.a]\nwhen = 'true'", "main.toml:1: [rule.a] has no route", "add route"),
        ("[rule.a]\nroute = 5", "main.toml:2: 5 is no queue name", "use a-z"),
        ("[rule.a]\nroute = 'A'", "main.toml:2: 'A' is no queue name", "use a-z"),
        ("[rule.a]\nroute = 'q'\nsteps = []", "main.toml:1: [rule.a] has route and steps", "keep"),
        ("[rule.a]\nroute = 'q'\nwen = 'x'", "main.toml:3: unknown key 'wen'", "mean 'when'?"),
        ("[rule.a]\nroute = 'q'\nwhen = true", "main.toml:3: 'when' is a condition", "quotes"),
        ("[rule.a]\nroute = 'q'\nwhen = 'x'", "main.toml:3:9: unknown variable 'x'", "known"),
        ("[rule.a]\nroute = 'q'\nset = 1", "main.toml:3: a rule sets a priority", "priority ="),
        ("[rule.a]\nroute = 'q'\nset = {sla = 'x'}", "main.toml:3: no [sla.x]", "add [sla.x]"),
        ("[rule.a]\nroute = 'q'\nset = {priority = 'x'}", "main.toml:3: a priority of", "-1000"),
        ("[rule.a]\nroute = 'q'\ntest = 1", "main.toml:3: a test is", "write {"),
        ("[rule.a]\nroute = 'q'\ntest = [{}]", "main.toml:3: a test is", "write {"),
        ("[rule.a]\nroute = 'q'\ntest = [{in = 1, queue = 'q'}]", "main.toml:3: a test", "in ="),
        ("[rule.a]\nroute = 'q'\ntest = [{in = {}, queue = 1}]", "main.toml:3: a test", "in ="),
        (
            "[rule.a]\nroute = 'q'\ntest = [{in = {chanel = 'x'}, queue = 'q'}]",
            "main.toml:3: no variable 'chanel'",
            "did you mean 'channel'?",
        ),
        (
            "[rule.a]\nroute = 'q'\ntest = [{in = {tags = 1}, queue = 'q'}]",
            "main.toml:3: tags of a test is a table",
            "in =",
        ),
        ("[fallback]\nrout = 'q'", "main.toml:1: [fallback] has no route", "add route"),
        ("[queue.a]", "main.toml:1: no [fallback]", "add [fallback]"),
        ("[fallback\n", "main.toml:1: a table's name is not closed", "add the closing ]"),
    ],
)
def test_a_mistake_is_named_by_file_line_and_mend(text: str, start: str, mend: str) -> None:
    first = mistakes(text)[0]
    assert first.startswith(start)
    assert mend in first


def test_an_unknown_queue_is_a_mistake_where_queues_are_declared() -> None:
    text = "[queue.premium]\n[rule.a]\nroute = 'premum'\n[fallback]\nroute = 'genral'\n"
    assert mistakes(text) == [
        "main.toml:3: no queue 'premum'; did you mean 'premium'? (or add [queue.premum])",
        "main.toml:5: no queue 'genral'; known are: premium (or add [queue.genral])",
    ]


def test_a_queue_with_a_mistake_in_its_table_still_counts_as_declared() -> None:
    (only,) = mistakes("[queue]\nbroken = 1\n[rule.a]\nroute = 'general'\n[queue.general]")
    assert "queue.broken is a table" in only


def test_what_stands_in_two_files_is_a_mistake() -> None:
    text = "[queue.q]\n[rule.a]\nroute = 'q'\n[fallback]\nroute = 'q'\n[vars]\ntags.a = 'number'"
    found = mistakes(text, other=text.replace("number", "string"))
    assert found == [
        "other.toml:1: a second [queue.q]; join the two",
        "other.toml:2: a second [rule.a]; rename one",
        "other.toml:4: a second [fallback]; keep one",
        "other.toml:7: tags.a is a number in another file; declare it once",
    ]
    same = "[vars]\ntags.a = 'number'"
    assert compiled(same, other=same).rules == ()


def test_all_mistakes_of_all_files_are_named_at_once_by_place() -> None:
    found = mistakes("[rule.a]\nwhen = 'x'\nfoo = 1\n", a="bar = 1")
    assert [one.split(": ")[0] for one in found] == [
        "a.toml:1",
        "main.toml:1",
        "main.toml:2:9",
        "main.toml:3",
    ]


def test_files_that_are_no_toml_are_named_before_anything_else() -> None:
    found = mistakes("a = [", b="[", c="[rule.a]")
    assert [one.split(":")[0] for one in found] == ["b.toml", "main.toml"]


def test_a_condition_over_lines_is_named_by_line_and_column() -> None:
    (only,) = mistakes("[rule.a]\nroute = 'q'\nwhen = '''\nlang == 'a' &&\n  chanel == 'b'\n'''\n")
    assert only.splitlines() == [
        "main.toml:5:3: unknown variable 'chanel'",
        "      chanel == 'b'",
        "      ^",
        "    did you mean 'channel'?",
    ]


def test_a_failing_table_test_says_what_was_decided_and_by_whom() -> None:
    row = "test = [{in = {tags = {arpu = %d}}, queue = '%s'}]\n"
    text = SEED.replace("[fallback]", row % (6000, "general") + "[fallback]")
    (only,) = mistakes(text)
    assert only == (
        "main.toml:5: test 1 of rule 'vip_user' expects queue 'general' but rule 'vip_user'"
        " decides 'premium_support'; mend the rule or the test"
    )
    text = SEED.replace("[fallback]", row % (5, "premium_support") + "[fallback]")
    (only,) = mistakes(text)
    assert "but the fallback decides 'general'" in only


def test_a_test_value_that_is_a_date_counts_as_missing() -> None:
    text = "[rule.a]\nwhen = 'has(tags.d)'\nroute = 'q'\n"
    text += "test = [{in = {tags = {d = 2024-01-01}}, queue = 'general'}]"
    assert compiled(text).fallback == "general"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("".join(f"[rule.r{n}]\nroute='q'\n" for n in range(RULES_MAX + 1)), "1000 rules"),
        ("[queue.general]\n" + "".join(f"[queue.q{n}]\n" for n in range(QUEUES_MAX)), "1000 que"),
        (
            "[fallback]\nroute = 'f'\n"
            + "".join(f"[rule.r{n}]\nroute='q{n}'\n" for n in range(QUEUES_MAX + 1)),
            "1000 queues",
        ),
        (
            "[vars]\n" + "".join(f"tags.t{n} = 'bool'\n" for n in range(VARIABLES_MAX + 5)),
            "256 variables",
        ),
        (
            "[rule.a]\nroute = 'q'\ntest = [" + "{in = {}, queue = 'q'}," * (TESTS_MAX + 1) + "]\n",
            "1000 tests",
        ),
        ("#" * (RULES_BYTES_MAX + 1), "131073 characters of rules"),
        (f"{'k' * 50_000} = 1", "unknown table"),
        (f"[rule.{'k' * 50_000}]", "a rule named"),
        (f"[rule]\n{'k' * 50_000} = 1", "is a table"),
        (f"[vars]\n{'k' * 50_000} = 1", "is no type"),
        (f"[queue.general]\n{'k' * 50_000} = 1", "unknown key"),
    ],
)
def test_too_much_is_refused_in_few_words(text: str, problem: str) -> None:
    began_s = time.process_time()
    found = mistakes(text)
    assert time.process_time() - began_s < 5.0
    assert any(problem in one for one in found)
    assert all(len(one) < 1_000 for one in found)


def test_no_more_mistakes_are_named_than_anyone_reads() -> None:
    assert len(mistakes("".join(f"k{n} = 1\n" for n in range(2 * MISTAKES_MAX)))) == MISTAKES_MAX


@pytest.mark.parametrize(
    ("text", "ms"), [("250ms", 250), ("20s", 20_000), ("5m", 300_000), ("1h", 3_600_000)]
)
def test_durations_are_read(text: str, ms: int) -> None:
    assert parse_duration_ms(text) == ms


@pytest.mark.parametrize("value", ["", "5", "5d", "-5s", "1.5s", "5S", "٥s", "9" * 5_000 + "s", 5])
def test_what_is_no_duration_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        parse_duration_ms(value)


plain = st.one_of(
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.lists(st.integers()),
    st.sampled_from(["general", "5s", "UTC", "09:00-18:00", "2026-10-01", "queue", "true", "next"]),
)
names = st.sampled_from(
    [
        *("when", "route", "priority", "skills", "set", "test", "accept", "general", "tags", "in"),
        *("steps", "queue", "for", "require", "skip_if", "prefer", "overflow", "after", "do", "to"),
        *("mode", "hours", "closed", "week", "tz", "mon-fri", "holidays", "extra", "at", "text"),
        *("order", "agent_order", "aging", "max_waiting", "wrap_up", "weight", "warn", "sla", "?"),
        *("first_response", "on_timeout", "tenant"),
    ]
)
tables = st.recursive(plain, lambda inner: st.dictionaries(names, inner, max_size=4), max_leaves=8)
documents = st.dictionaries(
    st.sampled_from(
        ["ruleset", "vars", "queue", "rule", "fallback", "hours", "sla", "channel", "other"]
    ),
    tables,
)


def toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(key)} = {toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + "".join(f"\\U{ord(char):08x}" for char in value) + '"'
    return str(value)


@given(document=documents)
@settings(max_examples=300, deadline=None)
def test_any_document_is_a_rule_set_or_a_list_of_mistakes_with_places(
    document: dict[str, Any],
) -> None:
    text = "\n".join(f"{key} = {toml(value)}" for key, value in document.items())
    found: list[SourceError] = []
    try:
        rules = compiled(text)
    except SourceErrors as errors:
        found = errors.errors
    else:
        assert rules.fallback in rules.queues
        assert all(rule.route in rules.queues for rule in rules.rules)
    for error in found:
        assert error.place.file == "main.toml"
        assert 1 <= error.place.line <= len(text.splitlines())
        assert error.mend or "\n" in error.problem
