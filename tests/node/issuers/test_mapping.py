"""What an issuer says of people becomes id, role, skills and capacity, by rules that are named."""

from typing import Any

import pytest

from node.issuers.config import GroupRule, IssuerConfig
from node.issuers.failures import NotVouched
from node.issuers.mapping import mapped

GROUPS = (
    GroupRule("desk-leads", "supervisor"),
    GroupRule("desk", "agent", capacity=3),
    GroupRule("refunds", skills={"refund": 3, "billing": 1}),
    GroupRule("refund-experts", skills={"refund": 9}, capacity=5),
)


def config(**changes: Any) -> IssuerConfig:
    fields: dict[str, Any] = {"groups": GROUPS, "groups_claim": "realm.groups"}
    roles = ("agent", "supervisor")
    return IssuerConfig("corp", "https://x", "unidesk", None, roles, **(fields | changes))  # type: ignore[arg-type]


def said(*groups: str, **more: Any) -> dict[str, Any]:
    return {"sub": "ada", "realm": {"groups": list(groups)}, **more}


def test_the_first_rule_that_gives_a_role_gives_it() -> None:
    assert mapped(config(), said("desk", "desk-leads"))["role"] == "supervisor"
    assert mapped(config(), said("desk"))["role"] == "agent"


def test_skills_and_capacity_are_those_of_all_rules_the_higher_counts() -> None:
    found = mapped(config(), said("desk", "refunds", "refund-experts"))
    assert (found["skills"], found["cap"]) == ({"refund": 9, "billing": 1}, 5)
    found = mapped(config(), said("desk", "refunds", skills={"refund": 7, "chinese": 2}))
    assert found["skills"] == {"refund": 7, "billing": 1, "chinese": 2}


@pytest.mark.parametrize(
    "claims", [said("refunds"), said(), {"sub": "x"}, {"sub": "x", "realm": 7}]
)
def test_nobody_is_let_in_without_a_group_that_gives_a_role(claims: dict[str, Any]) -> None:
    words = r"\[auth.corp.groups\] gives a role to desk-leads, desk; realm.groups says"
    with pytest.raises(NotVouched, match=words):
        mapped(config(), claims)


def test_groups_may_be_words_of_a_text_as_scopes_are() -> None:
    found = mapped(config(groups_claim="scope"), {"sub": "a", "scope": "openid desk"})
    assert found["role"] == "agent"
    with pytest.raises(NotVouched):
        mapped(config(groups_claim="scope"), {"sub": "a", "scope": "desktop"})


def test_a_claim_named_like_a_url_is_found_by_its_whole_name() -> None:
    name = "https://acme.example/groups"
    assert mapped(config(groups_claim=name), {"sub": "a", name: ["desk"]})["role"] == "agent"


def test_the_people_of_two_issuers_are_kept_apart_by_a_prefix() -> None:
    assert mapped(config(id_prefix="corp:"), said("desk"))["sub"] == "corp:ada"
    assert mapped(config(id_claim="upn"), said("desk", upn="a@x"))["sub"] == "a@x"
    for wrong in (7, "", None, ["a"]):
        with pytest.raises(NotVouched, match="id_claim"):
            mapped(config(id_claim="upn"), said("desk", upn=wrong))


def test_a_role_in_the_token_counts_for_nothing_where_groups_or_the_configuration_say_it() -> None:
    with pytest.raises(NotVouched):
        mapped(config(), said("nobody", role="supervisor"))
    fixed = config(groups=(), role="agent")
    assert mapped(fixed, {"sub": "a", "role": "operator"})["role"] == "agent"
