"""One trial: a real cluster under writes, something injected, and what comes of it.

Talks to processes, nodes, files.

    warm up ─▶ inject ─▶ detect ─▶ (end) ─▶ heal ─▶ writers stop ─▶ one state, all histories
                 │          │        │        │                              │
                 └ detected after ───┘        └ every node serves, hears     └ lost, doubled,
                   the first sign               everybody, has what is         changed, out of
                                                committed; writes flow         order: must be none

Times are trio's clock.
"""

import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import trio

from node.client.http import Unreachable, get
from node.local import UNLIMITED, LocalCluster
from node.local.folder import Sections
from node.replay.checker import check
from node.replay.histories import read_histories
from scripts.heal_report.signs import Logs, Sign, heal
from scripts.heal_report.verdict import Trial
from scripts.kill_loop import Ledger, write
from scripts.nemesis.stage import Stage, first, open_stage, wait_acknowledged
from scripts.nemesis.watch import Watch

WRITERS = 4
WARM_UP = 40
"""Acknowledged writes before anything is injected."""
SIGN_S = 12.0
"""A sign that has not come by then is missing; the slowest detector has ten seconds.  Where a node
has to start for it, it may come as late as that takes."""
HEAL_S = 60.0
POLL_S = 0.02
WARM_UP_S = 30.0
LAG_MAX = 50
"""Entries that a follower may be behind what was committed when somebody else was asked."""
_STALL = "row"


class CannotInject(Exception):
    """This machine lacks what the fault is made with; says what."""


class Broken(Exception):
    """A promise of the row was broken, or what it needs did not come; says which."""


class Scene:
    """What a row's fault is written with."""

    def __init__(
        self, stage: Stage, logs: Logs, ledger: Ledger, watch: Watch, clients: trio.Nursery
    ) -> None:
        self.stage = stage
        self.cluster: LocalCluster = stage.cluster
        self.names = stage.cluster.names
        """Nodes that must be well in the end."""
        self.logs = logs
        self.ledger = ledger
        self._clients = clients
        self._writing = 0
        self._looking = trio.CancelScope()
        """For a sign."""
        self.trial = Trial(nodes=len(stage.cluster.names))
        self.chance = random.Random()
        self._watch = watch
        self._concluded = False
        self._since_s = 0.0
        self._injected_s = 0.0

    # -- writers

    def write(self) -> None:
        """Let clients write from now on, until `pause`."""
        self.ledger.stopping = False
        for place in range(WRITERS):
            self._writing += 1
            self._clients.start_soon(self._write, place)

    async def _write(self, place: int) -> None:
        await write(self.cluster, place, self.ledger)
        self._writing -= 1

    async def pause(self) -> None:
        """Let no client begin another write, and wait for the last ones."""
        self.ledger.stopping = True
        while self._writing:
            await trio.sleep(POLL_S)

    # -- who is who

    async def leader(self) -> str:
        """Return who leads."""
        return await self.cluster.wait_leader()

    async def follower(self, *but: str) -> str:
        """Return somebody who does not lead, and is not among these."""
        leader = await self.leader()
        rest = [name for name in self.cluster.names if name != leader and name not in but]
        return self.chance.choice(rest)

    async def term(self) -> int:
        """Return the newest term that any node knows."""
        return max(one.term for one in (await self.cluster.status()).values() if one is not None)

    async def is_ready(self, name: str) -> bool:
        """Whether a load balancer would send clients there."""
        try:
            answer = await get(self.cluster.address(name), "/readyz", timeout_s=1.0)
        except Unreachable:
            return False
        return answer.status == 200

    # -- faults

    @contextlib.contextmanager
    def cut(self, some: set[str], others: set[str], *, both_ways: bool = True) -> Iterator[None]:
        """Let nothing of `some` reach `others`, and the other way unless told so."""
        links = self.stage.network.between(some, others)
        if both_ways:
            links += self.stage.network.between(others, some)
        for link in links:
            link.cut()
        try:
            yield
        finally:
            for link in links:
                link.mend()

    def alone(self, name: str) -> contextlib.AbstractContextManager[None]:
        """Let `name` neither hear anybody nor be heard."""
        return self.cut({name}, set(self.cluster.names) - {name})

    @asynccontextmanager
    async def stopped(self, name: str) -> AsyncIterator[Path]:
        """Kill a node, and start it when the block ends; what there is, is its data folder."""
        self.stage.down.add(name)
        await self.cluster.kill(name)
        try:
            yield self.cluster.folder.data(name)
        finally:
            self.cluster.restart(name)
            self.stage.down.discard(name)

    # -- what is measured

    def inject(self, at_s: float | None = None) -> None:
        """Note that the fault is there from now on, or has been since `at_s`."""
        self._injected_s = self._since_s = trio.current_time() if at_s is None else at_s
        self._watch.active.append(_STALL)

    def end(self) -> None:
        """Note that the fault is over."""
        self._since_s = trio.current_time()

    async def detect(self, rule: int, *earlier: Sign, within_s: float = SIGN_S) -> None:
        """Wait for a line of the rule in the heal log; `earlier` signs count as detection too."""
        noted = None
        with trio.move_on_after(within_s) as self._looking:
            while noted is None:
                noted = self.logs.find(heal(rule), self._injected_s)
                await trio.sleep(POLL_S)
        signs = [self.logs.find(sign, self._injected_s) for sign in (heal(rule), *earlier)]
        found = [one for one in signs if one is not None]
        if found:
            first, words = min(found, key=lambda one: one[0].at_s)
            self.trial.detected_s = first.at_s - self._injected_s
            self.trial.seen = words
        if noted is not None:
            self.trial.noted = True
            self.trial.seen = noted[1]
            self.trial.done = str(noted[0].fields.get("done", ""))

    async def detect_and_heal(self, rule: int, *earlier: Sign) -> None:
        """Look for signs while it heals: a sign that is late, or missing, makes nothing slower."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(self.detect, rule, *earlier, within_s=HEAL_S))
            await self.heal()
            self._looking.deadline = trio.current_time() + SIGN_S

    async def wait_for(self, sign: Sign, within_s: float = SIGN_S) -> float:
        """Return when a node gave such a sign.  Raises `Broken`."""

        async def is_there() -> bool:
            return self.logs.find(sign, self._since_s) is not None

        await self.wait(is_there, "a sign in a node's log", within_s)
        found = self.logs.find(sign, self._since_s)
        assert found is not None
        return found[0].at_s

    async def wait(self, what: Callable[[], Awaitable[bool]], why: str, within_s: float) -> None:
        """Wait until `what` holds.  Raises `Broken` with `why`."""
        with trio.move_on_after(within_s):
            while not await what():
                await trio.sleep(POLL_S)
            return
        raise Broken(f"not within {within_s:g} s: {why}")

    async def wait_handed_over(self, leader: str, within_s: float = SIGN_S) -> None:
        """Wait until somebody else than `leader` leads.  Raises `Broken`."""

        async def is_handed_over() -> bool:
            return await self.cluster.leader() not in (None, leader)

        await self.wait(is_handed_over, f"{leader} leads on", within_s)

    def healed(self) -> None:
        """Note that it healed, now."""
        self.trial.healed_s = trio.current_time() - self._since_s

    async def heal(self) -> None:
        """Wait until all is well, and note how long that took.  Raises `Broken`."""
        await self.well()
        self.healed()

    async def well(self, *, within_s: float = HEAL_S) -> None:
        """Wait until all `names` are well and writes flow.  Raises `Broken`."""
        why = ["nothing was asked yet"]

        async def are_well() -> bool:
            why[0] = await self._why_unwell(self.names)
            return not why[0]

        try:
            await self.wait(are_well, "", within_s)
        except Broken:
            raise Broken(f"not healed after {within_s:g} s: {why[0]}") from None
        with trio.move_on_after(within_s) as limit:
            await wait_acknowledged(lambda: self.ledger.acknowledged)
        if limit.cancelled_caught:
            raise Broken("every node serves, but nothing is acknowledged")

    async def _why_unwell(self, names: tuple[str, ...]) -> str:
        found = {name: await self.cluster.status_of(name) for name in names}
        committed = max((one.commit_index for one in found.values() if one is not None), default=0)
        for name, one in found.items():
            if one is None:
                return f"{name} does not answer"
            if one.standing != "serving" or one.abstains:
                return f"{name} is {one.standing}, {one.why}"
            if not one.leader:
                return f"{name} knows no leader"
            if one.applied_index < committed - LAG_MAX:
                return f"{name} is at {one.applied_index} of {committed}"
            lost = [row["id"] for row in one.nodes if row["id"] in names and not row["connected"]]
            if lost:
                return f"{name} has no link to {', '.join(lost)}"
        return ""

    # -- the end of a trial

    async def conclude(self) -> None:
        """Compare the nodes and all that was acknowledged, once; nobody may write meanwhile."""
        trial, ledger = self.trial, self.ledger
        if self._concluded:
            return
        self._concluded = True
        trial.stall_s = self._watch.stalls_s.get(_STALL, 0.0)
        trial.acknowledged = ledger.acknowledged
        names = self.names
        if trial.trouble:  # who is unwell still would answer nothing, minutes later
            names = tuple([one for one in names if not await self._why_unwell((one,))])
        if names:
            trial.trouble += await self.stage.wait_same(HEAL_S, names)
            trial.trouble += await read_histories(self.cluster, ledger.records, nodes=names)
        trial.trouble += ledger.trouble
        trial.lost = [str(one) for one in check(ledger.records, {})]


Act = Callable[[Scene], Awaitable[None]]


async def run_trial(
    act: Act,
    folder: Path,
    *,
    nodes: int,
    sections: Sections | None = None,
    before: Callable[[LocalCluster], None] = lambda _: None,
) -> Trial:
    """Return what came of `act` in a cluster of its own in `folder`.  Raises `LocalFailure`."""
    ledger, logs = Ledger(), Logs()
    watch = Watch(ledger)
    async with open_stage(
        folder,
        nodes=nodes,
        cluster_id="heal-report",
        chance=random.Random(),
        sections={**UNLIMITED, **(sections or {})},
        before=before,
    ) as stage:
        for name in stage.cluster.names:
            logs.follow(name, stage.cluster.folder.log(name))
        async with trio.open_nursery() as beside:
            for task in (logs.run, stage.supervise, watch.run):
                beside.start_soon(task)
            async with trio.open_nursery() as clients:
                scene = Scene(stage, logs, ledger, watch, clients)
                scene.write()
                await _perform(act, scene)
                await scene.pause()
            await scene.conclude()
            beside.cancel_scope.cancel()
    return scene.trial


async def _perform(act: Act, scene: Scene) -> None:
    try:
        with trio.fail_after(WARM_UP_S):
            await wait_acknowledged(lambda: scene.ledger.acknowledged, WARM_UP)
        await act(scene)
    except* CannotInject as missing:
        scene.trial.not_injected = str(first(missing))
    except* Broken as broken:
        scene.trial.trouble.append(str(first(broken)))
    finally:
        scene.stage.network.heal()
        for shim in scene.stage.shims.values():
            shim.heal()
        for name in scene.cluster.names:
            scene.cluster.resume(name)
        scene.stage.down.difference_update(scene.names)
