"""`node.toml`: what is right is read, and every mistake is named with its line and its mend."""

import ipaddress
from pathlib import Path

import pytest

from cluster.toml_source import SourceErrors
from node.client.address import is_loopback
from node.config import (
    ClientTlsConfig,
    Config,
    DeskConfig,
    GrpcConfig,
    LimitsConfig,
    LogConfig,
    ObserveConfig,
    TimingConfig,
    TokensConfig,
    TraceConfig,
)
from node.config_file import load

GOOD = """\
[cluster]
id = "demo"
key = "sixteen bytes ok"

[node]
id = "n1"
data = "data/n1"

[client]
listen = "127.0.0.1:7101"

[peer]
listen = "127.0.0.1:7201"

[nodes.n1]
peer = "127.0.0.1:7201"
url = "ws://127.0.0.1:7101/v1/ws"

[nodes.n2]
peer = "127.0.0.1:7202"
url = "ws://127.0.0.1:7102/v1/ws"
"""


def read(folder: Path, text: str) -> Config:
    path = folder / "node.toml"
    path.write_text(text)
    return load(path)


def mistakes(folder: Path, text: str) -> list[str]:
    with pytest.raises(SourceErrors) as failure:
        read(folder, text)
    return [str(error).replace(str(folder) + "/", "") for error in failure.value.errors]


def line_of(text: str, part: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if part in line)


def test_a_small_file_says_everything_that_is_needed(tmp_path: Path) -> None:
    config = read(tmp_path, GOOD)
    assert (config.cluster.id, config.cluster.key) == ("demo", b"sixteen bytes ok")
    assert (config.node.id, config.node.data) == ("n1", tmp_path / "data/n1")
    assert config.client.listen == ("127.0.0.1", 7101)
    assert config.client.url == "ws://127.0.0.1:7101/v1/ws"
    assert config.peers == {"n2": ("127.0.0.1", 7202)}
    assert config.peer.tls is None
    assert config.timing == TimingConfig()
    assert config.limits == LimitsConfig()
    assert (config.tokens.people_s, config.tokens.services_s) == (8 * 3600, 3600)
    assert config.log == LogConfig()
    assert config.grpc is None
    assert config.observe is None


def test_everything_that_may_be_said_is_read(tmp_path: Path) -> None:
    for name in ("cert.pem", "key.pem", "ca.pem"):
        (tmp_path / name).write_text("pem")
    (tmp_path / "cluster.key").write_bytes(b"a key of its own file\n")
    text = GOOD.replace('key = "sixteen bytes ok"', 'key_file = "cluster.key"').replace(
        'listen = "127.0.0.1:7201"',
        'listen = "0.0.0.0:7201"\n[peer.tls]\ncert = "cert.pem"\nkey = "key.pem"\nca = "ca.pem"',
    )
    text = text.replace("ws://127.0.0.1", "wss://127.0.0.1")
    text = text.replace("[client]\n", "[client]\ndeflate = true\n")
    text += """
[client.tls]
cert = "cert.pem"
key = "key.pem"
[tokens]
people = "12h"
services = "10m"
[timing]
heartbeat = "20ms"
election = "0.2s-400ms"
offer = "1m"
drain = "30s"
[limits]
connections_max = 5
memory_max = "1.5GB"
address_connects_per_s = 0
trusted_addresses = ["10.0.0.0/8", "::1"]
[log]
format = "console"
level = "debug"
[grpc]
listen = "0.0.0.0:7301"
calls_max = 7
streams_max = 8
connection_age = "60m"
[observe]
listen = "127.0.0.1:7401"
hosts = ["n1.desk.example"]
"""
    config = read(tmp_path, text)
    assert config.cluster.key == b"a key of its own file"
    assert config.client.tls == ClientTlsConfig(tmp_path / "cert.pem", tmp_path / "key.pem")
    assert config.client.url.startswith("wss://")
    assert config.client.deflate
    assert config.peer.tls is not None
    assert config.peer.tls.ca == tmp_path / "ca.pem"
    assert config.tokens == TokensConfig(12 * 3600, 600)
    assert config.timing == TimingConfig(0.02, 0.2, 0.4, 60_000, 30.0)
    assert config.limits == LimitsConfig(
        connections_max=5,
        memory_bytes_max=1536 << 20,
        address_connects_per_s=0,
        trusted_addresses=(ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("::1")),
    )
    assert config.log == LogConfig("console", "debug")
    assert config.grpc == GrpcConfig(("0.0.0.0", 7301), 7, 8, 3600.0)
    assert config.observe == ObserveConfig(("127.0.0.1", 7401), ("n1.desk.example",))


def test_the_key_is_not_shown_by_accident(tmp_path: Path) -> None:
    assert "sixteen" not in repr(read(tmp_path, GOOD))


@pytest.mark.parametrize(
    ("was", "now", "at", "says"),
    [
        ('id = "demo"\n', "", "[cluster]", "cluster.id: is missing"),
        ('id = "demo"', "id = 7", "id = 7", "cluster.id: must be text"),
        ('id = "demo"', 'id = "De mo"', "De mo", "is no name"),
        ('key = "sixteen bytes ok"\n', "", "[cluster]", "cluster.key: is missing"),
        ('"sixteen bytes ok"', '"short"', '"short"', "has only 5 bytes"),
        ('key = "sixteen bytes ok"', 'key_file = "none"', "key_file", "no file"),
        ('key = "sixteen', 'key_file = "x"\nkey = "sixteen', "key_file", "there is a key already"),
        ('id = "n1"', 'id = "n3"', '"n3"', '"n3" is not one of [nodes]'),
        ('data = "data/n1"\n', "", "[node]", "node.data: is missing"),
        ('listen = "127.0.0.1:7101"', 'listen = "7101"', '"7101"', "is no address"),
        ("[peer]", '[tokens]\npeople = "10s"\n[peer]', "10s", "people: 10s is out of range"),
        ("[peer]", "[tokens]\nservices = 8\n[peer]", "services", "must be text"),
        ("[peer]", '[tokens]\nagents = "8h"\n[peer]', "agents", "agents"),
        ('listen = "127.0.0.1:7101"', 'listen = "h:70000"', "70000", "is no address"),
        ('listen = "127.0.0.1:7201"', 'listen = "10.0.0.1:7201"', "10.0.0.1", "beyond loopback"),
        ('listen = "127.0.0.1:7201"', 'listen = "host:7201"', "host:", "beyond loopback"),
        ('listen = "127.0.0.1:7201"', 'listen = "127.0.0.1:7101"', "[peer]", "is the address of"),
        ('listen = "127.0.0.1:7201"', 'listen = "127.0.0.1:7209"', "7209", "says 7201"),
        ("127.0.0.1:7202", "127.0.0.1:7201", "[nodes.n2]", "is that of n1 too"),
        ("7102/v1/ws", "7101/v1/ws", "[nodes.n2]", "is that of n1 too"),
        ("ws://127.0.0.1:7102", "http://127.0.0.1:7102", "http:", "is no WebSocket address"),
        ("[nodes.n2]", "[nodes.N2]", "[nodes.N2]", "is no name"),
        ("[client]\n", "[client]\nlisen = 1\n", "lisen", "did you mean 'listen'?"),
        ("[client]", "[clint]\n[client]", "[clint]", "did you mean 'client'?"),
        ("[client]\n", '[log]\nlevel = "loud"\n[client]\n', "loud", '"loud" is not known'),
        ("[client]\n", '[timing]\nheartbeat = "50"\n[client]\n', "heartbeat", "is no duration"),
        ("[client]\n", '[timing]\nheartbeat = "9m"\n[client]\n', "heartbeat", "out of range"),
        ("[client]\n", '[timing]\nelection = "1s"\n[client]\n', "election", "is no range"),
        ("[client]\n", '[timing]\nelection = "2s-1s"\n[client]\n', "election", "must rise"),
        ("[client]\n", '[timing]\nheartbeat = "1s"\n[client]\n', "[timing]", "lost heartbeat"),
        ("[client]\n", "[limits]\nconnections_max = 0\n[client]\n", "connections_max", "1 to"),
        ("[client]\n", "[limits]\nconnections_max = true\n[client]\n", "connections_max", "whole"),
        ("[client]\n", '[client.tls]\ncert = "no"\n[client]\n', "[client.tls]", "key: is missing"),
        ("[client]\n", "[client]\ndeflate = 1\n", "deflate", "must be true or false"),
        ("[client]\n", "[grpc]\n[client]\n", "[grpc]", "listen: is missing"),
        ("[client]\n", '[grpc]\nlisten = "127.0.0.1:7101"\n[client]\n', "[grpc]", "[client] too"),
        ("[client]\n", '[grpc]\nlisten = "127.0.0.1:7201"\n[client]\n', "[grpc]", "[peer] too"),
        ("[client]\n", '[grpc]\nlisten = "a:1"\ncalls_max = 0\n[client]\n', "calls_max", "1 to"),
        ("[client]\n", '[grpc]\nlisten = "a:1"\ntls = 1\n[client]\n', "tls", "unknown key"),
        ("[client]\n", "[observe]\n[client]\n", "[observe]", 'listen = "127.0.0.1:7401"'),
        (
            "[client]\n",
            '[observe]\nlisten = "a:1"\nhosts = ["a:1"]\n[client]\n',
            "hosts",
            "is no name",
        ),
        ("[client]\n", '[observe]\nlisten = "x"\n[client]\n', 'listen = "x"', "is no address"),
        ("[client]\n", '[observe]\nlisten = "127.0.0.1:7101"\n[client]\n', "[obs", "[client] too"),
        ("[client]\n", '[observe]\nlisten = "0.0.0.0:7201"\n[client]\n', "[obs", "[peer] too"),
        ("[client]\n", '[observe]\nlisten = "[::]:7101"\n[client]\n', "[obs", "[client] too"),
        ("[client]\n", '[observe]\nlisten = "a:1"\ntls = 1\n[client]\n', "tls", "unknown key"),
        (
            "[client]\n",
            '[grpc]\nlisten = "a:1"\n[observe]\nlisten = "a:1"\n[client]\n',
            "[obs",
            "[grpc] too",
        ),
        ("[client]\n", '[limits]\nmemory_max = "2"\n[client]\n', "memory_max", "is no size"),
        ("[client]\n", '[limits]\nmemory_max = "9MB"\n[client]\n', "memory_max", "too little"),
        ("[client]\n", "[limits]\nmemory_max = 9\n[client]\n", "memory_max", "must be text"),
        (
            "[client]\n",
            'workers = 3\n[limits]\nmemory_max = "400MB"\n[client]\n',
            "memory_max",
            "choose 512MB or more",
        ),
        ("[client]\n", '[limits]\ntrusted_addresses = "x"\n[client]\n', "trusted", "a list"),
        ("[client]\n", '[limits]\ntrusted_addresses = ["x"]\n[client]\n', "trusted", "'x'"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_its_mend(
    tmp_path: Path, was: str, now: str, at: str, says: str
) -> None:
    text = GOOD.replace(was, now, 1) if was in GOOD else GOOD
    assert text != GOOD
    found = mistakes(tmp_path, text)
    place = f"node.toml:{line_of(text, at)}: "
    matching = [line for line in found if says in line]
    assert matching, found
    if at in ("[peer]", "[nodes.n2]"):  # named at the key below
        assert matching[0].startswith("node.toml:")
    elif at != "[timing]":
        assert matching[0].startswith(place), (place, found)
    assert "; " in matching[0], "no mend"


@pytest.mark.parametrize("table", ["cluster", "node", "client", "peer"])
def test_a_table_that_is_missing_is_named_once(tmp_path: Path, table: str) -> None:
    begin = GOOD.index(f"[{table}]")
    end = GOOD.index("\n\n", begin)
    found = mistakes(tmp_path, GOOD[:begin] + GOOD[end:])
    assert len([line for line in found if f"add [{table}]" in line]) == 1
    assert len(found) <= 2


def test_all_mistakes_are_named_at_once_in_the_order_of_their_lines(tmp_path: Path) -> None:
    text = (
        GOOD.replace('"demo"', '""')
        .replace('"sixteen bytes ok"', '"short"')
        .replace('listen = "127.0.0.1:7101"', 'listen = "nowhere"\ncolour = "red"')
        .replace("127.0.0.1:7202", "127.0.0.1")
    )
    found = mistakes(tmp_path, text)
    assert len(found) == 5
    lines = [int(line.split(":")[1]) for line in found]
    assert lines == sorted(lines)


def test_what_is_no_toml_is_shown_with_a_caret(tmp_path: Path) -> None:
    (found,) = mistakes(tmp_path, "[cluster]\nid = demo\n")
    assert found.startswith("node.toml:2: ")
    assert "^" in found


def test_a_table_that_is_a_value_is_a_mistake(tmp_path: Path) -> None:
    found = mistakes(tmp_path, "client = 7\n" + GOOD.replace("[client]", "[other]"))
    assert any("client: must be a table" in line for line in found)


def test_a_file_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(SourceErrors, match="no such file"):
        load(tmp_path / "none.toml")
    with pytest.raises(SourceErrors, match="cannot be read"):
        load(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b'id = "\xff"')
    with pytest.raises(SourceErrors, match="cannot be read"):
        load(tmp_path / "latin.toml")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_only_this_machine_reaches_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "desk.example"])
def test_others_may_reach_the_rest(host: str) -> None:
    assert not is_loopback(host)


CORP = """
[auth.corp]
issuer = "https://login.acme.example/desk"
audience = "unidesk"
keys = "https://login.acme.example/desk/certs"
roles = ["agent", "supervisor"]
role_claim = "realm.roles"
"""


def test_issuers_are_read(tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    path.write_text(GOOD + CORP)
    (corp,) = load(path).issuers
    assert (corp.name, corp.keys) == ("corp", "https://login.acme.example/desk/certs")
    assert (corp.roles, corp.role, corp.role_claim) == (
        ("agent", "supervisor"),
        None,
        "realm.roles",
    )


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"https://login.acme.example/desk"', '"unidesk"', "is this cluster itself"),
        ('"https://login.acme.example/desk/certs"', '"http://login.acme.example/"', "unprotected"),
        ('"https://login.acme.example/desk/certs"', '"nowhere.json"', "no file"),
        ('"https://login.acme.example/desk/certs"', '"node.toml"', "not a JSON Web Key Set"),
        ('["agent", "supervisor"]', '["agents"]', "a list of known words"),
        ('["agent", "supervisor"]', '"agent"', "a list of known words"),
        ('role_claim = "realm.roles"', 'role = "operator"', "is not one of its roles"),
        (
            'role_claim = "realm.roles"',
            'role = "agent"\nrole_claim = "x"',
            "keep one of role,",
        ),
        ("[auth.corp]", CORP.replace("corp", "other") + "[auth.corp]", "is that of other too"),
        ('audience = "unidesk"', "", "audience: is missing"),
    ],
)
def test_mistakes_about_issuers_are_named(old: str, new: str, words: str, tmp_path: Path) -> None:
    assert old in CORP
    (found,) = mistakes(tmp_path, GOOD + CORP.replace(old, new, 1))
    assert words in found


def test_how_people_work_is_said_in_a_table_of_its_own(tmp_path: Path) -> None:
    assert read(tmp_path, GOOD).desk == DeskConfig()
    said = '\n[desk]\naway_after = "15m"\ninvite = "45s"\nstale_guard = true\n'
    assert read(tmp_path, GOOD + said).desk == DeskConfig(900.0, True, 45_000)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('away_after = "-1s"', "away_after"),
        ('away_after = "2d"', "away_after"),
        ("invite = 30", "invite"),
        ('stale_guard = "yes"', "stale_guard"),
        ('away_afer = "15m"', "away_after"),
    ],
)
def test_a_mistake_in_it_is_named(tmp_path: Path, line: str, problem: str) -> None:
    text = f"{GOOD}\n[desk]\n{line}\n"
    (mistake,) = mistakes(tmp_path, text)
    assert mistake.startswith(f"node.toml:{line_of(text, line)}")
    assert problem in mistake


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("", TraceConfig()),
        ("[trace]\nsample = 1", TraceConfig("", 1.0)),
        ('[trace]\nendpoint = "http://c:4318"', TraceConfig("http://c:4318", 0.01)),
        ('[trace]\nendpoint = "https://c"\nsample = 0', TraceConfig("https://c", 0.0)),
    ],
)
def test_what_is_traced_is_said_in_a_table_of_its_own(
    tmp_path: Path, lines: str, expected: TraceConfig
) -> None:
    assert read(tmp_path, f"{GOOD}\n{lines}\n").trace == expected


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('endpoint = "127.0.0.1:4318"', "no address of a collector"),
        ('endpoint = "https://"', "no address of a collector"),
        ('endpoint = "http://c:x"', "no address of a collector"),
        ('endpoint = "https://me:secret@c"', "a name or password"),
        ("sample = 1.5", "a number from 0 to 1"),
        ("sample = true", "a number from 0 to 1"),
        ('sample = "1%"', "a number from 0 to 1"),
        ("rate = 1", "rate"),
    ],
)
def test_a_mistake_about_traces_is_named(tmp_path: Path, line: str, problem: str) -> None:
    text = f"{GOOD}\n[trace]\n{line}\n"
    (mistake,) = mistakes(tmp_path, text)
    assert mistake.startswith(f"node.toml:{line_of(text, line)}")
    assert problem in mistake
