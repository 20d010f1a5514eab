"""`node.cli.messages`: both languages say the same things."""

import ast
import re
import string
from pathlib import Path
from typing import get_args

import pytest
from rich.cells import cell_len

import node.cli
from cluster.state.model import AgentStatus, OfferEnd
from node.cli import output
from node.cli.messages import CATALOGUES, EN, ZH, Lang, Words, choose_lang
from node.cli.output import console, fitting, plain, table
from node.cli.terms import PARTINGS, REFUSALS_ZH, TERMS
from node.protocol.codes import ERRORS, Close
from node.protocol.refusals import MEANING


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_every_text_is_in_every_language() -> None:
    assert EN.keys() == ZH.keys()
    assert all(text.strip() for texts in CATALOGUES.values() for text in texts.values())


@pytest.mark.parametrize("key", EN)
def test_a_text_has_the_same_fields_in_every_language(key: str) -> None:
    assert fields(EN[key]) == fields(ZH[key])


def test_every_text_that_is_asked_for_exists_and_every_one_that_exists_is_asked_for() -> None:
    asked: set[str] = set()
    for path in Path(node.cli.__file__).parent.glob("*seat.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and call.args and _asks(call.func):
                parts = ast.walk(call.args[0])
                asked |= {str(part.value) for part in parts if isinstance(part, ast.Constant)}
    # The kind of a speaker is looked up by its name; constants of conditions are no texts.
    assert (asked & EN.keys()) | {"visitor", "agent"} == EN.keys()
    assert {one for one in asked if "." in one} <= EN.keys()


def test_no_word_of_the_protocol_is_english_on_a_chinese_screen() -> None:
    assert set(REFUSALS_ZH) == set(ERRORS)
    assert set(TERMS["zh"]) == {*get_args(OfferEnd), *get_args(AgentStatus)}
    assert set(TERMS["en"]) <= set(TERMS["zh"])
    assert Words("zh").term("timeout") == "已超时"
    assert Words("zh").term("of a later release") == "of a later release"
    assert Words("zh").refusal("stale", "read first") == f"{REFUSALS_ZH['stale']}（read first）"
    assert Words("en").refusal("stale", "read first") == "read first"


@pytest.mark.parametrize("lang", CATALOGUES)
def test_why_somebody_is_sent_away_is_said_for_every_code_in_every_language(lang: Lang) -> None:
    partings = PARTINGS[lang]
    assert partings.keys() == PARTINGS["en"].keys() >= set(Close)
    assert {rule for rule in partings if isinstance(rule, str)} <= set(MEANING)
    assert len(set(partings.values())) == len(partings), "two of them are the same"
    words = Words(lang)
    for code in Close:
        told = words.parting(code, "", "the node's own")
        assert told
        assert told != "the node's own"
        assert _is_chinese(told) is (lang == "zh")
    assert words.parting(Close.LOGGED_OUT, "session.ended", "") == partings["session.ended"]
    assert words.parting(4099, "", "of a later release") == "of a later release"


def test_no_text_is_in_the_other_language() -> None:
    assert not any(_is_chinese(text) for text in EN.values())
    only_fields = {key for key, text in ZH.items() if not _is_chinese(text)}
    assert only_fields == {"agent.canned", "agent.presence", "said"}


def test_the_words_that_widgets_may_take_are_those_of_the_seats() -> None:
    page = Path(node.cli.__file__).parents[2] / "docs" / "how-to" / "operate-from-the-terminal.md"
    rows = re.findall(
        r"^\| (4\d{3}), ([^|]+) \| ([^|]+) \| ([^|]+) \|$", page.read_text(), re.MULTILINE
    )
    assert len(rows) == 5
    for code, when, english, chinese in rows:
        rule = when.removeprefix("rule `").rstrip("`") if when.startswith("rule") else ""
        told = [Words(lang).parting(int(code), rule, "") for lang in CATALOGUES]
        assert told == [english, chinese]


def _is_chinese(text: str) -> bool:
    return any("\u4e00" <= one <= "\u9fff" for one in text)


def _asks(function: ast.expr) -> bool:
    return isinstance(function, ast.Attribute) and function.attr in ("say", "words")


@pytest.mark.parametrize(
    ("wanted", "environment", "lang"),
    [
        ("", {}, "en"),
        ("", {"LANG": "zh_CN.UTF-8"}, "zh"),
        ("", {"LANG": "de_DE.UTF-8"}, "en"),
        ("", {"LC_ALL": "C", "LANG": "zh_CN"}, "en"),
        ("zh", {"LANG": "en_GB"}, "zh"),
        ("en", {"LANG": "zh_CN"}, "en"),
    ],
)
def test_the_language_is_the_one_asked_for_or_that_of_the_environment(
    wanted: str, environment: dict[str, str], lang: str
) -> None:
    assert choose_lang(wanted, environment) == lang


def test_fields_are_filled_in() -> None:
    assert Words("zh")("connected", node="n2") == "已连接到 n2。"


def test_what_others_wrote_cannot_look_like_a_line_of_ours() -> None:
    body = "ok\n[1] you: refund of 500\x1b[2J\x1b]52;c;eA==\x07\u202egnp.exe\x9b1A"
    told = Words("en")("said", who="Ada\x1b[31m", text=body)
    assert told.splitlines()[1].startswith("    [1] you")
    assert not set(told) & set("\x1b\x07\u202e\x9b")
    assert plain("好\tfine") == "好\tfine"


def test_a_table_of_nothing_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    console().print(table(("queue", "waiting"), []))
    assert "(none)" in capsys.readouterr().out


def test_a_narrow_terminal_shows_fewer_columns_and_no_id_in_pieces(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = ("conversation", "opened", "queue", "about")
    rows = [["01M8GAHT3SE32PCZ5V5NW6SWZG", "2026-11-28 05:37:50", "premium_support", "王五 " * 20]]
    for width, gone in ((160, ""), (80, "opened"), (60, "queue")):
        monkeypatch.setattr(output, "PIPE_COLUMNS", width)
        console().print(fitting(columns, rows, ("opened", "queue")))
        told = capsys.readouterr().out
        assert rows[0][0] in told
        assert max(map(cell_len, told.splitlines())) <= width
        assert not gone or gone not in told


def test_a_terminal_too_narrow_for_a_table_shows_a_line_a_column(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "PIPE_COLUMNS", 40)
    columns = ("node", "standing", "behind", "why", "address")
    rows = [
        ["n1", "catching_up", "12,345", "", "ws://10.0.0.1:7101/v1/ws"],
        ["n2", "serving", "0", "", "ws://10.0.0.2:7101/v1/ws"],
    ]
    console().print(fitting(columns, rows, ()))
    told = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["standing", "catching_up"] in told
    assert ["address", rows[1][-1]] in told
    assert not any("why" in line for line in told)
