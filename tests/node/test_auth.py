"""`node.auth`: a token proves who somebody is, or it proves nothing."""

import base64
import json
import time
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.state.commands import By
from node.auth import BadToken, ExpiredToken, Principal, Verifier, mint

KEY = b"sixteen bytes ok"
OTHER_KEY = b"another sixteen!"
VERIFIER = Verifier(KEY, "demo")


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    base = {"iss": "unidesk", "aud": "demo", "sub": "a1", "role": "agent", "exp": now + 60}
    return {key: value for key, value in (base | changes).items() if value is not None}


def signed(**changes: Any) -> str:
    return jwt.encode(claims(**changes), KEY.ljust(32, b"\0"), algorithm="HS256")


def test_a_minted_token_proves_everything_that_was_put_in() -> None:
    token = mint(
        KEY,
        "demo",
        role="agent",
        subject="a1",
        name="Ann",
        ttl_s=60,
        skills={"refund": 4},
        capacity=3,
    )
    principal = VERIFIER.verify(token)
    assert len(principal.jti) == 32
    assert principal == Principal(
        role="agent",
        id="a1",
        exp=principal.exp,
        name="Ann",
        skills={"refund": 4},
        capacity=3,
        iat=principal.exp - 60,
        jti=principal.jti,
    )
    assert principal.by == By("agent", "a1", "Ann")
    assert 50 <= principal.exp - time.time() <= 61


def test_a_token_that_others_signed_with_the_bare_key_is_good() -> None:
    # Whoever mints elsewhere knows nothing of padding: HMAC itself pads the same way.
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').rstrip(b"=")
    body = base64.urlsafe_b64encode(json.dumps(claims()).encode()).rstrip(b"=")
    import hashlib
    import hmac

    mac = hmac.new(KEY, head + b"." + body, hashlib.sha256).digest()
    token = b".".join((head, body, base64.urlsafe_b64encode(mac).rstrip(b"=")))
    assert VERIFIER.verify(token.decode()).id == "a1"


def test_an_expired_token_is_told_from_a_bad_one() -> None:
    with pytest.raises(ExpiredToken, match="expired"):
        VERIFIER.verify(mint(KEY, "demo", role="visitor", subject="v", ttl_s=-60))


@pytest.mark.parametrize(
    ("why", "token"),
    [
        ("another key", mint(OTHER_KEY, "demo", role="agent", subject="a1", ttl_s=60)),
        ("another cluster", mint(KEY, "other", role="agent", subject="a1", ttl_s=60)),
        ("another issuer", signed(iss="elsewhere")),
        ("no issuer", signed(iss=None)),
        ("no end", signed(exp=None)),
        ("no subject", signed(sub=None)),
        ("no role", signed(role=None)),
        ("a role that is none", signed(role="root")),
        ("an empty subject", signed(sub="")),
        ("a very long subject", signed(sub="a" * 129)),
        ("not begun yet", signed(nbf=int(time.time()) + 600)),
        ("not good yet", signed(nbf=int(time.time()) + 600)),
        ("skills that are no map", signed(skills=["refund"])),
        ("a level out of range", signed(skills={"refund": 101})),
        ("no capacity", signed(cap=0)),
        ("an endless life", signed(exp=1e400)),
        ("no text as a name", signed(name=7)),
        ("unsigned", jwt.encode(claims(), "", algorithm="none")),
        ("another algorithm", jwt.encode(claims(), KEY.ljust(64, b"\0"), algorithm="HS512")),
        ("empty", ""),
        ("too long", "a" * 10_000),
        ("not ASCII", "ä.ö.ü"),
    ],
)
def test_a_token_proves_nothing_with(why: str, token: str) -> None:
    with pytest.raises(BadToken):
        VERIFIER.verify(token)


@given(st.text(max_size=200))
def test_garbage_is_refused_and_never_crashes(token: str) -> None:
    with pytest.raises(BadToken):
        VERIFIER.verify(token)


@given(st.integers(0, 10_000), st.binary(min_size=1, max_size=1))
def test_no_changed_byte_goes_unnoticed(at: int, byte: bytes) -> None:
    token = mint(KEY, "demo", role="visitor", subject="v1", ttl_s=60).encode()
    at %= len(token)
    changed = token[:at] + byte + token[at + 1 :]
    last_of_part = at == len(token) - 1  # its lowest bits are padding
    try:
        principal = VERIFIER.verify(changed.decode("latin-1"))
    except BadToken:
        return
    assert changed == token or last_of_part
    assert principal.id == "v1"


def test_a_token_made_by_a_clock_that_is_ahead_is_good() -> None:
    token = signed(iat=int(time.time()) + 3_600)
    assert VERIFIER.verify(token).id


@pytest.mark.parametrize("exp", [10**400, 2**60, 1e300])
def test_an_end_beyond_all_time_is_refused(exp: float) -> None:
    with pytest.raises(BadToken):
        VERIFIER.verify(signed(exp=exp))
