"""What a command asks of the node on the same machine, and what it is told.  No I/O.

    command                         node
    Asked: one line of JSON   ──▶
                              ◀──   Told ...: a line each; the last one has `done` or `refused`

Bad lines are answered with what is wrong with them.
"""

import msgspec

LINE_BYTES_MAX = 16 * 1024
SUPERVISED = "UNIDESK_SUPERVISED"
"""Names, in the environment, who watches a process and would miss it if another went on."""


class Asked(msgspec.Struct, forbid_unknown_fields=True, tag_field="ask", tag="upgrade"):
    """Go on in a new process."""

    python: str
    """The interpreter that it runs in."""
    root: str
    """Where its program is."""
    config: str
    """Its `node.toml`."""


class Told(msgspec.Struct, omit_defaults=True):
    """One step."""

    text: str
    done: bool = False
    refused: bool = False
    lost: bool = False
    """The node has ended; without it, a node that refuses serves on."""
    pid: int = 0
    """Of the process that is the node now."""

    @property
    def is_last(self) -> bool:
        """Whether no more follows."""
        return self.done or self.refused


_asked = msgspec.json.Decoder(Asked)
_told = msgspec.json.Decoder(Told)


def line(message: Asked | Told) -> bytes:
    """Return the message as a line."""
    return msgspec.json.encode(message) + b"\n"


def read_asked(data: bytes) -> Asked:
    """Return what is asked.  Raises `ValueError` that says what is wrong with it."""
    try:
        return _asked.decode(data)
    except UnicodeDecodeError:
        raise ValueError("it is no text") from None


def read_told(data: bytes) -> Told:
    """Return what a node said.  Raises `ValueError`."""
    return _told.decode(data)
