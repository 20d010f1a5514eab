"""Ratings by visitors.  No I/O.

    command   when                                               event
    -------   ----                                               -----
    cv.rate   any state; after a close for RATE_MS, and at       rated
              most RATINGS_EACH_MAX times: the last one counts

Who opened the conversation rates it: a visitor, or the service that speaks for one.
"""

from typing import Any

from cluster.state import limits, satisfaction
from cluster.state.change import Change, no
from cluster.state.commands import RateConversation
from cluster.state.satisfaction import SCORES, Rating


def rate(change: Change, command: RateConversation) -> dict[str, Any]:
    """Take a visitor's rating, instead of an earlier one."""
    conversation = change.conversation(command.cv)
    by = command.by
    if (by.kind, by.id) != (conversation.visitor_kind, conversation.visitor):
        message = "a conversation is rated by who opened it"
        no("forbidden", message, rule="conversation.not_yours")
    if command.score not in SCORES:
        no("bad_request", f"score: 1 to 5, not {command.score}")
    if len(command.text.encode()) > limits.RATING_TEXT_BYTES_MAX:
        no("too_large", f"text: over {limits.RATING_TEXT_BYTES_MAX} bytes")
    if conversation.closed_ms and change.now_ms > conversation.closed_ms + limits.RATE_MS:
        no("closed", "the conversation was closed too long ago to be rated")
    old = conversation.rating
    if old is not None and old.times >= limits.RATINGS_EACH_MAX:
        no("conflict", f"it was rated {old.times} times; the last one counts")
    times = old.times + 1 if old is not None else 1
    queue, agent = conversation.queue, conversation.service.agent
    rating = Rating(command.score, command.text, change.now_ms, queue, agent, times)
    data = {"score": command.score, "text": command.text, "times": times}
    conversation = change.append(conversation, "rated", by, data=data, rating=rating)
    satisfaction.count(change.state, old, rating)
    change.state.count(f"rated.{command.score}")
    return {"seq": conversation.seq}
