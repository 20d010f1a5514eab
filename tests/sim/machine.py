"""A small state machine for simulated nodes: keys with versions, clients with sessions.

A command is [client, number, key, value].  It applies once per (client, number), however often
it is in the log, and answers with the version that it gave to the key.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgpack


@dataclass(slots=True)
class Machine:
    versions: dict[str, int] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)
    sessions: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Per client: number of its last command, and the version that it was answered with."""

    def apply(self, payload: bytes) -> tuple[str, int, int]:
        """Return (client, number, version) of the command's one and only application."""
        client, number, key, value = msgpack.unpackb(payload)
        done, version = self.sessions.get(client, (0, 0))
        if number > done:
            assert number == done + 1, f"{client} skips from {done} to {number}"
            version = self.versions.get(key, 0) + 1
            self.versions[key] = version
            self.values[key] = value
            self.sessions[client] = (number, version)
        return client, number, version

    def dump(self) -> bytes:
        data: bytes = msgpack.packb([self.versions, self.values, self.sessions])
        return data

    @classmethod
    def load(cls, chunks: Iterable[bytes]) -> "Machine":
        versions, values, sessions = msgpack.unpackb(b"".join(chunks))
        return cls(versions, values, {client: tuple(done) for client, done in sessions.items()})


def command(client: str, number: int, key: str, value: str) -> bytes:
    data: bytes = msgpack.packb([client, number, key, value])
    return data
