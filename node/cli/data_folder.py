"""Whether a folder is a node's data, before anything is said of it.  Reads names of files.

what is there                        the answer
a node's files, one at least         go on: what is damaged is for whoever reads them
node's folders further down          which they are
a file, nothing, other files         what it is, and where a node's folder is to be found
"""

import os
from pathlib import Path

from node.cli.problem import USAGE, Problem

MEND = "name a node's data folder: [node] data of its node.toml, or DIR/data/NODE of a demo"
SHOWN_MAX = 5
LOOKED_AT_MAX = 200
"""Subfolders in which nodes' folders are looked for."""


def check_node_folder(path: Path) -> None:
    """Raise `Problem` unless a node has kept its data in the folder `path`."""
    try:
        if not path.exists():
            raise Problem(f"{path}: no such folder; {MEND}", USAGE)
        if not path.is_dir():
            raise Problem(f"{path}: {_kind(path)}", USAGE)
        if _is_nodes(path):
            return
        names = sorted(one.name for one in path.iterdir())
    except OSError as error:
        said = (error.strerror or str(error)).lower()
        raise Problem(f"{path}: {said}; run it as the node's user", USAGE) from None
    what = "no node's data is in it" if names else "it is empty: no node has kept its data in it"
    below = _below(path, names)
    mend = f"did you mean {', '.join(below)}?" if below else MEND
    raise Problem(f"{path}: {what}; {mend}", USAGE)


def _kind(path: Path) -> str:
    from wal.snapfile import snapshot_index

    if snapshot_index(path.name) is not None:
        return "one snapshot of a node's: name the folder that it is in"
    return f"{'a file, and ' if path.is_file() else ''}no folder; {MEND}"


def _is_nodes(path: Path) -> bool:
    """Say whether a node keeps data in the folder `path`.  Raises `OSError`."""
    from wal.inspect import is_ours

    with os.scandir(path) as found:
        return any(is_ours(one.name) and one.is_file() for one in found)


def _below(path: Path, names: list[str]) -> list[str]:
    """Return the nodes' folders that are in `path`, or in its folder `data`."""
    found: list[str] = []
    inside = [path / name for name in names[:LOOKED_AT_MAX]]
    data = path / "data"
    if "data" in names and data.is_dir() and os.access(data, os.R_OK):
        inside += sorted(data.iterdir())[:LOOKED_AT_MAX]
    for one in inside:
        try:
            if one.is_dir() and _is_nodes(one):
                found.append(str(one))
        except OSError:
            continue  # not ours to look into
    return found[:SHOWN_MAX]
