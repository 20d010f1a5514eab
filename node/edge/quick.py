"""The common chunk, small messages in a frame each, decoded without wsproto.  No I/O.

Of a chunk that is nothing but frames of this kind the messages are read here, in a quarter of the
time; of any other not a byte: wsproto then decodes it from its beginning, and says what is wrong
with it.

    first byte    0x81 or 0x82: a whole text or binary message, no extension
    length        masked; 0 to 125 in one byte, or 126 to `QUICK_BYTES_MAX` in two more
    payload       all there; of text, UTF-8

Unmasking is one exclusive or of two integers as long as the payload: faster than wsproto's table
up to about a kibibyte, slower above.

Source: RFC 6455, sections 5.2 and 5.3.
"""

QUICK_BYTES_MAX = 1024
_TEXT, _BINARY = 0x81, 0x82
_MASKED = 0x80
_TWO_BYTES = 126


def quick_messages(data: bytes, payload_bytes_max: int) -> list[tuple[bytes, bool]] | None:
    """Return the messages of a chunk that holds nothing else, each with whether it is text.

    None says that the chunk is something else.  Written for speed: this is the way of nearly
    every byte that a node reads.
    """
    messages: list[tuple[bytes, bool]] = []
    position, end = 0, len(data)
    while position < end:
        left = end - position
        if left < 6:
            return None
        first, length = data[position], data[position + 1] - _MASKED
        text = first == _TEXT
        if not text and first != _BINARY:
            return None
        start = position + 6
        if length == _TWO_BYTES and left >= 8:
            length = data[position + 2] << 8 | data[position + 3]
            start = position + 8
            if length < _TWO_BYTES:
                return None  # said in more bytes than needed
        elif not 0 <= length < _TWO_BYTES:
            return None
        position = start + length
        if position > end or length > payload_bytes_max:
            return None
        keys = (data[start - 4 : start] * (length // 4 + 1))[:length]
        mixed = int.from_bytes(data[start:position], "little") ^ int.from_bytes(keys, "little")
        payload = mixed.to_bytes(length, "little")
        if text and not (payload.isascii() or _is_utf8(payload)):
            return None
        messages.append((payload, text))
    return messages


def _is_utf8(payload: bytes) -> bool:
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True
