"""What a command line exchanges for its token.  No I/O.

    browser ──▶ http://127.0.0.1:PORT/?code=GRANT ──▶ command ──▶ POST …/token {code, verifier}

A grant says who somebody is and is good for GRANT_S, for whoever knows the verifier of its
challenge: that is the command that began, not who reads the browser's history.  So no token ever
stands in the query of an address.

Source: RFC 8252, sections 7.3 and 8.1; RFC 7636, section 4.6.
"""

import hmac

import msgspec

from node.auth import Principal
from node.login.seal import BadSeal, Seal
from node.login.ticket import challenge_of
from node.protocol.catalogue import Role

GRANT_S = 60


class BadGrant(Exception):
    """It is good for nothing; the message says why."""


class _Fields(msgspec.Struct):
    challenge: str
    role: Role
    id: str
    who: str
    skills: dict[str, int]
    capacity: int
    provider: str
    langs: tuple[str, ...] = ()


class Grants:
    """Makes grants, and takes them back."""

    def __init__(self, key: bytes) -> None:
        """`key` is the cluster's."""
        self._seal = Seal(key, "login grant")

    def make(self, provider: str, principal: Principal, challenge: str) -> str:
        """Return a grant for `principal`, of use to whoever knows the challenge's verifier."""
        fields = _Fields(
            challenge,
            principal.role,
            principal.id,
            principal.name,
            dict(principal.skills),
            principal.capacity,
            provider,
            principal.langs,
        )
        return self._seal.seal(msgspec.to_builtins(fields), GRANT_S)

    def redeem(self, provider: str, grant: str, verifier: str) -> Principal:
        """Return whom a grant names.  Raises `BadGrant`."""
        try:
            fields = msgspec.convert(self._seal.open(grant), _Fields)
        except (BadSeal, msgspec.ValidationError):
            raise BadGrant("the code was not made here, or is too old: log in again") from None
        if fields.provider != provider:
            raise BadGrant("the code is that of another provider")
        if not hmac.compare_digest(challenge_of(verifier), fields.challenge):
            raise BadGrant("the verifier is not that of whoever began")
        return Principal(
            fields.role,
            fields.id,
            0,
            name=fields.who,
            skills=fields.skills,
            capacity=fields.capacity,
            langs=fields.langs,
        )
