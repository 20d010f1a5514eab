import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.routing.expression import ExpressionError, Scope
from cluster.routing.functions import GLOB_PATTERN_MAX, GLOB_TEXT_MAX, glob
from cluster.routing.hours import Hours
from cluster.routing.tokens import mentions

WEDNESDAY_MS = 1_768_356_000_000  # 2026-01-14, 10:00 in Shanghai, 02:00 UTC
HOURS = {"cn-office": Hours("cn-office", "Asia/Shanghai", (((540, 1080),),) * 7)}
SCOPE = Scope({"tags.tier": "string", "tags.arpu": "number"}, HOURS)


def holds(source: str, now_ms: int = WEDNESDAY_MS, **tags: Any) -> bool:
    contact = SCOPE.contact({"lang": "ZH", "subject": "Order 2026-1"}, {"tags": tags}, now_ms)
    return SCOPE.compile(source).holds(contact).matched


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('lower(lang) == "zh"', True),
        ('upper(tags.tier) == "GOLD"', True),
        ('glob(subject, "Order ????-*")', True),
        ('glob(subject, "order*")', False),
        ('glob(lower(subject), "*2026*")', True),
        ('hour("Asia/Shanghai") == 10 && hour("UTC") == 2', True),
        ('weekday("Asia/Shanghai") == "wed"', True),
        ('weekday("America/New_York") == "tue"', True),
        ('open("cn-office")', True),
        ('!open("cn-office") || hour( "UTC" ) < 3 // hour("nowhere")', True),
        ('subject != "hour(x)"', True),
    ],
)
def test_functions_say_what_the_reference_says(source: str, expected: bool) -> None:
    assert holds(source, tier="gold") is expected


def test_the_time_comes_in_and_may_be_any() -> None:
    assert not holds('open("cn-office")', WEDNESDAY_MS + 9 * 3_600_000)
    assert holds('hour("UTC") < 24 && weekday("UTC") != "" && !open("cn-office")', -(10**30))
    assert holds('hour("UTC") < 24 && weekday("UTC") != ""', 10**30)


@pytest.mark.parametrize(
    ("source", "under_caret", "problem"),
    [
        ('open("cn-ofice")', '"cn-', "no [hours.cn-ofice]"),
        ('open("cn-office", 1)', "open", "takes one name in quotes"),
        ('hour("Asia/" + "Tokyo") > 1', "hour", "takes one name in quotes"),
        ("lower(lang, 1) == lang", "lower", "lower(...) does not take these"),
        ('clock > 1 && hour("UTC") > 1', "clock", "unknown variable 'clock'"),
        ('tags.arpu >= "5000"', '"5000"', 'tags.arpu is a number, and "5000" is text'),
        ('"5000" < tags . arpu', '"5000"', 'tags.arpu is a number, and "5000" is text'),
    ],
)
def test_what_would_never_hold_is_a_mistake_with_its_place(
    source: str, under_caret: str, problem: str
) -> None:
    with pytest.raises(ExpressionError) as failure:
        SCOPE.compile(source)
    assert source[failure.value.offset :].startswith(under_caret)
    assert problem in failure.value.problem


def test_a_number_beside_a_text_of_another_comparison_is_well() -> None:
    assert holds('tags.tier == "5000" || tags.arpu > 1', arpu=2)
    assert holds('"5000" != tags.tier && tags.arpu == 2', arpu=2, tier="x")


@given(
    st.text("ab*?\n", max_size=12),
    st.text("ab\n", max_size=12),
)
def test_a_glob_fits_as_the_regular_expression_of_its_signs_does(pattern: str, text: str) -> None:
    signs = {"*": ".*", "?": "."}
    model = "".join(signs.get(char, re.escape(char)) for char in pattern)
    assert glob(text, pattern) is (re.fullmatch(model, text, re.DOTALL) is not None)


def test_what_is_too_long_for_a_glob_fits_nothing() -> None:
    assert glob("a" * GLOB_TEXT_MAX, "*" * GLOB_PATTERN_MAX)
    assert not glob("a" * (GLOB_TEXT_MAX + 1), "*")
    assert not glob("a", "*" * (GLOB_PATTERN_MAX + 1))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("agent.skill.refund >= 4 && lang in agent.langs", "agent.skill.refund lang agent.langs"),
        ('agent.skill["退款"] > 0', "agent.skill.退款"),
        ("agent.skill[tags.product] > 0", "agent.skill tags.product"),
        ("has(tags.x) && tags.y.startsWith(.lang)", "tags.x tags.y lang"),
        ('lower(subject) == "channel" // lang', "subject"),
        ("size(tags) > 1 || tags.lang == attrs.tags", "tags tags.lang attrs.tags"),
        ('"x".contains(lang)', "lang"),
    ],
)
def test_what_an_expression_names_is_found(source: str, expected: str) -> None:
    assert {".".join(path) for path in mentions(source)} == set(expected.split())
