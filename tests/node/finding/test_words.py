"""Terms of texts in languages with and without spaces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.finding.texts import cut_out
from node.finding.words import parts_of, terms_of


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("Where is my parcel?", "where is my parcel"),
        ("iPhone手机壳坏了", "iphone 手机 机壳 壳坏 坏了 了"),
        ("退款", "退款 款"),
        ("１２３ ﬁne", "123 fine"),  # compatible forms
        ("snake_case, e-mail", "snake case e mail"),
        ("Straße", "strasse"),
        ("ｶﾅ한글", "カナ ナ한 한글 글"),
        ("สวัสดี", "สว วั ัส สด ดี ี"),
        ("👍 !?", ""),
    ],
)
def test_a_text_is_its_terms(text: str, terms: str) -> None:
    assert terms_of(text) == terms.split()


@pytest.mark.parametrize(
    ("query", "parts"),
    [
        ("refund", [(("refund",), True)]),
        ("退款", [(("退款",), False)]),
        ("手机壳", [(("手机", "机壳"), False)]),
        ("坏", [(("坏",), True)]),
        ('"my order" late', [(("my", "order"), False), (("late",), True)]),
        ('"unclosed quote', [(("unclosed", "quote"), False)]),
        ("a ?", [(("a",), False)]),
        ('"" ()*:^"', []),
    ],
)
def test_a_question_is_what_it_asks_for(
    query: str, parts: list[tuple[tuple[str, ...], bool]]
) -> None:
    assert [(part.terms, part.open_ended) for part in parts_of(query)] == parts


@given(st.text())
def test_terms_hold_nothing_that_a_question_could_be_broken_with(text: str) -> None:
    for term in terms_of(text):
        assert term
        assert not set(term) & set('"*():^-+ _')


@given(st.text(), st.text(min_size=1), st.text())
def test_a_snippet_is_cut_out_of_the_text(before: str, found: str, after: str) -> None:
    text = before + found + after
    cut = cut_out(text, [found])
    assert (cut.before + cut.found + cut.after).strip("…") in text.strip("…") + "…"


def test_a_snippet_shows_what_was_asked_for() -> None:
    assert cut_out("Please REFUND my order", ["refund"]) == ("Please ", "REFUND", " my order")
    assert cut_out("我要退款，谢谢", ["退款"]) == ("我要", "退款", "，谢谢")
    long = "x " * 100 + "here" + " y" * 100
    cut = cut_out(long, ["here"])
    assert cut.before.startswith("…")
    assert cut.after.endswith("…")
    assert len(cut.before) + len(cut.after) < 130
    assert cut_out("nothing of it", ["else"]) == ("", "", "nothing of it")
