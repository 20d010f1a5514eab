"""Who takes part, and how that changes: one voter at a time.  No I/O.

    role      votes  counted  what becomes of it, by itself
    voter     yes    yes      -
    joining   no     no       a voter, once it holds what the leader holds
    learner   no     no       -  (serves clients, decides nothing)
    standby   no     no       takes the place of a voter that is dead for long (`cluster.heal`)
    leaving   yes    yes      gone, once nobody is joining and it does not lead

`Members` is the whole of it: one entry of the log holds one, the newest in the log counts from
the moment it is appended, committed or not, and falls back with it when it is cut off.  The
voters of two neighbours differ by one at most, so a majority of one and a majority of the
other always have a node in common.  A leader makes a change only when it has committed an
entry of its own term and the change before is committed.

What a person wants - "add n4 in the place of n2" - is in the roles, so it survives the leader
that began it: each leader makes the `next_step` that is due.

When a standby last stood in is written here too, so whoever may make the next change knows of the
last one, whatever else its leader had no time to tell.  On disks and wires:

    {"n1": ["voter", "10.0.0.1:7200"], …}                      nobody stood in, so far
    {"members": {"n1": […], …}, "stood_in_ms": 1790000000000}  from then on; needs `levels.STANDBY`

Source: Raft thesis (Ongaro 2014), chapter 4; Ongaro, "bug in single-server membership
changes", raft-dev, 2015 (why the leader must have committed in its own term).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import msgspec

MEMBERS_MAX = 64
VOTERS_MAX = 9
"""More voters make every commit slower and none safer."""

Role = Literal["voter", "joining", "learner", "leaving", "standby"]
_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
_Address = Annotated[str, msgspec.Meta(max_length=300)]


class MembersRefused(Exception):
    """The change cannot be; says why, and what would help."""


class Member(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    role: Role
    address: _Address = ""
    """`host:port` for the other nodes; empty where only configuration knows."""

    @property
    def votes(self) -> bool:
        return self.role in ("voter", "leaving")


class _Stamped(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    members: dict[_Id, Member]
    stood_in_ms: Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]


_PLAIN = msgspec.json.Decoder(dict[_Id, Member])
_STAMPED = msgspec.json.Decoder(_Stamped)


@dataclass(frozen=True, slots=True)
class Members:
    """Immutable; `of` and `decode` make them."""

    by_id: Mapping[str, Member]
    stood_in_ms: int = 0
    """When a standby was last given a dead voter's place, cluster time; 0: never."""

    @classmethod
    def of(cls, voters: Mapping[str, str] | Iterable[str]) -> "Members":
        """Return members that all vote; `voters` are ids, or ids with addresses."""
        addresses = voters if isinstance(voters, Mapping) else dict.fromkeys(voters, "")
        return cls({name: Member("voter", addresses[name]) for name in sorted(addresses)})

    @classmethod
    def decode(cls, data: bytes | str) -> "Members":
        """Return what `encode` made.  Raises `ValueError` for anything else."""
        by_id, stood_in_ms = _decoded(data)
        members = cls({name: by_id[name] for name in sorted(by_id)}, stood_in_ms)
        if not members.voters or len(by_id) > MEMBERS_MAX:
            raise ValueError(f"{len(by_id)} members, {len(members.voters)} of them voters")
        return members

    def encode(self) -> bytes:
        if not self.stood_in_ms:
            return msgspec.json.encode(self.by_id)
        return msgspec.json.encode({"members": self.by_id, "stood_in_ms": self.stood_in_ms})

    def others(self, node: str) -> list[str]:
        """Return all members but `node`."""
        return [name for name in self.by_id if name != node]

    @property
    def voters(self) -> tuple[str, ...]:
        return tuple(name for name, member in self.by_id.items() if member.votes)

    @property
    def learners(self) -> tuple[str, ...]:
        return tuple(name for name, member in self.by_id.items() if not member.votes)

    def in_role(self, role: Role) -> tuple[str, ...]:
        return tuple(name for name, member in self.by_id.items() if member.role == role)

    def is_neighbour(self, other: "Members") -> bool:
        """Whether one may follow the other in a log."""
        return len(set(self.voters) ^ set(other.voters)) <= 1

    # -- what a person may ask for

    def add(self, node: str, address: str, *, role: Role = "joining") -> "Members":
        """A new node, to become a voter when it has caught up, or to stay without a vote."""
        if node in self.by_id:
            raise MembersRefused(f"{node} is a member already, {self.by_id[node].role}")
        if len(self.by_id) >= MEMBERS_MAX:
            raise MembersRefused(f"there are {MEMBERS_MAX} members, and that is the most")
        return self._with(node, Member(role, address))._checked()

    def promote(self, node: str) -> "Members":
        """Let a learner or a standby become a voter when it has caught up."""
        member = self._get(node)
        if member.votes:
            raise MembersRefused(f"{node} votes already")
        return self._with(node, Member("joining", member.address))._checked()

    def remove(self, node: str) -> "Members":
        """Let a node go: a learner at once, a voter as the leader's next steps."""
        member = self._get(node)
        if not [name for name in self._staying if name != node]:
            raise MembersRefused(f"without {node} no voter would stay: a cluster needs one")
        if not member.votes:
            return self._without(node)
        return self._with(node, Member("leaving", member.address))

    def replace(self, old: str, new: str, address: str = "") -> "Members":
        """Put `new` in the place of `old`: it joins first, then the old one leaves.

        A standby or a learner is promoted, at the address that it has; else `new` is added.  Who
        leaves is not counted among the most voters, so there may be one more until it is gone.
        """
        if not self._get(old).votes:
            raise MembersRefused(f"{old} does not vote: remove it, and add {new}")
        left = self._with(old, Member("leaving", self.by_id[old].address))
        waits = new in (*self.in_role("standby"), *self.in_role("learner"))
        return left.promote(new) if waits else left.add(new, address)

    def stand_in(self, old: str, standby: str, now_ms: int) -> "Members":
        """Let a standby `replace` a dead voter, and write down when."""
        if self._get(standby).role != "standby":
            raise MembersRefused(f"{standby} is no standby: it is {self.by_id[standby].role}")
        stamped = replace(self, stood_in_ms=max(1, self.stood_in_ms, now_ms))
        return stamped.replace(old, standby)

    def keep(self, node: str) -> "Members":
        """Take back that a node is to leave."""
        member = self._get(node)
        if member.role != "leaving":
            raise MembersRefused(f"{node} is not about to leave: it is {member.role}")
        if len(self._staying) >= VOTERS_MAX:
            raise MembersRefused(f"{VOTERS_MAX} voters are the most, without {node}")
        return self._with(node, Member("voter", member.address))

    # -- what a leader does

    def next_step(self, leader: str, is_ready: Callable[[str], bool]) -> "Members | None":
        """Return what follows by itself, None when nothing is due or the leader must leave."""
        joining = self.in_role("joining")
        for node in joining:
            if is_ready(node):
                return self._with(node, Member("voter", self.by_id[node].address))
        leaving = [name for name in self.in_role("leaving") if name != leader]
        if leaving and not joining:
            return self._without(leaving[0])
        return None

    def must_leave(self, node: str) -> bool:
        """Whether nothing is in the way of `node`'s leaving but that it leads."""
        return self.in_role("leaving") == (node,) and not self.in_role("joining")

    # -- inside

    @property
    def _staying(self) -> list[str]:
        return [name for name, member in self.by_id.items() if member.role in ("voter", "joining")]

    def _get(self, node: str) -> Member:
        if node not in self.by_id:
            raise MembersRefused(f"{node} is no member; there are {', '.join(self.by_id)}")
        return self.by_id[node]

    def _with(self, node: str, member: Member) -> "Members":
        by_id = {**self.by_id, node: member}
        return replace(self, by_id={name: by_id[name] for name in sorted(by_id)})

    def _without(self, node: str) -> "Members":
        by_id = {name: member for name, member in self.by_id.items() if name != node}
        return replace(self, by_id=by_id)

    def _checked(self) -> "Members":
        if len(self._staying) > VOTERS_MAX:
            raise MembersRefused(f"{VOTERS_MAX} voters are the most; add it as a learner")
        leaving = self.in_role("leaving")
        if len(self._staying) + len(leaving) > VOTERS_MAX + 1:
            raise MembersRefused(
                f"{VOTERS_MAX} voters are the most, and one that leaves: wait until {leaving[0]} is"
                " gone"
            )
        return self


def _decoded(data: bytes | str) -> tuple[dict[str, Member], int]:
    try:
        return _PLAIN.decode(data), 0
    except msgspec.ValidationError as error:
        try:
            stamped = _STAMPED.decode(data)
        except msgspec.ValidationError:
            raise error from None
    return stamped.members, stamped.stood_in_ms
