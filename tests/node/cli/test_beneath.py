"""Values beneath a condition, where they can be read."""

from typing import Any

from rich.cells import cell_len

from cluster.routing.explain import Explained, explain
from cluster.routing.expression import Scope
from node.cli.beneath import beneath

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


def test_characters_of_two_columns_do_not_shift_what_follows() -> None:
    first, row, *_ = lines('subject == "退款" && tags.x', x=False)
    assert row.endswith("false")
    assert cell_len(row[:-5]) == cell_len(first[: first.index("tags.x")])
