"""`[auth.NAME]` of `node.toml`, read.  Talks to the file system.

Every mistake is noted with its line and its mend; see `node.issuers.config` for the tables.
"""

from pathlib import Path
from typing import cast, get_args

from node.issuers.config import (
    GROUP_RULES_MAX,
    ClientCredentials,
    GroupRule,
    IntrospectionConfig,
    IssuerConfig,
    LoginConfig,
)
from node.issuers.fetching import check_url
from node.issuers.keys import read_keys
from node.issuers.secret import SECRET_BYTES_MIN, read_secrets
from node.protocol.catalogue import Role
from node.tables import Table

OWN_ISSUER = "unidesk"
DISCOVER = "discover"
PROOFS = ("keys", "secret_file", "introspect")
SKILLS_MAX = 64
CALLBACK = "/v1/login/{name}/callback"


def read_issuers(tables: Table | None, folder: Path) -> tuple[IssuerConfig, ...]:
    """Return all issuers; paths are relative to `folder`."""
    found: list[IssuerConfig] = []
    judging: dict[str, IssuerConfig] = {}
    everyone: IssuerConfig | None = None
    for name, table in (tables.tables() if tables is not None else {}).items():
        assert tables is not None
        tables.check_name(name, name)
        one = _issuer(name, table, folder)
        found.append(one)
        other = judging.setdefault(one.issuer, one) if one.judges else one
        if other is not one:
            mend = "name it once; a second may be there for a login, without an audience"
            table.note("issuer", f"is that of {other.name} too", mend)
        if one.introspection is not None and not one.introspection.prefix:
            if everyone is not None:
                problem = f"{everyone.name} is asked about every opaque token already"
                table.note("introspect", problem, 'say how its own begin: token_prefix = "x_"')
            everyone = one
    return tuple(found)


def _issuer(name: str, table: Table, folder: Path) -> IssuerConfig:
    for second in [proof for proof in PROOFS if proof in table][1:]:
        table.note(second, "there is another proof already", f"keep one of {', '.join(PROOFS)}")
    login = _login(name, table, folder)
    secret = _secret(table, folder) if "secret_file" in table else None
    introspection = _introspection(table, folder) if "introspect" in table else None
    audience = "audience" in table or (login is None and introspection is None)
    config = IssuerConfig(
        name,
        table.text("issuer", example="https://login.example/desk"),
        table.text("audience", example="unidesk") if audience else "",
        _key_set(table, folder) if "keys" in table else None,
        tuple(cast("list[Role]", table.words("roles", get_args(Role)))),
        cast("Role", table.choice("role", "agent", get_args(Role))) if "role" in table else None,
        table.text("role_claim", "role", example="realm_access.roles"),
        table.text("groups_claim", "groups", example="groups"),
        _groups(table),
        table.text("id_claim", "sub", example="sub"),
        table.text("id_prefix", example=f"{name}:") if "id_prefix" in table else "",
        secret,
        introspection,
        login,
    )
    _check(config, table)
    table.finish()
    return config


def _check(config: IssuerConfig, table: Table) -> None:
    """Note what does not go together."""
    if config.issuer == OWN_ISSUER:
        table.note("issuer", f'"{OWN_ISSUER}" is this cluster itself', "name another issuer")
    if config.role is not None and config.role not in config.roles:
        table.note("role", f'"{config.role}" is not one of its roles', "add it to roles")
    ways = [way for way in ("role", "role_claim", "groups") if way in table]
    for second in ways[1:]:
        problem = f"there is a {ways[0]} already"
        table.note(second, problem, "keep one of role, role_claim and groups")
    for rule in config.groups:
        if rule.role is not None and rule.role not in config.roles:
            problem = f'{rule.group}: "{rule.role}" is not one of its roles'
            table.note("groups", problem, "add it to roles")
    if config.groups and not any(rule.role is not None for rule in config.groups):
        table.note("groups", "no rule gives a role", 'write desk = { role = "agent" }')
    if config.secret is not None and (config.roles, config.role) != (("visitor",), "visitor"):
        mend = (
            'write roles = ["visitor"] and role = "visitor": who shares a secret vouches for both'
        )
        table.note("secret_file", "a shared secret vouches for visitors alone", mend)
    if config.secret is not None and config.login is not None:
        table.note("login", "whoever shares a secret has no login", "remove one of the two")
    if config.discovers and config.issuer:
        try:
            check_url(config.issuer)
        except ValueError as error:
            mend = "write the issuer's https:// address, or where its keys are: keys = …"
            table.note("issuer", str(error), mend)


def _key_set(table: Table, folder: Path) -> Path | str:
    """Return where the public keys are; a file is read once, to see whether it holds any."""
    where = table.text("keys", example="corp.jwks.json")
    if where.startswith(("https://", "http://")):
        _check_url(table, "keys", where)
        return where
    data = table.contents("keys", folder, "corp.jwks.json")
    if data is not None:
        try:
            read_keys(data)
        except ValueError as error:
            table.note("keys", str(error), "put the issuer's public key set (JWKS) into the file")
    return folder / where


def _check_url(table: Table, key: str, url: str) -> None:
    """Note an address that may not be asked."""
    try:
        check_url(url)
    except ValueError as error:
        table.note(key, str(error), "write https://host/path")


def _secret(table: Table, folder: Path) -> Path:
    """Return where the secrets are; the file is read once, to see whether it holds any."""
    data = table.contents("secret_file", folder, "shop.secret")
    if data is not None:
        try:
            read_secrets(data)
        except ValueError as error:
            mend = f"at least {SECRET_BYTES_MIN} bytes: head -c 32 /dev/urandom | base64"
            table.note("secret_file", str(error), mend)
    return table.path("secret_file", folder, "shop.secret")


def _client(table: Table, folder: Path, *, secret_needed: bool) -> ClientCredentials:
    name = table.text("client_id", example="unidesk")
    if not secret_needed and "client_secret_file" not in table:
        return ClientCredentials(name)
    data = table.contents("client_secret_file", folder, "corp.secret")
    try:
        secret = (data or b"").decode()
    except UnicodeDecodeError:
        secret = ""
        table.note("client_secret_file", "is no UTF-8", "put the client's secret into the file")
    if data == b"":
        table.note("client_secret_file", "is empty", "put the client's secret into the file")
    return ClientCredentials(name, secret)


def _introspection(table: Table, folder: Path) -> IntrospectionConfig:
    url = table.text("introspect", example="https://login.example/introspect")
    if url != DISCOVER:
        _check_url(table, "introspect", url)
    if "audience" not in table and "scope" not in table:
        mend = 'write audience = "unidesk", or scope = "desk" where its answers name no audience'
        table.note("introspect", "tokens meant for others would count", mend)
    return IntrospectionConfig(
        "" if url == DISCOVER else url,
        _client(table, folder, secret_needed=True),
        table.text("scope", example="desk") if "scope" in table else "",
        table.text("token_prefix", example="corp_") if "token_prefix" in table else "",
        table.seconds("cache", "10s", 0, 60),
    )


def _groups(table: Table) -> tuple[GroupRule, ...]:
    groups = table.table("groups")
    if groups is None:
        return ()
    rules = []
    for group, rule in groups.tables().items():
        role = rule.choice("role", "agent", get_args(Role)) if "role" in rule else None
        capacity = rule.integer("capacity", 1, 1, 1000) if "capacity" in rule else 0
        rules.append(GroupRule(group, cast("Role | None", role), _skills(rule), capacity))
        rule.finish()
    if len(rules) > GROUP_RULES_MAX:
        table.note("groups", f"{len(rules)} rules", f"at most {GROUP_RULES_MAX} may be")
    return tuple(rules)


def _skills(rule: Table) -> dict[str, int]:
    table = rule.table("skills")
    if table is None:
        return {}
    names = list(table.keys())
    if len(names) > SKILLS_MAX:
        rule.note("skills", f"{len(names)} skills", f"at most {SKILLS_MAX} may be")
    for name in names:
        if not 1 <= len(name) <= SKILLS_MAX:
            table.note(name, "is too long", "use 1 to 64 characters")
    return {name: table.integer(name, 1, 0, 100) for name in names}


def _login(name: str, issuer: Table, folder: Path) -> LoginConfig | None:
    table = issuer.table("login")
    if table is None:
        return None
    path = CALLBACK.format(name=name)
    example = f"https://desk.example{path}"
    redirect_uri = table.text("redirect_uri", example=example)
    if redirect_uri:
        _check_url(table, "redirect_uri", redirect_uri)
        if not redirect_uri.endswith(path):
            table.note("redirect_uri", f"people come back to {path}", f'write "{example}"')
    scopes = table.texts("scopes", ("openid", "profile"))
    if "openid" not in scopes:
        table.note("scopes", 'without "openid" nobody is named', "add it")
    return_to = table.texts("return_to", ())
    for url in return_to:
        _check_url(table, "return_to", url)
        if "#" in url or "?" in url:
            problem = f"{url!r} has a query or a fragment"
            table.note("return_to", problem, "write the address of a page alone")
    config = LoginConfig(
        _client(table, folder, secret_needed=False),
        redirect_uri,
        scopes,
        return_to,
        table.boolean("command_line", default=True),
        round(table.seconds("ttl", "8h", 60, 7 * 86_400)),
    )
    table.finish()
    return config
