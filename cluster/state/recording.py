"""A decision of the rules, taken down as it is applied.  No I/O.

The values are those of this index: what changed of the conversation between the leader's look
and here, some milliseconds, is in them.
"""

from cluster.state.change import Change
from cluster.state.checks import check_names
from cluster.state.commands import RouteConversation
from cluster.state.model import Conversation
from cluster.state.routings import NOTED_MAX, seen, size_of


def check_notes(command: RouteConversation) -> None:
    """Refuse names that are too long in what is taken down."""
    check_names(*command.erred[:NOTED_MAX])
    check_names(*(name for shadow in command.shadows[:NOTED_MAX] for name in shadow))


def record(change: Change, conversation: Conversation, command: RouteConversation) -> None:
    """Remember what was decided, about which values."""
    kept = change.state.routings
    change.state.put_routing(
        seen(
            conversation,
            change.now_ms,
            number=kept[-1].number + 1 if kept else 1,
            rev=command.route.rev,
            rule=command.route.rule,
            queue=command.route.steps[0].queue,
            erred=command.erred[:NOTED_MAX],
            shadows=command.shadows[:NOTED_MAX],
            size=size_of(conversation.subject, conversation.tags, conversation.attrs),
        )
    )
