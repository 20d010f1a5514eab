"""What the checkout and the environment promise."""

import re
import subprocess
from importlib.metadata import packages_distributions, version
from pathlib import Path

import pytest

from node import __version__

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("package", ["wal", "cluster", "node"])
def test_no_other_distribution_ships_our_package(package: str) -> None:
    """PyPI has a `node` and a `cluster`: installed beside us they would overwrite files."""
    assert set(packages_distributions().get(package, [])) <= {"unidesk"}


def test_the_version_is_the_same_everywhere() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    assert f'version = "{__version__}"' in text
    assert version("unidesk") == __version__


def test_every_locked_requirement_has_a_hash_and_no_index() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        text = (ROOT / name).read_text()
        assert "://" not in text, f"{name} names a host"
        for block in re.findall(
            r"^[a-z0-9._-]+==.*(?:\n    .*)*", text, re.MULTILINE | re.IGNORECASE
        ):
            assert "--hash=sha256:" in block, block.splitlines()[0]


def test_every_link_in_the_documents_leads_somewhere() -> None:
    names = subprocess.run(
        ["git", "ls-files", "*.md"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()
    assert names
    for name in names:
        page = ROOT / name
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{name} -> {target}"
