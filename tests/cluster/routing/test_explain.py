"""Conditions explained part by part: the engine's own words, for whatever can be written."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.routing.explain import NOT_NEEDED, Explained, explain
from cluster.routing.expression import ExpressionError, Scope
from cluster.routing.parts import PARTS_MAX, Part, parts_of

TYPED = Scope(
    {
        "tags.arpu": "number",
        "tags.vip": "bool",
        "tags.tier": "string",
        "tags.segments": "list",
    }
)
UNTYPED = Scope({})

leaves = st.sampled_from(
    [
        "tags.arpu > 5000",
        "tags.arpu * 12.0 <= 60000.0",
        "tags.vip",
        "has(tags.vip)",
        'tags.tier == "gold"',
        '"a && (b" in tags.segments',
        "size(tags.segments) == 2",
        'channel == "we\\"b"',
        "lang.startsWith('en')",
        'subject.contains("a || b?c:d")',
        "true",
        "!tags.vip",
        "!!tags.vip",
    ]
)


def _join(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    binary = st.builds("{0} {1} {2}".format, inner, st.sampled_from(["&&", "||"]), inner)
    same = st.builds("({0}) {1} ({2})".format, inner, st.sampled_from(["==", "!="]), inner)
    choice = st.builds("({0}) ? ({1}) : ({2})".format, inner, inner, inner)
    unary = st.builds("{1}({0}) // because: ? && (\n".format, inner, st.sampled_from(["", "!"]))
    return binary | choice | unary | same


conditions = st.recursive(leaves, _join, max_leaves=12)
tags = st.fixed_dictionaries(
    {},
    optional={
        "arpu": st.sampled_from([0, 100.5, 6200, "6200", "much"]),
        "vip": st.booleans() | st.just("yes"),
        "tier": st.sampled_from(["gold", "tin"]),
        "segments": st.sampled_from([[], ["a", "a && (b"]]),
    },
)
plain = st.fixed_dictionaries(
    {
        "channel": st.sampled_from(["", "web", 'we"b']),
        "lang": st.sampled_from(["en-GB", "zh"]),
        "subject": st.sampled_from(["", "a || b?c:d"]),
    }
)


@given(conditions, tags, plain, st.sampled_from([TYPED, UNTYPED]))
def test_the_whole_comes_to_the_verdict(
    source: str, tags: dict[str, Any], plain: dict[str, str], scope: Scope
) -> None:
    try:
        condition = scope.compile(source)
    except ExpressionError:  # nested too deeply for the library
        return
    contact = scope.contact(plain, {"tags": tags})
    verdict = condition.holds(contact)
    explained = explain(condition, scope, contact)
    if verdict.why and explained.says.startswith("error"):
        assert not verdict.matched
    else:
        assert (explained.says == "true") == verdict.matched
    check(explained)


def check(explained: Explained) -> None:
    """Hold a part against what CEL says of the values of its parts."""
    if explained.says == NOT_NEEDED:
        assert not explained.parts
        return
    says = [part.says for part in explained.parts]
    told = [said for said in says if said != NOT_NEEDED]
    match explained.kind:
        case "and" | "or":
            decides = "false" if explained.kind == "and" else "true"
            if decides in told:
                assert explained.says == decides
                assert told[-1] == decides, "what follows is not needed"
            else:
                assert NOT_NEEDED not in says
                errors = [said for said in told if said.startswith("error")]
                if set(told) <= {"true", "false", *errors}:
                    assert explained.says in (errors or [told[0]])
                else:  # a value that is neither true nor false, which CEL may name first
                    assert explained.says in errors or "No matching overloads" in explained.says
                    assert explained.says.startswith("error: ")
        case "choice" if says[0] in ("true", "false"):
            assert says[1 if says[0] == "false" else 2] == NOT_NEEDED
            assert explained.says == says[1 if says[0] == "true" else 2]
        case "choice":
            assert says[1:] == [NOT_NEEDED, NOT_NEEDED]
        case "not" if says[0] in ("true", "false"):
            assert explained.says == ("true" if says[0] == "false" else "false")
        case "not":
            assert explained.says.startswith("error")
    for part in explained.parts:
        assert explained.start <= part.start < part.end <= explained.end
        check(part)


@given(conditions)
def test_every_part_is_a_text_that_compiles_alone(source: str) -> None:
    try:
        UNTYPED.compile(source)
    except ExpressionError:
        return
    stack = [parts_of(source)]
    contact = UNTYPED.contact({}, {})
    while stack:
        part = stack.pop()
        error = UNTYPED.evaluate(source[part.start : part.end], contact).error
        assert "Syntax" not in error
        assert "undeclared" not in error
        stack += part.parts


def tree(source: str, part: Part) -> Any:
    inner = [tree(source, one) for one in part.parts]
    text = source[part.start : part.end]
    return (part.kind, text, *inner) if inner else text


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a.b > 1 && c", ("and", "a.b > 1 && c", ("compare", "a.b > 1", "a.b"), "c")),
        ("a || b && c", ("or", "a || b && c", "a", ("and", "b && c", "b", "c"))),
        ("((a))", "a"),
        ("(a) || (b)", ("or", "(a) || (b)", "a", "b")),
        ("a ? b : c ? d : e", ("choice", "a ? b : c ? d : e", "a", "b",
                               ("choice", "c ? d : e", "c", "d", "e"))),
        ("!a == b", ("compare", "!a == b", ("not", "!a", "a"), "b")),
        ("1 < 2", "1 < 2"),
        ('size(tags.x) == 0', ("compare", "size(tags.x) == 0",
                               ("other", "size(tags.x)", "tags.x"))),
    ],
)  # fmt: skip
def test_a_condition_is_taken_apart_as_its_grammar_says(source: str, expected: Any) -> None:
    whole = parts_of(source)
    assert tree(source, whole) == expected


def test_what_has_very_many_parts_is_explained_as_far_as_that_is_read() -> None:
    source = " || ".join(f"tags.t{number}" for number in range(250))
    condition = UNTYPED.compile(source)
    contact = UNTYPED.contact({}, {"tags": {"t249": True}})
    assert condition.holds(contact).matched
    explained = explain(condition, UNTYPED, contact)
    assert explained.says == "true"
    assert len(explained.parts) <= PARTS_MAX + 250


def test_a_long_value_is_cut() -> None:
    condition = UNTYPED.compile('subject == "x"')
    explained = explain(condition, UNTYPED, UNTYPED.contact({"subject": "y" * 5000}, {}))
    assert len(explained.parts[0].says) == 100


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("tags.n > 5.0", "7"),
        ("tags.half > 5.0", "7.5"),
        ('b"ab" == bytes(tags.text)', "b'ab'"),
    ],
)
def test_values_are_told_about_as_a_rule_writes_them(source: str, said: str) -> None:
    maps = {"tags": {"n": 7.0, "half": 7.5, "text": "ab"}}
    contact = UNTYPED.contact({"channel": "", "lang": "", "subject": ""}, maps)
    told = [one.says for one in flat(explain(UNTYPED.compile(source), UNTYPED, contact))]
    assert said in told, told


def flat(one: Explained) -> list[Explained]:
    return [one, *(inner for part in one.parts for inner in flat(part))]
