"""Clients of all languages in conversation, at real nodes of which one is killed.

visitor, in one language      agent, in another
opens, says 1                 accepts, answers `re 1`
says 2 ...                    ... SIGKILL to the node that one of the two listens to
closes
"""

from pathlib import Path
from typing import Any

import pytest
import trio

from node.client import open_client
from node.local import LocalCluster
from node.protocol.catalogue import CvHistory
from tests.clients.driving import Driver
from tests.clients.languages import (
    JAVA,
    JAVASCRIPT,
    LANGUAGES,
    PHP,
    PYTHON,
    WEBSOCKET,
    Language,
)

pytestmark = [pytest.mark.process, pytest.mark.slow]

MESSAGES = 6
PAIRS = [
    (PYTHON, JAVA, "visitor"),
    (JAVA, PHP, "visitor"),
    (PHP, JAVASCRIPT, "visitor"),
    (JAVASCRIPT, WEBSOCKET, "visitor"),
    (WEBSOCKET, PYTHON, "visitor"),
    (JAVASCRIPT, JAVA, "agent"),
    (PYTHON, PHP, "agent"),
    (PHP, WEBSOCKET, "agent"),
]


@pytest.mark.parametrize(
    ("visiting", "answering", "struck"), PAIRS, ids=lambda one: getattr(one, "name", one)
)
async def test_a_conversation_between_two_languages_outlives_the_node_of_one(
    cluster: LocalCluster, classes: Path, visiting: Language, answering: Language, struck: str
) -> None:
    await cluster.wait_ready()
    who = f"{visiting.name}.{answering.name}.{struck}"
    # Each listens at a node of its own, so that only one of them is struck.
    visitor_urls, agent_urls = cluster.urls, cluster.urls[::-1]
    agent = Driver(answering, classes, agent_urls, cluster.mint("agent", f"a.{who}"), "agent")
    visitor = Driver(
        *(visiting, classes, visitor_urls, cluster.mint("visitor", f"v.{who}")),
        *("visitor", str(MESSAGES)),
    )
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(agent.run)
            await agent.wait(lambda line: "node" in line)
            nursery.start_soon(visitor.run)
            await visitor.wait(lambda line: line.get("said") == MESSAGES // 2)
            victim = (visitor if struck == "visitor" else agent).nodes[-1]
            await cluster.kill(victim)
            cluster.restart(victim)

    cv = visitor.events(visitor.lines[-1]["cv"])[0]["cv"]
    truth = await history(cluster, cv)
    bodies = [event["data"]["body"] for event in truth if event["type"] == "msg"]
    numbers = [str(number) for number in range(1, MESSAGES + 1)]
    assert bodies == [body for number in numbers for body in (number, f"re {number}")]
    for observer in (visitor, agent):
        told = observer.events(cv)
        assert [event["seq"] for event in told] == list(range(1, len(truth) + 1))
        assert [event["body"] for event in told if event["type"] == "msg"] == bodies
        assert not any("gap" in line for line in observer.lines)
    assert len((visitor if struck == "visitor" else agent).nodes) > 1


async def history(cluster: LocalCluster, cv: str) -> list[dict[str, Any]]:
    """Return the conversation as the cluster has it."""
    async with open_client(cluster.urls, cluster.mint("supervisor", "sue")) as client:
        reply = await client.request(CvHistory(cv=cv))
    events: list[dict[str, Any]] = reply["events"]
    return events


REFUSALS = {
    "bad token": "unauthorized",
    "bad token of a stream": "unauthorized",
    "forbidden": "forbidden",
    "unknown op": "unknown_op",
    "not found": "not_found",
    "closed": "closed",
    "same key, other body": "key_reused",
    "bad request": "bad_request",
    "too large": "too_large",
}


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda one: one.name)
async def test_what_is_refused_is_refused_with_the_same_words_in_every_language(
    cluster: LocalCluster, classes: Path, language: Language
) -> None:
    token = cluster.mint("visitor", f"errors.{language.name}")
    driver = Driver(language, classes, cluster.urls, token, "errors")
    with trio.fail_after(60):
        await driver.run()
    found = {line.pop("case"): line for line in driver.lines}
    plain = {"kind": "Refused", "retry": False, "key": ""}
    assert found == {
        **{case: {**plain, "code": code} for case, code in REFUSALS.items()},
        "nobody there": {"kind": "Unavailable", "code": "timeout", "retry": True, "key": "k2"},
        "same key, same body": {"kind": "", "code": "", "retry": True, "key": ""},
    }
