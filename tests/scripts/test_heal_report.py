"""The report of healing: what a trial comes to, how it is shown, and one row for real."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import trio

from cluster.heal import rules
from scripts.bench_faults import felt_s, longest_gap_s
from scripts.heal_report import folders, signs, table
from scripts.heal_report.__main__ import run, to_json
from scripts.heal_report.rows import ROWS, chosen
from scripts.heal_report.verdict import Outcome, Trial, is_good, median_heal_s
from wal.disk import FileDisk
from wal.identity import claim
from wal.inspect import inspect
from wal.log import Log
from wal.record import Entry

WELL = Trial(
    seen="n1: no majority", done="fence", noted=True, detected_s=0.5, healed_s=1.0, acknowledged=100
)


def outcome(*trials: Trial, row: str = "1a", resync: bool = False, by_hand: str = "") -> Outcome:
    return Outcome(row, "leader cut off", "end", resync, by_hand, trials)


# -- verdicts


def test_a_trial_that_detects_heals_and_notes_is_healed() -> None:
    assert WELL.verdict == "healed"


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({"lost": ["lost: cv 1"]}, "lost"),
        ({"not_injected": "no C compiler"}, "not injected"),
        ({"trouble": ["n2 does not serve"]}, "not healed"),
        ({"healed_s": None}, "not healed"),
        ({"detected_s": None}, "not healed"),
        ({"noted": False}, "not noted"),
    ],
)
def test_whatever_is_missing_is_no_success(change: dict[str, object], verdict: str) -> None:
    trial = replace(WELL, **change)  # type: ignore[arg-type]
    assert trial.verdict == verdict
    assert not is_good([outcome(trial)])
    assert outcome(trial).problems


def test_no_file_is_named_by_a_folder_that_is_gone() -> None:
    trial = replace(WELL, seen="n2: /tmp/x1/data/n2/1.wal: corrupt", trouble=["/tmp/x1/n2.log"])
    trial.forget("/tmp/x1")
    assert (trial.seen, trial.trouble) == ("n2: data/n2/1.wal: corrupt", ["n2.log"])


def test_a_loss_is_worse_than_all_else() -> None:
    trial = replace(WELL, lost=["lost: cv 1"], not_injected="nothing", trouble=["much"])
    assert trial.verdict == "lost"


def test_the_worst_trial_is_the_rows_verdict() -> None:
    found = outcome(WELL, replace(WELL, noted=False), replace(WELL, lost=["lost: cv 1"]))
    assert found.verdict == "lost"
    assert found.lost == 1


def test_a_rows_times_are_medians_and_the_longest_is_beside_them() -> None:
    times = (1.0, 2.0, 9.0)
    found = outcome(*(replace(WELL, healed_s=time, stall_s=time / 10) for time in times))
    assert (found.healed_s, found.healed_s_max, found.stall_s) == (2.0, 9.0, 0.9)


def test_resyncs_and_what_people_decide_are_not_in_the_median() -> None:
    quick = outcome(replace(WELL, healed_s=1.0))
    resync = outcome(replace(WELL, healed_s=60.0), row="6d", resync=True)
    asked = outcome(replace(WELL, healed_s=90.0), row="17", by_hand="recover")
    assert median_heal_s([quick, resync, asked]) == 1.0
    assert is_good([quick, resync, asked])


def test_rows_that_heal_too_late_in_the_median_are_not_good() -> None:
    assert not is_good([outcome(replace(WELL, healed_s=5.0))])
    assert not is_good([])


# -- rows


def test_every_rule_has_a_row_and_every_row_a_name_of_its_own() -> None:
    preference = rules.LONELY  # where leaders like to be: nothing is broken, so nothing is injected
    assert {row.number for row in ROWS} == set(rules.RULES) - {preference}
    assert len({row.name for row in ROWS}) == len(ROWS)


def test_rows_are_chosen_by_number_or_by_name() -> None:
    assert [row.name for row in chosen("3, 1b")] == ["1b", "3a", "3b", "3c"]
    assert chosen("") == list(ROWS)
    with pytest.raises(ValueError, match="no row '18'; there are 1a"):
        chosen("18")


# -- what is shown


def test_the_table_names_what_is_wrong_below_it() -> None:
    shown = table.terminal([outcome(WELL), outcome(replace(WELL, noted=False), row="2")])
    assert "1.00 s" in shown
    assert "  2: the heal log has no line of this rule" in shown
    assert shown.endswith("0 of 200 acknowledged writes lost")
    assert "1 of 2 rows healed; median 1.00 s" in shown


def test_what_follows_from_what_is_wrong_is_counted_and_not_shown() -> None:
    problems = [f"n{number} does not tell a history" for number in range(20)]
    shown = table.terminal([outcome(replace(WELL, trouble=problems))])
    assert shown.count("does not tell") == table.PROBLEMS_MAX
    assert "  1a: and 16 more, in the JSON" in shown


def test_the_page_has_the_nodes_own_words_and_survives_a_bar_in_them() -> None:
    page = table.page([outcome(replace(WELL, seen="a|b", lost=["x"]))], "make it", "a machine")
    assert "a\\|b" in page
    assert "```console\nmake it\n```" in page
    assert "## What is wrong\n\n- 1a: x" in page


def test_the_json_has_every_trial() -> None:
    found = json.loads(to_json([outcome(WELL, WELL)]))
    assert found["good"] is True
    assert len(found["rows"][0]["trials"]) == 2
    assert found["rows"][0]["trials"][0]["verdict"] == "healed"


# -- signs


def test_lines_of_a_log_are_read_as_they_come_whole(tmp_path: Path) -> None:
    async def read() -> list[signs.Line]:
        logs = signs.Logs()
        log = tmp_path / "n1.log"
        logs.follow("n1", log)
        logs.read()
        log.write_text(
            '{"event": "heal", "rule": 1, "seen": "none heard"}\nTraceback\n{"event": "h'
        )
        logs.read()
        assert [line.event for line in logs.lines] == ["heal"]
        with log.open("a") as file:
            file.write('alf"}\n')
        logs.read()
        return logs.lines

    lines = trio.run(read)
    assert [line.event for line in lines] == ["heal", "half"]
    assert signs.heal(1)(lines[0]) == "n1: none heard"
    assert signs.heal(2)(lines[0]) is None


def test_signs_are_words_of_a_node() -> None:
    line = signs.parse(b'{"event": "standing", "now": "fenced", "why": "alone"}', "n2", 1.0)
    assert line is not None
    assert signs.standing("fenced")(line) == "n2: fenced: alone"
    assert signs.standing("serving")(line) is None
    assert signs.event("standing", "alone")(line) == "n2: standing: alone"
    assert signs.event("standing", "together")(line) is None
    assert signs.parse(b"[1]", "n2", 1.0) is None


# -- damage


def log_of(data: Path) -> None:
    """Write a log of six frames."""
    disk = FileDisk(data)
    log, _ = Log.open(disk, identity=claim(disk, "c", "n1"))
    for index in range(2, 8):
        log.append(Entry(index, 1, bytes(300)))
        log.sync()
    log.close()
    disk.close()


@pytest.mark.parametrize(
    ("damage", "verdict", "entries"),
    [
        (folders.tear_tail, "torn", 6),
        (folders.lose_tail, "clean", 3),
        (folders.flip_in_log, "corrupt", None),
    ],
    ids=["torn", "lost", "rotten"],
)
def test_damage_is_what_it_is_called(
    tmp_path: Path, damage: Callable[[Path], None], verdict: str, entries: int | None
) -> None:
    log_of(tmp_path)
    assert inspect(tmp_path).verdict == "clean"
    damage(tmp_path)
    found = inspect(tmp_path)
    assert found.verdict == verdict
    assert (found.log.entries if found.log is not None else None) == entries


# -- for real


@pytest.mark.slow
@pytest.mark.process
def test_a_row_on_real_nodes_loses_nothing_and_says_what_was_seen() -> None:
    """The quickest row, so that the report cannot rot."""
    (row,) = chosen("13b")
    (found,) = trio.run(partial(run, [row], 1, within_s=60))
    assert found.verdict in ("healed", "not noted"), found.problems
    assert "peer protocol" in found.seen
    assert found.acknowledged >= 40
    assert found.lost == 0


# -- gaps


def test_the_longest_gap_counts_from_the_begin_and_to_the_end() -> None:
    assert longest_gap_s([1.0, 2.0, 2.5], 0.5, 6.0) == 3.5
    assert longest_gap_s([], 0.0, 6.0) == 6.0
    assert longest_gap_s([4.0, 5.0], 0.0, 5.5) == 4.0


def test_a_fault_is_felt_until_writes_take_what_they_took_before() -> None:
    usual = [(number / 100, 0.01) for number in range(100)]
    assert felt_s([*usual, (1.5, 0.01)], 1.0, 9.0) == 0.0
    assert felt_s([*usual, (2.0, 0.9), (3.0, 0.01)], 1.0, 9.0) == 1.0
