"""The guard before h11: heads that two readers could read differently are refused.  No I/O.

h11 is strict about grammar but lenient where old clients were; behind a proxy each leniency is
a way to smuggle a second request past it.  Refused here, by name:

    bytes        control characters, a bare LF, a bare CR, a folded header line             400
    start        anything that cannot become `METHOD target HTTP/1.x`                       400
                 a method that is longer than any                                           501
                 a version but 1.0 and 1.1                                                  505
    target       neither a path, nor an http URI with a host, nor `*` of OPTIONS; `#`       400
                 CONNECT, which is for proxies                                              501
    Host         a value that is no host and port                                           400
    framing      two Content-Length headers, one that is not a plain number, Content-Length
                 beside Transfer-Encoding, Transfer-Encoding in HTTP/1.0 or without a last
                 `chunked`                                                                  400
                 another coding under `chunked`                                             501
                 a length with more digits than any                                         413
    size         more than `HEADERS_MAX` headers (a head of too many bytes: `http.py`)      431

It counts bytes instead of matching a pattern: `translate` and `count` cost a fifth of a regular
expression with look-behind.

Source: RFC 9112, sections 2.2, 2.3, 3, 3.2, 5, 6.1, 6.3 and 11.2; RFC 9110, sections 7.2 and 9.3.6.
"""

import re

CONTROLS = bytes(code for code in range(32) if code not in b"\t\r\n") + b"\x7f"
HEAD_END = b"\r\n\r\n"
METHOD_BYTES_MAX = 24
HEADERS_MAX = 100
"""h11 takes as long for a short header as for a long one."""
LENGTH_DIGITS_MAX = 18

_TOKEN = rb"[-!#$%&'*+.^_`|~0-9A-Za-z]"
_START = re.compile(rb"%b{1,%d}(?: |\Z)" % (_TOKEN, METHOD_BYTES_MAX))
_LONG_START = re.compile(rb"%b{%d}" % (_TOKEN, METHOD_BYTES_MAX + 1))
_VERSION = re.compile(rb" HTTP/[0-9]\.[0-9]")
_HOST = rb"(?:(?:[-A-Za-z0-9._~!$&'()*+,;=]|%%[0-9A-Fa-f]{2})%b|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?"
_HOST_FIELD = re.compile(_HOST % b"*")
_HTTP_URI = re.compile(rb"https?://" + _HOST % b"+" + rb"(?:[/?].*)?", re.IGNORECASE | re.DOTALL)
_HOST_NAME = b"\nhost:"
_LENGTH = b"\ncontent-length:"
_ENCODING = b"\ntransfer-encoding:"


class RequestRefused(Exception):
    """A request that is answered with `status` and `reason`, and then the connection closed."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


def check_start(data: bytes, checked: int = 0) -> None:
    """Refuse early what cannot become a head; of `data` the first `checked` bytes have been seen.

    A client that sends byte by byte makes no more work than one that sends all at once.
    """
    _check_method(data)
    # Two bytes again, in case they belong to what is new, and never from within a line end.
    start = max(0, checked - 2)
    start -= data[start - 1 : start] == b"\r"
    # A last CR may be half of a line end whose LF is still on its way.
    _check_bytes(data[start : len(data) - data.endswith(b"\r")])


def check_head(head: bytes) -> None:
    """Refuse an unsafe head; `head` runs from the request line to the blank line."""
    if _check_bytes(head) - 2 > HEADERS_MAX:
        raise RequestRefused(431, f"more than {HEADERS_MAX} headers")
    _check_method(head)
    line_end = head.index(b"\r\n")
    version_at = max(0, line_end - len(" HTTP/1.1"))
    version = head[version_at:line_end]
    if version not in (b" HTTP/1.1", b" HTTP/1.0"):
        status = 505 if _VERSION.fullmatch(version) else 400
        raise RequestRefused(status, "HTTP version is not 1.0 or 1.1")
    _check_target(head[:version_at])
    lower = head.lower()
    _check_host(lower)
    _check_framing(lower, version)


def _check_bytes(data: bytes) -> int:
    """Return how many lines there are, all of them ended by CRLF."""
    if len(data.translate(None, CONTROLS)) != len(data):
        raise RequestRefused(400, "control character in the head")
    line_ends = data.count(b"\r\n")
    if data.count(b"\n") != line_ends:
        raise RequestRefused(400, "line feed without carriage return in the head")
    if data.count(b"\r") != line_ends:
        raise RequestRefused(400, "carriage return without line feed in the head")
    if b"\n " in data or b"\n\t" in data:
        raise RequestRefused(400, "folded header line")
    return line_ends


def _check_method(data: bytes) -> None:
    if not _START.match(data):
        if _LONG_START.match(data):
            raise RequestRefused(501, f"a method of more than {METHOD_BYTES_MAX} bytes")
        raise RequestRefused(400, "not an HTTP request line")


def _check_target(line: bytes) -> None:
    method, _, target = line.partition(b" ")
    if method == b"CONNECT":
        raise RequestRefused(501, "CONNECT is for proxies")
    if not (
        target.startswith(b"/")
        or _HTTP_URI.fullmatch(target)
        or (target == b"*" and method == b"OPTIONS")
    ):
        raise RequestRefused(400, "the target is neither a path nor an http URI")
    if b"#" in target:
        raise RequestRefused(400, "a fragment in the target")


def _check_host(head: bytes) -> None:
    for host in _values(head, _HOST_NAME):
        if not _HOST_FIELD.fullmatch(host):
            raise RequestRefused(400, "Host is no host and port")


def _check_framing(head: bytes, version: bytes) -> None:
    lengths = _values(head, _LENGTH)
    if _ENCODING in head:
        if version == b" HTTP/1.0":
            raise RequestRefused(400, "Transfer-Encoding in HTTP/1.0")
        if lengths:
            raise RequestRefused(400, "both Content-Length and Transfer-Encoding")
        _check_codings(b",".join(_values(head, _ENCODING)))
    if not lengths:
        return
    if len(lengths) > 1:
        raise RequestRefused(400, "more than one Content-Length")
    if not lengths[0].isdigit():
        raise RequestRefused(400, "Content-Length is not a number")
    if len(lengths[0]) > LENGTH_DIGITS_MAX:
        raise RequestRefused(413, "Content-Length is beyond all limits")


def _check_codings(listed: bytes) -> None:
    codings = [coding.strip(b" \t") for coding in listed.split(b",")]
    if codings[-1] != b"chunked" or codings.count(b"chunked") > 1:
        raise RequestRefused(400, "Transfer-Encoding without one last chunked: where does it end?")
    if len(codings) > 1:
        raise RequestRefused(501, "no Transfer-Encoding is understood but chunked")


def _values(head: bytes, name: bytes) -> list[bytes]:
    """Return the values of the headers called `name`; both are in lower case."""
    values = []
    at = head.find(name)
    while at >= 0:
        start = at + len(name)
        at = head.index(b"\r\n", start)
        values.append(head[start:at].strip(b" \t"))
        at = head.find(name, at)
    return values
