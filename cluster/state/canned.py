"""Canned responses: what is said often, written once.  No I/O.

    canned.put      nothing ──▶ revision 1; revision ──▶ revision + 1
    canned.remove   a response ──▶ nothing

Supervisors and operators write them; each change is in the audit log.  What a text may hold
besides words is `node.desk.placeholders`; here it is text.

The dictionary is replaced as a whole with every change, so that whoever made something of it
sees by identity that it is another.
"""

from typing import Any

import msgspec

from cluster.state import limits
from cluster.state.change import Change, no
from cluster.state.checks import check_by, check_ids, check_names
from cluster.state.commands import By, PutCanned, RemoveCanned
from cluster.state.replies import Canned

_WRITES = frozenset({"supervisor", "operator", "system"})


def put(change: Change, command: PutCanned) -> dict[str, Any]:
    """Write a response, or write it anew."""
    _check_writer(command.by)
    _check(command)
    state = change.state
    old = state.canned.get(command.shortcut)
    _check_expected(old, command.rev_expected)
    if old is None and len(state.canned) >= limits.CANNED_MAX:
        no("at_capacity", f"{limits.CANNED_MAX} canned responses are kept already")
    canned = Canned(
        shortcut=command.shortcut,
        title=command.title,
        texts=command.texts,
        queues=command.queues,
        rev=old.rev + 1 if old is not None else 1,
        by=command.by,
        at_ms=change.now_ms,
    )
    state.canned = {**state.canned, canned.shortcut: canned}
    change.note_here(command.by, "canned.put", shortcut=canned.shortcut, rev=canned.rev)
    return {"shortcut": canned.shortcut, "rev": canned.rev}


def remove(change: Change, command: RemoveCanned) -> dict[str, Any]:
    """Take a response away."""
    _check_writer(command.by)
    check_by(command.by)
    state = change.state
    old = state.canned.get(command.shortcut)
    if old is None:
        no("not_found", f"no canned response {command.shortcut[:64]!r}")
    _check_expected(old, command.rev_expected)
    state.canned = {name: one for name, one in state.canned.items() if name != old.shortcut}
    change.note_here(command.by, "canned.remove", shortcut=old.shortcut, rev=old.rev)
    return {"shortcut": old.shortcut}


def _check_writer(by: By) -> None:
    if by.kind not in _WRITES:
        no("forbidden", f"a {by.kind} does not write canned responses", rule="role")


def _check_expected(old: Canned | None, rev_expected: int | None) -> None:
    rev = old.rev if old is not None else 0
    if rev_expected not in (None, rev):
        no("conflict", f"the response is at revision {rev}", rev=rev)


def _check(command: PutCanned) -> None:
    check_by(command.by)
    check_ids(command.shortcut, *command.queues)
    check_names(command.shortcut, command.title, *command.texts)
    if len(command.queues) > limits.CANNED_QUEUES_MAX:
        no("too_large", f"queues: over {limits.CANNED_QUEUES_MAX}")
    if not 1 <= len(command.texts) <= limits.CANNED_LANGS_MAX:
        no("bad_request", f"texts: in 1 to {limits.CANNED_LANGS_MAX} languages")
    for lang, text in command.texts.items():
        if not text.strip():
            no("bad_request", f"texts.{lang[:32]}: is empty")
        if len(text.encode()) > limits.CANNED_TEXT_BYTES_MAX:
            no("too_large", f"texts.{lang[:32]}: over {limits.CANNED_TEXT_BYTES_MAX} bytes")
    if len(msgspec.msgpack.encode(command.texts)) > limits.CANNED_BYTES_MAX:
        no("too_large", f"texts: over {limits.CANNED_BYTES_MAX} bytes in all languages")
