import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.routing.expression import AGENT, Contact, ExpressionError, Scope
from cluster.routing.needs import (
    NEED_BYTES_MAX,
    NEEDS_MAX,
    KnownAgent,
    Needs,
    compile_requirement,
    need_of,
)

PLAIN = Scope({})
SCOPE = PLAIN.beside(AGENT)
TYPED = Scope({"tags.level": "number", "attrs.product": "string"})
REFUND = "agent.skill.refund >= 4 && lang in agent.langs"

ANN = KnownAgent("ann", "Ann", {"refund": 5, "退款": 1}, ("zh", "en"))
BOB = KnownAgent("bob", "Bob", {"refund": 3}, ("en",))


def contact(scope: Scope = PLAIN, *, lang: str = "zh", **maps: Any) -> Contact:
    return scope.contact({"channel": "web", "lang": lang, "subject": "hi"}, maps)


def need(source: str, one: Contact | None = None, scope: Scope = SCOPE) -> str:
    return need_of(compile_requirement(scope, source), one or contact())


def test_a_need_holds_the_source_and_only_the_values_that_it_names() -> None:
    assert need(REFUND, contact(tags={"arpu": 1})) == json.dumps(
        [REFUND, {"lang": "zh"}], separators=(",", ":")
    )


def test_a_need_is_the_same_for_contacts_that_differ_in_what_it_does_not_name() -> None:
    assert need(REFUND, contact(tags={"a": 1})) == need(REFUND, contact(attrs={"b": [2]}))
    assert need(REFUND, contact(lang="en")) != need(REFUND, contact())


@pytest.mark.parametrize(
    ("source", "ann", "bob"),
    [
        (REFUND, "", "not so: " + REFUND),
        ("agent.skill.refund >= 3", "", ""),
        ('agent.skill["退款"] > 0', "", "'退款' is missing"),
        ('has(agent.skill.refund) && agent.id == "bob"', "not so", ""),
        ("agent.skill[tags.product] >= 4", "", "not so"),
        ("agent.skill[attrs.product] >= 4", "'product' is missing", "'product' is missing"),
        ('agent.name == "Bob"', "not so", ""),
        ("size(agent.langs) > 1", "", "not so"),
        ("lower(tags.product) == 'refund'", "", ""),
        ("tags.wanted in agent.skill", "'wanted' is missing", "'wanted' is missing"),
        ("size(tags) == 2 && agent.skill.refund > 4", "", "not so"),
        ('"refund" in tags.list && agent.skill.refund > 4', "", "not so"),
    ],
)
def test_an_agent_fits_or_not_and_is_told_why(source: str, ann: str, bob: str) -> None:
    needs = Needs()
    asked = need(source, contact(tags={"product": "refund", "list": ["refund"]}))
    for agent, why in ((ANN, ann), (BOB, bob)):
        for _ in range(2):  # judged, and remembered
            assert needs.fits(asked, agent) is (why == "")
            assert needs.why_not(asked, agent).startswith(why)
            assert bool(needs.why_not(asked, agent)) is (why != "")


def test_no_need_fits_everyone() -> None:
    assert Needs().fits("", BOB)
    assert Needs().why_not("", BOB) == ""


def test_values_are_those_of_the_declared_type() -> None:
    source = "agent.skill.refund >= tags.level"
    scope = TYPED.beside(AGENT)
    asked = need(source, contact(TYPED, tags={"level": "4"}), scope)
    assert json.loads(asked)[1] == {"tags.level": 4.0}
    assert Needs().fits(asked, ANN)
    assert not Needs().fits(asked, BOB)


def test_a_need_of_too_many_bytes_fits_nobody_and_says_so() -> None:
    asked = need("tags.text == agent.name", contact(tags={"text": "x" * NEED_BYTES_MAX}))
    assert len(asked) < 200
    assert not Needs().fits(asked, ANN)
    assert "more than 2048" in Needs().why_not(asked, ANN)


@pytest.mark.parametrize(
    ("source", "problem", "mend"),
    [
        ("agent.skil.refund >= 4", "unknown variable 'agent.skil'", "'agent.skill'"),
        ("agent.skill.refund >= 4.5", "a whole number and a number with a point", "both without"),
        ("queue.available == 0", "queue.* is not known here", "'skip_if'"),
        ('hour("Asia/Shanghai") < 9', "cannot ask for the time", "ask in when"),
        ("agent.langs == lang", "'==' does not go with a list and text", "in tags.segments"),
    ],
)
def test_a_mistake_in_a_requirement_is_a_compile_error(
    source: str, problem: str, mend: str
) -> None:
    with pytest.raises(ExpressionError) as failure:
        compile_requirement(SCOPE, source)
    assert problem in failure.value.problem
    assert mend in failure.value.mend


@pytest.mark.parametrize(
    "text", ["x", "[]", "[1,2]", '["a"]', '["lang ==", {}]', '["true", 1]', "["]
)
def test_what_is_no_need_fits_nobody(text: str) -> None:
    assert not Needs().fits(text, ANN)
    assert Needs().why_not(text, ANN)


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cluster.routing.needs.PROFILES_MAX", 100)
    needs = Needs()
    for number in range(1_000):
        needs.fits(need(REFUND), KnownAgent("x", skills={"refund": number}, langs=("zh",)))
        assert sum(len(judge.verdicts) for judge in needs._judges.values()) <= 100
    for number in range(NEEDS_MAX + 10):
        needs.fits(f"{number}", ANN)
    assert len(needs._judges) == NEEDS_MAX


def test_needs_that_differ_in_their_values_alone_are_compiled_once() -> None:
    needs = Needs()
    for lang in ("zh", "en", "ja"):
        needs.fits(json.dumps(["lang in agent.langs", {"lang": lang}]), ANN)
    assert needs._compile.cache_info().misses == 1  # type: ignore[attr-defined]


names = st.sampled_from(["refund", "sales"])
agents = st.builds(
    KnownAgent,
    st.sampled_from(["ann", "bob"]),
    st.sampled_from(["Ann", "Bob"]),
    st.dictionaries(names, st.integers(0, 5)),
    st.lists(st.sampled_from(["zh", "en"]), max_size=2, unique=True).map(tuple),
)
scalars = st.one_of(st.booleans(), st.integers(-3, 3), st.floats(), names, st.none())
contacts = st.builds(
    lambda lang, tags: contact(lang=lang, tags=tags),
    st.sampled_from(["zh", "en", ""]),
    st.dictionaries(st.sampled_from(["x", "y", "product"]), st.one_of(scalars, st.lists(scalars))),
)
SOURCES = [
    REFUND,
    "agent.skill[tags.product] >= 2 || agent.skill.sales > 3",
    'tags.x == 1 && "zh" in agent.langs',
    "agent.name == 'Ann' || tags.y in agent.skill",
    "has(tags.x) && agent.id != lang",
]


@given(source=st.sampled_from(SOURCES), one=contacts, other=contacts, who=st.lists(agents))
@settings(max_examples=100, deadline=None)
def test_equal_needs_mean_equal_verdicts_as_the_requirement_itself_gives_them(
    source: str, one: Contact, other: Contact, who: list[KnownAgent]
) -> None:
    needs = Needs()
    condition = SCOPE.compile(source)
    for agent in who:
        beside = {
            "agent.skill": agent.skills,
            "agent.langs": list(agent.langs),
            "agent.id": agent.agent,
            "agent.name": agent.name,
        }
        verdicts = []
        for subject in (one, other):
            maps = {name: subject.values[name] for name in ("tags", "attrs")}
            plain = {name: subject.values[name] for name in ("channel", "lang", "subject")}
            verdicts.append(condition.holds(SCOPE.contact(plain, maps, beside=beside)))
            assert needs.fits(need(source, subject), agent) == verdicts[-1].matched
        if need(source, one) == need(source, other):
            assert verdicts[0] == verdicts[1]
