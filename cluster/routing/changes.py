"""What another set of rule files changes, by rule and queue.  No I/O.

    added     [rule.refunds]                     removed   [rule.vip]
    changed   [queue.general]                    moved     [rule.gold]: tried earlier or later

Tables are told apart as TOML sees them: comments and spaces change a file, and none of these.
A moved rule is one whose turn among the rules of both sets is another.
"""

from collections.abc import Mapping
from difflib import SequenceMatcher
from typing import Any, NamedTuple

from cluster.toml_source import Document

NAMED = frozenset({"queue", "rule", "hours", "sla"})
"""Kinds of tables that have a name each, [kind.NAME]; the others are one for the set."""


class Changes(NamedTuple):
    """Names of tables, as in `rule.vip`, in order."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()

    @property
    def none(self) -> bool:
        """Whether both sets say the same."""
        return not any(self)


def changes(old: Mapping[str, str], new: Mapping[str, str]) -> Changes:
    """Return what the files `new` change of `old`.  Raises `SourceError` for what is no TOML."""
    before, after = _tables(old), _tables(new)
    return Changes(
        tuple(sorted(after.keys() - before.keys())),
        tuple(sorted(before.keys() - after.keys())),
        tuple(sorted(name for name in before if after.get(name, before[name]) != before[name])),
        _moved(_order(before), _order(after)),
    )


def _tables(files: Mapping[str, str]) -> dict[str, Any]:
    """Return every table of a set by its name."""
    found: dict[str, Any] = {}
    for name, text in sorted(files.items()):
        for kind, table in Document(name, text).data.items():
            if kind in NAMED and isinstance(table, dict):
                found |= {f"{kind}.{inner}": value for inner, value in table.items()}
            elif isinstance(table, dict) and isinstance(found.get(kind), dict):
                found[kind] = found[kind] | table
            else:
                found[kind] = table
    return found


def _order(tables: Mapping[str, Any]) -> list[str]:
    """Return the rules in the order in which they are tried."""
    rules = {name: table for name, table in tables.items() if name.startswith("rule.")}
    return sorted(rules, key=lambda name: (-_priority(rules[name]), name))


def _priority(table: Any) -> int:
    value = table.get("priority", 0) if isinstance(table, dict) else 0
    return value if isinstance(value, int) else 0


def _moved(before: list[str], after: list[str]) -> tuple[str, ...]:
    both = set(before) & set(after)
    old = [name for name in before if name in both]
    new = [name for name in after if name in both]
    blocks = SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks()
    kept = {name for block in blocks for name in new[block.b : block.b + block.size]}
    return tuple(name for name in new if name not in kept)
