"""A change of the rules from plan to rollback, as an operator makes it, on a real cluster."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from node.cli.app import run_app
from node.client import open_client
from node.local import LocalCluster
from node.protocol.catalogue import CvGet, CvOpen, OfferAccept, OfferPush, StatusSet
from tests.node.local.lasting import lasting

pytestmark = pytest.mark.process

CONVERSATIONS = 200
OLD = """\
# who pays most waits least\r
[queue.premium]
priority = 50
[queue.general]

[rule.vip]
when  = 'tags.arpu > 5000'  # yuan a month
route = "premium"

[fallback]
route = "general"
"""
NEW = f"""\
{OLD.replace("5000", "8000")}
[rule.refund]
when = 'attrs.intent == "refund"'
route = "general"
skills = ["refnd"]
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with lasting(tmp_path_factory.mktemp("cluster")) as one:
        yield one


async def come(cluster: LocalCluster) -> tuple[list[str], str]:
    """Let visitors come, one of whom an agent takes; return all, and the one."""
    cvs: list[str] = []
    service = cluster.mint("service", "crm")
    async with open_client(cluster.urls, service) as crm, trio.open_nursery() as nursery:

        async def open_one(number: int) -> None:
            tags = {"arpu": number * 100} if number % 10 else {}
            opened = await crm.request(CvOpen(key=f"k{number}", tags=tags))
            cvs[number] = opened["cv"]

        cvs += [""] * CONVERSATIONS
        for number in range(CONVERSATIONS):
            nursery.start_soon(open_one, number)
    async with open_client(cluster.urls, service) as crm:
        with trio.fail_after(60):
            for cv in cvs:
                while (await crm.request(CvGet(cv=cv)))["conv"]["state"] == "new":
                    await trio.sleep(0.05)
    agent = cluster.mint("agent", "ada", capacity=1)
    async with open_client(cluster.urls, agent) as ada:
        await ada.request(StatusSet(status="online"))
        with trio.fail_after(60):
            async for push in ada.events():
                if isinstance(push, OfferPush):
                    taken = await ada.request(OfferAccept(oid=push.oid, key="a"))
                    break
    return cvs, str(taken["cv"])


def test_a_change_is_planned_applied_explained_and_taken_back(
    cluster: LocalCluster,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("UNIDESK_DATA", str(cluster.folder.path))

    def run(*line: str, code: int = 0) -> str:
        found = run_app(["rules", *line])
        said = capfd.readouterr()
        assert found == code, (line, said)
        assert "Traceback" not in said.err
        return said.out + said.err

    old, new = tmp_path / "old", tmp_path / "new"
    for folder, text in ((old, OLD), (new, NEW)):
        folder.mkdir()
        (folder / "main.toml").write_bytes(text.encode())
    assert "revision 1 is in force" in run("apply", str(old), "--rev-expected", "0")
    assert "unchanged" in run("apply", str(old))
    cvs, taken = trio.run(come, cluster)

    # Of numbers 0 to 199, every tenth without the tag: those from 51 to 80 move.
    moving = [number for number in range(51, 81) if number % 10]
    plan = json.loads(run("plan", str(new), "--json"))
    assert (plan["looked"], plan["moved"]) == (CONVERSATIONS, len(moving))
    assert plan["percent"] == 100 * len(moving) / CONVERSATIONS
    (move,) = plan["moves"]
    assert (move["queue"], move["to"], move["was"]) == ("premium", "general", "vip")
    assert set(move["examples"]) <= {cvs[number] for number in moving}
    assert plan["errs_now"] == {"vip": 20}
    assert plan["errs_then"] == {"vip": 20, "refund": CONVERSATIONS}
    assert any("'refnd'" in warning for warning in plan["warnings"])
    assert "more than 5 %" in run("plan", str(new), "--fail-if-moved", "5", code=1)

    said = run("diff", str(new))
    assert "+ [rule.refund] added" in said
    assert "~ [rule.vip] changed" in said
    assert "+when  = 'tags.arpu > 8000'" in said
    assert "revision 2" in run("apply", str(new), "--rev-expected", "1")
    assert "the rules are at revision 2" in run("apply", str(old), "--rev-expected", "1", code=1)

    said = run("explain", taken)
    assert "queue premium by rule vip, revision 1" in said
    assert "tags.arpu > 5000" in said, "the rules of then"
    assert "assigned" in said
    counted = json.loads(run("stats", "--json"))
    assert (counted["rev"], counted["routings"]) == (2, 0)

    assert "revision 3" in run("rollback", "1")
    history = json.loads(run("history", "--json"))["revisions"]
    assert [(one["rev"], one["again"]) for one in history] == [(3, 1), (2, 0), (1, 0)]
    run("export", str(tmp_path / "back"))
    assert (tmp_path / "back" / "main.toml").read_bytes() == OLD.encode()
    assert "--force" in run("export", str(tmp_path / "back"), code=2)
    assert "is not kept" in run("rollback", "9", code=1)
