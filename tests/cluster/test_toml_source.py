import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.toml_source import (
    DEPTH_MAX,
    SHOWN_MAX,
    Document,
    Path,
    Place,
    SourceError,
    SourceErrors,
    caret_under,
    did_you_mean,
    shown,
)

TEXT = """\
# a comment
top = 1
[rule.vip]   # a header with a comment
when = '''
  first = 1 &&
  second'''
"quoted key".inner = 2

  [ queue . 'a b' ]
  accept = "20s"
[[list]]
name = "x"
"""


def syntax_error(text: str) -> SourceError:
    with pytest.raises(SourceError) as failure:
        Document("main.toml", text)
    return failure.value


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ((), 1),
        (("top",), 2),
        (("rule",), 3),
        (("rule", "vip"), 3),
        (("rule", "vip", "when"), 4),
        (("rule", "vip", "quoted key", "inner"), 7),
        (("rule", "vip", "first"), 3),
        (("rule", "vip", "when", "deeper"), 4),
        (("queue", "a b", "accept"), 10),
        (("list", 0, "name"), 12),
        (("nowhere",), 1),
    ],
)
def test_a_path_is_found_on_its_line_or_on_that_of_the_nearest_above(path: Path, line: int) -> None:
    assert Document("main.toml", TEXT).place(path) == Place("main.toml", line)


@pytest.mark.parametrize(
    ("text", "value", "offset", "line", "column"),
    [
        ("when = 'abc'", "abc", 2, 1, 11),
        ('a = 1\nwhen = "a\\tbc"', "a\tbc", 2, 2, 0),
        ("when = '''\nab\ncd'''", "ab\ncd", 3, 3, 1),
        ("when = '''ab\r\ncd'''", "ab\ncd", 3, 1, 0),
        ('when = "\\u0061"\n\n\n# a', "a", 0, 1, 0),
    ],
)
def test_a_place_inside_a_string_is_found_where_it_is_written_plainly(
    text: str, value: str, offset: int, line: int, column: int
) -> None:
    document = Document("main.toml", text)
    assert document.data["when"] == value
    assert document.place_in(("when",), value, offset) == Place("main.toml", line, column)


def test_an_error_says_where_what_and_how_to_mend() -> None:
    document = Document("main.toml", TEXT)
    error = document.error(("queue", "a b", "accept"), "too short", "use 20s")
    assert str(error) == "main.toml:10: too short; use 20s"
    assert str(document.error((), "nothing to say")) == "main.toml:1: nothing to say"
    assert str(Place("main.toml", 3, 7)) == "main.toml:3:7"


def test_errors_are_told_in_the_order_of_their_places() -> None:
    late = SourceError(Place("b.toml", 1), "b")
    early = SourceError(Place("a.toml", 10), "a")
    earlier = SourceError(Place("a.toml", 9), "a")
    errors = SourceErrors([late, early, earlier])
    assert errors.errors == [earlier, early, late]
    assert str(errors) == "a.toml:9: a\na.toml:10: a\nb.toml:1: b"


def test_a_syntax_error_points_with_a_caret() -> None:
    error = syntax_error("a = 1\nbad here\n")
    assert (error.place.file, error.place.line) == ("main.toml", 2)
    _, line, caret, mend = str(error).splitlines()
    assert line == "    bad here"
    assert caret == "        ^"
    assert mend == '    write name = value, as in route = "general"'


@pytest.mark.parametrize("text", ["a = [", "[", "a = '''", "=", "a = 1\r\r\n[", "\x00"])
def test_a_syntax_error_at_the_end_or_in_odd_lines_has_a_place(text: str) -> None:
    error = syntax_error(text)
    assert 1 <= error.place.line <= max(1, len(text.splitlines()))
    assert error.mend


def test_what_has_no_utf_8_form_is_refused_with_its_line() -> None:
    error = syntax_error("a = 1\nb = '\udc80'\n")
    assert (error.place.line, error.mend) == (2, "save the file as UTF-8")


def test_the_same_key_twice_is_refused_with_its_line() -> None:
    error = syntax_error("[rule.a]\nx = 1\n[rule.a]\n")
    assert error.place.line == 3
    assert error.problem.startswith("[rule.a] is here a second time")


def test_of_a_long_line_the_part_around_the_mistake_is_shown() -> None:
    error = syntax_error("a = [" + "1, " * 1_000 + "?, " + "1, " * 1_000 + "]")
    assert len(str(error)) < 500
    line, caret = str(error).splitlines()[1:3]
    assert line[caret.index("^")] == "?"


def test_a_byte_order_mark_is_no_mistake() -> None:
    assert Document("main.toml", "\ufeffa = 1").data == {"a": 1}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a = " + "[" * 20_000 + "]" * 20_000, "nested deeper than 20"),
        ("a = " + "{a = " * 5_000 + "1" + "}" * 5_000, "nested deeper than 20"),
        ("a" + ".a" * 60_000 + " = 1", "nested deeper than 20"),
        ("[" + "'a' . \"b\"." * 20_000 + "c]", "nested deeper than 20"),
        ("a = " + "9" * 10_000, "integer string conversion"),
    ],
)
def test_a_file_that_means_harm_is_refused(text: str, problem: str) -> None:
    began_s = time.process_time()
    assert problem in syntax_error(text).problem
    assert time.process_time() - began_s < 1.0


def test_a_key_of_too_many_parts_is_refused_with_its_line() -> None:
    assert syntax_error("a = 1\n\nb" + ".b" * DEPTH_MAX + " = 1").place.line == 3


def test_tables_up_to_the_depth_that_is_allowed_are_read() -> None:
    Document("main.toml", ".".join("a" * (DEPTH_MAX - 1)) + " = 1")
    syntax_error(".".join("a" * (DEPTH_MAX + 1)) + " = 1")
    syntax_error("a = " + "[" * 2 * DEPTH_MAX + "]" * 2 * DEPTH_MAX)


@pytest.mark.parametrize(
    "line",
    ["#[" + " " * 100_000, "a = '[" + "] " * 50_000 + "'", "#" * 99, f"a = '{'x' * 120_000}'"],
)
def test_a_long_line_is_indexed_in_no_time(line: str) -> None:
    began_s = time.process_time()
    Document("main.toml", line)
    assert time.process_time() - began_s < 1.0


def test_a_near_name_is_proposed_or_else_all_there_are() -> None:
    assert did_you_mean("prioirty", ["priority", "when"]) == "did you mean 'priority'?"
    assert did_you_mean("xyz", ["b", "a"]) == "known are: a, b"
    assert did_you_mean("xyz", []) == "nothing is known here"


def test_long_text_is_cut() -> None:
    assert shown("x" * SHOWN_MAX) == "x" * SHOWN_MAX
    assert shown("x" * (SHOWN_MAX + 1)) == "x" * (SHOWN_MAX - 3) + "..."
    assert caret_under("ab\tc", 4) == "    ab c\n       ^"


pieces = st.sampled_from(
    ["[a]", "[[a]]", "[a.b]", "a = 1", "b = '''", "'''", '"""', "c.d = {e = [1, 2]}", "x = '", "#"]
)


@given(text=st.one_of(st.text(max_size=60), st.lists(pieces, max_size=12).map("\n".join)))
@settings(max_examples=300, deadline=None)
def test_any_text_is_read_or_refused_with_a_place(text: str) -> None:
    lines = [1]
    try:
        document = Document("main.toml", text)
    except SourceError as error:
        lines = [error.place.line]
    else:
        lines += [document.place((key,)).line for key in document.data]
    assert 1 <= min(lines) <= max(lines) <= max(1, len(text.splitlines()))
