"""h1spec's own cases against the edge, from a checkout that somebody has.

    python -m scripts.conformance.h1spec PATH/TO/h1spec

Reads the cases out of its `http_test.ts`, which is a list of literals, and judges as it does: the
first answer's status has to be in one of the ranges, and a 200 has the body that is named; a case
that expects a timeout passes when nothing is said for half a second.  Exits 1 when a case fails.
What the cases ask for is a test of ours too: `tests/node/edge/http_cases.py`.

Source: uNetworking/h1spec, http_test.ts.
"""

import argparse
import ast
import re
import sys
from pathlib import Path
from typing import NamedTuple

import trio

from node.edge.server import EdgeServer, open_listener
from scripts.conformance.echo import Echo

SILENCE_S = 0.5
_CASE = re.compile(
    r'request:\s*(?P<request>"(?:[^"\\]|\\.)*"),\s*description:\s*(?P<name>"(?:[^"\\]|\\.)*"),\s*'
    r"expectedStatus:\s*(?P<ranges>\[\[.*?\]\])(?P<silence>,\s*expectedTimeout:\s*true)?"
    r'(?:,\s*expectedBody:\s*(?P<body>"(?:[^"\\]|\\.)*"))?'
)
_STATUS = re.compile(rb"HTTP/1\.\d (\d{3})")


class Case(NamedTuple):
    """One of theirs."""

    name: str
    request: bytes
    ranges: list[list[int]]
    silence: bool
    body: bytes

    def passes(self, answer: bytes | None) -> bool:
        """Whether that is what was to be answered; None is silence."""
        if answer is None or self.silence:
            return answer is None and self.silence
        status = status_of(answer)
        as_named = status != 200 or answer.endswith(b"\r\n\r\n" + self.body) or not self.body
        return as_named and any(low <= status <= high for low, high in self.ranges)


def read(path: Path) -> list[Case]:
    """Return the cases of a checkout."""
    return [
        Case(
            ast.literal_eval(found["name"]),
            ast.literal_eval(found["request"]).encode("latin-1"),
            ast.literal_eval(found["ranges"]),
            found["silence"] is not None,
            ast.literal_eval(found["body"] or '""').encode(),
        )
        for found in _CASE.finditer((path / "http_test.ts").read_text())
    ]


async def run(cases: list[Case]) -> int:
    """Print what each came to; return how many failed."""
    failed = 0
    async with trio.open_nursery() as nursery:
        listener = open_listener("127.0.0.1", 0)
        port = listener.getsockname()[1]
        await nursery.start(EdgeServer(Echo()).serve, [listener])
        for case in cases:
            said = await answer(case, port)
            failed += not case.passes(said)
            verdict = "ok" if case.passes(said) else "FAILED"
            print(f"{verdict:7} {'silence' if said is None else status_of(said)!s:8} {case.name}")
        nursery.cancel_scope.cancel()
    print(f"{len(cases) - failed} of {len(cases)}")
    return failed


async def answer(case: Case, port: int) -> bytes | None:
    """Return what is answered first, None for silence."""
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all(case.request)
        with trio.move_on_after(SILENCE_S):
            return await stream.receive_some(1024)
    return None


def status_of(answer: bytes) -> int:
    """Return the status of an answer, 0 of one that is none."""
    found = _STATUS.match(answer)
    return int(found[1]) if found else 0


def main() -> int:
    """Run a checkout's cases; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m scripts.conformance.h1spec")
    parser.add_argument("checkout", type=Path)
    cases = read(parser.parse_args().checkout)
    if not cases:
        print("no cases found: is that a checkout of uNetworking/h1spec?", file=sys.stderr)
        return 2
    return 1 if trio.run(run, cases) else 0


if __name__ == "__main__":
    sys.exit(main())
