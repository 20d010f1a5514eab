"""Ratings: by whom, when, and what the days count."""

from hypothesis import given
from hypothesis import strategies as st

from cluster.state import commands as c
from cluster.state import limits, satisfaction
from cluster.state.satisfaction import DAY_MS, Rating
from cluster.state.state import State
from tests.cluster.state.desk import ANN, BOB, EVE, SUE, Desk


def rate(score: int, by: c.By = ANN, key: str = "r", **fields: str) -> c.RateConversation:
    return c.RateConversation("cv1", by, f"{key}{score}", score, **fields)


def counts(desk: Desk) -> dict[tuple[str, str], tuple[int, ...]]:
    return {(row.queue, row.agent): row.counts for row in desk.state.ratings.values()}


def closed() -> Desk:
    desk = Desk()
    desk.online()
    desk.assigned()
    desk.done(desk.say(BOB))
    desk.done(c.CloseConversation("cv1", BOB, "close"))
    return desk


def test_the_close_of_an_answered_conversation_says_until_when_it_is_rated() -> None:
    desk = closed()
    data = desk.conversation().tail[-1].data
    assert data["rate_until"] == desk.conversation().closed_ms + limits.RATE_MS


def test_the_close_of_an_unanswered_one_asks_for_no_rating() -> None:
    desk = Desk()
    desk.waiting()
    desk.done(c.CloseConversation("cv1", ANN, "close"))
    assert "rate_until" not in desk.conversation().tail[-1].data


def test_a_rating_is_counted_for_the_queue_and_the_last_owner() -> None:
    desk = closed()
    desk.done(rate(4, text="quick"))
    event = desk.conversation().tail[-1]
    assert (event.type, event.data) == ("rated", {"score": 4, "text": "quick", "times": 1})
    assert counts(desk) == {("general", "bob"): (0, 0, 0, 1, 0)}


def test_a_conversation_is_rated_while_it_goes_on() -> None:
    desk = Desk()
    desk.waiting()
    desk.done(rate(1))
    assert counts(desk) == {("general", ""): (1, 0, 0, 0, 0)}


def test_a_later_rating_counts_instead_of_the_one_before() -> None:
    desk = closed()
    desk.done(rate(1))
    desk.done(rate(5))
    assert counts(desk) == {("general", "bob"): (0, 0, 0, 0, 1)}
    assert desk.state.tallies["rated.1"] == desk.state.tallies["rated.5"] == 1


def test_the_sixth_rating_of_one_conversation_is_refused() -> None:
    desk = closed()
    for number in range(limits.RATINGS_EACH_MAX):
        desk.done(rate(3, key=f"k{number}-"))
    assert desk.refused(rate(3, key="more")).code == "conflict"


def test_the_same_rating_again_is_answered_like_the_first() -> None:
    desk = closed()
    first = desk.done(rate(3))
    assert desk.done(rate(3)) == first
    assert counts(desk) == {("general", "bob"): (0, 0, 1, 0, 0)}


def test_after_three_days_it_is_too_late() -> None:
    desk = closed()
    desk.wait(limits.RATE_MS)
    assert desk.refused(rate(3)).code == "closed"


def test_others_and_other_scores_are_refused() -> None:
    desk = closed()
    for by in (EVE, BOB, SUE, c.By("service", "ann")):
        refused = desk.refused(rate(3, by))
        assert (refused.code, refused.data["rule"]) == ("forbidden", "conversation.not_yours")
    for score in (0, 6, -1):
        assert desk.refused(rate(score)).code == "bad_request"
    assert desk.refused(rate(3, text="x" * 3_000)).code == "too_large"
    missing = c.RateConversation("cv9", ANN, "r", 3)
    assert desk.refused(missing).code == "not_found"


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 40), st.booleans()), max_size=40))
def test_the_counts_are_those_of_the_ratings_that_stand(
    steps: list[tuple[int, int, bool]],
) -> None:
    """Scores, days between them, and whether each replaces the one before."""
    state, standing = State(), list[Rating]()
    for score, days, replaces in steps:
        state.now_ms += days * DAY_MS
        new = Rating(score, "", state.now_ms, "q", "a")
        old = standing.pop() if replaces and standing else None
        satisfaction.count(state, old, new)
        standing.append(new)
    oldest = state.now_ms // DAY_MS - limits.RATING_DAYS_KEPT
    for day, queue, agent in state.ratings:
        assert day > oldest
        of_day = [one.score for one in standing if one.row == (day, queue, agent)]
        assert state.ratings[day, queue, agent].counts == tuple(map(of_day.count, range(1, 6)))
    assert {one.row for one in standing if one.row[0] > oldest} == state.ratings.keys()
