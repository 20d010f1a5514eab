"""Runs targets under atheris, coverage-guided, one process after the other.

    python -m scripts.fuzz                          every target, a minute each
    python -m scripts.fuzz --for 10m websocket      one, for ten minutes
    python -m scripts.fuzz --replay FILE websocket  one input again, with its traceback

Needs atheris: `uv pip install --group fuzz`, or `pip install` with the line of that group in
`pyproject.toml`.  What was found interesting is kept in `--folder` and is the beginning of the
next run; so are inputs that broke a target (`crash-...`, `timeout-...`), which are printed.  An
input that takes 10 s, or a process that takes a gibibyte, is a finding too.

Exits 1 when there is a finding.
"""

import argparse
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

UNITS_S = {"s": 1, "m": 60, "h": 3600}
LENGTH_MAX = 4096
INPUT_S_MAX = 10
MEMORY_MB_MAX = 1024
_STATISTIC = re.compile(r"stat::(\w+):\s+(\d+)")
_DONE = re.compile(r"DONE\s+cov: (\d+)")


def main() -> int:
    """Run what is asked for; return the exit code."""
    from scripts.fuzz.targets import TARGETS

    parser = argparse.ArgumentParser(prog="python -m scripts.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="target", help=", ".join(TARGETS))
    parser.add_argument("--for", dest="seconds", type=_seconds, default=60, metavar="10m")
    parser.add_argument("--folder", type=Path, default=Path("build/fuzz"))
    parser.add_argument("--replay", type=Path, metavar="FILE")
    options = parser.parse_args()
    if unknown := [name for name in options.targets if name not in TARGETS]:
        parser.error(f"no target {unknown[0]!r}; there are {', '.join(TARGETS)}")
    names = options.targets or list(TARGETS)
    if options.replay is not None:
        for name in names:
            TARGETS[name].survive(options.replay.read_bytes())
        return 0
    if importlib.util.find_spec("atheris") is None:
        parser.error("atheris is not installed: uv pip install --group fuzz")
    return max([_run(name, options.seconds, options.folder / name) for name in names])


def _run(name: str, seconds: int, folder: Path) -> int:
    """Fuzz one target in a process of its own, print a line, return 1 if there is a finding."""
    from scripts.fuzz.targets import TARGETS

    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(TARGETS[name].seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    before = set(folder.glob("*-*"))
    flags = (
        f"-max_total_time={seconds}",
        f"-max_len={LENGTH_MAX}",
        f"-timeout={INPUT_S_MAX}",
        f"-rss_limit_mb={MEMORY_MB_MAX}",
        f"-artifact_prefix={folder}/",
        "-print_final_stats=1",
    )
    command = (sys.executable, "-m", "scripts.fuzz.guided", name, *flags, str(corpus))
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    statistics = dict(_STATISTIC.findall(done.stderr))
    coverage = _DONE.findall(done.stderr) or ["?"]
    found = sorted(set(folder.glob("*-*")) - before)
    executions = int(statistics.get("number_of_executed_units", 0))
    print(
        f"{name:10} {seconds:6} s {executions:12,} executions  coverage {coverage[-1]:>6}"
        f"  {len(found)} findings",
        flush=True,
    )
    for finding in found:
        print(f"  {finding}: python -m scripts.fuzz --replay {finding} {name}")
    if found or done.returncode:
        print(done.stderr[-3000:])
    return 1 if found or done.returncode else 0


def _seconds(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,6}[smh]", text):
        raise argparse.ArgumentTypeError(f"{text!r}: write 30s, 10m or 1h")
    return int(text[:-1]) * UNITS_S[text[-1]]


if __name__ == "__main__":
    sys.exit(main())
