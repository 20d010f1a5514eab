"""A driver's process, and the lines that it says.  Starts processes."""

import json
import os
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import trio

from tests.clients.languages import Language

Line = dict[str, Any]


class Driver:
    """One client's program while it runs."""

    def __init__(
        self, language: Language, folder: Path, urls: Iterable[str], token: str, *words: str
    ) -> None:
        self._command = language.words(folder, *words)
        self._environ = {**os.environ, "URLS": ",".join(urls), "TOKEN": token}
        self.lines: list[Line] = []
        self._more = trio.Event()
        self._over = False

    async def run(self) -> None:
        """Run to the end; what went wrong, or was said beside the lines, is an error."""
        process = await trio.lowlevel.open_process(
            self._command, env=self._environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert process.stdout is not None
        assert process.stderr is not None
        complaints = bytearray()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_gather, process.stderr, complaints)
                await self._read(process.stdout)
            await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
            self._over = True
            self._more.set()
        assert process.returncode == 0, complaints.decode()
        assert not complaints, complaints.decode()

    async def _read(self, stream: trio.abc.ReceiveStream) -> None:
        rest = b""
        async for chunk in stream:
            *lines, rest = (rest + chunk).split(b"\n")
            self.lines += [json.loads(line) for line in lines]
            self._more.set()
            self._more = trio.Event()

    async def wait(self, wanted: Callable[[Line], bool]) -> Line:
        """Return the first line that is `wanted`, once it was said."""
        while True:
            for line in self.lines:
                if wanted(line):
                    return line
            assert not self._over, f"it ended, and said only {self.lines}"
            await self._more.wait()

    @property
    def nodes(self) -> list[str]:
        """The nodes that welcomed it, in order."""
        return [line["node"] for line in self.lines if "node" in line]

    def events(self, cv: str) -> list[Line]:
        """Return the events of a conversation that it saw, in order."""
        return [line for line in self.lines if line.get("cv") == cv and "seq" in line]


async def _gather(stream: trio.abc.ReceiveStream, into: bytearray) -> None:
    async for chunk in stream:
        into += chunk
