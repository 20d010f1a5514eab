"""Which side of an engine takes which message.  No I/O."""

from collections.abc import Callable
from typing import Any

from cluster.raft.following import Following
from cluster.raft.leading import Leading
from cluster.raft.messages import (
    AppendAck,
    AppendEntries,
    MemoryLost,
    Message,
    NewerTerm,
    PreVote,
    PreVoteRequest,
    ReadAck,
    ReadAnswer,
    ReadProbe,
    ReadRequest,
    SnapshotAck,
    SnapshotChunk,
    TimeoutNow,
    Vote,
    VoteRequest,
)
from cluster.raft.reads import ForwardedReads
from cluster.raft.voting import Voting

Handler = Callable[[str, Any], None]


def make_handlers(
    leading: Leading, following: Following, voting: Voting, forwarded: ForwardedReads
) -> dict[type[Message], Handler]:
    """Return who takes a message, by its type."""

    def on_read_answer(source: str, message: ReadAnswer) -> None:
        forwarded.answer(message.number, message.index)

    return {
        AppendEntries: following.on_append,
        SnapshotChunk: following.on_chunk,
        ReadProbe: following.on_read_probe,
        AppendAck: leading.on_append_ack,
        SnapshotAck: leading.on_snapshot_ack,
        ReadAck: leading.on_read_ack,
        ReadRequest: leading.on_read_request,
        ReadAnswer: on_read_answer,
        PreVoteRequest: voting.on_pre_vote_request,
        PreVote: voting.on_pre_vote,
        VoteRequest: voting.on_vote_request,
        Vote: voting.on_vote,
        NewerTerm: voting.on_newer_term,
        TimeoutNow: voting.on_timeout_now,
        MemoryLost: following.on_memory_lost,
    }
