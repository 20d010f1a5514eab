"""What the catalogue's source says of its types and fields.  Reads the source of its modules.

    class CvHistory(Request, tag="cv.history"):
        \"\"\"<of the type>\"\"\"

        after: int = 0
        \"\"\"<of the field above>\"\"\"

Python keeps the first and forgets the second, so that is read from the source.  Where there is
none - a frozen program - fields have no words.
"""

import ast
import functools
import inspect
import sys
from collections.abc import Mapping
from itertools import chain
from typing import get_args

import msgspec

from cluster.state import commands
from node.protocol import catalogue
from node.protocol.results import Result


@functools.cache
def field_docs() -> Mapping[str, Mapping[str, str]]:
    """Return what is said below each field, by class and field."""
    found: dict[str, dict[str, str]] = {}
    try:
        sources = [inspect.getsource(sys.modules[name]) for name in sorted(_modules())]
    except OSError:
        return found
    for node in chain.from_iterable(ast.parse(source).body for source in sources):
        if isinstance(node, ast.ClassDef):
            found.setdefault(node.name, {}).update(_fields_of(node))
    return found


def _modules() -> set[str]:
    """Return the modules that declare what the catalogue puts together."""
    told = get_args(catalogue.AnyRequest) + get_args(catalogue.AnyPush)
    structs = [*told, *catalogue.RESULTS.values(), Result, catalogue.Err, catalogue.Request]
    return {struct.__module__ for struct in structs} | {commands.__name__}


def field_doc(struct: type[msgspec.Struct], field: str) -> str:
    """Return what is said of a field by the class that declares it."""
    docs = field_docs()
    return next((docs[one.__name__][field] for one in struct.__mro__ if _says(one, field)), "")


def type_doc(struct: type) -> str:
    """Return the type's own docstring, paragraphs apart; no base's."""
    return prose(struct.__dict__.get("__doc__") or "")


def prose(doc: str) -> str:
    """Return a docstring as text; indented parts stay as they are."""
    return inspect.cleandoc(doc).replace("  No I/O.", "").strip()


def _says(struct: type, field: str) -> bool:
    return field in field_docs().get(struct.__name__, {})


def _fields_of(node: ast.ClassDef) -> dict[str, str]:
    fields: dict[str, str] = {}
    for field, below in zip(node.body, node.body[1:], strict=False):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
        ):
            fields[field.target.id] = prose(str(below.value.value))
    return fields
