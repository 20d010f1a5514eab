"""Lets schemathesis try to break what `openapi.json` describes, on a live node.

    pip install schemathesis
    python -m scripts.check_openapi [--role service operator agent] [--examples 25] [--seed 1]

Every path is asked with what its schema allows and with what it does not; no answer may be a fault
of ours, of another status, type or shape than described, or accept what the schema refuses.  The
stream of events is left out: it does not end.  So is the check that everything a schema allows is
accepted: who owns a conversation, or whether it is there, no schema says.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

import trio

from node.desk.event_stream import PATH as EVENTS_PATH
from node.local import UNLIMITED, LocalCluster

SECTIONS = {"limits": {**UNLIMITED["limits"], "requests_per_s": 0}}


async def check(folder: Path, options: argparse.Namespace) -> int:
    """Return how many roles found a fault."""
    faulty = 0
    async with LocalCluster(folder, nodes=1, sections=SECTIONS) as cluster:
        address = cluster.address("n1")
        for role in options.role:
            command = [
                *("schemathesis", "run", f"http://{address.host}:{address.port}/v1/openapi.json"),
                *("--header", f"Authorization: Bearer {cluster.mint(role, 'fuzz')}"),
                *("--exclude-path", EVENTS_PATH),
                *("--exclude-checks", "positive_data_acceptance"),
                *("--max-examples", str(options.examples), "--seed", str(options.seed)),
                *("--request-timeout", "20", "--suppress-health-check", "all"),
            ]
            print(f"as {role}:", flush=True)
            ran = await trio.run_process(command, check=False, cwd=folder)
            faulty += ran.returncode != 0
    return faulty


def main() -> int:
    """Parse the command line, run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--role", nargs="+", default=["service", "operator", "agent"])
    parser.add_argument("--examples", type=int, default=25)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if shutil.which("schemathesis") is None:
        print("there is no schemathesis: pip install schemathesis", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="check-openapi-") as folder:
        return trio.run(check, Path(folder), options)


if __name__ == "__main__":
    sys.exit(main())
