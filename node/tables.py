"""Tables of a TOML file, read value by value, with every mistake noted.  No I/O.

A reader notes a mistake with its line and its mend, and goes on with a value that fits the type,
so that one reading finds all of them.  Nothing of it may be used unless `problems` is empty.

    durations   50ms  20s  5m  8h  7d  into seconds
    sizes       512MB  1.5GB           into bytes, 1024 x 1024 a MB
    networks    10.0.0.0/8  10.1.2.3
    ranges      300ms-600ms            into two of them
    addresses   127.0.0.1:7101  [::1]:7101  desk.example:7101
"""

import ipaddress
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cluster.toml_source import Document, SourceError, did_you_mean

Address = tuple[str, int]
"""Host and port."""
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

NOWHERE: Address = ("", 0)
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
SHOWN_CHARACTERS_MAX = 60
TEXTS_MAX = 64
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|h|d)")
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(MB|GB)")
_UNITS_BYTES = {"MB": 1 << 20, "GB": 1 << 30}
_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_ADDRESS = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")
_URL_SCHEMES = ("ws", "wss")
_MISSING = object()


class Reading:
    """One file, and the mistakes found in it so far."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self.problems: list[SourceError] = []
        self.root = Table(self, (), document.data)

    def note(self, path: tuple[str, ...], problem: str, mend: str) -> None:
        """Note a mistake at the line of `path`, or of the nearest thing above it that exists."""
        self.problems.append(self._document.error(path, problem, mend))


class Table:
    """One table; what is asked of it is known, the rest is unknown."""

    def __init__(self, reading: Reading, path: tuple[str, ...], values: Mapping[str, Any]) -> None:
        self._reading = reading
        self._path = path
        self._values = values
        self._asked: list[str] = []

    @property
    def name(self) -> str:
        """The table's name as it is written, without brackets."""
        return ".".join(self._path)

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def note(self, key: str, problem: str, mend: str) -> None:
        """Note what is wrong with `key`."""
        path = (*self._path, key) if key else self._path
        self._reading.note(path, f"{'.'.join(path)}: {problem}", mend)

    def text(self, key: str, default: str | None = None, *, example: str) -> str:
        """Return a text that is not empty."""
        value = self._take(key, default, example)
        if value is _MISSING:
            return ""
        if isinstance(value, str) and value:
            return value
        self.note(key, "must be text" if value != "" else "is empty", f'write {key} = "{example}"')
        return default or ""

    def flag(self, key: str, default: bool) -> bool:
        """Return whether something is so."""
        value = self._take(key, default, str(default).lower())
        if isinstance(value, bool):
            return value
        self.note(key, "must be true or false", f"write {key} = {str(not default).lower()}")
        return default

    def integer(self, key: str, default: int, least: int, most: int) -> int:
        """Return a whole number within bounds."""
        value = self._take(key, default, str(default))
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        self.note(key, f"must be a whole number, {least} to {most}", f"write {key} = {default}")
        return default

    def share(self, key: str, default: float) -> float:
        """Return a number from 0 to 1."""
        value = self._take(key, default, "0.01")
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
            return float(value)
        self.note(key, "must be a number from 0 to 1", f"write {key} = {default}")
        return default

    def choice(self, key: str, default: str, choices: Iterable[str]) -> str:
        """Return one of a few words."""
        value = self.text(key, default, example=default)
        known = list(choices)
        if value in known:
            return value
        words = " or ".join(f'"{word}"' for word in known)
        self.note(key, f'"{_shown(value)}" is not known', f"write {words}")
        return default

    def words(self, key: str, choices: Iterable[str]) -> list[str]:
        """Return a list of some of a few words, at least one."""
        known = list(choices)
        value = self._take(key, None, known[0])
        if isinstance(value, list) and value and all(word in known for word in value):
            return list(dict.fromkeys(value))
        if value is not _MISSING:
            some = ", ".join(f'"{word}"' for word in known)
            self.note(
                key, "must be a list of known words", f"write {key} = [{some}], or some of it"
            )
        return known[:1]

    def texts(self, key: str, default: tuple[str, ...]) -> tuple[str, ...]:
        """Return a list of texts, each once."""
        value = self._take(key, list(default), "")
        if isinstance(value, list) and all(isinstance(one, str) and one for one in value):
            if len(value) <= TEXTS_MAX:
                return tuple(dict.fromkeys(value))
            self.note(key, f"{len(value)} entries", f"at most {TEXTS_MAX} may be")
            return default
        self.note(key, "must be a list of text", f'write {key} = ["…"]')
        return default

    def boolean(self, key: str, *, default: bool) -> bool:
        """Return true or false."""
        value = self._take(key, default, "true")
        if isinstance(value, bool):
            return value
        self.note(key, "must be true or false", f"write {key} = {str(default).lower()}")
        return default

    def keys(self) -> tuple[str, ...]:
        """Return the keys that are there."""
        return tuple(self._values)

    def named(self, key: str, example: str) -> str:
        """Return a name that can be part of a file name and a metric."""
        value = self.text(key, example=example)
        if value:
            self.check_name(key, value)
        return value

    def check_name(self, key: str, value: str) -> None:
        """Note `value` if it is no name."""
        if not NAME.fullmatch(value):
            mend = "use up to 32 of a-z, 0-9, - and _, a letter or digit first"
            self.note(key, f'"{_shown(value)}" is no name', mend)

    def address(self, key: str, example: str) -> Address:
        """Return host and port."""
        value = self.text(key, example=example)
        match = _ADDRESS.fullmatch(value)
        if match is not None and 1 <= int(match[2]) <= 65_535 and _is_host(match[1]):
            return match[1].strip("[]"), int(match[2])
        if value:
            problem = f'"{_shown(value)}" is no address'
            self.note(key, problem, f'write host:port, as in {key} = "{example}"')
        return NOWHERE

    def url(self, key: str, default: str) -> str:
        """Return where clients connect."""
        value = self.text(key, default, example=default)
        if key in self._values and not _is_url(value):
            problem = f'"{_shown(value)}" is no WebSocket address'
            self.note(key, problem, f'write {key} = "{default}"')
        return value

    def path(self, key: str, folder: Path, example: str) -> Path:
        """Return a path, relative to `folder`."""
        value = self.text(key, example=example)
        if "\0" in value:
            self.note(key, "holds a zero byte", f'write {key} = "{example}"')
            return folder
        return folder / value

    def file(self, key: str, folder: Path, example: str) -> Path:
        """Return the path of a file that is there."""
        path = self.path(key, folder, example)
        if key in self._values and not path.is_file():
            self.note(key, f"no file {path}", "name a file that exists, relative to this one")
        return path

    def contents(self, key: str, folder: Path, example: str) -> bytes | None:
        """Return what is in a file, without space around it; None where it cannot be read."""
        path = self.file(key, folder, example)
        try:
            return path.read_bytes().strip() if path.is_file() else None
        except OSError as error:
            self.note(key, f"cannot be read: {error.strerror}", "let this user read it")
            return None

    def folder(self, key: str, folder: Path, example: str) -> Path:
        """Return the path of a folder that is there, or can be made."""
        path = self.path(key, folder, example)
        if key in self._values and path.exists() and not path.is_dir():
            self.note(key, f"{path} is no folder", "name a folder; it is made where it is missing")
        return path

    def size(self, key: str, default: str, least_bytes: int) -> int:
        """Return a size in bytes."""
        value = self.text(key, default, example=default)
        found = _SIZE.fullmatch(value.strip())
        if found is None:
            self.note(key, f'"{_shown(value)}" is no size', "write it as 512MB or 2GB")
            return 0
        size = int(float(found[1]) * _UNITS_BYTES[found[2]])
        if size < least_bytes:
            self.note(
                key, f"{_shown(value)} is too little", f"choose {least_bytes >> 20}MB or more"
            )
        return size

    def networks(self, key: str) -> tuple[Network, ...]:
        """Return a list of networks; an address alone is one of its own."""
        value = self._take(key, [], "10.0.0.0/8")
        try:
            if isinstance(value, list):
                return tuple(ipaddress.ip_network(one) for one in value)
            problem = "must be a list"
        except ValueError as error:
            problem = str(error)
        self.note(key, problem, f'write {key} = ["10.0.0.0/8"], networks without host bits')
        return ()

    def seconds(self, key: str, default: str, least_s: float, most_s: float) -> float:
        """Return a duration in seconds."""
        value = self.text(key, default, example=default)
        return self._seconds(key, value, default, least_s, most_s)

    def seconds_range(
        self, key: str, default: str, least_s: float, most_s: float
    ) -> tuple[float, float]:
        """Return two durations in seconds, the first the smaller one."""
        value = self.text(key, default, example=default)
        first, dash, last = value.partition("-")
        if not dash:
            self.note(key, f'"{_shown(value)}" is no range', f'write {key} = "{default}"')
            return self.seconds_of(default)
        low_default, _, high_default = default.partition("-")
        low = self._seconds(key, first, low_default, least_s, most_s)
        high = self._seconds(key, last, high_default, least_s, most_s)
        if low >= high:
            self.note(
                key, "must rise: the first is to be the smaller", f'write {key} = "{default}"'
            )
        return low, high

    @staticmethod
    def seconds_of(default: str) -> tuple[float, float]:
        """Return the two durations of a range that is known to be one."""
        low, _, high = default.partition("-")
        return _in_seconds(low), _in_seconds(high)

    def table(self, key: str) -> "Table | None":
        """Return a table below this one, or None where there is none."""
        value = self._take(key, {}, "")
        if isinstance(value, dict):
            return Table(self._reading, (*self._path, key), value) if key in self._values else None
        self.note(key, "must be a table", f"write [{'.'.join((*self._path, key))}]")
        return None

    def needed_table(self, key: str) -> "Table":
        """Return a table below this one; note it, once, where there is none."""
        found = self.table(key)
        if found is None and key not in self._values:
            self.note(key, "this table is missing", f"add [{'.'.join((*self._path, key))}]")
        return found or _Absent(self._reading, (*self._path, key), {})

    def tables(self) -> "dict[str, Table]":
        """Return all tables below this one; whatever else is there is noted."""
        found = ((key, self.table(key)) for key in list(self._values))
        return {key: table for key, table in found if table is not None}

    def rest(self) -> dict[str, Any]:
        """Return all that nobody asked for, as it is."""
        found = {key: value for key, value in self._values.items() if key not in self._asked}
        self._asked += found
        return found

    def finish(self) -> None:
        """Note every key that nobody asked for."""
        for key in self._values:
            if key not in self._asked:
                self.note(key, "unknown key", f"remove it; {did_you_mean(key, self._asked)}")

    def _take(self, key: str, default: Any, example: str) -> Any:
        self._asked.append(key)
        if key in self._values:
            return self._values[key]
        if default is None:
            self._missing(key, example)
            return _MISSING
        return default

    def _missing(self, key: str, example: str) -> None:
        self.note(key, "is missing", f'write {key} = "{example}" in [{self.name}]')

    def _seconds(self, key: str, text: str, default: str, least_s: float, most_s: float) -> float:
        if _DURATION.fullmatch(text.strip()) is None:
            self.note(key, f'"{_shown(text)}" is no duration', "write it as 50ms, 20s, 5m or 8h")
            return _in_seconds(default)
        seconds = _in_seconds(text.strip())
        if not least_s <= seconds <= most_s:
            self.note(key, f"{_shown(text)} is out of range", f"choose {least_s:g}s to {most_s:g}s")
        return seconds


class _Absent(Table):
    """A table that is not there: said once, not again for each of its keys."""

    def _missing(self, key: str, example: str) -> None:
        pass


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    known = parts.scheme in _URL_SCHEMES and port != 0 and not any(map(str.isspace, text))
    return known and bool(parts.hostname) and _is_host(parts.hostname or "")


def _is_host(name: str) -> bool:
    """Whether `name` can be looked up: no label is empty or longer than 63."""
    try:
        name.encode("idna")
    except UnicodeError:
        return False
    return True


def _in_seconds(text: str) -> float:
    match = _DURATION.fullmatch(text)
    assert match is not None
    return float(match[1]) * _UNITS_S[match[2]]


def _shown(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS_MAX else text[:SHOWN_CHARACTERS_MAX] + "…"
