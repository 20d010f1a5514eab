"""Nobody speaks as somebody else, whichever way they come in.

In go-fly whoever posts a message may name the agent that it is to come from.  Here everything that
a stranger can send is tried on real nodes, and afterwards nothing was said that its speaker did
not say.
"""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import jwt
import msgpack
import pytest
import trio
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from node.auth import mint
from node.local import LocalCluster
from tests.node.server.raw import Raw

pytestmark = pytest.mark.process

CORP, SHOP = "https://login.acme.example/desk", "https://shop.acme.example"
PAGE = "https://www.acme.example"
KEY = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
STRANGER = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
JWK = {**RSAAlgorithm.to_jwk(KEY.public_key(), as_dict=True), "kid": "corp-1"}
SHOP_SECRET = b"what the shop signs its customers with"
JSON, MSGPACK = "unidesk.v1+json", "unidesk.v1+msgpack"
FORGED = "I am Ada, send me your password"


# -- what can be forged


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def by_hand(head: dict[str, Any], claims: dict[str, Any], secret: bytes | None) -> str:
    """A token as no library would make it."""
    body = f"{_base64(json.dumps(head).encode())}.{_base64(json.dumps(claims).encode())}"
    if secret is None:
        return body + "."
    return f"{body}.{_base64(hmac.digest(secret, body.encode(), hashlib.sha256))}"


def claims(iss: str = CORP, aud: str = "unidesk", **changes: Any) -> dict[str, Any]:
    now = int(time.time())
    told = {"iss": iss, "aud": aud, "sub": "ada", "role": "agent", "name": "Ada", "exp": now + 600}
    return told | changes


def public_forms() -> Iterator[bytes]:
    """Everything that a public key looks like to somebody who takes it for a secret."""
    public = KEY.public_key()
    for encoding, form in (
        (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
        (serialization.Encoding.PEM, serialization.PublicFormat.PKCS1),
        (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo),
        (serialization.Encoding.DER, serialization.PublicFormat.PKCS1),
    ):
        data = public.public_bytes(encoding, form)
        yield data
        yield data.strip()
    yield json.dumps(JWK).encode()
    yield json.dumps({"keys": [JWK]}).encode()
    yield base64.urlsafe_b64decode(JWK["n"] + "==")


def forgeries(cluster: LocalCluster) -> dict[str, str]:
    """Tokens that say they are Ada's, by what is wrong with them."""
    own = claims("unidesk", "local")
    found = {}
    for algorithm in ("none", "None", "NONE", "nOnE", ""):
        for name, said in (("own", own), ("corp", claims())):
            found[f"alg {algorithm!r}, {name}"] = by_hand({"alg": algorithm}, said, None)
            found[f"alg {algorithm!r}, {name}, some signature"] = by_hand(
                {"alg": algorithm, "kid": "corp-1"}, said, b"x"
            )
    head: dict[str, Any]
    for number, secret in enumerate(public_forms()):
        head = {"alg": "HS256", "kid": "corp-1"}
        found[f"public key as a secret, {number}"] = by_hand(head, claims(), secret)
        found[f"public key as the cluster's, {number}"] = by_hand({"alg": "HS256"}, own, secret)
    for kid in ("corp-1", "corp-2", "", "../../../dev/null", "' OR 1=1 --", "file:///dev/null"):
        for secret in (b"", b"\0"):
            named = {"alg": "HS256", "kid": kid}
            found[f"kid {kid!r}, {secret!r}"] = by_hand(named, claims(), secret)
        strange = jwt.encode(claims(), STRANGER, "RS256", {"kid": kid})
        found[f"kid {kid!r}, a stranger's key"] = strange
    theirs = {**RSAAlgorithm.to_jwk(STRANGER.public_key(), as_dict=True), "kid": "corp-1"}
    for name in ("jwk", "jku", "x5u"):
        head = {"kid": "corp-1", name: theirs if name == "jwk" else "http://127.0.0.1:1/"}
        found[f"its own {name}"] = jwt.encode(claims(), STRANGER, "RS256", head)
    head = {"alg": "RS256", "kid": "corp-1", "crit": ["b64"], "b64": False}
    found["crit"] = by_hand(head, claims(), b"x")
    for odd in (None, 7, ["corp-1"], {"a": 1}):
        found[f"kid of another type {odd}"] = by_hand({"alg": "RS256", "kid": odd}, claims(), b"x")
    key = cluster.folder.key
    found["another cluster, our key"] = mint(key, "other", role="agent", subject="ada", ttl_s=60)
    found["another cluster"] = mint(
        b"a key of another", "local", role="agent", subject="ada", ttl_s=60
    )
    found["expired"] = mint(key, "local", role="agent", subject="ada", ttl_s=-60)
    found["not begun"] = by_hand({"alg": "HS256"}, own | {"nbf": own["exp"]}, key)
    found["another audience"] = jwt.encode(claims(aud="crm"), KEY, "RS256", {"kid": "corp-1"})
    found["an issuer that is none"] = jwt.encode(claims("https://evil.example"), KEY, "RS256")
    found["own claims, signed by corp"] = jwt.encode(own, KEY, "RS256", {"kid": "corp-1"})
    found["own claims, signed by the shop"] = by_hand({"alg": "HS256"}, own, SHOP_SECRET)
    found["corp's claims, signed by the shop"] = by_hand(
        {"alg": "HS256", "kid": "corp-1"}, claims(), SHOP_SECRET
    )
    found["corp's claims, signed by the cluster"] = by_hand({"alg": "HS256"}, claims(), key)
    found["a role that corp may not vouch for"] = jwt.encode(
        claims(role="operator"), KEY, "RS256", {"kid": "corp-1"}
    )
    visitors = mint(key, "local", role="visitor", subject="ada", ttl_s=60).split(".")
    promoted = _base64(json.dumps(own).encode())
    found["a visitor's, promoted"] = f"{visitors[0]}.{promoted}.{visitors[2]}"
    found["nothing"] = ""
    found["a name"] = "ada"
    found["a cut one"] = mint(key, "local", role="agent", subject="ada", ttl_s=60).rpartition(".")[
        0
    ]
    return found


def strangers(cluster: LocalCluster) -> dict[str, str]:
    """Good tokens of people who are not the agent Ada, though they say so as far as they may."""
    return {
        "a visitor called ada": cluster.mint("visitor", "ada", name="Ada"),
        "the shop's, as an agent": by_hand({"alg": "HS256"}, claims(SHOP), SHOP_SECRET),
        "another agent": cluster.mint("agent", "bob", name="Ada"),
        "corp's other agent": jwt.encode(claims(sub="Ada"), KEY, "RS256", {"kid": "corp-1"}),
    }


NAMED: tuple[dict[str, Any], ...] = (
    {},
    {"by": {"k": "agent", "id": "ada", "name": "Ada"}},
    {"by": "ada"},
    {"from": "ada", "from_id": "ada", "sender": "ada", "author": "ada", "user": "ada"},
    {"agent": "ada", "kefu_id": "ada", "kefu_name": "ada", "principal": "agent:ada"},
    {"role": "agent", "sub": "ada", "token": "ada", "type": "text"},
)
"""What a stranger puts beside a message, to name whom it is to come from."""


# -- where it is tried


class Http:
    """The HTTP port of a node."""

    def __init__(self, cluster: LocalCluster, node: str) -> None:
        address = cluster.address(node)
        self.host, self.port = address.host, address.port

    async def ask(
        self, method: str, path: str, body: Any, token: str | None, **headers: str
    ) -> tuple[int, bytes]:
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            told["Authorization"] = f"Bearer {token}"

        def call() -> tuple[int, bytes]:
            connection = HTTPConnection(self.host, self.port, timeout=20)
            try:
                connection.request(method, path, json.dumps(body), told)
                answer = connection.getresponse()
                is_stream = answer.getheader("Content-Type") == "text/event-stream"
                return answer.status, b"" if is_stream else answer.read()
            finally:
                connection.close()

        return await trio.to_thread.run_sync(call)


def packed(subprotocol: str, *messages: dict[str, Any]) -> list[Any]:
    return [msgpack.packb(one) for one in messages] if subprotocol == MSGPACK else list(messages)


async def said_hello(cluster: LocalCluster, node: str, subprotocol: str, token: str) -> Raw:
    raw = await Raw.connect(cluster.address(node), (subprotocol,))
    await raw.say(*packed(subprotocol, {"op": "hello", "ver": "1", "token": token}))
    return raw


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("desk")
    (folder / "corp.jwks.json").write_text(json.dumps({"keys": [JWK]}))
    (folder / "shop.secret").write_bytes(SHOP_SECRET)
    return folder


SECTIONS: dict[str, dict[str, Any]] = {
    "auth.corp": {
        "issuer": CORP,
        "audience": "unidesk",
        "keys": "corp.jwks.json",
        "roles": ["agent", "supervisor"],
    },
    "auth.shop": {
        "issuer": SHOP,
        "audience": "unidesk",
        "secret_file": "shop.secret",
        "roles": ["visitor"],
        "role": "visitor",
    },
    "visitors": {"origins": [PAGE]},
    "limits": {"visitor_requests_per_s": 0},
}


class Desk:
    """Ada, and Vera whom she answers."""

    def __init__(self, cluster: LocalCluster, ada: Raw, vera: Raw, cv: str, fence: int) -> None:
        self.cluster = cluster
        self.ada = ada
        self.vera = vera
        self.cv = cv
        self.fence = fence


async def opened(cluster: LocalCluster) -> Desk:
    """Let Ada answer Vera, each with her own token."""
    token = jwt.encode(claims(cap=5), KEY, "RS256", {"kid": "corp-1"})
    ada = await said_hello(cluster, "n1", JSON, token)
    await ada.until(op="welcome")
    await ada.say({"op": "status.set", "id": 1, "status": "online"})
    vera = await said_hello(cluster, "n2", JSON, cluster.mint("visitor", "vera", name="Vera"))
    await vera.say({"op": "cv.open", "id": 1, "key": "open", "text": "my parcel is late"})
    cv = (await vera.until(op="ok", id=1))["r"]["cv"]
    offer = await ada.until(op="offer", cv=cv)
    await ada.say({"op": "offer.accept", "id": 2, "oid": offer["oid"], "key": "accept"})
    fence = (await ada.until(op="ok", id=2))["r"]["fence"]
    await ada.say(
        {"op": "msg.send", "id": 3, "cv": cv, "key": "m1", "body": "hello", "fence": fence}
    )
    await ada.until(op="ok", id=3)
    return Desk(cluster, ada, vera, cv, fence)


async def history(desk: Desk) -> list[tuple[str, str, str, Any]]:
    """Kind, id and words of all who said something, as a supervisor reads it at another node."""
    token = desk.cluster.mint("supervisor", "boss")
    status, body = await Http(desk.cluster, "n2").ask(
        "POST", "/v1/op/cv.history", {"cv": desk.cv}, token
    )
    assert status == 200
    events = json.loads(body)["events"]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    return [(event["type"], *event["by"][:2], event["data"].get("body")) for event in events]


async def test_nobody_posts_as_an_agent_gofly(folder: Path) -> None:
    async with LocalCluster(folder, nodes=2, sections=SECTIONS) as cluster:
        desk = await opened(cluster)
        before = await history(desk)
        assert ("msg", "agent", "ada", "hello") in before

        await _forged_tokens_open_nothing(desk)
        await _names_beside_a_message_count_for_nothing(desk)
        await _a_session_is_not_taken_over(desk)
        await _a_visitors_page_is_given_visitors_alone(desk)

        assert await history(desk) == before
        await desk.ada.say(
            {
                "op": "msg.send",
                "id": 9,
                "cv": desk.cv,
                "key": "m9",
                "body": "bye",
                "fence": desk.fence,
            }
        )
        await desk.ada.until(op="ok", id=9)
        assert await history(desk) == [*before, ("msg", "agent", "ada", "bye")]
        for raw in (desk.ada, desk.vera):
            await trio.aclose_forcefully(raw.stream)
        for name in cluster.names:
            assert "Traceback" not in cluster.folder.log(name).read_text()


def message(desk: Desk, **more: Any) -> dict[str, Any]:
    return {"cv": desk.cv, "key": "forged", "body": FORGED, **more}


async def _forged_tokens_open_nothing(desk: Desk) -> None:
    """Every forged token, at every door."""
    cluster = desk.cluster
    http = Http(cluster, "n1")
    visitor = await said_hello(cluster, "n2", JSON, cluster.mint("visitor", "mallory"))
    await visitor.until(op="welcome")
    for number, (why, token) in enumerate(forgeries(cluster).items(), start=1):
        for subprotocol in (JSON, MSGPACK):
            async with await said_hello(cluster, "n1", subprotocol, token) as raw:
                asked = {"op": "msg.send", "id": 1, **message(desk, fence=desk.fence)}
                await raw.say(*packed(subprotocol, asked))
                code = await raw.until_closed()
                assert code in (4008, 4102, 4103), (why, code)
                assert not [one for one in raw.heard if one["op"] in ("welcome", "ok")], why
        for path in ("/v1/op/msg.send", "/v1/visitor"):
            status, _ = await http.ask("POST", path, message(desk), token, Origin=PAGE)
            assert status in (401, 502), (why, path, status)
        status, _ = await http.ask("GET", "/v1/events", None, token)
        assert status in (401, 502), (why, status)
        await visitor.say({"op": "auth", "id": number, "token": token})
        refused = await visitor.until(id=number)
        assert (refused["op"], refused["code"]) in (("err", "unauthorized"), ("err", "upstream"))
    await trio.aclose_forcefully(visitor.stream)


async def _names_beside_a_message_count_for_nothing(desk: Desk) -> None:
    """Strangers with good tokens of their own, who name Ada as far as a message can."""
    cluster = desk.cluster
    http = Http(cluster, "n2")
    for who, token in strangers(cluster).items():
        for number, named in enumerate(NAMED, start=1):
            asked = message(desk, fence=desk.fence, **named)
            status, body = await http.ask(
                "POST",
                "/v1/op/msg.send?agent=ada&token=ada",
                asked,
                token,
                X_Forwarded_User="ada",
                X_User="ada",
                Cookie="user=ada; role=agent",
                Idempotency_Key="forged",
            )
            assert status in (400, 403, 409), (who, named, status, body)
            for subprotocol in (JSON, MSGPACK):
                async with await said_hello(cluster, "n1", subprotocol, token) as raw:
                    welcome = await raw.until(op="welcome")
                    assert (welcome["you"]["role"], welcome["you"]["id"]) != ("agent", "ada"), who
                    await raw.say(*packed(subprotocol, {"op": "msg.send", "id": number, **asked}))
                    refused = await raw.until(id=number)
                    assert refused["op"] == "err", (who, named, refused)
        await _may_not_work(desk, token, who)


async def _may_not_work(desk: Desk, token: str, who: str) -> None:
    """What only the owner may: take, transfer, close, in the owner's own words and keys."""
    asked: list[dict[str, Any]] = [
        {"op": "cv.transfer", "cv": desk.cv, "key": "m1", "to": {"agent": "bob"}},
        {"op": "cv.close", "cv": desk.cv, "key": "accept"},
        {"op": "msg.send", "cv": desk.cv, "key": "m1", "body": "hello", "fence": desk.fence},
        {"op": "offer.accept", "oid": "0" * 26, "key": "accept"},
    ]
    async with await said_hello(desk.cluster, "n1", JSON, token) as raw:
        await raw.until(op="welcome")
        for number, one in enumerate(asked, start=1):
            await raw.say({**one, "id": number})
            assert (await raw.until(id=number))["op"] == "err", (who, one)


async def _a_session_is_not_taken_over(desk: Desk) -> None:
    """A visitor who knows the id of Ada's session, and says hello twice."""
    cluster = desk.cluster
    sid = next(one for one in desk.ada.heard if one["op"] == "welcome")["sid"]
    for token in strangers(cluster).values():
        raw = await Raw.connect(cluster.address("n1"))
        async with raw:
            resume = {"sid": sid, "cvs": [[desk.cv, 0]]}
            await raw.say({"op": "hello", "ver": "1", "token": token, "resume": resume})
            welcome = await raw.until(op="welcome")
            assert (welcome["you"]["role"], welcome["you"]["id"]) != ("agent", "ada")
            ada = cluster.mint("agent", "ada")
            await raw.say({"op": "hello", "id": 1, "ver": "1", "token": ada})
            assert (await raw.until(id=1))["code"] == "bad_request"
            await raw.say({"op": "auth", "id": 2, "token": ada})
            assert (await raw.until(id=2))["code"] == "unauthorized", "not even with a good token"
    await desk.ada.say({"op": "cv.get", "id": 7, "cv": desk.cv})
    assert (await desk.ada.until(id=7))["op"] == "ok", "Ada is where she was"


async def _a_visitors_page_is_given_visitors_alone(desk: Desk) -> None:
    http = Http(desk.cluster, "n1")
    wanted = {"id": "ada", "role": "agent", "sub": "ada", "name": "Ada"}
    status, body = await http.ask(
        "POST", "/v1/visitor?role=agent&sub=ada", wanted, None, Origin=PAGE
    )
    given = json.loads(body)
    assert (status, given["id"].startswith("anon-")) == (200, True)
    said = jwt.decode(given["token"], options={"verify_signature": False})
    assert (said["role"], said["sub"]) == ("visitor", given["id"])
    status, body = await http.ask("POST", "/v1/op/msg.send", message(desk), given["token"])
    assert status == 403
    ada = desk.cluster.mint("agent", "ada")
    status, _ = await http.ask("POST", "/v1/visitor", {}, ada, Origin=PAGE)
    assert status == 403
