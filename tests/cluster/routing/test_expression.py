import json
import subprocess
import sys
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.routing.expression import (
    EXPRESSION_BYTES_MAX,
    NESTING_MAX,
    VARIABLES_MAX,
    WHY_MAX,
    Contact,
    ExpressionError,
    Scope,
    VarType,
    Verdict,
)
from cluster.routing.wording import explain

ANY = Scope({})
TYPED = Scope(
    {
        "tags.arpu": "number",
        "tags.tier": "string",
        "tags.segments": "list",
        "tags.paid": "bool",
    }
)


def contact(scope: Scope, *, channel: str = "web", lang: str = "zh", **maps: Any) -> Contact:
    return scope.contact({"channel": channel, "lang": lang, "subject": "退款"}, maps)


def holds(scope: Scope, source: str, **maps: Any) -> Verdict:
    return scope.compile(source).holds(contact(scope, **maps))


def mistake(scope: Scope, source: str) -> ExpressionError:
    with pytest.raises(ExpressionError) as failure:
        scope.compile(source)
    return failure.value


@pytest.mark.parametrize(
    ("source", "tags", "expected"),
    [
        ('channel == "web"', {}, True),
        ('channel != "web"', {}, False),
        ('lang in ["zh", "en"]', {}, True),
        ('subject.contains("退")', {}, True),
        ("size(subject) == 2", {}, True),
        ("tags.arpu > 5000", {"arpu": 6000}, True),
        ("tags.arpu > 5000", {"arpu": 5000}, False),
        ("tags.arpu > 5000", {"arpu": 5000.5}, True),
        ("tags.arpu == 6000", {"arpu": 6000}, True),
        ('tags.tier == "gold" || tags.arpu >= 1', {"tier": "gold", "arpu": 0}, True),
        ('tags.tier.startsWith("go")', {"tier": "gold"}, True),
        ('tags.tier.endsWith("ld")', {"tier": "gold"}, True),
        ('"vip" in tags.segments', {"segments": ["new", "vip"]}, True),
        ('"vip" in tags.segments', {"segments": []}, False),
        ("tags.paid", {"paid": True}, True),
        ("!tags.paid", {"paid": True}, False),
        ("has(tags.arpu)", {"arpu": 0}, True),
        ("has(tags.arpu)", {}, False),
        ("!has( tags . tier )", {}, True),
        ('has(tags.tier) && tags.tier == "gold"', {"tier": "gold"}, True),
        ('has(tags.tier) && tags.tier == "gold"', {}, False),
        ('tags.arpu > 1.0 ? channel == "web" : false', {"arpu": 2}, True),
        ("true // tags.nothing", {}, True),
    ],
)
@pytest.mark.parametrize("scope", [ANY, TYPED], ids=["untyped", "typed"])
def test_a_condition_says_true_or_false(
    scope: Scope, source: str, tags: dict[str, Any], expected: bool
) -> None:
    assert holds(scope, source, tags=tags) == Verdict(expected)


@pytest.mark.parametrize("scope", [ANY, TYPED], ids=["untyped", "typed"])
@pytest.mark.parametrize("source", ["tags.arpu > 5", "!(tags.arpu > 5)", "tags.arpu == null"])
def test_a_condition_about_a_missing_tag_does_not_hold_and_says_why(
    scope: Scope, source: str
) -> None:
    assert holds(scope, source, tags={}) == Verdict(False, "'arpu' is missing")


def test_a_missing_tag_does_not_matter_where_the_rest_decides() -> None:
    assert holds(ANY, 'tags.arpu > 5 || channel == "web"').matched
    assert holds(ANY, 'tags.arpu > 5 && channel == "app"') == Verdict(False)


def test_attributes_are_as_tags_and_are_typed_apart_from_them() -> None:
    scope = Scope({"attrs.intent": "string"})
    assert holds(scope, 'attrs.intent == "refund"', attrs={"intent": "refund"}).matched
    assert holds(scope, "tags.anything == 1", tags={"anything": 1}).matched


@pytest.mark.parametrize(
    ("kind", "source", "value"),
    [
        ("number", "tags.x > 1", "many"),
        ("number", "tags.x > 1", True),
        ("number", "tags.x > 1", "nan"),
        ("number", "tags.x > 1", "1e999"),
        ("number", "tags.x > 1", "1_000"),
        ("number", "tags.x > 1", "٣"),
        ("number", "tags.x > 1", 10**400),
        ("number", "tags.x > 1", None),
        ("string", 'tags.x == "5"', 5),
        ("bool", "tags.x", 1),
        ("list", '"a" in tags.x', "a"),
        ("list", '"a" in tags.x', ["a", 1]),
    ],
)
def test_a_value_of_another_type_counts_as_missing(kind: VarType, source: str, value: Any) -> None:
    verdict = holds(Scope({"tags.x": kind}), source, tags={"x": value})
    assert verdict == Verdict(False, "'x' is missing")


@pytest.mark.parametrize("value", [6000, 6000.0, "6000", "6e3", "+6000."])
def test_a_declared_number_is_read_from_a_string_that_spells_one(value: Any) -> None:
    assert holds(TYPED, "tags.arpu == 6000", tags={"arpu": value}).matched


def test_an_undeclared_tag_is_not_seen_where_tags_are_declared() -> None:
    assert holds(TYPED, "has(tags.tier)", tags={"other": 1, "tier": "a"}).matched


def test_integers_beyond_64_bits_are_compared_as_far_as_a_double_tells() -> None:
    assert holds(ANY, "tags.big > 1 && tags.one == 1", tags={"big": 2**64, "one": 1}).matched


@pytest.mark.parametrize(
    "value",
    [None, "\ud800", b"x", {"a": 1}, object(), (1,), ["a", None], [["a"]], ["\ud800"], 10**400],
)
def test_a_value_that_cel_does_not_know_counts_as_missing_and_spoils_no_other(value: Any) -> None:
    tags = {"x": value, "y": 1, "\ud800": 1, 5: 1}
    assert holds(ANY, "!has(tags.x) && tags.y == 1", tags=tags).matched


def test_plain_values_that_are_no_text_are_empty() -> None:
    empty = ANY.contact({"channel": "\ud800", "lang": 5}, {})  # type: ignore[dict-item]
    assert ANY.compile('channel == "" && lang == "" && subject == ""').holds(empty).matched


def test_a_condition_that_turns_out_to_be_no_truth_does_not_hold_and_says_why() -> None:
    verdict = holds(ANY, "tags.arpu", tags={"arpu": 5})
    assert verdict == Verdict(False, "the condition says INT, not true or false")


def test_a_failure_while_evaluating_does_not_hold_and_says_why() -> None:
    verdict = holds(ANY, "1 / tags.zero == 1", tags={"zero": 0})
    assert verdict == Verdict(False, "INVALID_ARGUMENT: divide by zero")
    verdict = holds(ANY, "tags.name > 5", tags={"name": "x"})
    assert not verdict.matched
    assert "No matching overloads" in verdict.why


def test_the_reason_is_bounded_however_long_a_key_is() -> None:
    verdict = holds(ANY, f'tags["{"k" * 3000}"] == 1')
    assert 0 < len(verdict.why) <= WHY_MAX


@pytest.mark.parametrize(
    ("scope", "source", "under_caret", "problem", "mend"),
    [
        (ANY, "tagz.arpu > 1", "tagz", "unknown variable 'tagz.arpu'", "did you mean 'tags'?"),
        (ANY, 'true && chanel == "x"', "chanel", "unknown variable 'chanel'", "'channel'?"),
        (ANY, "size(zz) == 1", "zz", "unknown variable 'zz'", "known are: attrs, channel"),
        (TYPED, "tags.apru > 1", "tags.apru", "'tags.apru'", "did you mean 'tags.arpu'?"),
        (TYPED, "has(tags.apru)", "tags.apru", "'tags.apru'", "did you mean 'tags.arpu'?"),
        (TYPED, "\n true && has(tags.apru)", "tags.apru", "'tags.apru'", "declare it in [vars]"),
        (TYPED, 'tags["arpu"] > 1', "tags", "unknown variable 'tags'", "[vars]"),
        (TYPED, "arpu > 1", "arpu", "unknown variable 'arpu'", "did you mean 'tags.arpu'?"),
        (
            TYPED,
            "tags.tier > 5",
            "> 5",
            "'>' does not go with text and a whole number",
            "in quotes is text",
        ),
        (ANY, "channel > 5", "> 5", "'>' does not go with text and a whole number", "in quotes"),
        (ANY, 'channel = "web"', "= ", "one '='", "compare with =="),
        (ANY, 'true and lang == "zh"', "and", "'and' is no word", "write && for and"),
        (ANY, 'lang == "é" && ?', "?", "'?' is not understood", "a missing quote"),
        (ANY, 'lang == "a"\n  && ?', "?", "'?' is not understood", "a missing quote"),
        (ANY, "lowe(lang) == lang", "lowe", "unknown function 'lowe'", "did you mean 'lower'?"),
        (ANY, "lang.fold() == lang", "fold", "function 'fold'", "known are: contains, double"),
        (ANY, "agent.skill.a > 1", "agent", "agent.* is not known here", "'require' of a step"),
        (TYPED, "queue.waiting > 1", "queue", "queue.* is not known", "'skip_if' of a step"),
        (ANY, "true &&", "", "ends too early", "something is missing"),
        (ANY, "lang == “zh”", "“zh”", "'“' is not understood", "English keyboard"),
        (TYPED, "tags.tier && true", "&&", "'&&' does not go with text and true", "compare each"),
        (ANY, "hour(lang) < 9", "hour", "takes one name in quotes", 'hour("Asia/Shanghai")'),
        (ANY, 'hour("Asia/Shangai") < 9', '"Asia', "no time zone 'Asia/Shangai'", "Shanghai'?"),
        (ANY, 'weekday("here") == "mon"', '"here', "no time zone 'here'", "a name such as"),
        (ANY, 'open("office")', '"office', "no [hours.office]", "add [hours.office]"),
        (ANY, "5", "5", "this is INT", "compare it"),
        (TYPED, "tags.tier", "tags.tier", "this is STRING", "compare it"),
        (ANY, "tags.a.matches('x')", "matches", "patterns are not supported", "startsWith"),
        (ANY, "matches(tags.a, tags.b)", "matches", "patterns are not supported", "in [...]"),
        (ANY, "tags.l.exists(x, x == 1)", "exists", "exists(...) is a loop", '"vip" in'),
        (ANY, "[1].map //c\n (x, x) == [1]", "map", "map(...) is a loop", '"vip" in'),
        (ANY, "True", "True", "'True' is not known", "write true"),
        (ANY, "lang == FALSE", "FALSE", "'FALSE' is not known", "write false"),
        (ANY, "5 < tags.x < 9", "< 9", "true or false and a whole number", "join two comparisons"),
        (ANY, 'subject contains "x"', "contains", "'contains' does", 'subject.contains("...")'),
        (ANY, 'tags.a.b startsWith "x"', "starts", "'startsWith'", 'tags.a.b.startsWith("...")'),
        (ANY, 'contains "x"', '"x"', "not understood", "look just before"),
        (ANY, "tags.x => 3", "=>", "'=' does not fit", "write >= or <="),
        (ANY, "tags.x =< 3", "=<", "'=' does not fit", "write >= or <="),
        (ANY, "tags.等级 == 1", "等级", "'等级' does not fit", 'in brackets: tags["等级"]'),
        (ANY, "tags.x > 5 %", "", "'%' does not fit", "without %"),
        (ANY, "tags.\u3000", "\u3000", "ends too early", "something is missing"),
        (ANY, "tags.\u3000== 1", "\u3000", "'==' is not understood", "look just before"),
    ],
)
def test_a_mistake_is_named_with_its_place_and_mend(
    scope: Scope, source: str, under_caret: str, problem: str, mend: str
) -> None:
    error = mistake(scope, source)
    assert source[error.offset :].startswith(under_caret)
    assert problem in error.problem
    assert mend in error.mend
    shown, caret = str(error).splitlines()[1:3]
    assert shown[caret.index("^") :].startswith(under_caret.rstrip())


def test_names_of_functions_that_are_refused_may_be_names_of_tags() -> None:
    tags = {"map": 1, "matches": 2, "all": 3}
    assert holds(ANY, "tags.map == 1 && tags.matches == 2 && (tags.all) == 3", tags=tags).matched
    assert holds(ANY, 'subject != "x.exists(y)"').matched


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("", "an empty condition"),
        (" \n\t", "an empty condition"),
        ("true\0", "no text"),
        ('"\ud800" == lang', "no text"),
        ("(" * 10_000 + "true" + ")" * 10_000, "more than 4096 bytes"),
        ("(" * 2_000 + "true" + ")" * 2_000, "nested deeper"),
        ("[" * 2_000, "nested deeper"),
        ("{" * 2_000, "nested deeper"),
        ('lang == "' + "é" * EXPRESSION_BYTES_MAX + '"', "more than 4096 bytes"),
        ("1+" * 2_000 + "1 == 1", "too long a chain"),
        ("-" * 4_000, "ends too early"),
        ("true ? true : " * 250 + "true", "nested too deeply"),
        ("tags" + ".a" * 2_000, "too long a chain"),
        ("tags" + "[0]" * 1_300, "too long a chain"),
        # Brackets hidden from a careless look behind quotes that are none.
        (r'r"\" == lang || ' + "(" * 1_900 + "true" + ")" * 1_900 + r' || r"\" == lang', "nested"),
        ('// "\n' + "(" * 1_900 + "true" + ")" * 1_900 + '\n// "', "nested deeper"),
        ('"\n' + "(" * 1_900 + "true" + ")" * 1_900 + '\n"', "nested deeper"),
        ('""" " """ == ' + "(" * 1_900 + 'lang + """ " """' + ")" * 1_900, "nested deeper"),
    ],
)
def test_hostile_text_is_refused_quickly(source: str, problem: str) -> None:
    began_s = time.process_time()
    error = mistake(ANY, source)
    assert time.process_time() - began_s < 1.0
    assert problem in error.problem
    assert len(str(error)) < 600


def test_brackets_up_to_the_limit_and_long_rows_of_and_are_fine() -> None:
    assert holds(ANY, "(" * NESTING_MAX + "true" + ")" * NESTING_MAX).matched
    assert holds(ANY, " && ".join(["true"] * 500)).matched
    assert holds(ANY, "lang in [" + ", ".join(f'"{n}"' for n in range(500)) + ', "zh"]').matched
    assert holds(ANY, '"((((((((((((((((((((((((((((((((((((((" != lang').matched


def test_the_slowest_condition_that_is_let_through_takes_no_longer_than_a_blink() -> None:
    tags = {"a": ["y"] * 1_000, "b": "a" * 4_000, "c": "a" * 2_000 + "b"}
    tags |= {"d": "a" * 1_024, "e": "*" + "?a" * 60 + "b*"}
    for term in [
        *("tags.a + tags.a == tags.a", "tags.b.contains(tags.c)", '"x" in tags.a'),
        "glob(tags.d, tags.e)",
    ]:
        count = EXPRESSION_BYTES_MAX // (len(term) + 4)
        condition = ANY.compile(" || ".join([term] * count))
        subject = contact(ANY, tags=tags)
        began_s = time.process_time()
        assert condition.holds(subject) == Verdict(False)
        assert time.process_time() - began_s < 0.5


def test_what_the_library_says_without_a_place_is_said_at_the_beginning() -> None:
    error = explain("true", "INTERNAL: something odd [INTERNAL]\nand more", [])
    assert (error.offset, error.problem) == (0, "INTERNAL: something odd")


def test_a_value_that_the_library_cannot_convert_does_not_hold_and_says_why() -> None:
    odd = Contact(ANY._running.Activation({"channel": "\ud800"}))
    verdict = ANY.compile('channel == "web"').holds(odd)
    assert not verdict.matched
    assert verdict.why


def test_a_scope_takes_as_many_variables_as_are_allowed() -> None:
    scope = Scope({f"tags.t{number}": "number" for number in range(VARIABLES_MAX)})
    assert holds(scope, "tags.t255 == 7", tags={"t255": 7}).matched


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.characters(categories=["Cs"]),
    st.binary(max_size=5),
)
values = st.one_of(
    scalars, st.lists(scalars, max_size=4), st.dictionaries(st.text(max_size=3), scalars)
)
keys = st.one_of(st.sampled_from(["arpu", "tier", "segments", "paid"]), st.text(max_size=5))


@given(tags=st.dictionaries(keys, values, max_size=6), channel=st.text(max_size=5))
@settings(max_examples=200, deadline=None)
def test_no_value_of_a_tag_raises(tags: dict[str, Any], channel: str) -> None:
    sources = [
        "tags.arpu > 5000",
        'tags.tier == "gold" || "vip" in tags.segments',
        "tags.paid ? tags.arpu + 1.0 > 5.0 : size(tags.tier) > 2",
        "has(tags.arpu) && !tags.paid",
    ]
    for scope in (ANY, TYPED):
        one = contact(scope, channel=channel, tags=tags)
        for source in sources:
            verdict = scope.compile(source).holds(one)
            assert isinstance(verdict.matched, bool)
            assert not (verdict.matched and verdict.why)


WORDS = (
    '( ) [ ] { } " \' """ r" \\ \n // && || ! - + ? : , . == = > in tags lang arpu has( size('
    " matches( map( x 1 2.5 true null \0 é 😀 ` ; @ #"
)
pieces = st.sampled_from(WORDS.split(" "))


@given(source=st.one_of(st.text(max_size=40), st.lists(pieces, max_size=40).map(" ".join)))
@settings(max_examples=300, deadline=None)
def test_any_text_is_compiled_or_refused_with_a_place_within_it(source: str) -> None:
    for scope in (ANY, TYPED):
        offset = 0
        try:
            scope.compile(source).holds(contact(scope, tags={"arpu": 1}))
        except ExpressionError as error:
            offset = error.offset
        assert 0 <= offset <= max(len(source), 1)


def test_no_text_that_is_let_through_ends_the_process() -> None:
    sources = ["!" * 4_000 + "true", "true&&" * 650 + "true", 'lang == "' + "x" * 4_000 + '"']
    code = (
        "import json, sys\n"
        "from cluster.routing.expression import Scope\n"
        "scope = Scope({})\n"
        "for source in json.load(sys.stdin):\n"
        "    print(scope.compile(source).holds(scope.contact({}, {})).matched)\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(sources),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (said.returncode, said.stdout.split()) == (0, ["True", "True", "False"]), said.stderr
