"""Rule sets: revisions, and retries of applying them."""

from cluster.state import commands as c
from cluster.state import limits, rules
from cluster.state.outcome import Done, RulesApplied
from cluster.state.route import Queue, ServiceLevel
from tests.cluster.state.desk import ANN, BOB, OPS, SUE, Desk


def apply(text: str = "a", expected: int | None = None, by: c.By = OPS) -> c.ApplyRules:
    return c.ApplyRules(by, {"main.toml": text}, {"vip": Queue(15_000)}, rev_expected=expected)


def test_rules_are_in_force_from_their_index_on() -> None:
    desk = Desk()
    assert desk.state.rules_at(1) is None
    assert desk.state.accept_ms("vip", 20_000) == 20_000
    result = desk.done(apply())
    assert result == {"rev": 1, "digest": rules.digest_of({"main.toml": "a"})}
    assert desk.notices == [RulesApplied(1)]
    assert desk.state.rules is not None
    assert desk.state.rules.files == {"main.toml": "a"}
    assert desk.state.accept_ms("vip", 20_000) == 15_000
    assert desk.state.accept_ms("other", 20_000) == 20_000
    assert desk.state.audit[-1].detail["rev"] == 1


def test_who_expects_another_revision_is_told_the_real_one() -> None:
    desk = Desk()
    assert desk.refused(apply(expected=1)).data == {"rev": 0}
    desk.done(apply("a", 0))
    refused = desk.refused(apply("b", 0))
    assert (refused.code, refused.data) == ("conflict", {"rev": 1})
    assert desk.done(apply("b", 1))["rev"] == 2


def test_the_same_rules_again_change_nothing() -> None:
    desk = Desk()
    desk.done(apply())
    outcome = desk.run(apply())
    assert isinstance(outcome, Done)
    assert (outcome.dup, outcome.result["rev"]) == (True, 1)
    assert desk.notices == []
    assert len(desk.state.rule_sets) == 1


def test_a_retry_of_applying_rules_holds_although_it_expects_the_revision_before() -> None:
    desk = Desk()
    desk.done(apply("a", 0))
    outcome = desk.run(apply("a", 0))
    assert isinstance(outcome, Done)
    assert outcome.dup
    desk.done(apply("b"))
    desk.done(apply("a"))
    assert desk.refused(apply("a", 0)).code == "conflict"


def test_only_operators_apply_rules_and_within_bounds() -> None:
    desk = Desk()
    for by in (ANN, BOB, SUE):
        assert desk.refused(apply(by=by)).code == "forbidden"
    assert desk.refused(apply("王" * (limits.RULES_BYTES_MAX // 3))).code == "too_large"
    many = c.ApplyRules(OPS, {}, {str(n): Queue() for n in range(limits.QUEUES_MAX + 1)})
    assert desk.refused(many).code == "too_large"
    assert desk.refused(c.ApplyRules(OPS, {}, {"q": Queue(1)})).code == "bad_request"
    assert desk.refused(c.ApplyRules(OPS, {}, {"": Queue(20_000)})).code == "bad_request"
    skills = {str(n): 0 for n in range(limits.SKILLS_MAX + 1)}
    assert desk.refused(c.ApplyRules(OPS, {}, {"q": Queue(skills=skills)})).code == "too_large"
    for queue in (Queue(skills={"s": 101}), Queue(aging_ms=-1), Queue(max_waiting=-1)):
        assert desk.refused(c.ApplyRules(OPS, {}, {"q": queue})).code == "bad_request"
    slow = {"gold": ServiceLevel(first_response_ms=-1)}
    assert desk.refused(c.ApplyRules(OPS, {}, {}, slow)).code == "bad_request"


def test_the_newest_revisions_are_kept() -> None:
    desk = Desk()
    assert desk.state.rules_at(1) is None
    for number in range(limits.RULE_SETS_KEPT + 2):
        desk.done(apply(str(number)))
    newest = limits.RULE_SETS_KEPT + 2
    assert [record.rev for record in desk.state.rule_sets] == list(range(3, newest + 1))
    kept = desk.state.rules_at(3)
    assert kept is not None
    assert kept.files == {"main.toml": "2"}
    assert desk.state.rules_at(2) is None
    assert desk.state.rules_at(newest + 1) is None


def test_the_digest_tells_names_from_texts() -> None:
    assert rules.digest_of({"a": "bc"}) != rules.digest_of({"ab": "c"})
    assert rules.digest_of({"a": "1", "b": "2"}) == rules.digest_of({"b": "2", "a": "1"})
