"""Canned responses by what is typed: ranks, Chinese, and an index that follows the state."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.state.commands import By
from cluster.state.replies import Canned
from node.desk.canned_index import CannedIndex, text_in

SUE = By("supervisor", "sue")


def canned(shortcut: str, title: str = "-", queues: tuple[str, ...] = (), **texts: str) -> Canned:
    return Canned(shortcut, title, texts or {"en": "-"}, 1, SUE, 0, queues)


ALL = (
    canned("refund", "Refund time", en="Your refund takes 3 to 5 days.", zh="退款三到五天到账。"),
    canned("refund-no", "No refund", en="We cannot refund this."),
    canned("hello", "A greeting", en="Hello {{visitor.name}}", zh="您好，{{visitor.name}}"),
    canned("parcel", "Where is it", ("logistics",), en="On its way.", zh="包裹在路上，请稍候。"),
    canned("bye", "Goodbye", en="Goodbye, and thanks for the refund form."),
)


def index(*responses: Canned) -> CannedIndex:
    one = CannedIndex()
    one.sync({response.shortcut: response for response in responses or ALL})
    return one


def found(q: str, lang: str = "en", queue: str | None = None, limit: int = 20) -> list[str]:
    return [one.shortcut for one in index().find(q, lang, queue, limit)]


def test_the_shortcut_itself_is_first_then_those_that_begin_with_it_then_words() -> None:
    assert found("refund") == ["refund", "refund-no", "bye"]


def test_a_beginning_of_a_word_finds_it_and_the_title_counts_more_than_the_text() -> None:
    assert found("good") == ["bye"]
    assert found("time refu") == ["refund", "refund-no", "bye"]


def test_nothing_typed_is_all_of_them_by_shortcut() -> None:
    assert found("") == ["bye", "hello", "parcel", "refund", "refund-no"]
    assert found("", limit=2) == ["bye", "hello"]


def test_chinese_is_found_by_its_characters() -> None:
    assert found("退款", "zh") == ["refund"]
    assert found("退款多久到账", "zh") == ["refund"], "half of the pairs are there"
    assert found("包", "zh") == ["parcel"]
    assert found("天气", "zh") == []


def test_full_width_letters_and_capitals_are_the_same() -> None:
    assert found("ＲＥＦＵＮＤ")[0] == "refund"


def test_a_response_of_other_queues_is_not_found() -> None:
    assert "parcel" in found("", queue="logistics")
    assert "parcel" not in found("", queue="sales")
    assert "hello" in found("", queue="sales")


def test_a_text_in_the_language_asked_for_goes_first_among_equals() -> None:
    both = index(canned("a", "same", en="word"), canned("b", "same", zh="字", en="word"))
    assert [one.shortcut for one in both.find("same", "zh-CN", None, 9)] == ["b", "a"]
    assert [one.shortcut for one in both.find("same", "en", None, 9)] == ["a", "b"]


def test_the_nearest_language_is_shown() -> None:
    one = canned("a", zh="字", en="word", fr="mot")
    assert text_in(one, "zh-CN", "fr") == ("zh", "字")
    assert text_in(one, "de", "fr") == ("fr", "mot")
    assert text_in(one, "de") == ("en", "word")
    assert text_in(canned("a", zh="字", fr="mot"), "de") == ("fr", "mot")


def test_only_what_changed_is_looked_at() -> None:
    one = CannedIndex()
    state = {response.shortcut: response for response in ALL}
    assert one.sync(state) == len(ALL)
    assert one.sync(state) == 0
    copied: Any = {name: canned(**_fields(response)) for name, response in state.items()}
    assert one.sync(copied) == 0, "a snapshot brings equals"
    without = {name: response for name, response in copied.items() if name != "bye"}
    changed = {**without, "hello": canned("hello", "Another", en="Hi")}
    assert one.sync(changed) == 2
    assert one.find("visitor", "en", None, 9) == []
    assert [hit.shortcut for hit in one.find("another", "en", None, 9)] == ["hello"]


def _fields(response: Canned) -> dict[str, Any]:
    given = {"shortcut": response.shortcut, "title": response.title, "queues": response.queues}
    return {**given, **response.texts}


words = st.text(alphabet="ab 退款到", min_size=0, max_size=8)
states = st.dictionaries(
    st.sampled_from(["a", "ab", "b", "退"]),
    st.tuples(words, words.filter(str.strip), st.sampled_from([(), ("q",)])),
)


@settings(max_examples=200)
@given(st.lists(states, min_size=1, max_size=4), words)
def test_an_index_that_followed_says_what_a_new_one_does(
    history: list[dict[str, Any]], q: str
) -> None:
    followed = CannedIndex()
    made = {}
    for moment in history:
        made = {
            name: canned(name, title, queues, zh=text)
            for name, (title, text, queues) in moment.items()
        }
        followed.sync(made)
    new = CannedIndex()
    new.sync(dict(reversed(made.items())))
    for queue in (None, "q", "r"):
        assert followed.find(q, "zh", queue, 9) == new.find(q, "zh", queue, 9)
    assert followed.find(q, "zh", None, 9)[:1] == [made[q]] if q in made else True
