"""Canned responses in the state: who writes them, and what they may hold."""

from typing import Any

import pytest

from cluster.state import commands as c
from cluster.state import limits
from tests.cluster.state.desk import ANN, BOB, OPS, SUE, Desk

TEXTS = {"en": "Hello {{visitor.name}}", "zh": "您好，{{visitor.name}}"}


def put(by: c.By = SUE, key: str = "k", **fields: Any) -> c.PutCanned:
    given: dict[str, Any] = {"shortcut": "hello", "title": "A greeting", "texts": TEXTS}
    return c.PutCanned(by, key, **given | fields)


def test_a_response_is_written_anew_by_its_revision_and_noted() -> None:
    desk = Desk()
    assert desk.done(put(rev_expected=0)) == {"shortcut": "hello", "rev": 1}
    assert desk.done(put(OPS, "k2", title="Another", rev_expected=1))["rev"] == 2
    refused = desk.refused(put(key="k3", rev_expected=1))
    assert (refused.code, refused.data["rev"]) == ("conflict", 2)
    one = desk.state.canned["hello"]
    assert (one.title, one.texts, one.by) == ("Another", TEXTS, OPS)
    lines = [(line.what, line.detail) for line in desk.state.audit if line.what == "canned.put"]
    assert lines[-1] == ("canned.put", {"shortcut": "hello", "rev": 2, "node": "n1"})


def test_a_response_is_taken_away() -> None:
    desk = Desk()
    desk.done(put())
    before = desk.state.canned
    gone = c.RemoveCanned(SUE, "r", "hello", rev_expected=1)
    assert desk.refused(c.RemoveCanned(SUE, "r", "hello", rev_expected=2)).code == "conflict"
    assert desk.done(gone) == {"shortcut": "hello"}
    assert desk.done(gone) == {"shortcut": "hello"}, "a retry is answered alike"
    assert desk.state.canned == {}
    assert "hello" in before, "what somebody looks at does not change under their eyes"
    assert desk.refused(c.RemoveCanned(SUE, "r2", "hello")).code == "not_found"


@pytest.mark.parametrize("by", [ANN, BOB, c.By("service", "bot")])
def test_others_do_not_write(by: c.By) -> None:
    desk = Desk()
    refused = desk.refused(put(by))
    assert (refused.code, refused.data["rule"]) == ("forbidden", "role")
    assert desk.refused(c.RemoveCanned(by, "r", "hello")).code == "forbidden"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"shortcut": ""}, "bad_request"),
        ({"shortcut": "x" * 300}, "too_large"),
        ({"texts": {}}, "bad_request"),
        ({"texts": {"en": " "}}, "bad_request"),
        ({"texts": {"en": "x" * 5_000}}, "too_large"),
        ({"texts": {f"l{number}": "x" * 4_000 for number in range(5)}}, "too_large"),
        ({"texts": {f"l{number}": "x" for number in range(17)}}, "bad_request"),
        ({"queues": tuple(f"q{number}" for number in range(65))}, "too_large"),
        ({"queues": ("",)}, "bad_request"),
    ],
)
def test_what_no_response_holds_is_refused(fields: dict[str, Any], code: str) -> None:
    assert Desk().refused(put(**fields)).code == code


def test_one_more_than_there_may_be_is_refused() -> None:
    desk = Desk()
    desk.done(put())
    one = desk.state.canned["hello"]
    desk.state.canned = {f"s{number}": one for number in range(limits.CANNED_MAX)}
    command = put(key="more")
    from cluster.state import canned
    from cluster.state.change import Change, No

    with pytest.raises(No) as refused:
        canned.put(Change(desk.state), command)
    assert refused.value.refused.code == "at_capacity"
