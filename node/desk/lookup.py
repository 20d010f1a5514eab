"""Answers from the state that was applied here, and what to do when that is not enough.

    the conversation is here, may be read, and has as much as the client has    Answered, at once
    anything else                                                               Later: a barrier,
                                                                                then once more

Another node may have acknowledged a moment ago what this one has not applied yet; only behind a
barrier is "there is none" the truth.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from cluster.ids import is_ulid
from cluster.state import commands
from cluster.state.model import Conversation
from cluster.state.state import State
from node.auth import Principal
from node.desk.access import may_follow
from node.desk.context import Context, NotServed
from node.desk.plain import NotAllowed


class Answered(NamedTuple):
    """The reply's `r`; `then` runs after it was sent."""

    result: Mapping[str, Any]
    then: Callable[[], None] | None = None


class Later(NamedTuple):
    """Something that has to wait; the connection's next requests wait with it."""

    run: Callable[[], Awaitable["Answered | commands.Command"]]


May = Callable[[Principal, Conversation, State], bool]
Effect = commands.Command | Answered | Later | None


class Lookup:
    """Reads for principals what they may see."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def look(
        self,
        principal: Principal,
        cv: str,
        answer: Callable[[Conversation], Answered],
        *,
        at_least: int = 0,
        may: May = may_follow,
    ) -> Effect:
        """Answer from a conversation of `at_least` so many events, here or after a barrier.

        `may` says who is answered.
        """
        check_cv(cv)
        conversation = self._context.state.conversations.get(cv)
        if (
            conversation is not None
            and conversation.seq >= at_least
            and may(principal, conversation, self._context.state)
        ):
            return answer(conversation)
        return Later(partial(self._look_again, principal, cv, answer, may))

    async def _look_again(
        self, principal: Principal, cv: str, answer: Callable[[Conversation], Answered], may: May
    ) -> Answered:
        return answer(await self.find(principal, cv, may))

    async def find(self, principal: Principal, cv: str, may: May = may_follow) -> Conversation:
        """Return a conversation as of now.  Raises `NotAllowed`, `NotServed`."""
        check_cv(cv)
        await self.barrier()
        conversation = self._context.state.conversations.get(cv)
        if conversation is None:
            raise NotAllowed("not_found", f"no conversation {cv}")
        if not may(principal, conversation, self._context.state):
            message = f"conversation {cv} is not yours"
            raise NotAllowed("forbidden", message, "conversation.not_yours")
        return conversation

    async def barrier(self) -> None:
        answer = await self._context.port.barrier()
        if answer is not None:
            raise NotServed(answer)


def check_cv(cv: str) -> None:
    if not is_ulid(cv):
        raise NotAllowed("not_found", f"no conversation {cv[:32]!r}")
