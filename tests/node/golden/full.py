"""Every message with every field, as it looks on every wire.

    python -m tests.node.golden.full     adds what is new to `v1.full.txt`; changes nothing

A line is `encoding name bytes`: JSON as it is, msgpack and protobuf in hexadecimal.  What is in
the file is frozen: clients in the field speak it.  A message that grew has a line for each time:
`name`, `name#2` ...; what an earlier one says, the newest says too.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import msgspec
from google.protobuf.json_format import MessageToDict

from node.protocol import catalogue as ops
from node.protocol.codec import JSON, MSGPACK
from node.protocol.codes import ERRORS, Close
from node.protocol.descriptors import message_class
from node.protocol.examples import example
from node.protocol.proto_codec import message_of, place_of, push_of
from node.protocol.schema import messages, methods

FILE = Path(__file__).parent / "v1.full.txt"

WORDS = """
{line}
looked otherwise until now:
{frozen}
Clients in the field speak the old form: those that are not updated together with this node would
no longer understand it.  Take the change back.  What is new needs a field, an operation or a push
of its own; what cannot be said that way needs another version of the protocol beside this one.
"""


def tag(struct: type[msgspec.Struct]) -> str:
    return str(struct.__struct_config__.tag)


def answers() -> Iterator[tuple[str, ops.Reply | ops.Push]]:
    """Everything that a server says, by name."""
    for request, result in ops.RESULTS.items():
        yield f"ok:{tag(request)}", ops.Ok(id=7, r=msgspec.to_builtins(example(result)))
    for code in ERRORS:
        yield f"err:{code}", example(ops.Err, id=7, code=code, retry=ERRORS[code].retry)
    for push in get_args(ops.AnyPush):
        if push is not ops.Bye:
            yield f"push:{tag(push)}", example(push)
    for close in Close:
        yield (
            f"push:bye:{close.name.lower()}",
            example(ops.Bye, code=int(close), resume=close.resume),
        )


def lines() -> dict[str, str]:
    """The bytes of everything, by encoding and name."""
    found: dict[str, str] = {}
    for request in get_args(ops.AnyRequest):
        found[f"json {tag(request)}"] = JSON.encode(example(request)).decode()
        found[f"msgpack {tag(request)}"] = MSGPACK.encode(example(request)).hex()
    for name, said in answers():
        found[f"json {name}"] = JSON.encode(said).decode()
        found[f"msgpack {name}"] = MSGPACK.encode(said).hex()
        found[f"protobuf {name}"] = push_of(said).hex()
    for method in methods():
        asked = ops.BY_NAME[method.op] if method.op else ops.Events
        found[f"protobuf {method.request}"] = _protobuf(method.request, example(asked))
        if method.op:
            result = example(ops.RESULTS[ops.BY_NAME[method.op]])
            found[f"protobuf {method.reply}"] = _protobuf(method.reply, result)
    found["protobuf place"] = place_of(example(ops.Events).place).hex()
    return found


def frozen() -> dict[str, str]:
    """What is in the file."""
    if not FILE.exists():
        return {}
    split = (line.split(" ", 2) for line in FILE.read_text().splitlines())
    return {f"{encoding} {name}": data for encoding, name, data in split}


def newest(kept: Mapping[str, str]) -> dict[str, tuple[int, str]]:
    """Return the newest form of every message, and which one it is: 1 for the first."""
    found: dict[str, tuple[int, str]] = {}
    for key, data in kept.items():
        name, _, number = key.partition("#")
        found[name] = max(found.get(name, (0, "")), (int(number or 1), data))
    return found


def content(key: str, data: str) -> Any:
    """Return what a line says, as plain data."""
    encoding, name = key.partition("#")[0].split(" ")
    if encoding == "json":
        return msgspec.json.decode(data)
    if encoding == "msgpack":
        return msgspec.msgpack.decode(bytes.fromhex(data))
    if name == "place":
        return data
    known = {one.name for one in messages()}
    message = message_class(name if name in known else "Push").FromString(bytes.fromhex(data))
    return MessageToDict(message, preserving_proto_field_name=True)


def has_grown(old: Any, new: Any) -> bool:
    """Say whether `new` says all that `old` says, in maps perhaps more."""
    if isinstance(old, dict) and isinstance(new, dict):
        return all(name in new and has_grown(value, new[name]) for name, value in old.items())
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return all(map(has_grown, old, new))
    return bool(old == new)


def grown(kept: Mapping[str, str]) -> dict[str, str]:
    """Return what was `kept`, and what is new: messages, and forms of messages that have grown."""
    found, old = dict(kept), newest(kept)
    for key, data in lines().items():
        number, before = old.get(key, (0, ""))
        if not number:
            found[key] = data
        elif before != data and has_grown(content(key, before), content(key, data)):
            found[f"{key}#{number + 1}"] = data
    return found


def _protobuf(name: str, struct: msgspec.Struct) -> str:
    return message_of(name, struct).SerializeToString(deterministic=True).hex()


if __name__ == "__main__":
    FILE.write_text("".join(f"{key} {data}\n" for key, data in grown(frozen()).items()))
