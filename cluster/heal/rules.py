"""The table of AutoHeal: every rule by its number.  No I/O.

Where a rule is decided, its number names it; `unidesk heal status`, the log lines and the
reference page show these words.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """One row."""

    number: int
    name: str
    seen: str
    done: str
    never: str


MINORITY = 1
RETURN = 2
ONE_WAY = 3
DEAF_LEADER = 4
TORN_TAIL = 5
DAMAGE = 6
SYNC_FAILED = 7
DISK_FULL = 8
SLOW_DISK = 9
SILENT_NODE = 10
DEAD_VOTER = 11
TWIN = 12
STRANGER = 13
CLOCKS = 14
DIVERGENCE = 15
BAD_PEER = 16
QUORUM_LOST = 17
LONELY = 18

RULES: dict[int, Rule] = {
    rule.number: rule
    for rule in (
        Rule(
            MINORITY,
            "minority",
            "no majority heard for an election timeout",
            "fence: refuse writes, mark reads with their age, send clients to other nodes",
            "acknowledge, or have fewer voters",
        ),
        Rule(
            RETURN,
            "return",
            "a majority is back",
            "catch up from log or snapshot, then serve",
            "serve before it has caught up",
        ),
        Rule(
            ONE_WAY,
            "one way",
            "the leader is not heard here, but others hear it",
            "ask before voting, follow on; name who could relay",
            "depose a healthy leader",
        ),
        Rule(
            DEAF_LEADER,
            "deaf leader",
            "a leader hears no majority",
            "step down within an election timeout",
            "serve reads as fresh after",
        ),
        Rule(
            TORN_TAIL,
            "torn tail",
            "the log ends in a frame that is not whole",
            "cut it and start",
            "cut what is followed by a whole frame",
        ),
        Rule(
            DAMAGE,
            "damage",
            "damage inside the log, a damaged snapshot, a lost folder, or lost frames",
            "set it aside, abstain, be filled by the others, then vote",
            "vote or acknowledge on what was lost",
        ),
        Rule(
            SYNC_FAILED,
            "sync failed",
            "a write or a sync of the log failed",
            "end the process; the next start reads what is really there",
            "try the sync again and go on",
        ),
        Rule(
            DISK_FULL,
            "disk full",
            "the disk is nearly full, or full",
            "warn and compact, hand leadership over, take no more entries; recover with room",
            "take half a frame for a whole one",
        ),
        Rule(
            SLOW_DISK,
            "slow disk",
            "the leader's syncs take far longer than its peers'",
            "hand leadership to the follower that is best off",
            "hand over again within five minutes",
        ),
        Rule(
            SILENT_NODE,
            "silent node",
            "a node is silent beyond the grace",
            "its sessions begin their grace, its offers go back with their age",
            "assign to it meanwhile",
        ),
        Rule(
            DEAD_VOTER,
            "dead voter",
            "a voter is dead for longer than replace_after, and a standby is well",
            "the standby joins, catches up and votes; then the dead one leaves",
            "go below a quorum, change two at once, or more than one an hour",
        ),
        Rule(
            TWIN,
            "twin",
            "two processes with one node's id",
            "the one that lives stays, the other ends with a clear error",
            "let both vote",
        ),
        Rule(
            STRANGER,
            "stranger",
            "a hello of another cluster, or of a release too far away",
            "refuse it, and say both sides' ids",
            "merge",
        ),
        Rule(
            CLOCKS,
            "clocks",
            "clocks are further apart than a bound",
            "warn with the figure; deadlines follow the leader's time alone",
            "decide by another node's clock",
        ),
        Rule(
            DIVERGENCE,
            "divergence",
            "the applied state differs at one index",
            "the odd one out sets its state aside, and builds it anew; page a person",
            "go on quietly",
        ),
        Rule(
            BAD_PEER,
            "bad peer",
            "a peer resets, or sends what is no frame, again and again",
            "wait longer and longer before it is dialled again, keep the others",
            "try in a tight loop",
        ),
        Rule(
            QUORUM_LOST,
            "quorum lost",
            "most voters are gone for good",
            "serve stale reads marked so; a person decides with `unidesk cluster recover`",
            "decide that by itself",
        ),
        Rule(
            LONELY,
            "lonely leader",
            "no other voter of the leader's zone is well, and another zone has two that are",
            "hand leadership to that zone",
            "hand over again within five minutes",
        ),
    )
}
