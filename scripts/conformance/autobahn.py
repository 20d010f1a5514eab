"""Autobahn|Testsuite against the edge: hundreds of WebSocket cases, and a verdict for each.

    python -m scripts.conformance.autobahn --python2 PATH/TO/python2.7
    python -m scripts.conformance.autobahn --cases '9.*' --by quick

The suite's client, `wstest`, is of 2014 and needs Python 2.7.  It is installed once, below
`--folder`, from the package index that pip is set up for: `virtualenv` of the last line that makes
environments of 2.7, and `autobahntestsuite` at the version below.

The server is our own, on loopback, echoing; each way of decoding is one agent of the suite:

    quick     as a node runs: small messages by `quick.py`, all else by wsproto
    wsproto   everything by wsproto
    deflate   permessage-deflate is on: cases 12 and 13

Cases go up to messages of 16 MiB, so the limits of message and outbox are above that here.  A case
passes when its behaviour and its way of closing are OK, NON-STRICT or INFORMATIONAL; 13.* that
ask for what we decline are UNIMPLEMENTED, and named.

Exits 1 when a case fails.

Source: crossbario/autobahn-testsuite.
"""

import argparse
import json
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import trio

from node.edge.server import EdgeLimits, EdgeServer, open_listener
from scripts.conformance.echo import Echo

SUITE = "autobahntestsuite==25.10.1"
MAKES_2_7 = "virtualenv<20.22"
HOST = "127.0.0.1"
MESSAGE_BYTES_MAX = 17 * 1024 * 1024
RUN_S_MAX = 7_200
"""Cases 12 and 13 are 216 times a thousand messages: half an hour on a busy machine."""
PASSED = frozenset({"OK", "NON-STRICT", "INFORMATIONAL"})
PLACES = ("python2.7", "python2")
DEFLATE_CASES = ("12.*", "13.*")

LIMITS = EdgeLimits(
    frame_bytes_max=MESSAGE_BYTES_MAX, outbox_bytes_max=2 * MESSAGE_BYTES_MAX, ping_s=120.0
)
WAYS = {
    "quick": LIMITS,
    "wsproto": replace(LIMITS, quick_bytes_max=0),
    "deflate": replace(LIMITS, deflate=True),
}


class NotInstalled(Exception):
    """There is no suite to run; the message says what to do."""


def main() -> int:
    """Install what is missing, run, print the table; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m scripts.conformance.autobahn")
    parser.add_argument("--python2", type=Path, help="a Python 2.7")
    parser.add_argument("--folder", type=Path, default=Path("build/autobahn"))
    parser.add_argument("--cases", nargs="+", default=["*"])
    parser.add_argument("--by", nargs="+", choices=WAYS, default=list(WAYS))
    options = parser.parse_args()
    folder = options.folder.absolute()
    try:
        wstest = installed(folder, options.python2)
    except NotInstalled as error:
        print(error, file=sys.stderr)
        return 2
    trio.run(serve_and_test, wstest, folder, options.by, options.cases)
    return report(folder / "reports")


def installed(folder: Path, python2: Path | None) -> Path:
    """Return `wstest`, installed if it was not.  Raises `NotInstalled`."""
    wstest = folder / "v27" / "bin" / "wstest"
    if wstest.exists():
        return wstest
    named = [str(python2)] if python2 is not None else filter(None, map(shutil.which, PLACES))
    found = next(filter(_is_2_7, named), None)
    if found is None:
        missing = f"{python2} is no Python 2.7" if python2 else "there is no Python 2.7 here"
        raise NotInstalled(
            f"{missing}, which the suite needs: name one with --python2;"
            " `pyenv install 2.7.18` makes one"
        )
    makes = folder / "virtualenv"
    _run(found, "-m", "pip", "install", "-q", "--target", makes, MAKES_2_7)
    _run("env", f"PYTHONPATH={makes}", found, "-m", "virtualenv", "-q", folder / "v27")
    _run(folder / "v27" / "bin" / "pip", "install", "-q", SUITE)
    return wstest


def _is_2_7(python: str) -> bool:
    check = "import sys; sys.exit(sys.version_info[:2] != (2, 7))"
    try:
        return (
            subprocess.run([python, "-c", check], capture_output=True, check=False).returncode == 0
        )
    except OSError:
        return False


def _run(*command: object) -> None:
    done = subprocess.run([str(part) for part in command], check=False)
    if done.returncode:
        raise NotInstalled(f"{command[0]} could not install what the suite needs, see above")


async def serve_and_test(wstest: Path, folder: Path, ways: list[str], cases: list[str]) -> None:
    """Run the cases against one server per way."""
    reports = folder / "reports"
    shutil.rmtree(reports, ignore_errors=True)
    async with trio.open_nursery() as nursery:
        for way in ways:
            listener = open_listener(HOST, 0)
            server = EdgeServer(Echo(), limits=WAYS[way])
            await nursery.start(server.serve, [listener])
            spec = {
                "outdir": str(reports / way),
                "servers": [{"agent": way, "url": f"ws://{HOST}:{listener.getsockname()[1]}"}],
                "cases": cases,
                "exclude-cases": [] if WAYS[way].deflate else list(DEFLATE_CASES),
                "exclude-agent-cases": {},
            }
            path = folder / f"{way}.json"
            path.write_text(json.dumps(spec))
            command = [str(wstest), "-m", "fuzzingclient", "-s", str(path)]
            with trio.fail_after(RUN_S_MAX), (folder / f"{way}.log").open("wb") as log:
                await trio.run_process(command, stdout=log, stderr=log)
        nursery.cancel_scope.cancel()


def report(reports: Path) -> int:
    """Print how many cases ended how, and each that failed; return 1 if one did."""
    failed = 0
    for path in sorted(reports.glob("*/index.json")):
        [(way, results)] = json.loads(path.read_text()).items()
        ends = Counter(result["behavior"] for result in results.values())
        closes = Counter(result["behaviorClose"] for result in results.values())
        print(f"{way:8} {len(results)} cases  {_counted(ends)}  |  closing: {_counted(closes)}")
        for case, result in sorted(results.items(), key=lambda one: _numbers(one[0])):
            if not {result["behavior"], result["behaviorClose"]} <= PASSED:
                failed += 1
                print(f"  {case}: {result['behavior']}, closing {result['behaviorClose']}")
    return 1 if failed else 0


def _counted(ends: Counter[str]) -> str:
    return ", ".join(f"{count} {end}" for end, count in ends.most_common())


def _numbers(case: str) -> list[int]:
    return [int(part) for part in case.split(".")]


if __name__ == "__main__":
    sys.exit(main())
