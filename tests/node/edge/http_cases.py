"""Requests and what RFC 9112 and RFC 9110 make of them: status, and whether the connection ends.

    h1spec     what uNetworking/h1spec asks for, in our words
    framing    whose bytes are whose: the ways to smuggle a request
    chunked    the same within a body
    form       request line, target, Host, headers
    hop        what belongs to the connection: versions, keep-alive, Expect, pipelines

A case that is answered 200 leaves the connection open unless it says otherwise; a refusal ends
it.  `seen` is what the application was given, as `METHOD path body`.
"""

from typing import NamedTuple


class Case(NamedTuple):
    """What is sent, and what is to come of it."""

    source: str
    data: bytes
    statuses: tuple[int, ...]
    seen: tuple[str, ...]
    ends: bool


HEAD = b"Host: desk"
OK_POST = "POST / ok"


def refused(source: str, data: bytes, status: int = 400, *, after: tuple[str, ...] = ()) -> Case:
    """A case of which nothing reaches the application but what came `after`... before it."""
    return Case(source, data, (200,) * len(after) + (status,), after, ends=True)


def taken(source: str, data: bytes, *seen: str, ends: bool = False) -> Case:
    """A case in which every request is answered 200."""
    return Case(source, data, (200,) * len(seen), seen, ends)


def get(*fields: bytes, target: bytes = b"/", version: bytes = b"HTTP/1.1") -> bytes:
    """A GET with a Host and `fields`."""
    return b"\r\n".join((b"GET %b %b" % (target, version), HEAD, *fields, b"", b""))


def post(*fields: bytes, body: bytes = b"") -> bytes:
    """A POST with a Host and `fields`."""
    return b"\r\n".join((b"POST / HTTP/1.1", HEAD, *fields, b"", body))


def chunked(body: bytes) -> bytes:
    """A POST whose body is chunked, as it is on the wire."""
    return post(b"Transfer-Encoding: chunked", body=body)


OTHER = get(target=b"/smuggled")

H1SPEC = {
    "no version": refused("9112, 3", b"GET / \r\n\r\n"),
    "Expect without a body": taken("9110, 10.1.1", get(b"Expect: 100-continue"), "GET / "),
    "a plain GET": taken("9112, 3", get(), "GET / "),
    "odd case, tab, empty value": taken(
        "9112, 5", b"GET / HTTP/1.1\r\nhoSt:\tdesk\r\nempty:\r\n\r\n", "GET / "
    ),
    "brackets in a name": refused("9110, 5.6.2", get(b"X-Invalid[]: test")),
    "no Host": refused("9112, 3.2", b"GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\n"),
    "two Hosts": refused("9112, 3.2", get(b"Host: other")),
    "a length below all integers": refused("9112, 6.3", get(b"Content-Length: -" + b"12345" * 6)),
    "a negative length": refused("9112, 6.3", get(b"Content-Length: -1234")),
    "a length in letters": refused("9112, 6.3", get(b"Content-Length: abc")),
    "an empty value": taken("9110, 5.5", get(b"X-Empty: "), "GET / "),
    "BEL in a value": refused("9110, 5.5", get(b"X: test\x07")),
    "HTTP/9.9": refused("9110, 15.6.6", get(version=b"HTTP/9.9"), 505),
    "words before the method": refused("9112, 3", b"Extra line" + get()),
    "CR before a name": refused("9112, 2.2", b"GET / HTTP/1.1\r\nHost: a\r\n\rX: y\r\n\r\n"),
    "a POST with a body": taken("9112, 6.2", post(b"Content-Length: 2", body=b"ok"), OK_POST),
    "a POST in chunks": taken(
        "9112, 7.1",
        post(b"Transfer-Encoding: chunked", body=b"2\r\nok\r\n0\r\n\r\n"),
        OK_POST,
    ),
    "length beside chunked": refused(
        "9112, 6.1", get(b"Transfer-Encoding: chunked", b"Content-Length: 5")
    ),
    "the same in any case": refused(
        "9112, 6.1", post(b"content-LengtH: 2", b"TransFer-Encoding: chunked", body=b"2\r\nok")
    ),
}
"""Its other fifteen are beginnings of a request, which have to wait: a test of their own."""

_CL, _TE = b"Content-Length: 2", b"Transfer-Encoding: chunked"
_LAST = b"0\r\n\r\n"

FRAMING = {
    "equal lengths twice": refused("9112, 6.3 (5)", post(_CL, _CL, body=b"ok" + OTHER)),
    "two lengths": refused("9112, 6.3 (5)", post(_CL, b"Content-Length: 3", body=b"ok" + OTHER)),
    "a list of equal lengths": refused("9112, 6.3 (5)", post(b"Content-Length: 2, 2", body=b"ok")),
    "a list of lengths": refused("9112, 6.3 (5)", post(b"Content-Length: 2, 3", body=b"ok")),
    "an empty length": refused("9112, 6.3 (5)", post(b"Content-Length:")),
    "a signed length": refused("9112, 6.3 (5)", post(b"Content-Length: +2", body=b"ok")),
    "a length in hexadecimal": refused("9112, 6.3 (5)", post(b"Content-Length: 0x2", body=b"ok")),
    "a length with underscores": refused("9112, 6.3 (5)", post(b"Content-Length: 0_2", body=b"ok")),
    "a length with a blank": refused("9112, 6.3 (5)", post(b"Content-Length: 1 2", body=b"ok")),
    "a length in other digits": refused("9112, 6.3 (5)", post("Content-Length: ２".encode())),
    "a length of 21 digits": refused("9112, 6.3 (5)", post(b"Content-Length: 1" + b"0" * 20), 413),
    "a length of 9,000 digits": refused(
        "9112, 6.3 (5)", post(b"Content-Length: " + b"9" * 9000), 413
    ),
    "a length with zeros before": taken(
        "9110, 8.6", post(b"Content-Length: 002", body=b"ok"), OK_POST
    ),
    "a length between blanks": taken(
        "9112, 5.1", post(b"Content-Length:  2\t ", body=b"ok"), OK_POST
    ),
    "a blank before the colon": refused("9112, 5.1", post(b"Content-Length : 2", body=b"ok")),
    "a tab before the colon": refused("9112, 5.1", post(b"Transfer-Encoding\t: chunked")),
    "length, chunked": refused("9112, 6.1", post(_CL, _TE, body=_LAST + OTHER)),
    "chunked, length": refused("9112, 6.1", post(_TE, _CL, body=_LAST + OTHER)),
    "chunked, identity": refused("9112, 6.3 (4)", post(b"Transfer-Encoding: chunked, identity")),
    "identity": refused("9112, 6.3 (4)", post(b"Transfer-Encoding: identity", body=OTHER)),
    "identity and a length": refused("9112, 6.1", post(b"Transfer-Encoding: identity", _CL)),
    "gzip": refused("9112, 6.3 (4)", post(b"Transfer-Encoding: gzip")),
    "pigeons": refused("9112, 6.3 (4)", post(b"Transfer-Encoding: pigeons")),
    "xchunked": refused("9112, 6.3 (4)", post(b"Transfer-Encoding: xchunked", body=_LAST + OTHER)),
    "chunkedchunked": refused("9112, 6.3 (4)", post(b"Transfer-Encoding: chunkedchunked")),
    "quoted chunked": refused("9112, 6.3 (4)", post(b'Transfer-Encoding: "chunked"')),
    "chunked with a parameter": refused("9112, 7", post(b"Transfer-Encoding: chunked;q=1")),
    "chunked twice in a list": refused("9112, 7.1", post(b"Transfer-Encoding: chunked, chunked")),
    "chunked twice": refused("9112, 7.1", post(_TE, _TE)),
    "chunked, then another": refused("9112, 6.3 (4)", post(_TE, b"Transfer-Encoding: deflate")),
    "no coding": refused("9112, 6.3 (4)", post(b"Transfer-Encoding:", body=OTHER)),
    "a last empty coding": refused("9112, 6.3 (4)", post(b"Transfer-Encoding: chunked,")),
    "gzip below chunked": refused("9112, 6.1", post(b"Transfer-Encoding: gzip, chunked"), 501),
    "two headers of codings": refused("9112, 6.1", post(b"Transfer-Encoding: deflate", _TE), 501),
    "VT before chunked": refused("9110, 5.5", post(b"Transfer-Encoding: \x0bchunked")),
    "blanks around chunked": taken(
        "9112, 5.1", post(b"Transfer-Encoding: \t chunked \t", body=b"2\r\nok\r\n" + _LAST), OK_POST
    ),
    "CHUNKED": taken(
        "9112, 7", post(b"Transfer-Encoding: CHUNKED", body=b"2\r\nok\r\n" + _LAST), OK_POST
    ),
    "a folded coding": refused("9112, 5.2", post(b"Transfer-Encoding:\r\n chunked", body=_LAST)),
    "a folded length": refused("9112, 5.2", post(b"X: y\r\n Content-Length: 40", body=OTHER)),
    "a line folded by a tab": refused("9112, 5.2", post(b"X: y\r\n\tz")),
    "a blank before the first header": refused("9112, 2.2", b"GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
    "chunked in HTTP/1.0": refused(
        "9112, 6.1", b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" + _LAST
    ),
    "bare LF everywhere": refused("9112, 2.2", b"GET / HTTP/1.1\nHost: a\n\n"),
    "bare LF between headers": refused("9112, 2.2", post(b"X: y\nTransfer-Encoding: chunked")),
    "bare LF behind a colon": refused("9112, 2.2", post(b"X:\nTransfer-Encoding: chunked")),
    "bare LF before the body": refused("9112, 2.2", b"GET / HTTP/1.1\r\nHost: a\r\n\n" + OTHER),
    "bare CR between headers": refused("9112, 2.2", post(b"X: y\rTransfer-Encoding: chunked")),
    "bare CR in a name": refused("9112, 5.1", post(b"Content\rLength: 2", body=b"ok")),
    "CR CR LF": refused("9112, 2.2", b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n"),
    "CR, other bytes, a request": refused("9112, 2.2", get(b"X: y\r\n\rZGET /evil: HTTP/1.1")),
    "NUL in a value": refused("9110, 5.5", get(b"X: a\0b")),
    "NUL in a name": refused("9110, 5.1", get(b"X\0: a")),
    "an underscore for a dash": taken("9110, 5.1", post(b"Content_Length: 5"), "POST / "),
    "a body that is the next request": taken(
        "9112, 6.2", post(b"Content-Length: 2", body=b"ok" + get(target=b"/2")), OK_POST, "GET /2 "
    ),
}

_WORD = "POST / hello"

CHUNKED = {
    "small and large digits": taken(
        "9112, 7.1",
        chunked(b"a\r\n0123456789\r\nA\r\n0123456789\r\n" + _LAST),
        "POST / " + "0123456789" * 2,
    ),
    "several zeros": taken("9112, 7.1", chunked(b"005\r\nhello\r\n000\r\n\r\n"), _WORD),
    "extensions": taken(
        "9112, 7.1.1", chunked(b'5;a;b=c ; d = "x;\\"\ty"\r\nhello\r\n0;e\r\n\r\n'), _WORD
    ),
    "trailers": taken("9112, 7.1.2", chunked(b"5\r\nhello\r\n0\r\nX: y\r\nZ:\r\n\r\n"), _WORD),
    "a length among the trailers": taken(
        "9110, 6.5.1", chunked(b"5\r\nhello\r\n0\r\nContent-Length: 50\r\n\r\n"), _WORD
    ),
    "the next request behind it": taken(
        "9112, 7.1", chunked(b"5\r\nhello\r\n0\r\n\r\n" + get(target=b"/2")), _WORD, "GET /2 "
    ),
    "no size": refused("9112, 7.1", chunked(b"\r\nhello\r\n" + _LAST)),
    "no last chunk": refused("9112, 7.1", chunked(b"3\r\nfoo\r\n\r\n")),
    "a negative size": refused("9112, 7.1", chunked(b"-5\r\nhello\r\n" + _LAST)),
    "a signed size": refused("9112, 7.1", chunked(b"+5\r\nhello\r\n" + _LAST)),
    "0x5": refused("9112, 7.1", chunked(b"0x5\r\nhello\r\n" + _LAST)),
    "an underscore": refused("9112, 7.1", chunked(b"0_5\r\nhello\r\n" + _LAST)),
    "a letter": refused("9112, 7.1", chunked(b"g\r\nhello\r\n" + _LAST)),
    "a blank before": refused("9112, 7.1", chunked(b" 5\r\nhello\r\n" + _LAST)),
    "a blank behind": refused("9112, 7.1", chunked(b"5 \r\nhello\r\n" + _LAST)),
    "words behind a blank": refused("9112, 7.1", chunked(b"5 hello\r\nhello\r\n" + _LAST)),
    "17 digits": refused("9112, 7.1", chunked(b"0" * 16 + b"5\r\nhello\r\n" + _LAST)),
    "2 to the 64": refused("9112, 7.1", chunked(b"10000000000000000\r\n")),
    "2 to the 64 less 1": refused("9112, 7.1", chunked(b"f" * 16 + b"\r\nhello"), 413),
    "more than a body may have": refused("9110, 15.5.14", chunked(b"200000\r\nhello"), 413),
    "bare LF behind the size": refused("9112, 7.1", chunked(b"5\nhello\r\n" + _LAST)),
    "bare CR behind the size": refused("9112, 7.1", chunked(b"5\rhello\r\n" + _LAST)),
    "CR CR and an extension": refused("9112, 7.1", chunked(b"5\r\r;ABCD\r\n34\r\nE\r\n" + _LAST)),
    "bare LF behind the data": refused("9112, 7.1", chunked(b"5\r\nhello\n" + _LAST)),
    "nothing behind the data": refused("9112, 7.1", chunked(b"5\r\nhello0\r\n\r\n")),
    "data longer than it says": refused("9112, 7.1", chunked(b"4\r\nhello\r\n" + _LAST)),
    "data shorter than it says": refused("9112, 7.1", chunked(b"6\r\nhello\r\n" + _LAST)),
    "bare LF in an extension": refused("9112, 7.1.1", chunked(b"5;a\nb\r\nhello\r\n" + _LAST)),
    "bare CR in an extension": refused("9112, 7.1.1", chunked(b"5;a\rb\r\nhello\r\n" + _LAST)),
    "NUL in an extension": refused("9112, 7.1.1", chunked(b"5;a\0b\r\nhello\r\n" + _LAST)),
    "an extension without a name": refused("9112, 7.1.1", chunked(b"5;\r\nhello\r\n" + _LAST)),
    "a quote that does not end": refused("9112, 7.1.1", chunked(b'5;a="b; c\r\nhello\r\n' + _LAST)),
    "an extension of 2 KiB": refused(
        "9112, 7.1.1", chunked(b"5;" + b"a" * 2048 + b"\r\nhello\r\n")
    ),
    "many extensions": refused(
        "9112, 7.1.1", chunked((b"1;" + b"a" * 999 + b"\r\nh\r\n") * 20), 431
    ),
    "many trailers": refused(
        "9112, 7.1.2", chunked(b"0\r\n" + b"X: yyyyyyyyyyyyy\r\n" * 1100), 431
    ),
    "many chunks": refused("9110, 15.5.14", chunked(b"1\r\nh\r\n" * 5_000), 413),
    "bare LF ends the trailers": refused("9112, 7.1.2", chunked(b"5\r\nhello\r\n0\r\n\n" + OTHER)),
    "bare LF behind a trailer": refused(
        "9112, 7.1.2", chunked(b"5\r\nhello\r\n0\r\nX: y\n\r\n" + OTHER)
    ),
    "a folded trailer": refused("9112, 5.2", chunked(b"0\r\nX: y\r\n z\r\n\r\n")),
    "a trailer without a colon": refused("9112, 5", chunked(b"0\r\n" + OTHER)),
    "a trailer with a control character": refused("9112, 5", chunked(b"0\r\nX: \x07\r\n\r\n")),
}

FORM = {
    "a path and a query": taken("9112, 3.2.1", get(target=b"/a?b=c?d"), "GET /a "),
    "an absolute target": taken("9112, 3.2.2", get(target=b"http://desk:80/a"), "GET /a "),
    "an absolute target's query": taken("9112, 3.2.2", get(target=b"http://desk?q"), "GET / "),
    "another host in the target": taken(
        "9112, 3.2.2", get(target=b"HTTP://x.example/a"), "GET /a "
    ),
    "an IPv6 host": taken("9112, 3.2.2", get(target=b"http://[::1]:80/a"), "GET /a "),
    "OPTIONS *": taken("9112, 3.2.4", b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * "),
    "OPTIONS of a path": taken(
        "9110, 9.3.7", b"OPTIONS /a HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS /a "
    ),
    "GET *": refused("9112, 3.2.4", get(target=b"*")),
    "an authority": refused("9112, 3.2.3", get(target=b"desk:80")),
    "CONNECT": refused("9110, 9.3.6", b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", 501),
    "no host in the target": refused("9110, 4.2.1", get(target=b"http:///a")),
    "a user in the target": refused("9110, 4.2.4", get(target=b"http://me@desk/a")),
    "another scheme": refused("9112, 3.2", get(target=b"ftp://desk/a")),
    "no slash": refused("9112, 3.2", get(target=b"a")),
    "a fragment": refused("9112, 3.2", get(target=b"/a#b")),
    "a blank in the target": refused("9112, 3.2", get(target=b"/a b")),
    "a tab in the line": refused("9112, 3", get(target=b"/\t")),
    "two blanks": refused("9112, 3", get(target=b" /")),
    "other letters in the target": refused("9112, 3.2", get(target="/é".encode())),
    "DEL in the target": refused("9112, 3.2", get(target=b"/\x7f")),
    "no method": refused("9112, 3", b" / HTTP/1.1\r\nHost: a\r\n\r\n"),
    "a method in parentheses": refused("9110, 9.1", b"(GET) / HTTP/1.1\r\nHost: a\r\n\r\n"),
    "a method longer than any": refused(
        "9112, 3", b"G" * 30 + b" / HTTP/1.1\r\nHost: a\r\n\r\n", 501
    ),
    "a target longer than any": refused("9112, 3", get(target=b"/" * 20_000), 414),
    "a head longer than any": refused("9110, 5.4", get(b"X: " + b"y" * 20_000), 431),
    "a head without an end": refused("9110, 5.4", get()[:-2] + b"X: " + b"y" * 20_000, 431),
    "101 headers": refused("9110, 5.4", get(*[b"X: y"] * 100), 431),
    "an empty Host": taken("9112, 3.2", b"GET / HTTP/1.1\r\nHost:\r\n\r\n", "GET / "),
    "a Host with a port": taken("9112, 3.2", b"GET / HTTP/1.1\r\nHost: a.b:80\r\n\r\n", "GET / "),
    "a Host in brackets": taken("9112, 3.2", b"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "GET / "),
    "a Host of sub-delims": taken(
        "9112, 3.2", b"GET / HTTP/1.1\r\nHost: 0.0.0.0=5000\r\n\r\n", "GET / "
    ),
    "a Host with a path": refused("9112, 3.2", b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
    "a Host with a user": refused("9112, 3.2", b"GET / HTTP/1.1\r\nHost: me@a\r\n\r\n"),
    "a Host with a blank": refused("9112, 3.2", b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
    "a Host with a port in words": refused("9112, 3.2", b"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n"),
    "a Host of other letters": refused("9112, 3.2", "GET / HTTP/1.1\r\nHost: é\r\n\r\n".encode()),
    "equal Hosts": refused("9112, 3.2", get(b"Host: desk")),
    "a header without a name": refused("9112, 5", get(b": y")),
    "a header without a colon": refused("9112, 5", get(b"name")),
    "@ in a name": refused("9110, 5.1", get(b"Fo@: y")),
    "a quote in a name": refused("9110, 5.1", get(b'"X": y')),
    "other letters in a value": taken("9110, 5.5", get("X: Düsseldorf".encode()), "GET / "),
    "0xFF in a value": taken("9110, 5.5", get(b"X: \xff"), "GET / "),
    "DEL in a value": refused("9110, 5.5", get(b"X: \x7f")),
    "a quote in the target": taken("9112, 3.2", get(target=b'/"a"?b=|'), 'GET /"a" '),
}

_CLOSE = b"Connection: close"
_OLD = b"GET / HTTP/1.0\r\n%b\r\n"

HOP = {
    "HTTP/1.0": taken("9112, 9.3", _OLD % b"", "GET / ", ends=True),
    "HTTP/1.0 that stays": taken("9112, 9.3", _OLD % b"Connection: Keep-Alive\r\n", "GET / "),
    "HTTP/1.0 that stays and goes": taken(
        "9112, 9.3", _OLD % b"Connection: keep-alive, close\r\n", "GET / ", ends=True
    ),
    "two of HTTP/1.0": taken(
        "9112, 9.3",
        _OLD % b"Connection: keep-alive\r\n" + _OLD % b"",
        "GET / ",
        "GET / ",
        ends=True,
    ),
    "HTTP/1.0 and a body": taken(
        "9112, 6.3", b"POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\nok", OK_POST, ends=True
    ),
    "HTTP/1.0 expects nothing": taken(
        "9110, 10.1.1",
        b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nok",
        OK_POST,
        ends=True,
    ),
    "HTTP/0.9": refused("9112, 3", b"GET /\r\n\r\n"),
    "HTTP/1.2": refused("9110, 2.5", get(version=b"HTTP/1.2"), 505),
    "HTTP/2.0": refused("9110, 15.6.6", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "http/1.1": refused("9112, 2.3", get(version=b"http/1.1")),
    "HTTP/1.1.1": refused("9112, 2.3", get(version=b"HTTP/1.1.1")),
    "HTTP/11": refused("9112, 2.3", get(version=b"HTTP/11")),
    "HTTP/ 1.1": refused("9112, 2.3", get(version=b"HTTP/ 1.1")),
    "RTSP/1.0": refused("9112, 2.3", get(version=b"RTSP/1.0")),
    "a TLS hello": refused("9112, 3", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
    "close": taken("9112, 9.6", get(_CLOSE), "GET / ", ends=True),
    "CLOSE among others": taken(
        "9110, 7.6.1", get(b"Connection: upgrade, ,CLOSE"), "GET / ", ends=True
    ),
    "a request behind a close": taken("9112, 9.6", get(_CLOSE) + OTHER, "GET / ", ends=True),
    "garbage behind a close": taken("9112, 9.6", get(_CLOSE) + b"\0" * 999, "GET / ", ends=True),
    "a pipeline": taken(
        "9112, 9.3.2",
        get() + get(target=b"/2") + get(_CLOSE),
        "GET / ",
        "GET /2 ",
        "GET / ",
        ends=True,
    ),
    "garbage in a pipeline": refused("9112, 9.3.2", get() + b"\0\0" + OTHER, after=("GET / ",)),
    "a refusal ends a pipeline": refused(
        "9112, 9.6", get() + get(b"X : y") + OTHER, after=("GET / ",)
    ),
    "one empty line before": taken("9112, 2.2", b"\r\n" + get(), "GET / "),
    "an empty line behind a body": taken(
        "9112, 2.2", post(_CL, body=b"ok\r\n") + get(), OK_POST, "GET / "
    ),
    "two empty lines before": refused("9112, 2.2", b"\r\n\r\n" + get()),
    "an empty line of a bare LF": refused("9112, 2.2", b"\n" + get()),
    "an upgrade to something else": taken(
        "9110, 7.8", get(b"Upgrade: h2c", b"Connection: upgrade"), "GET / "
    ),
    "another method": taken("9110, 9.1", b"REPORT / HTTP/1.1\r\nHost: a\r\n\r\n", "REPORT / "),
    "another expectation": taken("9110, 10.1.1", get(b"Expect: the-best"), "GET / "),
    "a GET with a body": taken("9110, 9.3.1", get(_CL) + b"ok", "GET / ok"),
}

CATEGORIES = {"h1spec": H1SPEC, "framing": FRAMING, "chunked": CHUNKED, "form": FORM, "hop": HOP}
CASES = {
    f"{category}: {name}": case
    for category, cases in CATEGORIES.items()
    for name, case in cases.items()
}
