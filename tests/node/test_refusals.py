"""Which rule refused: none is left out, and all that are named have a meaning."""

import ast
from collections.abc import Iterator
from pathlib import Path

from node.protocol.refusals import MEANING

ROOT = Path(__file__).parents[2]
OF_ACCESS = frozenset({"unauthorized", "forbidden", "not_owner", "rate_limited"})
REFUSES = frozenset({"no", "NotAllowed", "refuse", "refusal", "_refuse", "BadToken"})


def refusals() -> Iterator[tuple[str, ast.Call]]:
    """Every call that refuses, and where it is."""
    for folder in ("cluster/state", "node/desk", "node"):
        for path in sorted((ROOT / folder).glob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and _name(node.func) in REFUSES:
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", node


def _name(function: ast.expr) -> str:
    return getattr(function, "id", "") or getattr(function, "attr", "")


def _literals(call: ast.Call) -> set[str]:
    return {
        node.value
        for argument in (*call.args, *(keyword.value for keyword in call.keywords))
        for node in ast.walk(argument)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def test_every_refusal_of_access_in_the_source_names_a_rule() -> None:
    found = 0
    for where, call in refusals():
        said = _literals(call)
        if not said & OF_ACCESS:
            continue
        found += 1
        computed = {"rule", "RATE", "data", "error"}
        names = {
            _name(node) for node in ast.walk(call) if isinstance(node, ast.Name | ast.Attribute)
        }
        assert said & MEANING.keys() or names & computed, where
    assert found > 15


def test_every_rule_is_used_and_explained() -> None:
    source = "".join(
        path.read_text()
        for folder in ("cluster/state", "node/desk", "node")
        for path in sorted((ROOT / folder).glob("*.py"))
        if path.name != "outcome.py"
    )
    for rule, meaning in MEANING.items():
        assert f'"{rule}"' in source, rule
        assert meaning.endswith(".")
