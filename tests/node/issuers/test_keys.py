"""Tokens of a company's own issuers: what they prove, and what nobody can make them prove."""

import base64
import hashlib
import hmac
import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
import trio
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from node.auth import BadToken, ExpiredToken, UndecidedToken, Verifier, mint
from node.issuers import Issuer, IssuerConfig
from node.issuers import keys as key_sets
from node.issuers.keys import read_keys
from node.protocol import catalogue as ops
from node.protocol.catalogue import Bye
from tests.node.desk.office import KEY, office, settle

ISSUER = "https://login.acme.example/desk"
RSA = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
ROTATED = ec.generate_private_key(ec.SECP256R1())


def public(kid: str, key: Any, **more: Any) -> dict[str, Any]:
    algorithm = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
    return {**algorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, **more}


def key_set(**keys: Any) -> str:
    return json.dumps({"keys": [public(kid, key) for kid, key in keys.items()]})


def config(path: Path | str, **changes: Any) -> IssuerConfig:
    fields: dict[str, Any] = {"roles": ("agent", "supervisor"), "role_claim": "realm.roles"}
    return IssuerConfig("corp", ISSUER, "unidesk", path, **(fields | changes))


def token(key: Any = EC, kid: str | None = "ec", **changes: Any) -> str:
    claims = {
        "iss": ISSUER,
        "aud": "unidesk",
        "sub": "ada@acme.example",
        "exp": int(time.time()) + 3600,
        "name": "Ada",
        "realm": {"roles": ["offline_access", "agent"]},
    }
    claims = {name: value for name, value in (claims | changes).items() if value is not None}
    algorithm = "RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256"
    return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": kid} if kid else None)


def forged(claims: dict[str, Any], secret: bytes) -> str:
    """Signed with HMAC by hand: PyJWT would not do it."""
    parts = ({"alg": "HS256", "kid": "ec"}, claims)
    body = b".".join(_base64(json.dumps(part).encode()) for part in parts)
    mac = hmac.new(secret, body, hashlib.sha256).digest()
    return (body + b"." + _base64(mac)).decode()


def _base64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def write(path: Path, text: str) -> None:
    path.write_text(text)


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    path = tmp_path / "corp.jwks.json"
    path.write_text(key_set(ec=EC, rsa=RSA))
    return path


def verifier(path: Path, **changes: Any) -> Verifier:
    return Verifier(KEY, "demo", [Issuer(config(path, **changes))])


def test_it_proves_who_somebody_is_in_the_role_that_it_says(keys: Path) -> None:
    principal = verifier(keys).verify(token(skills={"refund": 3}, cap=4))
    assert (principal.role, principal.id, principal.name) == ("agent", "ada@acme.example", "Ada")
    assert (principal.skills, principal.capacity) == ({"refund": 3}, 4)
    assert verifier(keys).verify(token(RSA, "rsa")).role == "agent"
    both = token(realm={"roles": ["supervisor", "agent"]})
    assert verifier(keys).verify(both).role == "agent", "the first in the file"
    assert verifier(keys, role="supervisor", role_claim="").verify(token()).role == "supervisor"


def test_tokens_of_the_clusters_own_key_go_on_to_count(keys: Path) -> None:
    own = mint(KEY, "demo", role="visitor", subject="v1", ttl_s=60)
    assert verifier(keys).verify(own).id == "v1"


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (token(aud="another"), "not a token of corp"),
        (token(iss="https://evil.example"), "not a token of this cluster"),
        (token(iss=None), "not a token of this cluster"),
        (token(realm={"roles": ["operator"]}), "vouches for agent, supervisor"),
        (token(realm="agent"), "says none"),
        (token(realm=None), "says none"),
        (token(sub=None), "not a token of corp"),
        (token(exp=None), "not a token of corp"),
        (token(sub="x" * 200), "a claim is not what it must be"),
        (token(name="Ann \ud83d"), "half a character"),
        (token(ROTATED, "ec"), "not a token of corp"),
        (token(RSA, "ec"), "not a token of corp"),
    ],
)
def test_what_it_does_not_vouch_for_is_refused(made: str, why: str, keys: Path) -> None:
    with pytest.raises(BadToken, match=why):
        verifier(keys).verify(made)


def test_a_public_key_is_no_secret_that_signs(keys: Path) -> None:
    """The classic: HS256 with the public key's own text as the secret; and no signature at all."""
    claims = jwt.decode(token(), options={"verify_signature": False})
    for secret in (keys.read_text(), json.dumps(public("ec", EC))):
        with pytest.raises(BadToken):
            verifier(keys).verify(forged(claims, secret.encode()))
    with pytest.raises(BadToken):
        verifier(keys).verify(jwt.encode(claims, "", algorithm="none", headers={"kid": "ec"}))
    with pytest.raises(BadToken):
        verifier(keys).verify(forged(claims, KEY))


def test_an_expired_one_and_one_of_an_unknown_key_are_told_apart(keys: Path) -> None:
    with pytest.raises(ExpiredToken):
        verifier(keys).verify(token(exp=int(time.time()) - 60))
    with pytest.raises(UndecidedToken, match="'new' of corp is not known yet"):
        verifier(keys).verify(token(ROTATED, "new"))


def test_a_single_key_needs_no_name(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    path.write_text(key_set(only=EC))
    assert verifier(path).verify(token(kid=None)).role == "agent"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not a JSON Web Key Set"),
        ("[]", "not a JSON Web Key Set"),
        ("[" * 10_000, "not a JSON Web Key Set"),
        ('{"keys": []}', "not a JSON Web Key Set"),
        ('{"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "s"}]}', "no public key"),
        (json.dumps({"keys": [public("e", EC, use="enc")]}), "no public key"),
        (" " * 300_000, "over 262144 bytes"),
    ],
)
def test_what_is_no_key_set_is_refused_in_words(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_keys(text.encode())


@pytest.mark.parametrize(
    "jwk",
    [
        {"kty": "oct"},
        {"kty": "none", "alg": "none"},
        {"kty": "EC", "crv": "P-256", "x": 1, "y": None},
        {"kty": "OKP", "crv": "Ed25519", "x": "\u00e9"},
    ],
)
def test_a_key_that_is_none_is_no_end_of_the_node(jwk: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"[Kk]ey"):
        read_keys(json.dumps({"keys": [jwk]}).encode())


async def test_keys_rotate_without_a_restart(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_sets, "FILE_LOOK_S", 0.01)
    issuer = Issuer(config(keys))
    mine = Verifier(KEY, "demo", [issuer])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(issuer.keep_fresh)
        write(keys, "half a fi")
        await trio.sleep(0.05)
        assert mine.verify(token()).role == "agent", "the last good set counts"
        write(keys, key_set(new=ROTATED))
        with trio.fail_after(30):
            while True:
                try:
                    assert mine.verify(token(ROTATED, "new")).role == "agent"
                    break
                except UndecidedToken:
                    await trio.sleep(0.01)
        with pytest.raises(UndecidedToken):
            mine.verify(token())
        nursery.cancel_scope.cancel()


async def test_keys_come_by_http_and_are_asked_for_again_when_one_is_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(key_sets, "WANTED_PAUSE_S", 0.01)
    served = [key_set(ec=EC), "nonsense", key_set(ec=EC, new=ROTATED)]
    asked: list[str] = []

    async def serve(stream: trio.SocketStream) -> None:
        asked.append((await stream.receive_some(4_096)).split(b"\r\n")[0].decode())
        body = served[min(len(asked), len(served)) - 1]
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        await stream.send_all((head + body).encode())

    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    issuer = Issuer(config(f"http://127.0.0.1:{port}/desk/certs"))
    mine = Verifier(KEY, "demo", [issuer])
    with pytest.raises(UndecidedToken):
        mine.verify(token())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, serve, listeners)
        nursery.start_soon(issuer.keep_fresh)
        with trio.fail_after(30):
            for made in (token(), token(ROTATED, "new")):
                while True:
                    try:
                        assert mine.verify(made).role == "agent"
                        break
                    except UndecidedToken:
                        await trio.sleep(0.01)
        nursery.cancel_scope.cancel()
    assert asked[0] == "GET /desk/certs HTTP/1.1"
    assert len(asked) >= 3


async def test_a_hello_that_cannot_be_judged_yet_may_come_again(
    keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with office() as desk:
        verifying = verifier(keys)
        monkeypatch.setattr(desk.desks["n1"]._context, "verifier", verifying)
        client = desk.client()
        client.say(ops.Hello(ver="1", token=token(ROTATED, "new")))
        await settle()
        (bye,) = client.heard(Bye)
        assert (bye.code, bye.resume) == (4008, True)
        agent = desk.client()
        agent.say(ops.Hello(ver="1", token=token()))
        await settle()
        assert desk.port().state.agents["ada@acme.example"].name == "Ada"
