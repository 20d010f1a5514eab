"""Rule files in a folder: read, compiled, written.  Reads and writes files.

Bytes count: what `apply` takes and `export` writes is the same, line ends and comments included.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from node.cli.problem import USAGE, Problem

if TYPE_CHECKING:
    from cluster.routing.rules import RuleSet

FILES_MAX = 32
FILE_BYTES_MAX = 48 * 1024
"""All files together have to fit a frame of 64 KiB."""

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="A folder of *.toml, or one file.")]


def read_files(folder: Path) -> dict[str, str]:
    """Return the rule files of `folder`, name to text.  Raises `Problem`."""
    paths = [folder] if folder.is_file() else sorted(folder.glob("*.toml"))
    if not paths:
        why = "holds no *.toml" if folder.is_dir() else "no such folder"
        raise Problem(f"{folder}: {why}; give a folder of rule files", USAGE)
    if len(paths) > FILES_MAX:
        raise Problem(f"{folder}: over {FILES_MAX} files; join some", USAGE)
    files: dict[str, str] = {}
    for path in paths:
        try:
            files[path.name] = path.read_bytes().decode()
        except (OSError, UnicodeDecodeError) as error:
            raise Problem(f"{path}: {error}; it must be a UTF-8 text file", USAGE) from None
    size = sum(len(text.encode()) for text in files.values())
    if size > FILE_BYTES_MAX:
        raise Problem(f"{folder}: {size} bytes of rules; at most {FILE_BYTES_MAX}", USAGE)
    return files


def write_files(folder: Path, files: dict[str, str], *, force: bool) -> None:
    """Write rule files into `folder`, which is made.  Raises `Problem`, before it writes any."""
    for name in files:
        if Path(name).name != name or name in (".", ".."):
            raise Problem(f"a file named {name!r} is not written here")
        if (folder / name).exists() and not force:
            raise Problem(f"{folder / name} is there already; --force writes over it", USAGE)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_bytes(text.encode())
    except OSError as error:
        raise Problem(f"{folder}: {error.strerror}") from None


def compile_files(files: dict[str, str]) -> "RuleSet":
    """Return the rule set.  Raises `Problem` with every mistake."""
    from cluster.routing.ruleset import compile_rules
    from cluster.toml_source import SourceErrors

    try:
        return compile_rules(files)
    except SourceErrors as errors:
        raise Problem(f"the rules have mistakes:\n{errors}", USAGE) from None
