"""The guard before h11, in chunked bodies: only what has one reading gets through.  No I/O.

    SIZE --line--> DATA --as many bytes--> END --CRLF--> SIZE
         --line of size 0--> TRAILERS --lines, a blank one--> over

    a line       ends in CRLF, has at most `LINE_BYTES_MAX` bytes and no control character     400
    a size       hexadecimal digits, at once and nothing but these; extensions as the grammar
                 has them                                                                      400
                 more than the body may have                                                   413
    chunks       at most `CHUNKS_MAX` in one body: each is as much work as a kibibyte          413
    trailers     `name: value`, unfolded; lines of these and of extensions, in all, not over
                 what a head may have                                                          431

h11 takes a bare LF at the end of trailers, blanks behind a size, any bytes in an extension, and
digits without end; a proxy in front of us may not.  It still decodes, this only follows, so that
what is behind the body stays where it is.  Extensions and trailers are read and dropped.

Source: RFC 9112, sections 7.1 and 11.1; RFC 9110, section 6.5.1.
"""

import re

from node.edge.head import RequestRefused

LINE_BYTES_MAX = 1024
SIZE_DIGITS_MAX = 16
CHUNKS_MAX = 4_096

_TOKEN = rb"[-!#$%&'*+.^_`|~0-9A-Za-z]++"
_QUOTED = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*+"'
_SIZE_LINE = re.compile(
    rb"([0-9A-Fa-f]++)((?:[ \t]*;[ \t]*%b(?:[ \t]*=[ \t]*(?:%b|%b))?)*)" % (_TOKEN, _TOKEN, _QUOTED)
)
_TRAILER = re.compile(rb"%b:[\t \x21-\x7e\x80-\xff]*+" % _TOKEN)
_CRLF = b"\r\n"
_SIZE, _DATA, _END, _TRAILERS = range(4)


class ChunkGuard:
    """Follows one chunked body, however it is cut."""

    __slots__ = ("_body_bytes_max", "_chunks", "_left", "_line", "_overhead_left", "_state")

    def __init__(self, *, body_bytes_max: int, overhead_bytes_max: int) -> None:
        self._body_bytes_max = body_bytes_max
        self._overhead_left = overhead_bytes_max
        self._chunks = 0
        self._left = 0
        self._line = b""
        self._state = _SIZE

    def advance(self, data: bytes) -> int | None:
        """Return how many bytes of `data` belong to the body if it ends there, None if not yet.

        Raises `RequestRefused`.
        """
        position, end = 0, len(data)
        while position < end:
            if self._state == _DATA:
                step = min(self._left, end - position)
                self._left -= step
                position += step
                self._state = _DATA if self._left else _END
                continue
            line, position = self._take_line(data, position)
            if line is not None and self._is_last(line):
                return position
        return None

    def _take_line(self, data: bytes, position: int) -> tuple[bytes | None, int]:
        """Return a whole line without its end, or None, and where to go on."""
        at = data.find(b"\n", position, position + LINE_BYTES_MAX)
        end = at + 1 if at >= 0 else len(data)
        self._line += data[position:end]
        if len(self._line) > LINE_BYTES_MAX:
            raise RequestRefused(400, f"a line of over {LINE_BYTES_MAX} bytes in a chunked body")
        if at < 0:
            if b"\r" in self._line[:-1]:
                raise RequestRefused(400, "carriage return without line feed in a chunked body")
            return None, end
        line, self._line = self._line, b""
        if not line.endswith(_CRLF) or b"\r" in line[:-2]:
            raise RequestRefused(400, "a line that does not end in CRLF in a chunked body")
        return line[:-2], end

    def _is_last(self, line: bytes) -> bool:
        """Take a line; return whether the body ends with it."""
        if self._state == _SIZE:
            self._begin_chunk(line)
        elif self._state == _END:
            if line:
                raise RequestRefused(400, "a chunk is longer than it says")
            self._state = _SIZE
        elif line:
            if not _TRAILER.fullmatch(line):
                raise RequestRefused(400, "a trailer that is none")
            self._spend(len(line))
        else:
            return True
        return False

    def _begin_chunk(self, line: bytes) -> None:
        found = _SIZE_LINE.fullmatch(line)
        if found is None:
            raise RequestRefused(400, "a chunk without a size, or an extension that is none")
        digits, extensions = found.groups()
        self._spend(len(extensions))
        if len(digits) > SIZE_DIGITS_MAX:
            raise RequestRefused(400, "a chunk size of too many digits")
        self._left = int(digits, 16)
        self._chunks += 1
        if self._left > self._body_bytes_max or self._chunks > CHUNKS_MAX:
            limits = f"{self._body_bytes_max} bytes or {CHUNKS_MAX} chunks"
            raise RequestRefused(413, f"body over {limits}")
        self._state = _DATA if self._left else _TRAILERS

    def _spend(self, size: int) -> None:
        self._overhead_left -= size
        if self._overhead_left < 0:
            raise RequestRefused(431, "too many chunk extensions and trailers")
