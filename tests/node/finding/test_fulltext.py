"""The index of terms: what is found, page by page, and what is not any more."""

from collections.abc import Iterator, Sequence
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.state.model import Conversation
from node.finding.facets import Key
from node.finding.fulltext import FullText
from node.finding.texts import head_of, says_all, text_of
from node.finding.words import parts_of
from tests.node.finding.made import conversation, said, with_event


@pytest.fixture
def index() -> Iterator[FullText]:
    with closing(FullText()) as made:
        yield made


def found(
    index: FullText,
    query: str,
    *,
    everything: bool = True,
    newest: bool = True,
    only: Sequence[str] | None = None,
) -> list[int]:
    """The conversations that a question finds, as their numbers."""
    parts = parts_of(query)
    sought = index.seek(
        parts, beyond=None, newest=newest, limit=1_000, everything=everything, only=only
    )
    return [int(hit.cv[-10:]) for hit in sought.hits]


def test_words_of_both_languages_are_found_together_and_alone(index: FullText) -> None:
    index.add(
        [
            (said(conversation(1), "我的iPhone手机壳坏了", "我要退款"), None),
            (said(conversation(2), "refunds take long", "my order is late"), None),
            (said(conversation(3), "退货"), None),
        ]
    )
    assert found(index, "退款") == [1]
    assert found(index, "手机壳") == [1]
    assert found(index, "机壳坏") == [1]
    assert found(index, "退") == [3, 1]
    assert found(index, "坏 退款") == [1]  # of two messages
    assert found(index, "refund") == [2]
    assert found(index, "refund late") == [2]
    assert found(index, '"late order"') == []
    assert found(index, "壳手") == []
    assert found(index, "退", newest=False) == [1, 3]
    assert found(index, "退", only=[conversation(3).cv]) == [3]


def test_subject_name_tags_and_notes_are_found_but_not_all_by_visitors(index: FullText) -> None:
    one = conversation(
        1, subject="Parcel 7", visitor_name="王五", tags={"tier": "gold", "vip": True}
    )
    index.add([(said(one, "an angry one", hidden=True), None)])
    for query in ("parcel", "王五", "gold", "vip", "angry", "v1"):
        assert found(index, query) == [1], query
    for query in ("parcel", "王五"):
        assert found(index, query, everything=False) == [1], query
    for query in ("gold", "vip", "angry", "v1"):
        assert found(index, query, everything=False) == [], query


def test_what_was_rewritten_is_found_as_it_reads_now(index: FullText) -> None:
    one = said(conversation(1), "my card is 4111", "hello")
    index.add([(one, None)])
    assert found(index, "4111") == [1]
    one = with_event(one, "edit", mid="m1", body="my card is lost")
    index.add([(one, None)])
    assert found(index, "4111") == []
    assert found(index, "lost") == [1]
    one = with_event(one, "del", mid="m1")
    index.add([(one, None)])
    assert found(index, "lost") == []
    assert found(index, "hello") == [1]


def test_what_is_gone_is_not_found(index: FullText) -> None:
    index.add([(said(conversation(1), "parcel"), None), (said(conversation(2), "parcel"), None)])
    index.add([], [conversation(1).cv, conversation(9).cv])
    assert found(index, "parcel") == [2]
    assert index.texts == 2


def test_a_text_that_comes_twice_is_there_once(index: FullText) -> None:
    one = said(conversation(1), "parcel")
    text = text_of(one.tail[0])
    assert text is not None
    index.add([(one, None), (one, text), (one, text)])
    assert found(index, "parcel") == [1]
    assert index.texts == 2


@pytest.mark.parametrize("newest", [True, False])
def test_pages_hold_every_conversation_once_and_in_order(index: FullText, newest: bool) -> None:
    """More than one window of numbers, and a question whose parts are of different messages."""
    many = [
        said(conversation(number), "parcel" if number % 3 else "else", f"late {number}")
        for number in range(1, 2_000)
    ]
    index.add([(one, None) for one in many])
    wanted = [number for number in range(1, 2_000) if number % 3]
    beyond: Key | None = None
    seen: list[int] = []
    while True:
        sought = index.seek(
            parts_of("parcel late"), beyond=beyond, newest=newest, limit=70, everything=True
        )
        seen += [int(hit.cv[-10:]) for hit in sought.hits]
        beyond = sought.place
        if beyond is None:
            break
        assert sought.hits
    assert seen == (wanted[::-1] if newest else wanted)


def test_a_cursor_of_a_conversation_that_is_gone_goes_on_behind_it(index: FullText) -> None:
    index.add([(said(conversation(number), "parcel"), None) for number in (1, 2, 3)])
    index.add([], [conversation(2).cv])
    gone: Conversation = conversation(2)
    place = (gone.opened_ms, gone.cv)
    for newest, left in ((True, [1]), (False, [3])):
        sought = index.seek(
            parts_of("parcel"), beyond=place, newest=newest, limit=9, everything=True
        )
        assert [int(hit.cv[-10:]) for hit in sought.hits] == left


def test_time_that_is_over_ends_a_page_and_says_where_to_go_on(index: FullText) -> None:
    index.add(
        [(said(conversation(number), f"word{number % 700}"), None) for number in range(3_000)]
    )
    clock = iter(range(100))
    sought = index.seek(
        parts_of("word5"),
        beyond=None,
        newest=True,
        limit=9_999,
        everything=True,
        clock=lambda: float(next(clock)),
    )
    assert sought.place is not None
    seen = len(sought.hits)
    rest = index.seek(
        parts_of("word5"), beyond=sought.place, newest=True, limit=9_999, everything=True
    )
    assert seen + len(rest.hits) == len(found(index, "word5"))


def test_a_full_index_forgets_the_oldest() -> None:
    with closing(FullText(texts_max=10)) as index:
        index.add([(said(conversation(number), "parcel"), None) for number in range(1, 21)])
        assert index.texts <= 10
        assert found(index, "parcel") == [20, 19, 18, 17, 16]


WORDS = st.lists(
    st.sampled_from(["re", "refund", "refunds", "my", "退款", "机壳", "退"]), max_size=5
)


@given(text=WORDS, query=WORDS.filter(bool), exact=st.booleans())
def test_a_single_text_has_what_the_index_finds_in_it(
    text: list[str], query: list[str], exact: bool
) -> None:
    one, asked = conversation(1, subject=" ".join(text)), " ".join(query)
    parts = parts_of(f'"{asked}"' if exact else asked)
    with closing(FullText()) as index:
        index.add([(one, None)])
        sought = index.seek(parts, beyond=None, newest=True, limit=1, everything=True)
    assert says_all(head_of(one), parts) == bool(sought.hits)
