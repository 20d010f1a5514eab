"""A node whose state differs from what the others agree on (rule 15).  No I/O.

    every node    a checksum of its state at the same indexes (`cluster.heal.digests`), told to the
                  others in its vitals
    the odd one   a majority of the voters, who all spoke lately and do vote, agree on another
                  checksum at the same index: it hands leadership over if it leads; then it sets its
                  data aside, and is filled by the others
    two odd ones  the first by name goes first; the other waits until that one votes again
    nobody agrees the leader pages a person, and nothing is done: who is right cannot be told

Checksums carry the format of the state, and only equal formats are compared; what a node says of
indexes that nobody else is at pushes nobody's out.  A bug that is in the
entries themselves differs nowhere; one that comes again after a rebuilding is left to a person.
"""

from collections.abc import Mapping, Sequence

from cluster.heal import rules
from cluster.heal.candidates import best, candidates
from cluster.heal.decision import Decision, Rebuild, Transfer
from cluster.heal.picture import Seen
from cluster.vitals import Vitals

INDEXES_KEPT = 32
"""Of each node: one that is behind tells its checksum later."""
AGAIN_S = 3600.0
"""Before a node that was rebuilt is rebuilt once more."""
HAND_OVER_S = 60.0
"""Between two attempts to hand leadership over."""


class Divergence:
    """One node's memory of everybody's checksums."""

    def __init__(self) -> None:
        self._said: dict[str, dict[int, str]] = {}
        """Node to index to checksum."""
        self._told: set[int] = set()
        """Indexes that something was decided about."""
        self._asked_s = float("-inf")

    def look(self, seen: Seen) -> Sequence[Decision]:
        for gone in self._said.keys() - seen.members.by_id.keys() - {seen.node}:
            del self._said[gone]
        self._take(seen.node, seen.mine)
        for name, other in seen.fresh.items():
            if name in seen.members.by_id:
                self._take(name, other.vitals)
        mine = self._said.get(seen.node, {})
        self._told &= mine.keys()
        for index in sorted(mine.keys() - self._told, reverse=True):
            told = {node: said[index] for node, said in self._said.items() if index in said}
            decided = self._compare(index, told, seen)
            if decided:
                return decided
        return []

    def _take(self, node: str, vitals: Vitals) -> None:
        index, digest = vitals.digest
        if not digest:
            return
        said = self._said.setdefault(node, {})
        said[index] = digest
        if len(said) > INDEXES_KEPT:
            del said[min(said)]

    def _compare(self, index: int, digests: Mapping[str, str], seen: Seen) -> Sequence[Decision]:
        mine = digests[seen.node]
        alike = {node: one for node, one in digests.items() if _format(one) == _format(mine)}
        if len(set(alike.values())) == 1:
            return []
        voters = seen.members.voters
        for digest in sorted(set(alike.values())):
            agree = [node for node in voters if alike.get(node) == digest]
            if len(agree) >= len(voters) // 2 + 1:
                odd = sorted(node for node, one in alike.items() if one != digest)
                return self._mend(index, agree, odd, seen) if seen.node in odd else []
        if len(alike.keys() & set(voters)) < len(voters) or not seen.leads:
            return []  # not all have told theirs yet
        self._told.add(index)
        said = f"the states of {', '.join(sorted(alike))} differ at {index}, and no majority agrees"
        figures = {"index": index} | {f"digest_{one}": alike[one] for one in sorted(voters)[:8]}
        return [Decision(rules.DIVERGENCE, said, "a person is needed", figures, outcome="failed")]

    def _mend(
        self, index: int, agree: Sequence[str], odd: Sequence[str], seen: Seen
    ) -> Sequence[Decision]:
        """This node is one of the odd ones."""
        said = f"this node's state at {index} differs from that of {', '.join(agree)}"
        figures = {"index": index}
        if seen.rebuilt_s < AGAIN_S:
            self._told.add(index)
            why = "rebuilt less than an hour ago, and differs again: a person is needed"
            return [Decision(rules.DIVERGENCE, said, why, figures, outcome="held_back")]
        if not self._is_safe(agree, odd, seen):
            return []
        if seen.leads:
            return self._hand_over(said, index, agree, seen)
        self._told.add(index)
        done = "its data is set aside, and the others fill it; it abstains until then"
        return [Decision(rules.DIVERGENCE, said, done, figures, Rebuild(said), "began")]

    def _is_safe(self, agree: Sequence[str], odd: Sequence[str], seen: Seen) -> bool:
        """Whether a majority decides without this node, and nobody else is being filled."""
        voters = seen.members.voters
        voting = [one for one in agree if one in seen.fresh and not seen.fresh[one].vitals.abstains]
        filled = any(seen.fresh[one].vitals.abstains for one in voters if one in seen.fresh)
        first = next((one for one in odd if one in voters), "")
        is_next = seen.node not in voters or seen.node == first
        return len(voting) >= len(voters) // 2 + 1 and not filled and is_next

    def _hand_over(
        self, said: str, index: int, agree: Sequence[str], seen: Seen
    ) -> Sequence[Decision]:
        able = [one for one in agree if one in candidates(seen)]
        if not able or seen.now_s - self._asked_s < HAND_OVER_S:
            return []
        self._asked_s = seen.now_s
        target = best(seen, able)
        return [
            Decision(
                rules.DIVERGENCE,
                said,
                f"leadership to {target} first",
                {"index": index, "target": target},
                Transfer(target),
                "began",
            )
        ]


def _format(digest: str) -> str:
    return digest.partition(":")[0]
