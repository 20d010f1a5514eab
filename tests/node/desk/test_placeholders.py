"""What is put in place of `{{visitor.name}}`."""

from hypothesis import given
from hypothesis import strategies as st

from cluster.state.model import Conversation
from cluster.state.route import Route, Step
from node.desk.placeholders import fill, unknown_in, values_of

CONVERSATION = Conversation(
    *("cv1", "ann", "王五", "web", "zh", "Parcel 7"),
    {"arpu": 6200.5, "vip": True, "langs": ["zh", "en"], "none": None},
    {"order": 7},
    0,
    route=Route((Step("refunds"),)),
)


def filled(text: str) -> tuple[str, list[str]]:
    return fill(text, values_of(CONVERSATION, "李雷"))


def test_what_is_known_of_a_conversation_is_filled_in() -> None:
    text = "{{visitor.name}}，{{ agent.name }}: {{subject}}, {{queue}}/{{channel}}, {{cv}}"
    assert filled(text) == ("王五，李雷: Parcel 7, refunds/web, cv1", [])


def test_tags_and_attributes_are_said_as_people_would() -> None:
    text = "{{tags.arpu}} {{tags.vip}} {{tags.langs}} {{attrs.order}}"
    assert filled(text) == ("6200.5 yes zh, en 7", [])


def test_what_nothing_is_known_of_stays_and_is_named_once() -> None:
    text = "{{tags.none}} {{attrs.gone}} {{attrs.gone}} {{nonsense}}"
    assert filled(text) == (text, ["tags.none", "attrs.gone", "nonsense"])


def test_what_a_visitor_calls_themselves_is_not_filled_in_again() -> None:
    text, missing = fill("Hello {{visitor.name}}", {"visitor.name": "{{cv}}", "cv": "secret"})
    assert (text, missing) == ("Hello {{cv}}", [])


def test_placeholders_that_are_none_are_named() -> None:
    text = "{{visitor.name}} {{tags.x}} {{ attrs.y }} {{visitor.nam}} {{tags.}} {{}}"
    assert unknown_in(text) == ["visitor.nam", "tags.", ""]


@given(st.text(alphabet="{} ab.", max_size=60))
def test_without_placeholders_a_text_stays_as_it_is(text: str) -> None:
    assert fill(text, {})[0] == text
