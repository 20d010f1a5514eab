"""Where a node is: `ws://host:port/path`, or `wss` over TLS.  No I/O.

ws://127.0.0.1:7101/v1/ws    a client's way in
ws://[::1]:7101/v1/ws        the same, IPv6
ws://desk.example            port 80, path /v1/ws
wss://desk.example           port 443
"""

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

PATH_DEFAULT = "/v1/ws"
PORTS_DEFAULT = {"ws": 80, "http": 80, "wss": 443, "https": 443}
URL_CHARACTERS_MAX = 2_048


class BadAddress(Exception):
    """The text is no address of a node; the message says what one looks like."""


@dataclass(frozen=True, slots=True)
class Address:
    """A parsed address of a node."""

    url: str
    """As it was given: what names the node to others."""
    host: str
    port: int
    path: str
    tls: bool = False

    @classmethod
    def parse(cls, url: str) -> "Address":
        """Return the address that `url` says.  Raises `BadAddress`."""
        if len(url) > URL_CHARACTERS_MAX:
            raise BadAddress(f"an address of over {URL_CHARACTERS_MAX} characters")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise BadAddress(f"{url!r}: {error}; write ws://host:port/v1/ws") from None
        if parts.scheme not in PORTS_DEFAULT or not parts.hostname:
            raise BadAddress(f"{url!r} is no address of a node; write ws://host:port/v1/ws")
        try:
            parts.hostname.encode("idna")
        except UnicodeError:
            raise BadAddress(f"{url!r}: {parts.hostname[:64]!r} is no host name") from None
        path = parts.path if parts.path not in ("", "/") else PATH_DEFAULT
        port = PORTS_DEFAULT[parts.scheme] if port is None else port
        return cls(url, parts.hostname, port, path, parts.scheme in ("wss", "https"))

    @property
    def authority(self) -> str:
        """Host and port as HTTP's `Host` says them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def is_everywhere(host: str) -> bool:
    """Say whether listening on `host` is listening on every address that the machine has."""
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return _is_short_zero(host)
    return (getattr(found, "ipv4_mapped", None) or found).is_unspecified


def _is_short_zero(host: str) -> bool:
    """Say whether the resolver takes `host` for 0.0.0.0: `0`, `0.0` and `0x0` are."""
    try:
        return not any(socket.inet_aton(host))
    except OSError:
        return False


def is_loopback(host: str) -> bool:
    """Say whether only this machine can reach `host`; of names, only localhost is known."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
