import pytest

from cluster.routing.expression import QUEUE, Scope
from cluster.routing.needs import NEEDS_MAX, compile_requirement, need_of
from cluster.routing.skips import QueueFigures, Skips

CONTACT = Scope({}).contact({"lang": "zh"}, {"tags": {"tier": "gold"}})
EMPTY = QueueFigures(0, 3, 120)
STAFFED = QueueFigures(2, 0, 0)


def skip(source: str) -> str:
    return need_of(compile_requirement(Scope({}, beside=QUEUE), source), CONTACT)


@pytest.mark.parametrize(
    ("source", "empty", "staffed"),
    [
        ("queue.available == 0", True, False),
        ("queue.waiting > 2 && queue.longest_wait_s >= 120", True, False),
        ('queue.available == 0 && tags.tier != "gold"', False, False),
        ('lang == "zh"', True, True),
        ("queue.available == tags.nothing", False, False),
    ],
)
def test_a_step_is_skipped_by_what_its_queue_is_like(
    source: str, empty: bool, staffed: bool
) -> None:
    skips, text = Skips(), skip(source)
    assert skips.verdict(text, EMPTY).matched is empty
    assert skips.verdict(text, STAFFED).matched is staffed


def test_what_cannot_be_told_is_not_skipped_and_says_why() -> None:
    assert Skips().verdict("", EMPTY) == (False, "")
    assert Skips().verdict(skip("queue.available == tags.no"), EMPTY) == (False, "'no' is missing")
    assert Skips().verdict("[", EMPTY).why == "no need: ["


def test_what_is_remembered_is_bounded() -> None:
    skips = Skips()
    for number in range(NEEDS_MAX + 5):
        skips.verdict(f"{number}", EMPTY)
    assert len(skips._read) == NEEDS_MAX
