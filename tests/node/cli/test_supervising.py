"""A bot, a visitor and a person at three real nodes, one of them killed; what supervisors see.

The bot is the one of `docs/examples/bot`.  The story is played once; each test looks at a part.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trio

from node.cli.app import run_app
from node.cli.transcripts import _fields
from node.client import Client, new_key, open_client
from node.local import LocalCluster
from node.protocol.catalogue import (
    CvClose,
    CvHistory,
    CvOpen,
    Ev,
    MsgSend,
    OfferAccept,
    OfferPush,
    QueuePush,
    RulesApply,
    StatusSet,
)
from tests.node.local.lasting import lasting

pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.timeout(240)]

ROOT = Path(__file__).parents[3]
BOT = ROOT / "docs" / "examples" / "bot"
PATIENCE_S = 120


@dataclass
class Story:
    """What came of it."""

    cluster: LocalCluster
    cv: str
    seen_by_person: list[Ev]
    seen_by_visitor: list[Any]
    bot_at: list[str]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with lasting(tmp_path_factory.mktemp("cluster")) as cluster:
        yield trio.run(play, cluster)


async def play(cluster: LocalCluster) -> Story:
    """Let the bot answer, its node die, and the visitor ask for a person."""
    await cluster.wait_ready()
    async with open_client(cluster.urls, cluster.mint("operator", "olga")) as olga:
        files = {"main.toml": (BOT / "routing" / "main.toml").read_text()}
        await olga.request(RulesApply(files=files))
    token = cluster.mint("agent", "robo", name="Robo", skills={"bot": 1}, capacity=200)
    bot = await trio.lowlevel.open_process(
        [sys.executable, str(BOT / "bot.py"), *cluster.urls],
        env={**os.environ, "UNIDESK_TOKEN": token, "PYTHONPATH": str(ROOT / "clients")},
        stdout=subprocess.PIPE,
    )
    with trio.fail_after(PATIENCE_S):
        try:
            return await converse(cluster, bot)
        finally:
            bot.kill()
            await bot.wait()


async def converse(cluster: LocalCluster, bot: trio.Process) -> Story:
    bot_at: list[str] = []
    seen_by_visitor: list[Any] = []
    seen_by_person: list[Ev] = []
    visitor_token = cluster.mint("visitor", "vera", name="Vera")
    person_token = cluster.mint("agent", "ann", name="Ann", skills={"person": 1}, capacity=3)
    async with (
        open_client(cluster.urls, visitor_token) as vera,
        open_client(cluster.urls, person_token) as ann,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(listen_to_bot, bot, bot_at)
        nursery.start_soon(collect, vera, seen_by_visitor)
        await until(lambda: bool(bot_at))
        opened = await vera.request(CvOpen(key=new_key(), text="When are you open?"))
        cv = str(opened["cv"])
        await until(lambda: said(seen_by_visitor, "9:00"))
        await cluster.kill(bot_at[-1])
        await vera.request(MsgSend(cv=cv, key=new_key(), body="我要人工 please"))
        await until(lambda: any(isinstance(one, QueuePush) for one in seen_by_visitor))
        await ann.request(StatusSet(status="online"))
        nursery.start_soon(serve, ann, seen_by_person)
        await until(lambda: said(seen_by_visitor, "Hello, I am Ann"))
        await vera.request(MsgSend(cv=cv, key=new_key(), body="Thanks"))
        await vera.request(CvClose(cv=cv, key=new_key()))
        await until(lambda: any(one.type == "closed" for one in seen_by_person))
        cluster.restart(bot_at[0])
        await cluster.wait_ready()
        nursery.cancel_scope.cancel()
    return Story(cluster, cv, seen_by_person, seen_by_visitor, bot_at)


async def listen_to_bot(bot: trio.Process, bot_at: list[str]) -> None:
    assert bot.stdout is not None
    rest = b""
    async for chunk in bot.stdout:
        *lines, rest = (rest + bytes(chunk)).split(b"\n")
        bot_at += [line.decode().split(" at ")[1] for line in lines if b" at " in line]


async def collect(client: Client, seen: list[Any]) -> None:
    async for push in client.events():
        seen += [push]


async def serve(ann: Client, seen: list[Ev]) -> None:
    """Accept what is offered, greet, and remember all."""
    async for push in ann.events():
        match push:
            case OfferPush():
                reply = await ann.request(OfferAccept(oid=push.oid, key=new_key()))
                greeting = MsgSend(
                    cv=push.cv, key=new_key(), body="Hello, I am Ann", fence=reply["fence"]
                )
                await ann.request(greeting)
            case Ev():
                seen.append(push)


def said(seen: list[Any], text: str) -> bool:
    return any(isinstance(one, Ev) and text in str(one.data.get("body", "")) for one in seen)


async def until(condition: Any) -> None:
    while not condition():
        await trio.sleep(0.02)


def test_the_person_sees_all_that_was_said_before_and_after_the_bots_node_died(
    story: Story,
) -> None:
    assert len(story.bot_at) > 1
    assert story.bot_at[-1] != story.bot_at[0]
    texts = [(one.type, one.by and one.by.id, one.data.get("body")) for one in story.seen_by_person]
    spoken = [one for one in texts if one[0] in ("msg", "note")]
    assert [(kind, who) for kind, who, _ in spoken] == [
        ("msg", "vera"),
        ("msg", "robo"),
        ("msg", "vera"),
        ("msg", "robo"),
        ("note", "robo"),
        ("msg", "ann"),
        ("msg", "vera"),
    ]
    assert [one.seq for one in story.seen_by_person] == list(range(1, len(texts) + 1))
    assert not any(isinstance(one, Ev) and one.type == "note" for one in story.seen_by_visitor)


def test_the_visitor_heard_their_place_while_nobody_was_there(story: Story) -> None:
    places = [one for one in story.seen_by_visitor if isinstance(one, QueuePush)]
    assert [(one.pos, one.of) for one in places] == [(1, 1)]


async def test_every_node_finds_what_was_said_also_one_that_was_started_since(
    story: Story,
) -> None:
    from node.protocol.catalogue import ConversationFilter, CvList

    for url in story.cluster.urls:
        async with open_client([url], story.cluster.mint("supervisor", "sue")) as sue:
            with trio.fail_after(60):
                while True:
                    wanted = ConversationFilter(q="人工", state="closed")
                    reply = await sue.request(CvList(filter=wanted))
                    if reply["complete"]:
                        break
                    await trio.sleep(0.05)
            assert [item["cv"] for item in reply["items"]] == [story.cv]
            history = await sue.request(CvHistory(cv=story.cv))
            hit = reply["items"][0]["hit"]
            event = next(one for one in history["events"] if one["seq"] == hit["seq"])
            assert hit["found"] == "人工"
            assert "人工" in event["data"]["body"]


def shell(story: Story, capfd: pytest.CaptureFixture[str], line: str, code: int = 0) -> str:
    """Run a command at the cluster; return what it printed."""
    found = run_app([*line.split(), "--data", str(story.cluster.folder.path)])
    told = capfd.readouterr()
    assert found == code, told
    assert "Traceback" not in told.err
    return told.out + told.err


def test_supervisors_see_it_at_the_command_line(
    story: Story, capfd: pytest.CaptureFixture[str]
) -> None:
    rows = json.loads(shell(story, capfd, "queues --json"))["rows"]
    assert {"bot", "people"} <= {row["queue"] for row in rows}
    assert "people" in shell(story, capfd, "queues people")
    assert "robo" not in shell(story, capfd, "agents --queue people")
    agents = json.loads(shell(story, capfd, "agents --all --json"))["agents"]
    assert [row["agent"] for row in agents] == ["ann", "robo"]

    listed = shell(story, capfd, "conversations list --state closed --since 1h")
    assert story.cv in listed
    assert "(ann)" in listed
    assert story.cv in shell(story, capfd, "conversations list --agent ann -n 1")
    assert story.cv not in shell(story, capfd, "conversations list --state waiting")
    assert "人工" in shell(story, capfd, "conversations search 人工")
    shown = shell(story, capfd, f"conversations show {story.cv}")
    assert "Ann: Hello, I am Ann" in shown
    lines = shell(story, capfd, "conversations export --search 人工").splitlines()
    exported = [json.loads(line) for line in lines]
    assert [one["conv"]["cv"] for one in exported] == [story.cv]
    assert [one["seq"] for one in exported[0]["events"]] == list(
        range(1, exported[0]["conv"]["seq"] + 1)
    )
    audit = shell(story, capfd, "audit")
    assert "conversation.search" in audit
    assert "conversation.read" in audit


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("conversations list --state asleep", "--state asleep: one of open"),
        ("conversations list --tag gold", "--tag gold: write NAME=VALUE"),
        ("conversations list --since tomorrow", "a date like 2026-03-01, or how long ago"),
        ("agents --status asleep", "--status asleep: one of online"),
    ],
)
def test_what_is_asked_wrongly_is_told_with_its_mend(
    story: Story, capfd: pytest.CaptureFixture[str], line: str, told: str
) -> None:
    assert told in shell(story, capfd, line, code=2)


def test_a_search_for_nothing_is_told(story: Story, capfd: pytest.CaptureFixture[str]) -> None:
    assert "no letter or number" in shell(story, capfd, "conversations search ?!", code=1)


def test_what_happened_is_told_without_empty_fields() -> None:
    told = _fields({"to": {"queue": "people"}, "reason": "", "fence": 0, "offline": True})
    assert told == 'to={"queue": "people"} fence=0 offline=true'
    assert _fields("王五") == "王五"
