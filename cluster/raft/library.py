"""The pinned library: which PySyncObj, down to the byte, and copies of its module.  Reads the
installed sources, nothing else.

Every name that `pysyncobj_core` uses is private to the library and means what it means in
0.3.17 only.  So the version, the SHA-256 of each source file, and the names are checked before
the first engine is made; anything else is refused, with place and mend.

Source: pysyncobj 0.3.17, the released files.
"""

import functools
import hashlib
import types
from pathlib import Path
from typing import Any

import pysyncobj
from pysyncobj.version import VERSION

VERSION_PINNED = "0.3.17"
SOURCES_PINNED = {
    "config.py": "fbbc7ff9f18e4d15a7fd563376e42f5bd192956879d4b810b056d5248b955698",
    "fast_queue.py": "8477fe5fdf36d9766df933310d3d66ee953d1afc195b1e6482b3a1498fc517bd",
    "journal.py": "9cf1eaf6acc704581a4cf7d3de330a404403913107adc91c929778b7e3f35edf",
    "node.py": "e4a3f027cd8291f558334bb9c977e952f6b6989e7e1fa1588d3005ef0b990e2c",
    "pickle.py": "e9327780738065cec5d600484b936c91e7c13875206cb584d5ff7f5d0dc9c474",
    "serializer.py": "4d39fde2f15000ad8f507ec229ebd4f6a86371b6f84d4dc1439a9cccd52857ee",
    "syncobj.py": "e8bdf06797085d734df86e24ab4802fe87893dff77268565ec036f7ad4a1cfe4",
    "transport.py": "0c9d89f9c4781ec9772df8011d7975a1a4a1a5f541357e12eae85a813e92b50b",
}
METHODS_PINNED = (
    "_SyncObj__doApplyCommand",
    "_SyncObj__onMessageReceived",
    "_SyncObj__sendAppendEntries",
    "_SyncObj__setCurrentTerm",
    "_checkCommandsToApply",
    "_onTick",
)
FIELDS_PINNED = (
    "_SyncObj__lastResponseTime",
    "_SyncObj__newAppendEntriesTime",
    "_SyncObj__raftCommitIndex",
    "_SyncObj__otherNodes",
    "_SyncObj__raftElectionDeadline",
    "_SyncObj__raftLastApplied",
    "_SyncObj__raftLeader",
    "_SyncObj__raftMatchIndex",
    "_SyncObj__raftNextIndex",
    "_SyncObj__raftState",
    "_SyncObj__readonlyNodes",
)
GLOBALS_PINNED = (
    "PIPE_NOTIFIER_ENABLED",
    "Serializer",
    "createJournal",
    "createPoller",
    "globalDnsResolver",
    "logger",
    "monotonicTime",
    "pickle",
    "random",
)


class LibraryRefused(Exception):
    """The installed PySyncObj is not the one that this guard was written against."""


@functools.cache
def verify_library(folder: Path | None = None) -> types.CodeType:
    """Return the checked code of `pysyncobj.syncobj`.  Raises `LibraryRefused`."""
    folder = folder or Path(pysyncobj.__file__).parent
    if VERSION != VERSION_PINNED:
        raise _refusal(folder, f"is version {VERSION}, not {VERSION_PINNED}")
    source = b""
    for name, pinned in SOURCES_PINNED.items():
        try:
            data = (folder / name).read_bytes()
        except OSError as error:
            raise _refusal(folder, f"has no readable {name} ({error.strerror})") from None
        if hashlib.sha256(data).hexdigest() != pinned:
            raise _refusal(folder, f"{name} differs from the released {VERSION_PINNED}")
        if name == "syncobj.py":
            source = data
    code = compile(source, str(folder / "syncobj.py"), "exec", dont_inherit=True)
    module = run_module(code)
    for name in GLOBALS_PINNED:
        if not hasattr(module, name):
            raise _refusal(folder, f"syncobj.py has no {name}")
    for name in METHODS_PINNED:
        if not hasattr(module.SyncObj, name):
            raise _refusal(folder, f"SyncObj has no {name}")
    return code


def _refusal(folder: Path, what: str) -> LibraryRefused:
    return LibraryRefused(
        f"pysyncobj at {folder} {what}: its holes are closed for {VERSION_PINNED} alone;"
        " install the locked requirements (requirements.txt) again"
    )


def run_module(code: types.CodeType) -> Any:
    """Return a fresh copy of the module, in no one's `sys.modules`."""
    module = types.ModuleType("pysyncobj.syncobj")
    module.__package__ = "pysyncobj"
    exec(code, module.__dict__)  # noqa: S102 - the library's own source, hashed above
    return module
