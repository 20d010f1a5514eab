"""Values beneath a condition, where they can be read."""

from typing import Any

import pytest
from rich.cells import cell_len

from cluster.routing.explain import Explained, explain
from cluster.routing.expression import Scope
from node.cli.beneath import WIDTH_MAX, beneath

SCOPE = Scope({})


def parts(explained: Explained, depth: int = 0) -> list[dict[str, Any]]:
    own = {"depth": depth, "start": explained.start, "end": explained.end, "says": explained.says}
    return [own, *(one for part in explained.parts for one in parts(part, depth + 1))]


def lines(source: str, **tags: Any) -> list[str]:
    condition = SCOPE.compile(source)
    contact = SCOPE.contact({"channel": "web", "subject": "退款"}, {"tags": tags})
    return beneath(source, parts(explain(condition, SCOPE, contact)))


def test_each_value_stands_below_its_part() -> None:
    assert lines('tags.arpu > 5000 && (channel == "web" || !has(tags.vip))', arpu=6200) == [
        'tags.arpu > 5000 && (channel == "web" || !has(tags.vip))',
        "true                 true",
        '6200                 true                not needed',
        '                     "web"',
    ]  # fmt: skip


def test_why_something_cannot_be_told_is_said_where_it_comes_up() -> None:
    assert lines("tags.arpu > 5000") == [
        "tags.arpu > 5000",
        "error: 'arpu' is missing",
    ]


def test_what_has_lines_of_its_own_becomes_a_list() -> None:
    found = lines("tags.arpu > 5000 ||\ntags.vip", arpu=100, vip=True)
    assert found[0].split() == ["tags.arpu", ">", "5000", "||", "tags.vip", "true"]
    assert found[1].split() == ["tags.arpu", ">", "5000", "false"]
    assert found[-1].split() == ["tags.vip", "true"]


@pytest.mark.parametrize("source", ['subject == "退款" && tags.x', 'tags.x && subject == "退"'])
def test_characters_of_two_columns_do_not_shift_what_follows(source: str) -> None:
    first, *rows = lines(source, x=True)
    at = cell_len(first[: first.index("tags.x")])
    assert any(cell_len(row[: row.index("true")]) == at for row in rows if "true" in row) or any(
        row[: len(row)].rstrip().endswith("not needed") for row in rows
    )
    assert all(cell_len(row) <= WIDTH_MAX * 2 for row in rows)
