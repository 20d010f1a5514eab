"""Every message with every field, as it looks on every wire.

    python -m tests.node.golden.full     adds what is new to `v1.full.txt`; changes nothing

A line is `encoding name bytes`: JSON as it is, msgpack and protobuf in hexadecimal.  What is in
the file is frozen: clients in the field speak it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import msgspec

from node.protocol import catalogue as ops
from node.protocol.codec import JSON, MSGPACK
from node.protocol.codes import ERRORS, Close
from node.protocol.examples import example
from node.protocol.proto_codec import message_of, place_of, push_of
from node.protocol.schema import methods

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


def _protobuf(name: str, struct: msgspec.Struct) -> str:
    return message_of(name, struct).SerializeToString(deterministic=True).hex()


if __name__ == "__main__":
    FILE.write_text("".join(f"{key} {data}\n" for key, data in (lines() | frozen()).items()))
