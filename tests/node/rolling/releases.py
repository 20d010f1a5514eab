"""This release and one before it, each as a program of its own.  Talks to git, copies files."""

import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

BEFORE_LEVELS = "84e91ce"
"""The last commit whose program knows nothing of levels."""
ROOT = Path(__file__).parents[3]

_SMALL = '''"""Snapshots are small and soon, so that they are what a node that was away is sent."""
import sys

if {"serve", "node.handover"} & set(sys.orig_argv):
    from cluster.raft import compaction

    compaction.SNAPSHOT_EVERY_ENTRIES = 200
    compaction.TRAILING_ENTRIES_MAX = 50
'''


def copy_present(folder: Path) -> Path:
    """Return `folder` with this release's program as it stands now.

    A drill starts processes for minutes: whoever edits a file meanwhile must not make some of them
    apply the log in another way.
    """
    for package in ("cluster", "node", "wal"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, folder / package, ignore=ignored)
    return folder


def extract(commit: str, folder: Path) -> Path:
    """Return `folder` with the program of `commit`.

    Skips the test, loudly, where the history is cut off, as in a shallow clone.
    """
    archive = folder.with_suffix(".zip")
    command = ["git", "-C", str(ROOT), "archive", "-o", str(archive), commit]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        why = done.stderr.decode(errors="replace").strip()
        pytest.skip(
            f"NOT TESTED: nodes of two releases in one cluster. {commit} is not here ({why});"
            " a whole clone has it: git fetch --unshallow"
        )
    with zipfile.ZipFile(archive) as whole:
        whole.extractall(folder)
    return folder


def snapshots_soon(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nodes of whatever release take snapshots after few entries."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(_SMALL)
    monkeypatch.setenv("PYTHONPATH", str(folder))
