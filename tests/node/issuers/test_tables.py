"""`[auth.NAME]` and `[visitors]`: what is right is read, every mistake is named with its mend."""

from pathlib import Path

import pytest

from cluster.toml_source import SourceErrors
from node.config import Config
from node.config_file import load
from node.issuers.config import GroupRule
from tests.node.test_config import GOOD

WHOLE = """
[auth.corp]
issuer = "https://login.acme.example/desk"
roles = ["agent", "supervisor"]
groups_claim = "realm.groups"

[auth.corp.groups]
desk-leads = { role = "supervisor" }
desk = { role = "agent", capacity = 3 }
refunds = { skills = { refund = 3 } }

[auth.corp.login]
client_id = "unidesk"
client_secret_file = "client.secret"
redirect_uri = "https://desk.acme.example/v1/login/corp/callback"
return_to = ["https://console.acme.example/in"]
ttl = "2h"

[auth.machines]
issuer = "https://login.acme.example/desk"
introspect = "discover"
client_id = "unidesk"
client_secret_file = "client.secret"
scope = "desk"
token_prefix = "acme_"
cache = "30s"
roles = ["service"]
role = "service"
id_claim = "client_id"

[auth.shop]
issuer = "https://shop.acme.example"
audience = "unidesk"
secret_file = "shop.secret"
roles = ["visitor"]
role = "visitor"
id_prefix = "shop:"

[visitors]
origins = ["https://www.acme.example", "http://localhost:*"]
ttl = "12h"
per_minute = 10
"""


def read(folder: Path, text: str) -> Config:
    (folder / "client.secret").write_text("s3cret\n")
    (folder / "shop.secret").write_text("x" * 32 + "\n")
    (folder / "short.secret").write_text("x" * 31 + "\n")
    (folder / "empty.secret").write_text("\n")
    path = folder / "node.toml"
    path.write_text(GOOD + text)
    return load(path)


def test_everything_is_read(tmp_path: Path) -> None:
    config = read(tmp_path, WHOLE)
    corp, machines, shop = config.issuers
    assert (corp.keys, corp.audience, corp.discovers, corp.judges) == (None, "", True, False)
    assert corp.groups == (
        GroupRule("desk-leads", "supervisor"),
        GroupRule("desk", "agent", capacity=3),
        GroupRule("refunds", skills={"refund": 3}),
    )
    assert corp.login is not None
    assert (corp.login.client.secret, corp.login.ttl_s) == ("s3cret", 7200)
    assert corp.login.scopes == ("openid", "profile")
    assert machines.introspection is not None
    assert (machines.introspection.url, machines.introspection.cache_s) == ("", 30)
    assert (machines.judges, machines.id_claim) == (True, "client_id")
    assert (shop.secret, shop.role, shop.id_prefix) == (
        tmp_path / "shop.secret",
        "visitor",
        "shop:",
    )
    assert config.visitors.origins == ("https://www.acme.example", "http://localhost:*")
    assert (config.visitors.ttl_s, config.visitors.per_minute) == (43_200, 10)
    assert "s3cret" not in repr(config)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('issuer = "https://login', 'issuer = "http://login', "would come unprotected"),
        ('issuer = "https://login', 'issuer = "login', "no https:// address"),
        ('role = "supervisor"', 'role = "operator"', '"operator" is not one of its roles'),
        ('role = "supervisor"', 'roles = "supervisor"', "unknown key"),
        ("refund = 3", "refund = 300", "a whole number, 0 to 100"),
        ("refunds = {", "refunds = 7 #", "must be a table"),
        ('groups_claim = "realm.groups"', 'role = "agent"', "there is a role already"),
        ("/v1/login/corp/callback", "/callback", "people come back to /v1/login/corp/callback"),
        ('redirect_uri = "https:', 'redirect_uri = "http:', "would come unprotected"),
        ("acme.example/in", "acme.example/in?x=1", "has a query or a fragment"),
        ('["https://console.acme.example/in"]', '"x"', "must be a list of text"),
        ('ttl = "2h"', 'scopes = ["profile"]', 'without "openid"'),
        ('ttl = "2h"', "command_line = 1", "must be true or false"),
        ("client.secret", "none.secret", "no file"),
        ("client.secret", "empty.secret", "is empty"),
        ('scope = "desk"', "", "tokens meant for others would count"),
        ('introspect = "discover"', 'introspect = "http://a.example/"', "unprotected"),
        ('introspect = "discover"', 'introspect = "discover"\nkeys = "x"', "another proof already"),
        ('cache = "30s"', 'cache = "61s"', "out of range"),
        ("shop.secret", "short.secret", "a secret of under 32 bytes"),
        ('roles = ["visitor"]', 'roles = ["visitor", "agent"]', "vouches for visitors alone"),
        ('id_prefix = "shop:"', "[auth.shop.login]", "has no login"),
        ('"https://www.acme.example"', '"https://www.acme.example/"', "is no origin"),
        ('"https://www.acme.example"', '"*"', "only ports of loopback"),
        ("per_minute = 10", "per_minute = -1", "a whole number"),
    ],
)
def test_mistakes_are_named(old: str, new: str, words: str, tmp_path: Path) -> None:
    assert old in WHOLE
    with pytest.raises(SourceErrors) as failure:
        read(tmp_path, WHOLE.replace(old, new, 1))
    told = [str(error) for error in failure.value.errors]
    assert any(words in one for one in told), told
    assert all("node.toml:" in one and ";" in one for one in told), told


def test_a_shared_secret_makes_no_agent_whatever_role_is_written(tmp_path: Path) -> None:
    wrong = WHOLE.replace(
        'roles = ["visitor"]\nrole = "visitor"', 'roles = ["agent"]\nrole = "agent"'
    )
    with pytest.raises(SourceErrors, match="vouches for visitors alone"):
        read(tmp_path, wrong)


def test_two_that_would_judge_the_same_tokens_are_refused(tmp_path: Path) -> None:
    second = WHOLE.replace("[auth.shop]", "[auth.other]").replace("id_prefix", "#")
    start, end = second.index("[auth.other]"), second.index("[visitors]")
    with pytest.raises(SourceErrors, match="is that of shop too"):
        read(tmp_path, WHOLE + second[start:end])
    everyone = WHOLE.replace('token_prefix = "acme_"\n', "")
    again = everyone[everyone.index("[auth.machines]") : everyone.index("[auth.shop]")]
    again = again.replace("machines", "robots").replace("acme.example/desk", "acme.example/r")
    with pytest.raises(SourceErrors, match="every opaque token already"):
        read(tmp_path, everyone + again)
