"""What AutoHeal sees from this node, when it looks, and what it is told to write down.  No I/O.

    own vitals · the others' · Raft's figures · links' troubles ──Seen──▶ the rules (`cluster.heal`)
    stalls, lost nodes, data that was filled again              ──note──▶ the heal log

Who has been silent is judged here too: by Raft, and by what nodes tell of themselves.
"""

from collections.abc import Callable

from cluster.heal import rules, snapshot_room, table
from cluster.heal.hands import OwnHands
from cluster.heal.healing import LOOK_EVERY_S, Healing
from cluster.heal.journal import Journal
from cluster.heal.limits import HAND_OVERS_MAX
from cluster.heal.picture import Seen, others_in
from cluster.heal.starting import Filling
from cluster.raft.engine import Engine
from cluster.raft.results import RaftStatus
from cluster.settings import ReplicaSettings
from cluster.standing import Judge
from cluster.state import heal_log
from cluster.state.drains import drained
from cluster.state.state import State
from cluster.vitals import Circle, Vitals
from cluster.world import Peers, World


class Lookout:
    """One node's; `look` every turn."""

    def __init__(
        self,
        settings: ReplicaSettings,
        world: World,
        peers: Peers,
        *,
        engine: Engine,
        judge: Judge,
        circle: Circle,
        vitals: Callable[[], Vitals],
        state: Callable[[], State],
        cluster_ms: Callable[[], int],
        heal: Journal,
        rebuilt: bool,
    ) -> None:
        """`cluster_ms` is cluster time.

        `rebuilt`: the process before set the data aside because the state differed.
        """
        self._settings = settings
        self._now_s = world.clock
        self._peers = peers
        self._engine = engine
        self._judge = judge
        self._circle = circle
        self._vitals = vitals
        self._state = state
        self._heal = heal
        self._cluster_ms = cluster_ms
        self.hands = OwnHands(engine, judge, cluster_ms)
        self._healing = Healing(table.watchers(), self.hands, heal)
        self._filling = Filling(heal, world.clock, abstains=engine.journal.abstains)
        self._rebuilt_s = world.clock() if rebuilt else float("-inf")
        self._led_since_s = world.clock()
        self._due_s = 0.0

    def look(self) -> None:
        """Let the rules see what there is to see, if it is time."""
        now_s = self._now_s()
        if now_s >= self._due_s:
            self._due_s = now_s + LOOK_EVERY_S
            seen = self.picture()
            self._judge.lacks = snapshot_room.reason(seen.raft)
            self._healing.look(seen)

    def hurry(self) -> None:
        """Let the next look be now: this node's standing changed."""
        self._due_s = 0.0

    def picture(self) -> Seen:
        """Return what this node sees now of itself and of the others."""
        return self.seen(self._engine.status())

    def seen(self, raft: RaftStatus) -> Seen:
        """Return the same, where Raft's figures are there already."""
        now_s, state, members = self._now_s(), self._state(), self._engine.members
        since_ms = self._cluster_ms() - members.stood_in_ms
        return Seen(
            now_s=now_s,
            node=self._settings.node,
            mine=self._vitals(),
            others=others_in(self._circle, now_s),
            raft=raft,
            members=members,
            settings=self._settings.heal,
            replaced_s=since_ms / 1000 if members.stood_in_ms else float("inf"),
            handed_over_s=heal_log.hand_overs_s(state, HAND_OVERS_MAX),
            drained=drained(state),
            rebuilt_s=now_s - self._rebuilt_s,
            held=self._judge.held,
            troubles=self._peers.troubles(),
        )

    def silent_s(self) -> dict[str, float]:
        """Return for how long other nodes said nothing; who is no member is silent for ever.

        Only the leader judges by it, and it is asked every turn: nobody, while another leads.
        Followers do not hear each other by Raft: who has just begun to lead goes by their vitals,
        and waits for those who send none.
        """
        now_s = self._now_s()
        if not self._engine.is_leader:
            self._led_since_s = now_s
            return {}
        said_s = {peer: one.at_s for peer, one in self._circle.all().items()}
        silent_s = {
            peer: min(age_s, now_s - max(said_s.get(peer, 0.0), self._led_since_s))
            for peer, age_s in self._engine.contact_age_s().items()
        }
        gone = self._state().nodes.keys() - self._engine.members.by_id.keys()
        return silent_s | dict.fromkeys(sorted(gone), float("inf"))

    # -- what is noted, though no rule decides it

    def look_at_memory(self, applied_index: int) -> None:
        """Note when this node abstains, and when it does no more."""
        before = self._state().proposers.get(self._settings.node)
        self._filling.look(
            abstains=self._engine.journal.abstains,
            was_known=before is not None and bool(before.retired),
            index=applied_index,
        )

    def note_lost(self, node: str, silent_s: float, sessions: int) -> None:
        """This leader gives `node` up, with its `sessions`."""
        is_member = silent_s < float("inf")
        self._heal.note(
            rules.SILENT_NODE,
            f"{node} said nothing for {silent_s:.1f} s" if is_member else f"{node} is no member",
            "lost: the grace of its sessions begins, and offers to them go back with their age",
            node=node,
            silent_ms=int(silent_s * 1000) if is_member else -1,
            sessions=sessions,
        )

    def note_stall(self, running_s: float, *, led: bool) -> None:
        """A sync has taken `running_s` so far, and this node is fenced for it."""
        if self._settings.heal.mode == "off":
            return
        ms = round(running_s * 1000)
        words = f"a sync of {'the leader' if led else 'a follower'} has taken {ms} ms so far"
        self._heal.note(rules.SLOW_DISK, words, "fenced; the others elect", running_ms=ms, led=led)
