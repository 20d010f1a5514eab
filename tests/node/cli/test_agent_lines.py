"""`node.cli.agent_lines`: what is typed after a command."""

from typing import Any

import pytest

from node.cli.agent_lines import parse_status, parse_tags, parse_target


@pytest.mark.parametrize(
    ("word", "to"),
    [
        ("vip", {"queue": "vip"}),
        ("@li", {"agent": "li"}),
        ("rules", {"rule": ""}),
        ("rule:night", {"rule": "night"}),
    ],
)
def test_a_target_is_a_queue_an_agent_or_a_rule(word: str, to: dict[str, str]) -> None:
    assert parse_target(word) == to


@pytest.mark.parametrize("word", ["", "@", "rule:"])
def test_a_target_that_names_nothing_is_not_understood(word: str) -> None:
    with pytest.raises(ValueError, match=word or "-"):
        parse_target(word)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("topic=refund -old", ({"topic": "refund"}, ["old"])),
        ("n=3 vip=true x=1.5 id=007", ({"n": 3, "vip": True, "x": 1.5, "id": "007"}, [])),
        ("list=[1] nothing=null empty=", ({"list": "[1]", "nothing": "null", "empty": ""}, [])),
    ],
)
def test_tags_are_numbers_truths_or_text(text: str, wanted: Any) -> None:
    assert parse_tags(text) == wanted


@pytest.mark.parametrize("text", ["", "word", "=x", "-", "a=1 word"])
def test_what_is_no_tag_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=text.split()[-1] if text else "-"):
        parse_tags(text)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("online", ("online", "", 0.0)),
        ("away lunch break 30m", ("away", "lunch break", 1800.0)),
        ("busy 2h", ("busy", "", 7200.0)),
        ("transfer_only", ("transfer_only", "", 0.0)),
    ],
)
def test_a_status_may_say_why_and_for_how_long(text: str, wanted: Any) -> None:
    assert parse_status(text) == wanted


@pytest.mark.parametrize("text", ["", "gone", "away 3x"])
def test_what_is_no_status_or_no_duration_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=text.split()[-1] if text else "-"):
        parse_status(text)
