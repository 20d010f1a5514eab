"""What a node's process and its successor tell each other, beside what a worker is told.  No I/O.

    the one that leaves                        the one that comes
    Estate: what must not change               Objects: what has; the end
    (the state, and entries as applied)        Level: all of it is here
    Compare: what is the state, right here     Compared: its checksum
    Listeners, with their descriptors          Ready: who connects is accepted here
    Moved ..., with descriptors                Taken: one for each
    Hold: ask me nothing more                  Held: what I asked before has come before this
    Yours: the core's port, boot and log       Running: it serves again

They share a stream with a worker's messages, and its order: a `Moved` stands between the entries
that were applied before and after it, so that a session goes on at the very entry where it stopped.
Descriptors come by a socket of their own, each before the message that speaks of it.
"""

import hashlib
from typing import Any

import msgspec

from cluster.state.commands import CloseSession, LoseSession
from cluster.state.levels import FIRST, LEVEL, beyond
from node.config import Config
from node.desk.parcel import SessionParcel
from node.edge.parcel import Parcel
from node.workers import messages
from node.workers.messages import Message

CONNECTIONS_MAX = 64
"""In one `Moved`: some two milliseconds of each process.  The kernel passes 253 at most."""
BATCH_BYTES_MAX = 8 * 1024 * 1024
"""Of what waits to be written; a frame holds 32 MiB."""


class Estate(Message, tag="estate"):
    """What a node's next process must find in its own configuration, by name."""

    fixed: dict[str, str]


class Listeners(Message, tag="listeners"):
    """How many sockets of the peers' port come behind the one of the clients' port."""

    peers: int
    observe: bool = False
    """Whether the one that machines look at comes last."""


class Moved(Message, tag="moved"):
    """Connections, in the order of their descriptors, with their sessions."""

    number: int
    connections: list[tuple[Parcel, SessionParcel | None]]


class Hold(Message, tag="hold"):
    """The core is about to change: keep what clients ask."""


class Yours(Message, tag="yours"):
    """The core's: its folder and its ports are free."""

    next_number: int
    applied_index: int
    ends: list[LoseSession | CloseSession]
    """Of agents' sessions, that have no outcome yet."""
    supervisors: tuple[str, ...] = ()
    """Their sessions that ended lately."""


class Objects(Message, tag="objects"):
    """Why it cannot be the successor, in words."""

    why: str


class Level(Message, tag="level"):
    """It has the state, and everything else that can be had before."""

    compares: bool = False
    """Whether its release understands `Compare`."""


class Compare(Message, tag="compare"):
    """Say the checksum of the state, as of the entry before this."""


class Compared(Message, tag="compared"):
    """The checksum, and the index of the last entry in it."""

    index: int
    digest: str


class Ready(Message, tag="ready"):
    """It accepts connections."""


class Taken(Message, tag="taken"):
    """It serves what came with the `Moved` of that number."""

    number: int


class Held(Message, tag="held"):
    """It asks nothing more before the core is here."""


class Running(Message, tag="running"):
    """The core is here and serves; so long (seconds) nothing could be written."""

    held_s: float = 0.0


_to_successor: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(
    messages.FromCore | Estate | Compare | Listeners | Moved | Hold | Yours
)
_to_predecessor: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(
    messages.FromWorker | Objects | Level | Compared | Ready | Taken | Held | Running
)


def to_successor(data: bytes) -> Any:
    """Return what the process that leaves said.  Raises `ValueError`."""
    return _to_successor.decode(data)


def to_predecessor(data: bytes) -> Any:
    """Return what the process that comes said.  Raises `ValueError`."""
    return _to_predecessor.decode(data)


def difference(ours: Compared, theirs: Compared) -> str:
    """Return why the next process must not go on with its copy; empty when it may.

    Releases of different levels may write one state in two ways: that says nothing.
    """
    kind, _, _ = ours.digest.partition(":")
    if not theirs.digest.startswith(f"{kind}:") or ours == theirs:
        return ""
    if ours.index != theirs.index:
        return "this node was sent a snapshot meanwhile; try again"
    return (
        f"the same log gives the new process another state at index {ours.index}: its program does"
        " not do what this one does; is it changed, or only half there? Install the release again"
    )


def _digest(key: bytes) -> str:
    return hashlib.sha256(key).hexdigest()


OBSERVE = "[observe] listen"
_NEEDS = "what release it needs (the cluster uses commands that this one does not know)"
"""Named as if it were of the configuration: releases without levels find it changed, and object."""


def estate(config: Config, level_used: int) -> Estate:
    """Return what the next process of a node must find, in a cluster of that level."""
    needs = {_NEEDS: str(level_used)} if level_used > FIRST else {}
    return Estate(fixed(config) | needs)


def fixed(config: Config) -> dict[str, str]:
    """Return what of a configuration an upgrade cannot change, by its name in the file.

    Where machines look may be new: the next process opens it.
    """
    look = config.observe
    return {
        "[cluster] id": config.cluster.id,
        "[cluster] key": _digest(config.cluster.key),
        "[node] id": config.node.id,
        "[node] data": str(config.node.data.resolve()),
        "[node] workers": str(config.node.workers),
        "[client] listen": "{}:{}".format(*config.client.listen),
        "[client.tls]": "given" if config.client.tls is not None else "not given",
        "[peer] listen": "{}:{}".format(*config.peer.listen),
        **({OBSERVE: "{}:{}".format(*look.listen)} if look is not None else {}),
    }


def objection(had: dict[str, str], has: dict[str, str]) -> str:
    """Return why a process with `has` cannot succeed one with `had`; empty when it can."""
    level_used = int(had.get(_NEEDS, FIRST))
    if level_used > LEVEL:
        return beyond(level_used)
    changed = sorted(name for name in had if name != _NEEDS and has.get(name) != had[name])
    if not changed:
        return ""
    return (
        f"the configuration has changed in {', '.join(changed)}: an upgrade cannot change that;"
        " put it back, or stop the node and start it anew"
    )
