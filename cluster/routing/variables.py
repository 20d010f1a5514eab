"""The [vars] of rule files: what conditions may name, and of which type.  No I/O.

tags.arpu      = "number"        "number", "string", "bool" or "list" (of text)
attrs.intent   = "string"
channel        = "string"        channel, lang and subject are always there, and text
"""

from typing import Any

from cluster.routing.expression import KEYWORDS, MAPS, NAME, PLAIN, VARIABLES_MAX, VarType
from cluster.routing.reading import Reader
from cluster.routing.values import VAR_TYPES
from cluster.toml_source import Document, shown


def read_variables(read: Reader, documents: list[Document]) -> dict[str, VarType]:
    """Return the declared tags and attributes of all files."""
    variables: dict[str, VarType] = {}
    for document in documents:
        declared = document.data.get("vars", {})
        for path, kind in _flat(declared) if isinstance(declared, dict) else ():
            name = ".".join(path)
            at = ("vars", *path)
            if kind not in VAR_TYPES:
                problem = f"{shown(name)}: {shown(repr(kind))} is no type"
                read.mistake(document, at, problem, "use number, string, bool or list")
            elif name in PLAIN:
                if kind != "string":
                    read.mistake(document, at, f"{name} is a string", 'write "string"')
            elif not _is_variable(path):
                mend = "declare tags.NAME or attrs.NAME, with a NAME of letters, 0-9 and _"
                read.mistake(document, at, f"no variable {shown(name)!r}", mend)
            elif variables.get(name, kind) != kind:
                problem = f"{name} is a {variables[name]} in another file"
                read.mistake(document, at, problem, "declare it once")
            elif name not in variables and len(variables) >= VARIABLES_MAX:
                problem = f"more than {VARIABLES_MAX} variables"
                read.mistake(document, at, problem, "declare what rules use")
                return variables
            else:
                variables[name] = kind
    return variables


def _is_variable(path: tuple[str, ...]) -> bool:
    if len(path) != 2 or path[0] not in MAPS:
        return False
    return NAME.fullmatch(path[1]) is not None and path[1] not in KEYWORDS


def _flat(table: Any, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    if not isinstance(table, dict):
        return [(path, table)]
    return [leaf for key, value in table.items() for leaf in _flat(value, (*path, key))]
