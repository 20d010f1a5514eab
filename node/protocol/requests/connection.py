"""What a client asks of its own connection: hello, a newer token, an answer to a ping.  No I/O."""

import msgspec

from node.protocol.requests.base import Request


class Resume(msgspec.Struct, omit_defaults=True):
    """What the client has: conversations with the last `seq` seen of each."""

    sid: str = ""
    epoch: str = ""
    cvs: list[tuple[str, int]] = []


class Hello(Request, tag="hello"):
    """First frame of a connection; answered by the push `welcome`."""

    needs_connection = True

    ver: str
    token: str
    client: dict[str, str] = {}
    lang: str = ""
    resume: Resume | None = None


class Auth(Request, tag="auth"):
    """A newer token for the same principal."""

    needs_connection = True
    token: str


class Pong(Request, tag="pong"):
    """Answers the push `ping`."""

    needs_connection = True
