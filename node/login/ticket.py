"""What is remembered of a login while its person is at the provider.  No I/O.

    the cookie                        a seal over: provider, seed, where to go then
    state, nonce, code verifier       HMAC of the seed, by a key that is the cluster's alone

So any node can finish what another began, no node keeps anything, and neither the cookie nor what
the provider sees says the verifier.  A browser has one login at a time with a provider: a second
one takes the place of the first.

Source: RFC 9700, section 2.1.1 and 4.7.1 (state bound to the browser); RFC 7636, section 4.
"""

import hashlib
import secrets
from dataclasses import dataclass

import msgspec

from node.login.seal import BadSeal, LateSeal, Seal, base64url

TICKET_S = 600
"""How long somebody may take to log in."""
SEED_BYTES = 16


class BadTicket(Exception):
    """There is none that fits; the message says why."""


class _Fields(msgspec.Struct):
    name: str
    seed: str
    return_to: str
    challenge: str
    echo: str


@dataclass(frozen=True, slots=True)
class Ticket:
    """One login under way."""

    state: str
    nonce: str
    verifier: str
    """Proves to the provider that whoever finishes is who began."""
    return_to: str = ""
    """Where the result goes; empty for a page."""
    challenge: str = ""
    """Of the command line that waits for the result."""
    echo: str = ""
    """What whoever waits at `return_to` wants to hear again."""

    @property
    def code_challenge(self) -> str:
        """What the provider is told of the verifier: S256."""
        return challenge_of(self.verifier)


def challenge_of(verifier: str) -> str:
    """Return the S256 challenge of a verifier."""
    return base64url(hashlib.sha256(verifier.encode()).digest())


class Tickets:
    """Gives tickets out, and takes them back."""

    def __init__(self, key: bytes) -> None:
        """`key` is the cluster's."""
        self._seal = Seal(key, "login ticket")

    def issue(
        self, name: str, *, return_to: str = "", challenge: str = "", echo: str = ""
    ) -> tuple[Ticket, str]:
        """Return a new ticket for provider `name`, and the cookie's value."""
        fields = _Fields(name, secrets.token_hex(SEED_BYTES), return_to, challenge, echo)
        return self._ticket(fields), self._seal.seal(msgspec.to_builtins(fields), TICKET_S)

    def read(self, name: str, cookie: str) -> Ticket:
        """Return the ticket in a cookie.  Raises `BadTicket`."""
        if not cookie:
            raise BadTicket("this browser has begun no login here, or keeps no cookies")
        try:
            fields = msgspec.convert(self._seal.open(cookie), _Fields)
        except LateSeal:
            raise BadTicket(f"the login took longer than {TICKET_S // 60} minutes") from None
        except (BadSeal, msgspec.ValidationError):
            raise BadTicket("the cookie was not made here") from None
        if fields.name != name:
            raise BadTicket("the login was begun with another provider")
        return self._ticket(fields)

    def _ticket(self, fields: _Fields) -> Ticket:
        state, nonce, verifier = (
            self._seal.derive(use, f"{fields.name} {fields.seed}")
            for use in ("state", "nonce", "verifier")
        )
        return Ticket(state, nonce, verifier, fields.return_to, fields.challenge, fields.echo)
