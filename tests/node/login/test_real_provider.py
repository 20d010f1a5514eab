"""Logins at a real OpenID provider, and its opaque tokens, on real nodes: nothing is played.

The provider is django-oauth-toolkit with its own forms, in a process of its own (`provider.py`);
the browser is an HTTP client that fills these forms in.
"""

import re
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urljoin, urlsplit

import httpx2
import pytest
import trio

from node.local import LocalCluster
from node.local.folder import Folder
from tests.node.login.provider import CLIENT_SECRET, ROBOT_SECRET
from tests.node.server.raw import Raw

pytest.importorskip("oauth2_provider", reason="`make peers` installs it")
pytestmark = [pytest.mark.peers, pytest.mark.slow, pytest.mark.process]

READY_S = 60.0
CONSOLE = "https://console.acme.example/signed-in"
CACHE_S = 1


@contextmanager
def provider(port: int, folder: Path, *redirect_uris: str) -> Iterator[subprocess.Popen[str]]:
    """Run the provider until the block ends."""
    folder.mkdir()
    program = Path(__file__).with_name("provider.py")
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, str(program), str(port), str(folder), *redirect_uris],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        assert process.stdout is not None
        late = threading.Timer(READY_S, process.kill)
        late.start()
        ready = process.stdout.readline()
        late.cancel()
        assert ready == "ready\n", (folder / "log").read_text()[-2000:]
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()  # type: ignore[union-attr]


class Place:
    """A cluster of two nodes whose company has a provider."""

    def __init__(self, cluster: LocalCluster, issuer: str, peer: subprocess.Popen[str]) -> None:
        self.cluster = cluster
        self.issuer = issuer
        self.peer = peer

    def base(self, name: str) -> str:
        return f"http://{self.cluster.address(name).authority}"


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    folder = Folder.open(tmp_path / "desk", nodes=2, cluster_id="local")
    ports = folder.layout.nodes
    port = ports["n1"].client + 1
    while port in {one for node in ports.values() for one in (node.client, node.peer)}:
        port += 1
    issuer = f"http://127.0.0.1:{port}/o"
    callback = f"http://127.0.0.1:{ports['n2'].client}/v1/login/corp/callback"
    (tmp_path / "desk" / "corp.secret").write_text(CLIENT_SECRET + "\n")
    client = {"client_id": "desk", "client_secret_file": "corp.secret"}
    sections: dict[str, Any] = {
        "auth.corp": {"issuer": issuer, "roles": ["agent", "supervisor"]},
        "auth.corp.groups.desk": {"role": "agent", "capacity": 4},
        "auth.corp.groups.refunds.skills": {"refund": 3},
        "auth.corp.groups.desk-leads": {"role": "supervisor"},
        "auth.corp.login": {**client, "redirect_uri": callback, "return_to": [CONSOLE]},
        "auth.machines": {
            "issuer": issuer,  # one provider, two ways in
            "introspect": issuer + "/introspect/",
            **client,
            "scope": "desk",
            "roles": ["service"],
            "role": "service",
            "id_claim": "client_id",
            "cache": f"{CACHE_S}s",
        },
    }
    with provider(port, tmp_path / "provider", callback) as peer:
        async with LocalCluster(tmp_path / "desk", nodes=2, sections=sections) as cluster:
            yield Place(cluster, issuer, peer)


class Browser:
    """Follows, fills in, remembers."""

    def __init__(self) -> None:
        self.client = httpx2.AsyncClient(timeout=20, headers={"Accept-Language": "zh-CN"})
        self.visited: list[str] = []

    async def go(self, url: str, form: dict[str, str] | None = None) -> httpx2.Response:
        """Return what is there, or where it leads that is not on this machine."""
        for _ in range(12):
            self.visited.append(url)
            if form is None:
                answer = await self.client.get(url)
            else:
                answer = await self.client.post(url, data=form, headers={"Referer": url})
            if not answer.is_redirect:
                return answer
            url, form = urljoin(url, answer.headers["location"]), None
            if urlsplit(url).hostname != "127.0.0.1":
                self.visited.append(url)
                return answer
        raise AssertionError(f"in a circle: {self.visited}")

    async def log_in(self, url: str, person: str, *, consent: str = "allow") -> httpx2.Response:
        """Go to `url`, through the provider's forms, to where that ends."""
        form = await self.go(url)
        fields = hidden(form) | {"username": person, "password": person * 2}
        asked = await self.go(str(form.url), fields)
        assert "authorize" in str(asked.url), asked.text[-2000:]
        return await self.go(str(asked.url), hidden(asked) | {consent: "Authorize"})


def hidden(page: httpx2.Response) -> dict[str, str]:
    """The fields that a form sends unasked."""
    inputs = re.findall(r"<input[^>]*type=\"hidden\"[^>]*>", page.text)
    attributes = [dict(re.findall(r'(\w+)="([^"]*)"', one)) for one in inputs]
    return {one["name"]: unescape(one.get("value", "")) for one in attributes}


async def welcome(place: Place, token: str, node: str = "n1") -> dict[str, Any]:
    raw = await Raw.connect(place.cluster.address(node))
    try:
        await raw.say({"op": "hello", "ver": "1", "token": token})
        return await raw.until(op="welcome")
    finally:
        await raw.stream.aclose()


async def call(place: Place, token: str, node: str = "n1") -> httpx2.Response:
    async with httpx2.AsyncClient(timeout=20) as client:
        return await client.post(
            f"{place.base(node)}/v1/op/cv.open",
            json={"key": "k", "text": "hi"},
            headers={"Authorization": f"Bearer {token}"},
        )


async def test_people_log_in_with_their_browser_and_work_at_every_node(place: Place) -> None:
    browser = Browser()
    begin = f"{place.base('n1')}/v1/login/corp"
    page = await browser.log_in(begin, "ada")
    assert page.status_code == 200
    assert str(page.url).startswith(place.base("n2")), "begun at one node, finished at another"
    assert "登录成功" in page.text
    token = unescape(page.text.partition("</textarea>")[0].rpartition(">")[2])
    you = (await welcome(place, token))["you"]
    assert (you["role"], you["name"]) == ("agent", "Ada")
    with trio.fail_after(60):
        while (await place.cluster.status())["n1"] is None:
            await trio.sleep(0.05)
    assert not any(token in url for url in browser.visited)
    # Logged in there already: the provider asks for consent alone, or not at all.
    await browser.client.aclose()

    lead = Browser()
    await lead.log_in(f"{begin}?return_to={CONSOLE}&state=s1", "lea")
    where = urlsplit(lead.visited[-1])
    assert f"{where.scheme}://{where.netloc}{where.path}?{where.query}" == CONSOLE + "?"
    told = dict(parse_qsl(where.fragment))
    assert told["state"] == "s1"
    assert (await welcome(place, told["token"]))["you"]["role"] == "supervisor"
    await lead.client.aclose()

    stranger = Browser()
    refused = await stranger.log_in(begin, "eve")
    assert refused.status_code == 400
    assert "[auth.corp.groups] gives a role to desk, desk-leads" in unescape(refused.text)
    await stranger.client.aclose()

    nobody = Browser()
    form = await nobody.go(begin)
    fields = hidden(form) | {"username": "ada", "password": "wrong"}
    assert "errornote" in (await nobody.go(str(form.url), fields)).text
    await nobody.client.aclose()


async def test_people_log_in_from_a_terminal(place: Place) -> None:
    command = [sys.executable, "-m", "node", "login", "--via", "corp", "--no-browser"]
    process = await trio.lowlevel.open_process(
        [*command, "--url", place.cluster.url("n1")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    assert process.stdout is not None
    said = b""
    with trio.fail_after(60):
        while not (match := re.search(rb"http://\S+\n", said)):
            said += await process.stderr.receive_some()
    browser = Browser()
    page = await browser.log_in(match[0].decode().strip(), "ada")
    assert "Logged in" in page.text
    await browser.client.aclose()
    with trio.fail_after(60):
        token = (await process.stdout.receive_some()).decode().strip()
        assert await process.wait() == 0
    await process.stdout.aclose()
    await process.stderr.aclose()
    assert (await welcome(place, token, "n2"))["you"]["role"] == "agent"


async def test_an_opaque_token_counts_until_the_provider_says_no(place: Place) -> None:
    async with httpx2.AsyncClient(timeout=20) as client:
        answer = await client.post(
            f"{place.issuer}/token/",
            data={"grant_type": "client_credentials", "scope": "desk"},
            auth=("robot", ROBOT_SECRET),
        )
        token = answer.json()["access_token"]
        other = await client.post(
            f"{place.issuer}/token/",
            data={"grant_type": "client_credentials", "scope": "profile"},
            auth=("robot", ROBOT_SECRET),
        )
    first, again = await call(place, token), await call(place, token, "n2")
    assert (first.status_code, again.status_code) == (200, 200), first.text
    assert again.json()["cv"] == first.json()["cv"], "one service, one key, one effect"
    assert (await welcome(place, token))["you"] == {"id": "robot", "role": "service", "name": ""}
    meant_for_others = await call(place, other.json()["access_token"])
    assert meant_for_others.status_code == 401
    assert "[auth.machines] scope" in meant_for_others.json()["msg"]
    invented = await call(place, "u9LfUKkGJEjCaPY6fd5QchSDE4yg8u")
    assert (invented.status_code, "not active" in invented.text) == (401, True)

    raw = await Raw.connect(place.cluster.address("n1"))
    await raw.say({"op": "hello", "ver": "1", "token": token})
    await raw.until(op="welcome")
    await raw.say({"op": "auth", "id": 1, "token": token})
    assert (await raw.until(id=1))["op"] == "ok"

    async with httpx2.AsyncClient(timeout=20) as client:
        revoked = await client.post(
            f"{place.issuer}/revoke_token/", data={"token": token}, auth=("robot", ROBOT_SECRET)
        )
        assert revoked.status_code == 200
    await trio.sleep(CACHE_S)
    await raw.say({"op": "auth", "id": 2, "token": token})
    renewed = await raw.until(id=2)
    assert (renewed["op"], renewed["code"]) == ("err", "unauthorized")
    await raw.stream.aclose()
    assert (await call(place, token)).status_code == 401

    place.peer.kill()
    place.peer.wait()
    away = await call(place, "another-token-0123456789")
    assert (away.status_code, away.json()["code"], away.json()["retry"]) == (502, "upstream", True)
    raw = await Raw.connect(place.cluster.address("n1"))
    await raw.say({"op": "hello", "ver": "1", "token": "another-token-0123456789"})
    assert await raw.until_closed() == 4008, "come again"
    await raw.stream.aclose()
    own = place.cluster.mint("service", "crm")
    assert (await call(place, own)).status_code == 200, "what needs no provider goes on"
