import tomllib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cluster.toml_places import Path, lines_of

TEXT = """\
top = 1

[rule.a]
set = { priority = 80, "x y".z = 1 } # [
when = '''
a = 1 [
'''
steps = [   # { not = "this" }
  { queue = "vip", for = "10s" },
  # a comment, with ] and {
  { queue = "a ] b", skills = { refund = 4 },
    need = 'x' }, 7,
]
[queue]
"""


def test_headers_keys_and_what_stands_in_brackets_have_lines() -> None:
    lines = lines_of(TEXT)
    steps: Path = ("rule", "a", "steps")
    assert lines[("top",)] == 1
    assert lines[("rule",)] == lines[("rule", "a")] == 3
    assert lines[("rule", "a", "set", "priority")] == lines[("rule", "a", "set", "x y", "z")] == 4
    assert lines[("rule", "a", "when")] == 5
    assert lines[steps] == 8
    assert lines[(*steps, 0)] == lines[(*steps, 0, "for")] == 9
    assert lines[(*steps, 1, "skills", "refund")] == 11
    assert lines[(*steps, 1, "need")] == lines[(*steps, 2)] == 12
    assert lines[("queue",)] == 14
    assert ("a",) not in lines
    assert ("rule", "a", "not") not in lines


def test_a_long_list_takes_no_long_look() -> None:
    assert len(lines_of("a = [\n" + "1,\n" * 40_000 + "]")) == 40_001


def paths(data: Any, path: Path = ()) -> list[Path]:
    items: list[tuple[Any, Any]] = []
    if isinstance(data, dict):
        items = list(data.items())
    elif isinstance(data, list):
        items = list(enumerate(data))
    inner = [one for key, value in items for one in paths(value, (*path, key))]
    return [*([path] if path else []), *inner]


words = st.sampled_from(["a", "b-c", "d_1"])
scalars = st.sampled_from(["1", '"[{\\""', "'#'", "true", "2026-10-01", '""', "1.5"])
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda of: "[ # x = [\n" + ",\n".join(of) + "\n]"),
        st.dictionaries(words, scalars, max_size=2).map(
            lambda of: "{" + ", ".join(f"{key} = {one}" for key, one in of.items()) + "}"
        ),
    ),
    max_leaves=6,
)


@given(st.dictionaries(words, values, max_size=4))
def test_everything_that_a_file_says_has_a_line_within_it(document: dict[str, str]) -> None:
    text = "[t]\n" + "\n".join(f"{key} = {value}" for key, value in document.items())
    data = tomllib.loads(text)
    lines = lines_of(text)
    assert set(paths(data)) == set(lines)
    assert all(1 <= line <= text.count("\n") + 1 for line in lines.values())


@given(st.text(max_size=60))
def test_any_text_has_some_lines(text: str) -> None:
    assert all(1 <= line <= text.count("\n") + 1 for line in lines_of(text).values())
