"""What each client promises as a file: one, short, and of its language's own library."""

import ast
import re
import subprocess
import sys

import pytest

from tests.clients.languages import CLIENTS, JAVA, JAVASCRIPT, LINES_MAX, PHP, PYTHON, Language

ONE_EACH = [PYTHON, JAVA, PHP, JAVASCRIPT]


def text_of(language: Language) -> str:
    return (CLIENTS / language.file).read_text()


@pytest.mark.parametrize("language", ONE_EACH, ids=lambda one: one.name)
def test_a_client_has_at_most_three_hundred_lines(language: Language) -> None:
    assert len(text_of(language).splitlines()) <= LINES_MAX


def test_the_python_client_imports_the_standard_library_alone() -> None:
    imported = set()
    for node in ast.walk(ast.parse(text_of(PYTHON), feature_version=(3, 9))):
        if isinstance(node, ast.Import):
            imported.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module or ".")
    assert {name.partition(".")[0] for name in imported} <= sys.stdlib_module_names


def test_the_java_client_imports_the_jdk_alone() -> None:
    imported = re.findall(r"^import (?:static )?([\w.*]+);", text_of(JAVA), re.MULTILINE)
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
def test_a_client_compiles_without_a_warning(language: Language, check: list[str]) -> None:
    language.require()
    said = subprocess.run(
        [language.command[0], *check, str(CLIENTS / language.file)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={"PATH": "/usr/bin:/bin", "PYTHONPYCACHEPREFIX": "/dev/null"},
    )
    assert (said.returncode, said.stderr) == (0, "")
