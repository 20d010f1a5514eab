"""Visitors whose identity a company signs with a secret that it shares with its cluster."""

import time
from pathlib import Path
from typing import Any

import jwt
import pytest
import trio

from node.auth import BadToken, ExpiredToken, Verifier
from node.issuers import Issuer, IssuerConfig, secret
from node.issuers.secret import read_secrets
from tests.node.desk.office import KEY

SECRET = b"the shop's own secret, long enough for HS256"
NEXT = b"the one that the shop will sign with tomorrow"


def token(key: bytes = SECRET, algorithm: str = "HS256", **changes: Any) -> str:
    claims = {
        "iss": "https://shop.acme.example",
        "aud": "unidesk",
        "sub": "customer-42",
        "exp": int(time.time()) + 600,
        "name": "Wei",
    } | changes
    made = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(made, key, algorithm=algorithm)


def write(path: Path, *secrets: bytes) -> None:
    path.write_bytes(b"\n".join(secrets) + b"\n")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write(tmp_path / "shop.secret", SECRET)
    return tmp_path / "shop.secret"


def issuer(file: Path) -> Issuer:
    return Issuer(
        IssuerConfig(
            "shop",
            "https://shop.acme.example",
            "unidesk",
            None,
            ("visitor",),
            "visitor",
            id_prefix="shop:",
            secret=file,
        )
    )


def test_a_customer_of_the_shop_is_a_visitor_here(file: Path) -> None:
    found = Verifier(KEY, "demo", [issuer(file)]).verify(token())
    assert (found.role, found.id, found.name) == ("visitor", "shop:customer-42", "Wei")


def test_whoever_has_the_secret_can_make_visitors_and_nobody_else(file: Path) -> None:
    found = Verifier(KEY, "demo", [issuer(file)]).verify(token(role="agent", skills={"refund": 9}))
    assert found.role == "visitor"


@pytest.mark.parametrize(
    "made",
    [
        token(KEY.ljust(32, b"\0")),
        token(NEXT),
        token(algorithm="HS512", key=SECRET * 2),
        token(algorithm="HS384", key=SECRET * 2),
        token(aud="another"),
        token(aud=None),
        token(exp=None),
        token(sub=None),
        token(sub=42),
        token(nbf=int(time.time()) + 600),
        token(iss="unidesk", aud="demo", role="agent"),
        jwt.encode({"iss": "https://shop.acme.example", "sub": "x"}, "", algorithm="none"),
    ],
)
def test_anything_else_proves_nothing(made: str, file: Path) -> None:
    with pytest.raises(BadToken):
        Verifier(KEY, "demo", [issuer(file)]).verify(made)


def test_an_expired_one_is_told_apart(file: Path) -> None:
    with pytest.raises(ExpiredToken):
        Verifier(KEY, "demo", [issuer(file)]).verify(token(exp=int(time.time()) - 60))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "0 secrets"),
        (b"\n \n", "0 secrets"),
        (b"short", "under 32"),
        (SECRET * 99, "one a line"),
    ],
)
def test_what_is_no_secret_is_said(data: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_secrets(data)


async def test_secrets_change_without_a_restart(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secret, "LOOK_S", 0.01)
    one = issuer(file)
    verifier = Verifier(KEY, "demo", [one])

    async def until(key: bytes, *, good: bool) -> None:
        with trio.fail_after(30):
            while True:
                try:
                    verifier.verify(token(key))
                    is_good = True
                except BadToken:
                    is_good = False
                if is_good == good:
                    return
                await trio.sleep(0.01)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.keep_fresh)
        write(file, NEXT, SECRET)
        await until(NEXT, good=True)
        assert verifier.verify(token(SECRET)).role == "visitor"
        write(file, NEXT)
        await until(SECRET, good=False)
        write(file)
        await trio.sleep(0.05)
        assert verifier.verify(token(NEXT)).role == "visitor", "the last ones count"
        nursery.cancel_scope.cancel()
