import re
from pathlib import Path

import pytest

from cluster.routing.expression import Scope
from cluster.routing.ruleset import compile_rules
from cluster.toml_source import SourceErrors

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "reference" / "routing.md"
EXAMPLES = sorted((ROOT / "docs" / "examples" / "routing").glob("*.toml"))


def blocks(language: str) -> list[str]:
    page = PAGE.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


BLOCKS = blocks("toml")


def test_there_is_something_to_check() -> None:
    assert len(EXAMPLES) >= 1
    assert len(BLOCKS) >= 4


def test_the_examples_are_one_rule_set_whose_tests_hold() -> None:
    rules = compile_rules({path.name: path.read_text(encoding="utf-8") for path in EXAMPLES})
    assert sum(len(rule.tests) for rule in rules.rules) >= 5
    assert all(rule.tests for rule in rules.rules)


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_of_the_reference_loads(block: str) -> None:
    assert compile_rules({"main.toml": block}).rules


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
