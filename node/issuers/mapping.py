"""From an issuer's claims to what this cluster knows: id, role, skills, capacity.  No I/O.

    role      everybody's, or the first of `roles` that the role claim holds, or that of the
              first rule, in the order of the file, whose group the person is in
    skills    the token's, and those of all rules that apply; the higher level counts
    cap       the token's; where rules give one, the highest of theirs

A refusal names the rule that refused, as it is written in `node.toml`.
"""

from typing import Any

from node.issuers.config import IssuerConfig
from node.issuers.failures import Claims, NotVouched
from node.protocol.catalogue import Role

GROUPS_SHOWN_MAX = 8
NAME_SHOWN_CHARACTERS = 32


def mapped(config: IssuerConfig, claims: Claims) -> Claims:
    """Return `claims` with `sub`, `role`, `skills` and `cap` as this cluster's.

    Raises `NotVouched`.
    """
    found = {**claims, "sub": _id(config, claims)}
    if config.groups:
        return found | _by_groups(config, claims)
    role = config.role if config.role is not None else _by_claim(config, claims)
    return found | {"role": role}


def claim_at(claims: Claims, path: str) -> Any:
    """Return what is at `path`, dots leading into maps; None where nothing is.

    A claim whose own name has dots, as URLs have, is found first.
    """
    if path in claims:
        return claims[path]
    value: Any = claims
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _id(config: IssuerConfig, claims: Claims) -> Any:
    said = claim_at(claims, config.id_claim)
    if not isinstance(said, str) or not said:
        where = f"[auth.{config.name}] id_claim"
        raise NotVouched(f"{where}: the token has no text at {config.id_claim}")
    return config.id_prefix + said


def _by_claim(config: IssuerConfig, claims: Claims) -> Role:
    value = claim_at(claims, config.role_claim)
    said = value if isinstance(value, list) else [value]
    for role in config.roles:  # in the order of the file: whoever has two gets the first
        if role in said:
            return role
    vouched = ", ".join(config.roles)
    raise NotVouched(f"{config.name} vouches for {vouched}; {config.role_claim} says none")


def _by_groups(config: IssuerConfig, claims: Claims) -> Claims:
    groups = _groups(claim_at(claims, config.groups_claim))
    rules = [rule for rule in config.groups if rule.group in groups]
    role = next((rule.role for rule in rules if rule.role is not None), None)
    if role is None:
        giving = ", ".join(rule.group for rule in config.groups if rule.role is not None)
        has = ", ".join(one[:NAME_SHOWN_CHARACTERS] for one in groups[:GROUPS_SHOWN_MAX])
        raise NotVouched(
            f"[auth.{config.name}.groups] gives a role to {giving};"
            f" {config.groups_claim} says {has or 'none'}"
        )
    given: Claims = {"role": role}
    said = claims.get("skills")
    skills = dict(said) if isinstance(said, dict) else {}
    for rule in rules:
        for skill, level in rule.skills.items():
            had = skills.get(skill, 0)
            skills[skill] = max(had, level) if isinstance(had, int) else level
    capacity = max((rule.capacity for rule in rules), default=0)
    if skills:
        given["skills"] = skills
    if capacity:
        given["cap"] = capacity
    return given


def _groups(value: Any) -> list[str]:
    if isinstance(value, str):
        return value.split()
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
