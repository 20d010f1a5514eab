"""Files of canned responses: mistakes by line, and what is written is read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.toml_source import SourceErrors
from node.cli.canned_file import Written, as_toml, read_text

FILE = """\
[canned.refund-time]
title   = "How long a refund takes"
queues  = ["refunds"]
text.en = "3 to 5 days, {{visitor.name}}."
text.zh = "三到五天"
"""


def test_a_file_is_read_as_it_is_written() -> None:
    (one,) = read_text("canned.toml", FILE)
    assert one == Written(
        "refund-time",
        "How long a refund takes",
        {"en": "3 to 5 days, {{visitor.name}}.", "zh": "三到五天"},
        ["refunds"],
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[cannned.a]\ntitle = 'x'\n", "f.toml:1: unknown table 'cannned'"),
        (
            "[canned.a]\ntitle = 'x'\ntexts.en = 'y'\n",
            "f.toml:3: unknown key 'texts'; did you mean",
        ),
        ("[canned.a]\ntext.en = 'y'\n", "f.toml:1: needs a title"),
        ("[canned.a]\ntitle = 'x'\n", 'needs texts; add text.en = "..."'),
        ("[canned.a]\ntitle = 'x'\ntext = 'y'\n", "f.toml:3: needs texts"),
        ("[canned.a]\ntitle = 'x'\ntext.en = 'y'\nqueues = 'q'\n", "f.toml:4: queues is no list"),
        ("[canned.a]\ntitle = 'x'\ntext.en = '{{nam}}'\n", "{{nam}} is no placeholder"),
        ("[canned.'a b']\ntitle = 'x'\ntext.en = 'y'\n", "f.toml:1: shortcut: 1 to 64 letters"),
        ("[canned]\na = 1\n", "f.toml:2: 'a' is no table"),
        ("canned = 1\n", "f.toml:1: is no table"),
        ("[canned.a\n", "f.toml:1"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_mend(text: str, said: str) -> None:
    with pytest.raises(SourceErrors) as refused:
        read_text("f.toml", text)
    assert said in str(refused.value)


def test_all_mistakes_are_named_at_once() -> None:
    with pytest.raises(SourceErrors) as refused:
        read_text("f.toml", "[canned.a]\ntitle = 'x'\n[canned.b]\ntext.en = 'y'\n")
    assert [error.place.line for error in refused.value.errors] == [1, 3]


texts = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="{"), min_size=1
).filter(str.strip)
shortcuts = st.from_regex(r"[a-z0-9退][a-z退./_-]{0,9}", fullmatch=True)


@given(
    st.dictionaries(
        shortcuts,
        st.tuples(
            texts.filter(lambda one: len(one.encode()) < 256),
            st.dictionaries(st.sampled_from(["en", "zh", "pt-BR"]), texts, min_size=1),
            st.lists(st.text("q。-", min_size=1, max_size=5), max_size=2),
        ),
        max_size=4,
    )
)
def test_what_is_exported_is_what_is_imported(
    responses: dict[str, tuple[str, dict[str, str], list[str]]],
) -> None:
    written = [Written(shortcut, *fields) for shortcut, fields in responses.items()]
    exported = as_toml(one._asdict() for one in written)
    assert read_text("f.toml", exported) == written
