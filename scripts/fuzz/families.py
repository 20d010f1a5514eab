"""Bytes that are meant to cost more than they should, at any size.  No I/O.

Each is a target and a function of `n` to some `n` bytes: nesting, repetition, and the smallest
unit that a decoder takes, as often as fits.
"""

import zlib
from collections.abc import Callable

from scripts.fuzz.targets import masked

_REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n"
_CHUNKED = b"\0POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def _times(unit: bytes, before: bytes = b"", behind: bytes = b"") -> Callable[[int], bytes]:
    return lambda n: before + unit * max(1, n // len(unit)) + behind


def _bomb(n: int) -> bytes:
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = deflater.compress(bytes(1000 * n)) + deflater.flush(zlib.Z_SYNC_FLUSH)
    return b"\0\xc2\xfe" + len(data[:n]).to_bytes(2, "big") + bytes(4) + data[:n]


FAMILIES: dict[str, tuple[str, Callable[[int], bytes]]] = {
    "empty messages": ("websocket", _times(masked(0x81, b""), b"\0")),
    "empty fragments": ("websocket", _times(masked(0x00, b""), b"\0" + masked(0x01, b""))),
    "fragments byte by byte": ("websocket", _times(masked(0x00, b""), b"\1" + masked(0x01, b""))),
    "pings": ("websocket", _times(masked(0x89, b""), b"\0")),
    "a message byte by byte": ("websocket", lambda n: b"\1\x82\xfe\x03\xe8" + bytes(n)),
    "a bomb": ("deflate", _bomb),
    "empty deflated messages": ("deflate", _times(masked(0xC1, b"\0"), b"\0")),
    "offers": ("deflate", _times(b"permessage-deflate;a;")),
    "requests": ("http", _times(_REQUEST + b"\r\n", b"\0")),
    "a head byte by byte": ("http", _times(b"X: yyyyyyyyyyyyyyyyyyy\r\n", b"\1" + _REQUEST)),
    "a line byte by byte": ("http", _times(b"a", b"\1GET /")),
    "headers": ("http", _times(b"a:\r\n", b"\0" + _REQUEST)),
    "chunks": ("http", _times(b"1\r\na\r\n", _CHUNKED)),
    "chunks byte by byte": ("http", _times(b"1\r\na\r\n", b"\1" + _CHUNKED[1:])),
    "extensions": ("http", _times(b"; a", _CHUNKED + b"1")),
    "blanks in an extension": ("http", _times(b" ", _CHUNKED + b"1;a")),
    "trailers": ("http", _times(b"a:\r\n", _CHUNKED + b"0\r\n")),
    "codings": ("http", _times(b"a,", b"\0" + _REQUEST + b"Transfer-Encoding: ", b"\r\n\r\n")),
    "JSON arrays in arrays": ("json", _times(b"[")),
    "JSON objects in objects": ("json", _times(b'{"op":')),
    "JSON blanks": ("json", _times(b" ", behind=b"[")),
    "JSON numbers": ("json", _times(b"9", b'{"op":"cv.get","id":', b"}")),
    "JSON maps": ("json", _times(b"{},", b"[", b"{}]")),
    "msgpack arrays in arrays": ("msgpack", _times(b"\x91")),
    "msgpack maps in maps": ("msgpack", _times(b"\x81\xa2op")),
    "msgpack array of 2^32": ("msgpack", _times(b"\xc0", b"\xdd\xff\xff\xff\xff")),
    "msgpack map of 2^32": ("msgpack", _times(b"\xc0", b"\xdf\xff\xff\xff\xff")),
    "places": ("place", _times(b".c:1", b"s")),
    "digits of a place": ("place", _times(b"1", b"s.c:")),
    "dots of a token": ("token", _times(b".")),
    "a token's head": ("token", _times(b"A", behind=b".A.A")),
    "empty frames of a peer": ("peer", _times(b"\1\0\0\0\xc0", b"\0")),
    "a peer byte by byte": ("peer", _times(b"\xc0", b"\1\xff\x10\0\0")),
    "a peer's arrays": ("peer", lambda n: b"\0" + n.to_bytes(4, "little") + b"\x91" * n),
    "a peer's array of 2^32": ("peer", lambda n: b"\0\x05\0\0\0\xdd\xff\xff\xff\xff" + bytes(n)),
    "a batch of arrays": ("entry", _times(b"\x91")),
    "a worker's empty frames": ("worker", _times(bytes(4), b"\0")),
    "resets in a log": ("wal", _times(b"\x06")),
    "magic words": ("wal", _times(b"UDWF\0\0\0\0")),
    "empty frames of a state": ("snapshot", _times(bytes(4))),
    "TOML tables": ("rules", _times(b"[a]\n")),
    "TOML tables in tables": ("rules", _times(b"a.", b"[", b"b]\n")),
    "TOML arrays in arrays": ("rules", _times(b"[", b"a = ")),
    "TOML keys": ("rules", lambda n: b"".join(b"a%d = 1\n" % one for one in range(n // 8))),
    "CEL parentheses": ("rules", _times(b"(", b"[rule.a]\nroute='a'\nwhen='", b"'\n")),
    "CEL negations": ("rules", _times(b"!", b"[rule.a]\nroute='a'\nwhen='", b"true'\n")),
    "CEL terms": ("rules", _times(b"true&&", b"[rule.a]\nroute='a'\nwhen='", b"true'\n")),
    "CEL words": ("rules", _times(b"x ", b"[rule.a]\nroute='a'\nwhen='", b"'\n")),
    "members": ("config", lambda n: b"".join(b"[nodes.n%d]\n" % one for one in range(n // 12))),
    "configured keys": ("config", lambda n: b"".join(b"k%d = 1\n" % one for one in range(n // 8))),
}
