"""The [sla.NAME] and [channel.NAME] of rule files.  No I/O.

[sla.gold]
first_response = "1m"      from the opening to the first answer of a person
next_response  = "5m"      from a visitor's message to the next answer
resolution     = "8h"      from the opening to the close
warn           = "80%"     of a time that has passed when a warning is due

[channel.email]
weight = 1                 of an agent's capacity; 1 of a channel that is not here
"""

import re
from typing import Any

from cluster.routing.reading import Reader
from cluster.state.limits import SLAS_MAX, STEP_MS_MAX
from cluster.state.route import ServiceLevel
from cluster.toml_source import Document, Path, shown

WEIGHT = (1, 100)

_TIMES = ("first_response", "next_response", "resolution")
_BOUNDS_MS = (1_000, STEP_MS_MAX)
_PERCENT = re.compile(r"([0-9]{1,2})\s*%", re.ASCII)


def read_levels(read: Reader, documents: list[Document]) -> dict[str, ServiceLevel]:
    """Return the service levels of all files."""
    levels: dict[str, ServiceLevel] = {}
    for document, name, path, table in read.every(documents, "sla", most=SLAS_MAX):
        if not any(key in table for key in _TIMES):
            mend = 'add first_response = "1m", next_response or resolution'
            read.mistake(document, path, f"[sla.{name}] promises nothing", mend)
        first, following, resolution = (
            read.duration_ms(document, (*path, key), table.get(key), _BOUNDS_MS) for key in _TIMES
        )
        warn = _percent(read, document, (*path, "warn"), table.get("warn", "80%"))
        levels[name] = ServiceLevel(first, following, resolution, warn)
    return levels


def read_weights(read: Reader, documents: list[Document]) -> dict[str, int]:
    """Return the weights of channels of all files."""
    weights: dict[str, int] = {}
    for document, name, path, table in read.every(documents, "channel", mend="keep one"):
        at = (*path, "weight")
        weights[name] = read.whole(document, at, table.get("weight", 1), "a weight", WEIGHT)
    return weights


def _percent(read: Reader, document: Document, path: Path, value: Any) -> int:
    found = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    if found is None or not int(found[1]):
        read.mistake(document, path, f"a warning at {shown(repr(value))}", 'write it as "80%"')
        return 80
    return int(found[1])
