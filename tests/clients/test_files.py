"""What each client promises as a file: short, and of its language's own library."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clients.languages import CLIENTS, JAVASCRIPT, LINES_MAX, PHP, PYTHON, Language

FILES = [
    file for file in sorted(CLIENTS.iterdir()) if file.suffix in (".py", ".java", ".php", ".mjs")
]


def text_of(language: Language) -> str:
    return (CLIENTS / language.file).read_text()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_file_of_a_client_has_at_most_three_hundred_lines(file: Path) -> None:
    assert len(file.read_text().splitlines()) <= LINES_MAX


def test_the_python_client_imports_the_standard_library_alone() -> None:
    imported: set[str] = set()
    for node in ast.walk(ast.parse(text_of(PYTHON), feature_version=(3, 9))):
        if isinstance(node, ast.Import):
            imported.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module or ".")
    assert {name.partition(".")[0] for name in imported} <= sys.stdlib_module_names


def test_the_java_client_imports_the_jdk_alone() -> None:
    for file in CLIENTS.glob("*.java"):
        imported = re.findall(r"^import (?:static )?([\w.*]+);", file.read_text(), re.MULTILINE)
        assert imported
        assert all(name.startswith("java.") for name in imported)


def test_the_php_and_the_javascript_client_load_nothing() -> None:
    assert not re.search(r"^\s*(?:use|require|include)\b", text_of(PHP), re.MULTILINE)
    assert not re.search(r"^\s*import\b|\bimport\(|\brequire\(", text_of(JAVASCRIPT), re.MULTILINE)


@pytest.mark.parametrize(
    ("language", "check"),
    [
        (PYTHON, ["-W", "error", "-m", "py_compile"]),
        (PHP, ["-d", "error_reporting=-1", "-l"]),
        (JAVASCRIPT, ["--check"]),
    ],
    ids=lambda one: getattr(one, "name", ""),
)
def test_a_client_compiles_without_a_warning(
    language: Language, check: list[str], tmp_path: Path
) -> None:
    language.require()
    said = subprocess.run(
        [language.command[0], *check, str(CLIENTS / language.file)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={**os.environ, "PYTHONPYCACHEPREFIX": str(tmp_path)},
    )
    assert (said.returncode, said.stderr) == (0, "")
