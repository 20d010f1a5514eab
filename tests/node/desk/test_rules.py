"""Rules from operators: compiled before they are proposed, in force everywhere at once."""

import trio

from node.protocol import catalogue as ops
from node.protocol.catalogue import Err, Ok
from tests.node.desk.office import Client, office

GOOD = """\
[queue.premium]
accept = "30s"

[queue.general]

[rule.vip]
when = 'tags.arpu > 5000'
route = "premium"

[fallback]
route = "general"
"""
BAD = """\
[queue.general]

[rule.vip]
when = 'tags.arpu >'
route = "nowhere"

[fallback]
route = "general"
"""


async def patiently(client: Client, request: ops.Request) -> Ok | Err:
    """Ask what is answered after work in a thread."""
    number = client.ask(request)
    with trio.fail_after(30):
        while not [reply for reply in client.heard(ops.Reply) if reply.id == number]:
            await trio.sleep(0.01)
    return client.answer(number)


async def test_rules_that_compile_are_in_force_on_every_node() -> None:
    async with office() as desk:
        operator = await desk.staff("operator")
        reply = await patiently(operator, ops.RulesApply(files={"main.toml": GOOD}))
        assert isinstance(reply, Ok), reply
        assert reply.r["rev"] == 1
        for port in desk.cluster.ports.values():
            assert port.state.rules is not None
            assert port.state.rules.queues["premium"].accept_ms == 30_000
        elsewhere = await desk.staff("operator", "n2")
        found = await elsewhere.ok(ops.RulesGet())
        assert (found["rev"], found["files"]) == (1, {"main.toml": GOOD})


async def test_rules_that_do_not_compile_are_refused_with_their_places() -> None:
    async with office() as desk:
        operator = await desk.staff("operator")
        reply = await patiently(operator, ops.RulesApply(files={"main.toml": BAD}))
        assert isinstance(reply, Err)
        assert reply.code == "bad_request"
        assert "main.toml:4" in reply.msg
        assert desk.port().state.rules is None


async def test_rules_against_another_revision_than_expected_are_refused() -> None:
    async with office() as desk:
        operator = await desk.staff("operator")
        await patiently(operator, ops.RulesApply(files={"main.toml": GOOD}))
        late = ops.RulesApply(files={"main.toml": GOOD + "\n"}, rev_expected=0)
        reply = await patiently(operator, late)
        assert isinstance(reply, Err)
        assert reply.code == "conflict"


async def test_no_rules_yet_is_revision_zero() -> None:
    async with office() as desk:
        operator = await desk.staff("operator")
        assert await operator.ok(ops.RulesGet()) == {"rev": 0, "files": {}}


async def test_a_rule_set_without_files_is_refused() -> None:
    async with office() as desk:
        operator = await desk.staff("operator")
        reply = await operator.err(ops.RulesApply(files={}))
        assert reply.code == "bad_request"
