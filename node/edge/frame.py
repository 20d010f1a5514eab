"""WebSocket frames as bytes: what the server writes, and where frames end.  No I/O.

     0               1               2..           then
    +-+-+-+-+-------+-+-------------+------------+-------------+---------+
    |F|R|R|R| opcode|M| length 7 bit| 0, 2 or 8  | 4: mask key | payload |
    +-+-+-+-+-------+-+-------------+------------+-------------+---------+

Frames are only ever *written* here, unmasked and unfragmented, so that one fan-out encodes
once and writes the same bytes to every socket.  Nothing is decoded: `whole` and `Cursor` follow
the lengths of masked frames to say whether bytes end where a message ends; what the frames mean,
and whether they are legal, is wsproto's verdict (`node.edge.decoder`).

Source: RFC 6455, section 5.2 (framing), 5.5 (control frames), 7.4 (close codes).
"""

FIN = 0x80
COMPRESSED = 0x40
"""RSV1, as RFC 7692 uses it."""
OPCODE = 0x0F
CONTROL = 0x08
TEXT, BINARY, CLOSE, PING, PONG = 0x81, 0x82, 0x88, 0x89, 0x8A

CONTROL_BYTES_MAX = 125
HEADER_BYTES_MAX = 14
MASK_BYTES = 4

NO_STATUS = 1005
ABNORMAL = 1006


def encode_text(payload: bytes) -> bytes:
    """Return one text frame; `payload` is UTF-8 already."""
    return encode(TEXT, payload)


def encode_binary(payload: bytes) -> bytes:
    """Return one binary frame."""
    return encode(BINARY, payload)


def encode_ping(payload: bytes = b"") -> bytes:
    """Return a ping, whose payload the peer's pong repeats."""
    assert len(payload) <= CONTROL_BYTES_MAX
    return encode(PING, payload)


def encode_pong(payload: bytes) -> bytes:
    """Return the answer to a ping that carried `payload`."""
    assert len(payload) <= CONTROL_BYTES_MAX
    return encode(PONG, payload)


def encode_close(code: int, reason: str = "") -> bytes:
    """Return a close frame; a reason too long for it is cut, 1005 is written as no code at all."""
    if code == NO_STATUS:
        return encode(CLOSE, b"")
    assert 1000 <= code <= 4999
    assert code != ABNORMAL
    text = reason.encode("utf-8", "replace")[: CONTROL_BYTES_MAX - 2]
    text = text.decode("utf-8", "ignore").encode()  # the cut may have gone through a character
    return encode(CLOSE, code.to_bytes(2, "big") + text)


def encode(first: int, payload: bytes) -> bytes:
    """Return a frame whose first byte is `first`."""
    length = len(payload)
    if length < 126:
        return b"%c%c%b" % (first, length, payload)
    if length < 65_536:
        return b"%c\x7e%b%b" % (first, length.to_bytes(2, "big"), payload)
    return b"%c\x7f%b%b" % (first, length.to_bytes(8, "big"), payload)


def payload_start(frame: bytes) -> int:
    """Return where the payload of an unmasked frame begins."""
    return {126: 4, 127: 10}.get(frame[1], 2)


def frame_bytes(head: bytes) -> int | None:
    """Return the size of the masked frame that begins so, or None while that can't be told."""
    if len(head) < 2:
        return None
    length = head[1] & 0x7F
    if length < 126:
        return 2 + MASK_BYTES + length
    extended = 2 if length == 126 else 8
    if len(head) < 2 + extended:
        return None
    return 2 + extended + MASK_BYTES + int.from_bytes(head[2 : 2 + extended], "big")


def whole(data: bytes) -> bool:
    """Say whether `data` is whole, unfragmented frames and nothing else."""
    position, end = 0, len(data)
    while position < end:
        first = data[position]
        if first < FIN or not first & OPCODE:
            return False
        size = frame_bytes(data[position : position + HEADER_BYTES_MAX])
        if size is None:
            return False
        position += size
    return position == end


class Cursor:
    """Where a stream of masked frames stands, however it was cut into chunks."""

    __slots__ = ("_frame", "_head", "_left", "_message", "_message_open")

    def __init__(self) -> None:
        self._head = b""
        self._left = 0
        self._message_open = False
        self._frame = bytearray()
        """What has come of a frame whose size is known."""
        self._message = bytearray()
        """The whole frames of a message whose last one has not come."""

    @property
    def unfinished(self) -> bytes:
        """What a decoder that begins anew has to be fed to stand where this stands.

        Whole control frames are not in it, nor empty fragments, which a peer may send for ever:
        it is no longer than a message of one-byte fragments.
        """
        return bytes(self._message + self._frame + self._head)

    @property
    def awaited_bytes(self) -> int:
        """What is still missing of the frame it stands in, by that frame's own word."""
        return self._left

    def advance(self, data: bytes) -> bool:
        """Take the next bytes; say whether they end where a message ends."""
        position, end = 0, len(data)
        while position < end:
            if not self._left:
                taken = len(self._head)
                head = self._head + data[position : position + HEADER_BYTES_MAX - taken]
                size = frame_bytes(head)
                if size is None:
                    self._head = head
                    return False
                self._frame += self._head
                self._head = b""
                self._left = size - taken
                if not head[0] & CONTROL:
                    self._message_open = head[0] < FIN
            step = min(self._left, end - position)
            self._frame += data[position : position + step]
            self._left -= step
            position += step
            if not self._left:
                self._keep_frame()
        return not self._left and not self._head and not self._message_open

    def _keep_frame(self) -> None:
        """A frame is whole: keep it while its message is not."""
        first, length = self._frame[0], self._frame[1] & 0x7F
        if not first & CONTROL:
            if first >= FIN:
                self._message.clear()
            elif length or first & OPCODE:
                self._message += self._frame
        self._frame.clear()
