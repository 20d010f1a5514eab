"""What the fields of a command may hold, refused otherwise.  No I/O.

    names, ids   strings of a bounded length; ids not empty
    tags, attrs  flat maps: scalars and lists of scalars
    bodies       what JSON can say, of bounded size and depth

Everything kept is plain - null, booleans, integers of 64 bits, finite numbers, strings, lists,
maps with string keys - so that every encoding of the protocol can say it back.
"""

import math
from typing import Any

import msgspec

from cluster.state import limits
from cluster.state.change import no
from cluster.state.commands import By

_size = msgspec.msgpack.Encoder().encode


def check_ids(*ids: str) -> None:
    """Refuse ids that are empty or too long."""
    for one in ids:
        if not one:
            no("bad_request", "an id is empty")
        if len(one.encode()) > limits.ID_BYTES_MAX:
            no("too_large", f"an id of more than {limits.ID_BYTES_MAX} bytes")


def check_names(*names: str) -> None:
    """Refuse names that are too long."""
    for name in names:
        if len(name.encode()) > limits.NAME_BYTES_MAX:
            no("too_large", f"a name of more than {limits.NAME_BYTES_MAX} bytes")


def check_by(by: By) -> None:
    """Refuse somebody without an id, or with too long an id or name."""
    within = len(by.name.encode()) <= limits.NAME_BYTES_MAX
    if not (within and 0 < len(by.id.encode()) <= limits.ID_BYTES_MAX):  # each message asks
        check_ids(by.id)
        check_names(by.name)


def check_operator(by: By, deed: str) -> None:
    """Refuse `deed`, said after "may not", to whoever does not run the cluster."""
    if by.kind not in ("operator", "system"):
        no("forbidden", f"a {by.kind} may not {deed}", rule="role")
    check_by(by)


def check_text(text: Any) -> None:
    """Refuse what is no string, or too long a one."""
    if not isinstance(text, str):
        no("bad_request", "a text message has a string as its body")
    if len(text.encode()) > limits.TEXT_BYTES_MAX:
        no("too_large", f"a text of more than {limits.TEXT_BYTES_MAX} bytes")


def check_body(kind: str, body: Any) -> None:
    """Refuse a message's body that is not plain, too deep or too large."""
    if kind == "text":
        check_text(body)
        return
    if not _is_plain(body, limits.BODY_DEPTH_MAX):
        no("bad_request", f"a body is plain JSON, at most {limits.BODY_DEPTH_MAX} levels deep")
    if len(_size(body)) > limits.BODY_BYTES_MAX:
        no("too_large", f"a body of more than {limits.BODY_BYTES_MAX} bytes")


def check_skills(skills: dict[str, int]) -> None:
    """Refuse too many skills, names too long for one, or levels that none has."""
    if len(skills) > limits.SKILLS_MAX:
        no("too_large", f"more than {limits.SKILLS_MAX} skills")
    check_names(*skills)
    if not all(0 <= level <= limits.SKILL_LEVEL_MAX for level in skills.values()):
        no("bad_request", f"skills: a level is 0 to {limits.SKILL_LEVEL_MAX}")


def check_langs(langs: tuple[str, ...]) -> None:
    """Refuse too many languages, or what is too long for the tag of one."""
    if len(langs) > limits.LANGS_MAX:
        no("too_large", f"more than {limits.LANGS_MAX} languages")
    if any(len(lang.encode()) > limits.LANG_BYTES_MAX for lang in langs):
        no("too_large", f"langs: a tag of more than {limits.LANG_BYTES_MAX} bytes")


def check_secret(secret: str) -> None:
    """Refuse what is no argon2id hash: a password itself never comes into the log."""
    if len(secret.encode()) > limits.SECRET_HASH_BYTES_MAX:
        no("too_large", f"a hash of more than {limits.SECRET_HASH_BYTES_MAX} bytes")
    if not secret.startswith(limits.ARGON2ID_PREFIX):
        no("bad_request", "secret: is not an argon2id hash")


def check_flat(what: str, values: dict[str, Any]) -> None:
    """Refuse tags or attributes that are not flat, too many or too large."""
    if len(values) > limits.TAGS_MAX:
        no("too_large", f"{what}: more than {limits.TAGS_MAX} keys")
    for key, value in values.items():
        if len(key.encode()) > limits.TAG_KEY_BYTES_MAX:
            no("too_large", f"{what}: a key of more than {limits.TAG_KEY_BYTES_MAX} bytes")
        if isinstance(value, dict) or not _is_plain(value, 1):
            no("bad_request", f"{what}.{key}: scalars and lists of scalars only")
        if len(_size(value)) > limits.TAG_VALUE_BYTES_MAX:
            no("too_large", f"{what}.{key}: more than {limits.TAG_VALUE_BYTES_MAX} bytes")


def _is_plain(value: Any, depth_max: int) -> bool:
    match value:
        case None | bool() | int() | str():
            return True
        case float():
            return math.isfinite(value)
        case list():
            return depth_max > 0 and all(_is_plain(item, depth_max - 1) for item in value)
        case dict():
            return depth_max > 0 and all(
                isinstance(key, str) and _is_plain(item, depth_max - 1)
                for key, item in value.items()
            )
        case _:
            return False
