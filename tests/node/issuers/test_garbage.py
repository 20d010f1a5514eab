"""Whatever an issuer says, however it is said: it is understood or refused, and nothing else."""

import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from node.auth import BadToken, principal_of
from node.client.http import Unreachable
from node.issuers import IssuerConfig
from node.issuers.config import ClientCredentials, GroupRule, IntrospectionConfig
from node.issuers.failures import NotVouched
from node.issuers.fetching import Fetcher
from node.issuers.introspection import Introspection
from node.issuers.mapping import mapped
from node.issuers.metadata import Metadata, read_metadata
from node.login.id_token import NotProved, check_id_token

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
NAMES = st.sampled_from(
    [
        *("sub", "role", "groups", "skills", "cap", "name", "exp", "nbf", "iss", "aud", "scope"),
        *("active", "nonce", "azp", "at_hash", "issuer", "jwks_uri", "token_endpoint"),
    ]
)
CLAIMS = st.dictionaries(NAMES, ANYTHING, max_size=10)
GROUPS = (GroupRule("desk", "agent", {"refund": 3}, 2), GroupRule("x", skills={"a": 1}))


def config(**changes: Any) -> IssuerConfig:
    asks = IntrospectionConfig("https://x", ClientCredentials("c", "s"), scope="desk")
    return IssuerConfig(
        "corp", "https://x", "unidesk", None, ("agent",), introspection=asks, **changes
    )


@given(CLAIMS, st.booleans())
def test_any_claims_name_somebody_or_nobody(claims: dict[str, Any], by_groups: bool) -> None:
    for each in (claims, claims | {"groups": ["desk", "x"], "role": "agent", "sub": "ada"}):
        try:
            found = mapped(config(groups=GROUPS if by_groups else (), role_claim="role"), each)
            principal = principal_of(found)
        except (NotVouched, BadToken):
            continue
        assert principal.role == "agent"
        assert principal.id
        assert 1 <= principal.capacity <= 1000
        assert all(0 <= level <= 100 for level in principal.skills.values())


@given(CLAIMS)
def test_any_answer_about_a_token_is_a_yes_a_no_or_no_answer(claims: dict[str, Any]) -> None:
    async def nowhere() -> str:
        return "https://x"

    asked = Introspection(config(), Fetcher(), nowhere)
    try:
        found = asked._judged(json.dumps(claims).encode(errors="surrogatepass"))
    except (NotVouched, Unreachable):
        return
    assert claims["active"] is True
    assert found["exp"] > 0


@given(st.binary(max_size=200) | CLAIMS.map(lambda one: json.dumps(one).encode()))
def test_any_metadata_is_believed_or_refused(data: bytes) -> None:
    try:
        found = read_metadata(data, "https://x")
    except ValueError:
        return
    assert isinstance(found, Metadata)
    assert found.issuer == "https://x"
    msgspec.to_builtins(found)


@given(CLAIMS)
def test_any_id_token_proves_this_login_or_not(claims: dict[str, Any]) -> None:
    try:
        check_id_token(
            claims, algorithm="RS256", client_id="desk", nonce="n" * 43, access_token="a"
        )
    except NotProved:
        return
    assert claims["nonce"] == "n" * 43
