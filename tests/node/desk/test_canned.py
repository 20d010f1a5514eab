"""Canned responses as clients write and find them."""

import pytest

from node.protocol import catalogue as ops
from tests.node.desk.office import Office, office

TEXTS = {"en": "Hello {{visitor.name}}, {{attrs.order}}", "zh": "您好，{{visitor.name}}"}


def put(desk: Office, **fields: object) -> ops.CannedPut:
    given = {"shortcut": "hello", "title": "A greeting", "texts": TEXTS}
    return ops.CannedPut(key=desk.key(), **{**given, **fields})  # type: ignore[arg-type]


async def test_what_a_supervisor_writes_an_agent_finds_at_another_node() -> None:
    async with office() as desk:
        supervisor, agent = await desk.staff("supervisor"), await desk.agent("a1", "n2")
        assert await supervisor.ok(put(desk, rev_expected=0)) == {"shortcut": "hello", "rev": 1}
        (hit,) = (await agent.ok(ops.CannedFind(q="greet", lang="zh")))["items"]
        assert (hit["lang"], hit["text"]) == ("zh", TEXTS["zh"])
        one = (await agent.ok(ops.CannedGet(shortcut="hello")))["canned"]
        assert (one["texts"], one["by"][1]) == (TEXTS, "supervisor-1")
        assert (await agent.ok(ops.CannedList()))["items"] == [one]
        await supervisor.ok(ops.CannedRemove(key="r", shortcut="hello", rev_expected=1))
        assert (await agent.ok(ops.CannedFind(q="greet")))["items"] == []
        assert (await agent.err(ops.CannedGet(shortcut="hello"))).code == "not_found"


async def test_for_a_conversation_a_response_comes_filled_in_its_language() -> None:
    async with office() as desk:
        supervisor, agent = await desk.staff("supervisor"), await desk.agent()
        visitor = await desk.visitor()
        await supervisor.ok(put(desk))
        await supervisor.ok(put(desk, shortcut="other", queues=["vip"]))
        cv = (await visitor.ok(ops.CvOpen(key="o", lang="zh-CN", text="你好")))["cv"]
        await desk.assigned(cv, agent)
        (hit,) = (await agent.ok(ops.CannedFind(cv=cv)))["items"]
        assert (hit["lang"], hit["text"], hit.get("missing")) == ("zh", "您好，Vera", None)
        (hit,) = (await agent.ok(ops.CannedFind(cv=cv, q="HEL", lang="en")))["items"]
        assert hit["text"] == "Hello Vera, {{attrs.order}}"
        assert hit["missing"] == ["attrs.order"]


async def test_another_agents_conversation_fills_in_nothing() -> None:
    async with office() as desk:
        agent, visitor = await desk.agent(), await desk.visitor()
        cv = await desk.opened(visitor)
        assert (await agent.err(ops.CannedFind(cv=cv))).code == "forbidden"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"shortcut": "two words"}, "shortcut: 1 to 64 letters"),
        ({"shortcut": "/slash"}, "shortcut: 1 to 64 letters"),
        ({"title": " "}, "title: is empty"),
        ({"texts": {}}, "texts: needs one language"),
        ({"texts": {"english!": "x"}}, "'english!' is no language; say en"),
        ({"texts": {"en": "\n"}}, "texts.en: is empty"),
        ({"texts": {"en": "Hi {{visitor.nam}}"}}, "texts.en: {{visitor.nam}} is no placeholder"),
        ({"queues": [""]}, "queues: a name is empty"),
    ],
)
async def test_a_mistake_is_named_before_it_reaches_the_log(
    fields: dict[str, object], said: str
) -> None:
    async with office() as desk:
        operator = await desk.staff("operator")
        before = len(desk.port().submitted)
        error = await operator.err(put(desk, **fields))
        assert error.code == "bad_request"
        assert said in error.msg
        assert len(desk.port().submitted) == before


async def test_a_long_list_comes_in_pages_that_fit_a_frame() -> None:
    async with office() as desk:
        operator = await desk.staff("operator")
        for number in range(20):
            await operator.ok(put(desk, shortcut=f"s{number:02}", texts={"en": "x" * 4_000}))
        seen: list[str] = []
        more = True
        while more:
            page = await operator.ok(ops.CannedList(after=seen[-1] if seen else ""))
            assert 0 < len(page["items"]) < 20
            seen += [one["shortcut"] for one in page["items"]]
            more = page["more"]
        assert seen == [f"s{number:02}" for number in range(20)]


async def test_too_much_typed_is_refused() -> None:
    async with office() as desk:
        agent = await desk.agent()
        assert (await agent.err(ops.CannedFind(q="x" * 101))).code == "too_large"
