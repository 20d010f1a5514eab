"""A node whose state differs from what the others agree on (rule 15).  No I/O.

    every node    a checksum of its state at the same indexes (`cluster.heal.digests`), told to the
                  others in its vitals
    the odd one   a majority of the voters, all heard lately, agree on another checksum at the same
                  index: it hands leadership over if it leads; then it sets its data aside, and is
                  filled by the others
    nobody agrees the leader pages a person, and nothing is done: who is right cannot be told

Checksums carry the format of the state, and only equal formats are compared.  A bug that is in the
entries themselves differs nowhere; one that comes again after a rebuilding is left to a person.
"""

from collections.abc import Mapping, Sequence

from cluster.heal import rules
from cluster.heal.decision import Decision, Rebuild, Transfer
from cluster.heal.picture import Seen
from cluster.vitals import Vitals

INDEXES_KEPT = 32
"""A node that is behind tells its checksum later."""
AGAIN_S = 3600.0
"""Before a node that was rebuilt is rebuilt once more."""
HAND_OVER_S = 10.0
"""Between two attempts to hand leadership over."""


class Divergence:
    """One node's memory of everybody's checksums."""

    def __init__(self) -> None:
        self._at: dict[int, dict[str, str]] = {}
        """Index to node to checksum."""
        self._told: set[int] = set()
        """Indexes that something was decided about."""
        self._asked_s = float("-inf")

    def look(self, seen: Seen) -> Sequence[Decision]:
        self._take(seen.node, seen.mine)
        for name, other in seen.fresh.items():
            self._take(name, other.vitals)
        for index in sorted(self._at, reverse=True):
            if index not in self._told:
                decided = self._compare(index, self._at[index], seen)
                if decided:
                    return decided
        return []

    def _take(self, node: str, vitals: Vitals) -> None:
        index, digest = vitals.digest
        if not digest:
            return
        self._at.setdefault(index, {})[node] = digest
        while len(self._at) > INDEXES_KEPT:
            oldest = min(self._at)
            del self._at[oldest]
            self._told.discard(oldest)

    def _compare(self, index: int, digests: Mapping[str, str], seen: Seen) -> Sequence[Decision]:
        mine = digests.get(seen.node)
        if mine is None or len(set(digests.values())) == 1:
            return []
        alike = {node: one for node, one in digests.items() if _format(one) == _format(mine)}
        if len(set(alike.values())) == 1:
            return []
        here = {seen.node, *seen.fresh}
        voters = seen.members.voters
        majority = len(voters) // 2 + 1
        for digest in sorted(set(alike.values())):
            agree = [node for node in voters if alike.get(node) == digest]
            if len(agree) >= majority:
                odd = sorted(node for node, one in alike.items() if one != digest)
                if seen.node not in odd or len(here.intersection(agree)) < majority:
                    return []
                return self._mend(index, agree, seen)
        if len(alike.keys() & set(voters)) < len(voters) or not seen.leads:
            return []  # not all have told theirs yet
        self._told.add(index)
        figures = {"index": index} | {f"digest_{node}": one for node, one in alike.items()}
        said = f"the states of {', '.join(sorted(alike))} differ at {index}, and no majority agrees"
        return [Decision(rules.DIVERGENCE, said, "a person is needed", figures, outcome="failed")]

    def _mend(self, index: int, agree: Sequence[str], seen: Seen) -> Sequence[Decision]:
        """This node is the odd one."""
        said = f"this node's state at {index} differs from that of {', '.join(agree)}"
        figures = {"index": index}
        if seen.rebuilt_s < AGAIN_S:
            self._told.add(index)
            why = "rebuilt less than an hour ago, and differs again: a person is needed"
            return [Decision(rules.DIVERGENCE, said, why, figures, outcome="held_back")]
        if seen.leads:
            if seen.now_s - self._asked_s < HAND_OVER_S:
                return []
            self._asked_s = seen.now_s
            done = "leadership is handed over first"
            action = Transfer(agree[0])
            return [Decision(rules.DIVERGENCE, said, done, figures, action, "began")]
        self._told.add(index)
        done = "its data is set aside, and the others fill it; it abstains until then"
        return [Decision(rules.DIVERGENCE, said, done, figures, Rebuild(said), "began")]


def _format(digest: str) -> str:
    return digest.partition(":")[0]
