"""Accounts, tokens and the audit log from the command line, as operators do it, at a real node."""

import io
import json
import sys
from collections.abc import Iterator

import pytest
import trio

from node.auth import claimed
from node.cli.app import run_app
from node.client import RequestFailed, Stopped, open_client
from node.local import LocalCluster
from node.protocol.catalogue import AuditList
from tests.node.local.lasting import lasting

pytestmark = pytest.mark.process
SECRET = "correct horse battery"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """One node; the commands run in this process, each in a loop of its own."""
    with lasting(tmp_path_factory.mktemp("cluster"), nodes=1) as one:
        yield one


class Shell:
    """Somebody at a command line."""

    def __init__(self, capfd: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch) -> None:
        self._capfd = capfd
        self._patch = patch

    def __call__(self, line: str, told: str = "", code: int = 0) -> str:
        """Run a command; return what it printed."""
        stdin = io.TextIOWrapper(io.BytesIO(told.encode()))
        self._patch.setattr(sys, "stdin", stdin)
        found = run_app(line.split())
        said = self._capfd.readouterr()
        assert found == code, (line, said)
        assert "Traceback" not in said.err
        return said.out + said.err


@pytest.fixture
def run(
    cluster: LocalCluster, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Shell:
    """A shell whose commands find the node."""
    for name in ("URL", "TOKEN", "CONFIG"):
        monkeypatch.delenv(f"UNIDESK_{name}", raising=False)
    monkeypatch.setenv("UNIDESK_DATA", str(cluster.folder.path))
    return Shell(capfd, monkeypatch)


def sent_away(cluster: LocalCluster, token: str) -> int:
    """Connect with a token that counts no more; return the close code."""

    async def come() -> int:
        async with open_client(cluster.urls, token) as client:
            with trio.fail_after(60):
                try:
                    await client.wait_welcome()
                except Stopped as end:
                    return end.code
        return 0

    return trio.run(come)


def test_people_are_let_in_changed_and_sent_away(cluster: LocalCluster, run: Shell) -> None:
    secret = SECRET + "\n"
    said = run("users add ada --name Ada --skill vip=3", told=secret)
    assert "agent ada is there" in said
    assert "at revision 1" in run("users add ada", told=secret, code=1)
    assert "15 characters" in run("users add bob", told="short\n", code=1)
    run("users set ada --capacity 5")
    shown = json.loads(run("users show ada --json"))
    assert (shown["capacity"], shown["skills"], shown["secrets"]) == (5, {"vip": 3}, 1)
    assert "Ada" in run("users list")
    token = run("login ada", told=secret).strip()
    assert claimed(token)[0]
    assert sent_away(cluster, token) == 0
    assert "[credentials]" in run("login ada", told="not the password\n", code=1)
    run("users disable ada")
    assert sent_away(cluster, token) == 4109
    assert "disabled" in run("login ada", told=secret, code=1)
    run("users enable ada")
    assert sent_away(cluster, token) == 4109
    run("users passwd ada", told=SECRET + " two\n")
    assert "[credentials]" in run("login ada", told=secret, code=1)
    token = run("login ada", told=SECRET + " two\n").strip()
    run("token revoke --kind agent --user ada")
    assert sent_away(cluster, token) == 4109
    run("users remove ada")
    assert "no account 'ada'" in run("users show ada", code=1)
    assert "no account 'ada'" in run("users set ada --capacity 2", code=1)


def test_services_have_a_secret_that_is_shown_once_and_changed_without_a_gap(
    cluster: LocalCluster, run: Shell
) -> None:
    first = json.loads(run("users add pos --kind service --json"))["secret"]
    answer = json.loads(run("login pos --service --json", told=first))
    assert (answer["role"], answer["expires_in"]) == ("service", 3600)
    run("token revoke -", told=answer["access_token"] + "\n")
    assert sent_away(cluster, answer["access_token"]) == 4109
    second = json.loads(run("users passwd pos --service --keep --json"))["secret"]
    for secret in (first, second):
        run("login pos --service", told=secret)
    run("users passwd pos --retire")
    assert "[credentials]" in run("login pos --service", told=first, code=1)
    token = run("login pos --service", told=second).strip()
    assert sent_away(cluster, token) == 0
    lines = json.loads(run("audit --all --json"))["lines"]
    issued = next(line for line in reversed(lines) if line["what"] == "token.issue")["detail"]
    run(f"token revoke --jti {issued['jti']} --exp {issued['exp']}")
    assert sent_away(cluster, token) == 4109
    for written in (json.dumps(lines), cluster.folder.log("n1").read_text()):
        assert first not in written
        assert second not in written
        assert "argon2" not in written


def test_the_audit_log_is_shown_as_a_table_and_goes_on_where_it_ended(
    cluster: LocalCluster, run: Shell
) -> None:
    run("users add ada --no-secret")
    seen = json.loads(run("audit --all --json"))
    run("users remove ada")
    later = json.loads(run(f"audit --after {seen['next']} --json"))
    assert [line["what"] for line in later["lines"]] == ["user.remove"]
    table = run("audit -n 2")
    for words in ("user.put", "user.remove", "operator operator", "n1"):
        assert words in table
    assert "no `next`" in run("audit --after nonsense", code=1)

    async def as_an_agent() -> RequestFailed:
        async with open_client(cluster.urls, cluster.mint("agent", "eve")) as eve:
            with pytest.raises(RequestFailed) as failed:
                await eve.request(AuditList())
            return failed.value

    failed = trio.run(as_an_agent)
    assert (failed.code, failed.data) == ("forbidden", {"rule": "role"})
