import pytest

from cluster.toml_source import Document, SourceError


@pytest.mark.parametrize(
    ("text", "line", "problem", "mend"),
    [
        ("a = “x”", 1, "“ is no straight quote", "English keyboard"),
        ("[r]\nwhen = lang == 'zh'", 2, "'when' without quotes", "when = '...'"),
        ("route = general", 1, "'general' is no value", '"general"'),
        ("a =", 1, "a name without a value", "name = value"),
        ("a = [", 1, "a value ends too early", "close what is open"),
        ('a = "x\nb = 1', 1, "a quote is not closed", "closing quote"),
        ("[a]\n[b]\n[a]", 3, "[a] is here a second time", "rename one"),
        ("a = 1\na = 2\nb = 3", 2, "this key is here a second time", "remove one"),
        ("[a b]", 1, "a name with blanks or signs", "a-z"),
        ("[a", 1, "a table's name is not closed", "closing ]"),
        ("a = [\n1\n2 ]", 3, "a list is not closed, or lacks a comma", "add ,"),
        ("a = { b = 1 c = 2 }", 1, "a table is not closed, or lacks a comma", "add ,"),
        ("a = [{ b = 1,\n c = 2 }]", 1, "a table in { } ends too early", "on one line"),
        ("when lang", 1, "a name without a value", "name = value"),
        ('a = "b == "c""', 1, "too much on one line", "write '...'"),
        ('a = "\\q"', 1, "Unescaped", "mend the TOML there"),
    ],
)
def test_a_mistake_is_said_in_words_with_its_line_and_a_mend(
    text: str, line: int, problem: str, mend: str
) -> None:
    with pytest.raises(SourceError) as failure:
        Document("main.toml", text)
    error = failure.value
    assert (error.place.line, mend in error.mend) == (line, True), str(error)
    assert error.problem.startswith(problem)
