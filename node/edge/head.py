"""The guard before h11: heads that two readers could read differently are refused.  No I/O.

h11 is strict about grammar but lenient where old clients were; behind a proxy each leniency is
a way to smuggle a second request past it.  Refused here, by name:

    bytes        control characters, a bare LF, a bare CR, a folded header line
    start        anything that cannot become `METHOD target HTTP/1.x`; a version but 1.0 and 1.1
    framing      two Content-Length headers, one that is not a plain number, Content-Length beside
                 Transfer-Encoding, Transfer-Encoding in HTTP/1.0
    size         a head over its limit (431)

It counts bytes instead of matching a pattern: `translate` and `count` cost a fifth of a regular
expression with look-behind.

Source: RFC 9112, sections 2.2, 3, 5, 6.3 and 11.2.
"""

import re

CONTROLS = bytes(code for code in range(32) if code not in b"\t\r\n") + b"\x7f"
HEAD_END = b"\r\n\r\n"
METHOD_BYTES_MAX = 24

_START = re.compile(rb"[-!#$%%&'*+.^_`|~0-9A-Za-z]{1,%d}(?: |\Z)" % METHOD_BYTES_MAX)
_LENGTH = b"\ncontent-length:"
_ENCODING = b"\ntransfer-encoding:"


class RequestRefused(Exception):
    """A request that is answered with `status` and `reason`, and then the connection closed."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


def check_start(data: bytes) -> None:
    """Refuse early what cannot become a head; `data` is its bytes so far."""
    if not _START.match(data):
        raise RequestRefused(400, "not an HTTP request line")
    # A last CR may be half of a line end whose LF is still on its way.
    _check_bytes(data[:-1] if data.endswith(b"\r") else data)


def check_head(head: bytes) -> None:
    """Refuse an unsafe head; `head` runs from the request line to the blank line."""
    _check_bytes(head)
    if not _START.match(head):
        raise RequestRefused(400, "not an HTTP request line")
    line_end = head.index(b"\r\n")
    version = head[max(0, line_end - 9) : line_end]
    if version not in (b" HTTP/1.1", b" HTTP/1.0"):
        raise RequestRefused(400, "HTTP version is not 1.0 or 1.1")
    _check_framing(head.lower(), version)


def _check_bytes(data: bytes) -> None:
    if len(data.translate(None, CONTROLS)) != len(data):
        raise RequestRefused(400, "control character in the head")
    line_ends = data.count(b"\r\n")
    if data.count(b"\n") != line_ends:
        raise RequestRefused(400, "line feed without carriage return in the head")
    if data.count(b"\r") != line_ends:
        raise RequestRefused(400, "carriage return without line feed in the head")
    if b"\n " in data or b"\n\t" in data:
        raise RequestRefused(400, "folded header line")


def _check_framing(head: bytes, version: bytes) -> None:
    at = head.find(_LENGTH)
    encoded = _ENCODING in head
    if encoded and version == b" HTTP/1.0":
        raise RequestRefused(400, "Transfer-Encoding in HTTP/1.0")
    if at < 0:
        return
    if encoded:
        raise RequestRefused(400, "both Content-Length and Transfer-Encoding")
    start = at + len(_LENGTH)
    if head.find(_LENGTH, start) >= 0:
        raise RequestRefused(400, "more than one Content-Length")
    if not head[start : head.index(b"\r\n", start)].strip(b" \t").isdigit():
        raise RequestRefused(400, "Content-Length is not a number")
