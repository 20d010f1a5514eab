import re
import tomllib
from pathlib import Path

import pytest

from cluster.routing.expression import Scope
from cluster.routing.reading import KEYS, STEP_KEYS
from cluster.routing.ruleset import compile_rules
from cluster.toml_source import SourceErrors
from tests.cluster.routing import mistakes

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "reference" / "routing.md"
EXAMPLES = sorted((ROOT / "docs" / "examples" / "routing").glob("*.toml"))


def blocks(language: str, page: Path = PAGE) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


BLOCKS = [*blocks("toml"), *blocks("toml", mistakes.PAGE)]


def test_there_is_something_to_check() -> None:
    assert len(EXAMPLES) >= 1
    assert len(BLOCKS) >= 12


def test_the_examples_are_one_rule_set_whose_tests_hold() -> None:
    rules = compile_rules({path.name: path.read_text(encoding="utf-8") for path in EXAMPLES})
    assert sum(len(rule.tests) for rule in rules.rules) >= 5
    assert all(rule.tests for rule in rules.rules)
    assert rules.warnings == ()


def test_the_examples_show_every_kind_of_table_and_most_keys() -> None:
    data = [tomllib.loads(path.read_text(encoding="utf-8")) for path in EXAMPLES]
    shown = {kind for document in data for kind in document}
    assert shown == set(KEYS)
    keys = {
        key
        for document in data
        for table in (*document.get("rule", {}).values(), *document.get("queue", {}).values())
        for key in table
    }
    assert {"steps", "overflow", "mode", "closed", "hours", "aging", "wrap_up", "set"} <= keys


def test_every_key_is_in_the_reference() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for key in {key for keys in KEYS.values() for key in keys} | set(STEP_KEYS):
        assert f"`{key}`" in page, key


def test_the_ten_mistakes_of_the_how_to_are_what_is_said() -> None:
    """`python -m tests.cluster.routing.mistakes` writes them anew."""
    page = mistakes.PAGE.read_text(encoding="utf-8")
    assert page == mistakes.replaced(page)
    assert len(mistakes.MISTAKES) == 10


@pytest.mark.parametrize(("title", "text"), mistakes.MISTAKES.items())
def test_each_mistake_is_named_with_its_line_and_a_mend(title: str, text: str) -> None:
    for line in re.findall(r"^main\.toml:(\d+)", mistakes.said(text), re.MULTILINE):
        assert 1 <= int(line) <= text.count("\n") + 1, title


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_of_the_pages_loads(block: str) -> None:
    assert compile_rules({"main.toml": block}).rules


def test_the_how_to_followed_from_top_to_bottom_is_one_file_that_loads() -> None:
    """A rule takes the place of the one before; other tables get the lines that are new."""
    file: dict[str, list[str]] = {}
    for block in blocks("toml", mistakes.PAGE):
        for table in re.split(r"^(?=\[[a-z])", block, flags=re.MULTILINE)[1:]:
            head, *lines = table.splitlines()
            kept = [] if head.startswith("[rule.") else file.get(head, [])
            file[head] = kept + [line for line in lines if line not in kept]
    text = "\n".join(line for head, lines in file.items() for line in (head, *lines))
    rules = compile_rules({"main.toml": text})
    tried = [rule.name for rule in rules.rules]
    assert tried == ["weekend_refunds", "new_model", "refund", "vip_user"]
    assert rules.warnings == ()


def test_the_conditions_in_the_table_of_the_reference_compile() -> None:
    table = PAGE.read_text(encoding="utf-8").split("| write | for |")[1].split("\n\n")[0]
    written = [row.split(" | ")[0] for row in table.splitlines()[2:]]
    conditions = [one.replace("\\|", "|") for row in written for one in re.findall("`(.+?)`", row)]
    conditions = [one for one in conditions if len(one) > 2]
    assert len(conditions) >= 12
    for condition in conditions:
        Scope({}).compile(condition)


def test_the_mistake_that_the_reference_shows_is_what_is_said() -> None:
    shown = blocks("text")[0]
    text = "[rule.vip_user]\nwhen = 'tagz.arpu > 5000'\nroute = 'premium_support'\n"
    with pytest.raises(SourceErrors) as failure:
        compile_rules({"main.toml": text})
    assert str(failure.value) == shown.rstrip("\n")
