"""An operator at three real nodes: leadership moved, a node drained under load, clients sent away.

The cluster is started once; the story is played once, and each test looks at a part of it.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import trio

from node.client import Client, Stopped, new_key, open_client
from node.client.http import get
from node.local import LocalCluster
from node.protocol.catalogue import Bye, ClusterPush, CvHistory, CvOpen, MsgSend, StatusSet
from tests.node.local.lasting import lasting

pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.timeout(240)]

VISITORS = 12
PATIENCE_S = 90


class Ran(NamedTuple):
    """What a command said."""

    code: int
    out: str
    err: str


@dataclass
class Talk:
    """One visitor's conversation: what was acknowledged, and what the client heard."""

    cv: str
    acknowledged: dict[str, int] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    pushes: list[Any] = field(default_factory=list)


@dataclass
class Story:
    """What came of it."""

    cluster: LocalCluster
    talks: list[Talk] = field(default_factory=list)
    runs: dict[str, Ran] = field(default_factory=dict)
    ready: dict[str, str] = field(default_factory=dict)
    leaders: list[str] = field(default_factory=list)
    seen: dict[str, Any] = field(default_factory=dict)

    def json(self, name: str) -> Any:
        assert self.runs[name].code == 0, self.runs[name]
        return json.loads(self.runs[name].out)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with lasting(tmp_path_factory.mktemp("cluster"), observe=True) as cluster:
        yield trio.run(play, cluster)


@dataclass
class Seat:
    """An operator's terminal: `unidesk` in a process of its own, which outlives a command."""

    process: trio.Process
    _rest: bytes = b""

    async def run(self, *words: str) -> Ran:
        process = self.process
        assert process.stdin is not None
        assert process.stdout is not None
        await process.stdin.send_all(json.dumps(words).encode() + b"\n")
        while b"\n" not in self._rest:
            self._rest += await process.stdout.receive_some()
        line, _, self._rest = self._rest.partition(b"\n")
        return Ran(*json.loads(line))


_SEAT = """
import contextlib, io, json, sys
from node.cli.app import run_app
for line in sys.stdin:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run_app(json.loads(line))
    print(json.dumps([code, out.getvalue(), err.getvalue()]), flush=True)
"""


@asynccontextmanager
async def seat_at(cluster: LocalCluster) -> AsyncIterator[Seat]:
    env = os.environ | {"UNIDESK_DATA": str(cluster.folder.path), "COLUMNS": "80"}
    process = await trio.lowlevel.open_process(
        [sys.executable, "-c", _SEAT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env
    )
    try:
        yield Seat(process)
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


async def play(cluster: LocalCluster) -> Story:
    """Do what an operator does on a day with work on a machine."""
    story = Story(cluster)
    await cluster.wait_ready()
    with trio.fail_after(PATIENCE_S):
        while not all(one and one.level >= 2 for one in (await cluster.status()).values()):
            await trio.sleep(0.05)
    with trio.fail_after(2 * PATIENCE_S):
        async with seat_at(cluster) as seat, trio.open_nursery() as nursery:
            talking = trio.CancelScope()
            nursery.start_soon(talk_all, story, talking)
            await operate(story, seat)
            talking.cancel()
    return story


async def operate(story: Story, seat: Seat) -> None:
    cluster, runs = story.cluster, story.runs
    run = seat.run
    leader = await cluster.wait_leader()
    to = next(name for name in cluster.names if name != leader)
    story.leaders = [leader, to]
    runs["transfer"] = await run("cluster", "transfer-leader", to, "--json")
    runs["transfer to a stranger"] = await run("cluster", "transfer-leader", "n9")
    runs["drain"] = await run("cluster", "drain", to, "--json")
    look = cluster.observe_address(to)
    story.ready["drained"] = (await get(look, "/readyz?verbose", timeout_s=30)).text
    runs["top drained"] = await run("cluster", "top", "--once", "--json")
    runs["transfer to a drained one"] = await run("cluster", "transfer-leader", to)
    third = next(name for name in cluster.names if name not in story.leaders)
    runs["drain another"] = await run("cluster", "drain", leader)
    runs["drain the last"] = await run("cluster", "drain", third)
    for name in (leader, to):
        runs[f"undrain {name}"] = await run("cluster", "undrain", name)
    await cluster.wait_ready()
    story.ready["undrained"] = (await get(cluster.address(to), "/readyz", timeout_s=30)).text
    await send_away(story, seat)
    runs["audit"] = await run("audit", "-n", "40", "--json")
    await ask_without_a_key(story)
    runs["doctor"] = await run("doctor", "--config", str(cluster.folder.config("n1")), "--json")
    runs["verify"] = await run("wal", "verify", str(cluster.folder.path / "data" / "n1"), "--json")
    runs["dump"] = await run("wal", "dump", str(cluster.folder.path / "data" / "n1"))
    await cluster.kill(third)
    runs["top without one"] = await run("cluster", "top", "--once")
    runs["doctor without one"] = await run("doctor")
    cluster.restart(third)
    await cluster.wait_ready()


async def ask_without_a_key(story: Story) -> None:
    """Ask from another machine, which has neither the demo's folder nor a node.toml."""
    url = ("--url", story.cluster.url("n1"))
    tokens = {
        "nobody": (),
        "agent": ("--token", story.cluster.mint("agent", "remote")),
        "operator": ("--token", story.cluster.mint("operator", "remote")),
    }
    env = {name: value for name, value in os.environ.items() if name != "UNIDESK_DATA"}
    for command in (("cluster", "status"), ("cluster", "top", "--once"), ("doctor",)):
        for name, token in tokens.items():
            done = await trio.run_process(
                [sys.executable, "-m", "node", *command, *url, *token],
                capture_stdout=True,
                capture_stderr=True,
                check=False,
                env=env,
            )
            said = Ran(done.returncode, done.stdout.decode(), done.stderr.decode())
            story.runs[f"{' '.join(command[:2])} as {name}"] = said


async def send_away(story: Story, seat: Seat) -> None:
    """Move an agent to a node, and close a session for good."""
    cluster = story.cluster
    byes: list[Bye] = []
    ended: list[Stopped] = []
    token = cluster.mint("agent", "ada", name="Ada")
    async with open_client([cluster.url("n1")], token, on_push=note(byes)) as ada:
        await ada.request(StatusSet(status="online"))
        assert ada.welcome is not None
        began_at = ada.welcome.node
        to = next(name for name in cluster.names if name != began_at)
        story.runs["sessions"] = await seat.run("sessions", "list", "--json")
        story.runs["move"] = await seat.run("sessions", "move", "agent/ada", "--to", to)
        await ada.request(StatusSet(status="away"))  # goes on there, as if nothing had been
        while ada.welcome is None or ada.welcome.node == began_at:
            await trio.sleep(0.02)
        story.seen["moved"] = (to, ada.welcome.node, [one.code for one in byes])
        story.runs["close"] = await seat.run("sessions", "close", "agent/ada", "--json")
        try:
            while True:
                await ada.request(StatusSet(status="online"))
                await trio.sleep(0.05)
        except Stopped as stopped:
            ended.append(stopped)
    story.seen["closed"] = [one.code for one in byes]
    story.runs["sessions after"] = await seat.run("sessions", "list", "--json")


def note(byes: list[Bye]) -> Any:
    return lambda push: byes.append(push) if isinstance(push, Bye) else None


async def talk_all(story: Story, talking: trio.CancelScope) -> None:
    """Have visitors talk at all nodes until told; then read what each conversation holds."""
    async with trio.open_nursery() as nursery:
        for number in range(VISITORS):
            nursery.start_soon(talk, story, number, talking)


async def talk(story: Story, number: int, talking: trio.CancelScope) -> None:
    cluster = story.cluster
    urls = cluster.urls[number % 3 :] + cluster.urls[: number % 3]
    pushes: list[Any] = []
    token = cluster.mint("visitor", f"v{number}")
    async with open_client(urls, token, on_push=pushes.append) as client:
        opened = await client.request(CvOpen(key=new_key(), text="0"))
        one = Talk(str(opened["cv"]), pushes=pushes)
        story.talks.append(one)
        await say_on(client, one, talking)
        reply = await client.request(CvHistory(cv=one.cv, after=0, limit=500))
        one.history = reply["events"]


async def say_on(client: Client, one: Talk, talking: trio.CancelScope) -> None:
    """Say one thing after the other; each has its answer before the next."""
    while not talking.cancel_called:
        said = str(len(one.acknowledged) + 1)
        reply = await client.request(MsgSend(cv=one.cv, key=new_key(), body=said), timeout_s=30)
        one.acknowledged[said] = reply["seq"]
        await trio.sleep(0.25)


def test_leadership_goes_to_whom_it_is_asked_for_soon_and_without_a_lost_node(
    story: Story,
) -> None:
    before, to = story.leaders
    moved = story.json("transfer")
    assert (moved["before"], moved["leader"]) == (before, to)
    lost = [line for line in story.json("audit")["lines"] if line["what"] == "node.lose"]
    assert not lost


@pytest.mark.parametrize("command", ["cluster status", "cluster top", "doctor"])
def test_operators_alone_see_the_cluster_from_another_machine(story: Story, command: str) -> None:
    nobody, agent = (story.runs[f"{command} as {name}"] for name in ("nobody", "agent"))
    assert nobody.code == 1
    assert "operator's token" in nobody.err
    assert "give --token, --config or --data" in nobody.err
    assert agent.code == 1
    assert "/cluster is not for the role agent" in agent.err
    assert "n3" not in nobody.out + nobody.err + agent.out + agent.err
    operator = story.runs[f"{command} as operator"]
    assert operator.code in (0, 4), operator
    assert "n3" in operator.out or command == "doctor"


def test_who_cannot_lead_is_refused_in_words(story: Story) -> None:
    for name, words in (
        ("transfer to a stranger", "no member"),
        ("transfer to a drained one", "is drained"),
    ):
        assert story.runs[name].code == 1
        assert words in story.runs[name].err


def test_a_drained_node_is_empty_not_ready_and_leads_nothing(story: Story) -> None:
    drained = story.json("drain")
    assert drained["empty"]
    assert drained["leader"] not in ("", story.leaders[1])
    assert "[-]accepting failed: an operator drained this node" in story.ready["drained"]
    assert story.ready["undrained"] == "ok\n"
    shown = story.json("top drained")
    (row,) = [one for one in shown["nodes"] if one["node"] == story.leaders[1]]
    assert (row["standing"], row["role"], row["clients"]) == ("draining", "follower", 0)


def test_the_last_node_that_takes_clients_stays(story: Story) -> None:
    assert story.runs["drain another"].code == 0
    refused = story.runs["drain the last"]
    assert (refused.code, "last node that takes clients" in refused.err) == (1, True)


def test_clients_go_on_elsewhere_and_nothing_acknowledged_is_lost_or_doubled(
    story: Story,
) -> None:
    assert len(story.talks) == VISITORS
    for one in story.talks:
        said = [event["data"]["body"] for event in one.history if event["type"] == "msg"]
        assert said == [str(n) for n in range(len(one.acknowledged) + 1)]
        at = {
            event["data"]["body"]: event["seq"] for event in one.history if event["type"] == "msg"
        }
        assert one.acknowledged.items() <= at.items()
        assert [event["seq"] for event in one.history] == list(range(1, len(one.history) + 1))
    byes = [push for one in story.talks for push in one.pushes if isinstance(push, Bye)]
    assert any(bye.code == 4001 and bye.resume and bye.nodes for bye in byes)
    told = [p.draining for one in story.talks for p in one.pushes if isinstance(p, ClusterPush)]
    assert [story.leaders[1]] in told


def test_an_agent_is_moved_to_a_node_and_another_time_sent_away_for_good(story: Story) -> None:
    to, at, codes = story.seen["moved"]
    assert (at, codes) == (to, [4006])
    assert story.seen["closed"] == [4006, 4109]
    here = {(row["kind"], row["id"]) for row in story.json("sessions")["clients"]}
    assert {("agent", "ada"), ("visitor", "v0")} <= here
    after = {(row["kind"], row["id"]) for row in story.json("sessions after")["clients"]}
    assert ("agent", "ada") not in after
    did = {line["what"] for line in story.json("audit")["lines"]}
    assert {"session.move", "session.close", "node.drain", "leader.transfer"} <= did


def test_the_log_of_a_running_node_is_verified_and_read(story: Story) -> None:
    assert story.json("verify")["ok"]
    lines = [json.loads(line) for line in story.runs["dump"].out.splitlines()]
    ops = {one["op"] for line in lines for one in line.get("commands", ())}
    assert {"cv.open", "msg.send", "node.drain", "session.dismiss"} <= ops


def test_doctor_finds_what_is_wrong_and_says_the_mend(story: Story) -> None:
    found = json.loads(story.runs["doctor"].out)
    assert found["nodes"] == ["n1", "n2", "n3"]
    assert not [one for one in found["findings"] if one["weight"] == "wrong"], found
    without = story.runs["doctor without one"]
    assert without.code == 1
    assert "does not answer" in without.out
    assert "mend:" in without.out


def test_top_goes_on_with_a_node_down_and_fits_eighty_columns(story: Story) -> None:
    shown = story.runs["top without one"]
    assert "no answer" in shown.out
    assert story.runs["top without one"].code == 0


async def _complete(cluster: LocalCluster, line: str) -> list[str]:
    """Return what a real bash offers for `line`."""
    home = cluster.folder.path / "home"
    home.mkdir(exist_ok=True)
    tool = shutil.which("unidesk", path=str(Path(sys.executable).parent))
    assert tool is not None
    words = line.split(" ")
    script = f"""
        eval "$(_UNIDESK_COMPLETE=source_bash unidesk)"
        COMP_WORDS=({" ".join(f"'{word}'" for word in words)}); COMP_CWORD={len(words) - 1}
        spec=$(complete -p unidesk); function=${{spec##*-F }}; $function_placeholder
        ${{function%% *}} unidesk; printf '%s\\n' "${{COMPREPLY[@]}}"
    """.replace("$function_placeholder", ":")
    env = {
        "PATH": f"{Path(tool).parent}:/usr/bin:/bin",
        "HOME": str(home),
        "UNIDESK_DATA": str(cluster.folder.path),
    }
    run = partial(
        subprocess.run,
        ["bash", "--norc", "-c", script],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env=env,
    )
    done = await trio.to_thread.run_sync(run)
    assert not done.stderr
    return done.stdout.split()


def test_a_real_bash_completes_commands_and_nodes(story: Story) -> None:
    assert trio.run(_complete, story.cluster, "unidesk cluster tr") == ["transfer-leader"]
    nodes = trio.run(_complete, story.cluster, "unidesk cluster drain n")
    assert nodes == ["n1", "n2", "n3"]
    assert "general" in trio.run(_complete, story.cluster, "unidesk queues g")
    assert trio.run(_complete, story.cluster, "unidesk sessions move vis") == ["visitor/"]
    assert not trio.run(_complete, story.cluster, "unidesk sessions move agent/nobody")
