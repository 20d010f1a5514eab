"""Entries of the log in words: whatever is in one, it is said, and no secret with it."""

import json

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from cluster.raft.members import Members
from cluster.raft.messages import COMMAND, MEMBERS, NO_OP
from cluster.reading import REDACTED, SECRETS, read_command, read_entry
from cluster.state import commands as c
from cluster.state.commands import By
from cluster.state.route import Queue, Route, Step
from tests.cluster.state.desk import ANN, OPS, entry

HASH = "$argon2id$v=19$of-something"


def test_commands_are_read_with_who_proposed_them() -> None:
    payload = entry(7, (3, c.SendMessage("cv", "m", ANN, "k", "text", "hi")), node="n2", boot="b9")
    found = read_entry(COMMAND + payload)
    (command,) = found["commands"]
    assert (found["kind"], found["now_ms"]) == ("commands", 7)
    assert (command["node"], command["boot"], command["number"]) == ("n2", "b9", 3)
    assert command["op"] == "msg.send"
    assert command["fields"]["body"] == "hi"
    assert command["fields"]["by"] == {"kind": "visitor", "id": "ann", "name": "Ann"}


def test_a_leaders_first_entry_and_members_are_read() -> None:
    assert read_entry(NO_OP) == {"kind": "no_op"}
    members = Members.of({"n1": "a:1", "n2": "b:2"})
    assert read_entry(MEMBERS + members.encode()) == {
        "kind": "members",
        "members": {
            "n1": {"role": "voter", "address": "a:1"},
            "n2": {"role": "voter", "address": "b:2"},
        },
    }


def test_values_within_values_are_plain() -> None:
    route = Route((Step("vip", 1, {"refund": 2}),), "r", 3)
    applied = c.ApplyRules(OPS, {"a.toml": "x"}, {"vip": Queue(on_timeout=("next", "away"))})
    routed = read_command(c.encode(c.RouteConversation("cv", route)))
    assert routed["fields"]["route"]["steps"][0]["skills"] == {"refund": 2}
    queues = read_command(c.encode(applied))["fields"]["queues"]
    assert queues["vip"]["on_timeout"] == ["next", "away"]
    assert json.loads(json.dumps(queues)) == queues


def test_hashes_of_secrets_are_left_out() -> None:
    for command in (
        c.PutAccount(OPS, "k", "pos", "service", secret=HASH),
        c.SetSecret(OPS, "k", "pos", HASH),
    ):
        found = read_command(c.encode(command))
        assert found["fields"]["secret"] == REDACTED
        assert HASH not in json.dumps(found)
    assert read_command(c.encode(c.SetSecret(OPS, "k", "pos")))["fields"]["secret"] == ""


def test_no_command_holds_a_secret_below_its_own_fields() -> None:
    """Only they are looked at for secrets: a value within that had one would be printed."""
    found: list[str] = []

    def look(kind: object, where: str, depth: int) -> None:
        for inner in getattr(kind, "__args__", ()):
            look(inner, where, depth)
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            for field in msgspec.structs.fields(kind):
                if depth and field.name in SECRETS:
                    found.append(f"{where}.{field.name}")
                look(field.type, f"{where}.{field.name}", depth + 1)

    for kind in c.Command.__args__:
        look(kind, kind.__name__, 0)
    assert found == []


@given(st.sampled_from([b"", COMMAND, MEMBERS, b"?"]), st.binary(max_size=60))
@example(COMMAND, b"\x91" * 50_000)
@example(MEMBERS, b"[" * 50_000)
@example(MEMBERS, b'{"\xff": 1}')
def test_what_is_none_of_ours_is_said_to_be_unknown(kind: bytes, rest: bytes) -> None:
    found = read_entry(kind + rest)
    json.dumps(found)
    assert found["kind"] in ("unknown", "no_op", "members", "commands")
    assert found["kind"] != "unknown" or found["why"]


@given(st.binary(max_size=40))
def test_a_command_of_a_later_release_is_unknown_and_the_others_are_read(data: bytes) -> None:
    assert read_command(data)["op"] == "unknown"
    assert read_command(c.encode(c.OpenConversation("cv", By("visitor", "v"), "k")))["op"]
