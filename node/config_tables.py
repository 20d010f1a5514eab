"""The tables of `node.toml`, one reader each.  No I/O but for files that a table names.

Each returns its part of `node.config.Config`, and notes what is wrong in it; what concerns several
tables is `node.config_file`'s.  A table that is left out has its defaults.
"""

import re
from pathlib import Path
from typing import Any, cast, get_args
from urllib.parse import urlsplit

from cluster.heal.settings import HealMode, HealSettings
from cluster.state.limits import TOKEN_TTL_S
from node.auth import KEY_BYTES_MIN
from node.config import (
    ELECTION,
    HEARTBEAT,
    ChaosConfig,
    ClientConfig,
    ClientTlsConfig,
    ClusterConfig,
    DeskConfig,
    GrpcConfig,
    LimitsConfig,
    LogConfig,
    MemberConfig,
    NodeConfig,
    ObserveConfig,
    TimingConfig,
    TlsConfig,
    TokensConfig,
    TraceConfig,
    VisitorsConfig,
)
from node.logs import Format, Level
from node.origins import mistake_in
from node.tables import Table

REQUESTS_PER_S_MAX = 1_000_000
WORKERS_MAX = 64
CALLS_MAX = 1_000_000
MEMORY_BYTES_MIN = 128 << 20
"""Of each process: a node alone takes half of that."""
SAMPLE = 0.01
"""One request in a hundred, where a collector is named and no share."""
_HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
HEARTBEATS_PER_ELECTION_MIN = 3
"""A lost heartbeat or two must not start an election."""


def read_node(table: Table, folder: Path) -> NodeConfig:
    return NodeConfig(
        table.named("id", "n1"),
        table.folder("data", folder, "data/n1"),
        table.integer("workers", 0, 0, WORKERS_MAX) if "workers" in table else 0,
        table.named("zone", "dc1") if "zone" in table else "",
    )


def read_cluster(table: Table, folder: Path) -> ClusterConfig:
    cluster_id = table.named("id", "demo")
    if "key" in table and "key_file" in table:
        table.note("key_file", "there is a key already", "keep either key or key_file")
    if "key_file" in table:
        where = "key_file"
        key = table.contents("key_file", folder, "cluster.key")
    else:
        where = "key"
        key = table.text("key", example="at least 16 bytes of chance").encode() or None
    if key is not None and len(key) < KEY_BYTES_MIN:
        mend = f"use at least {KEY_BYTES_MIN}: head -c 32 /dev/urandom | base64"
        table.note(where, f"the key has only {len(key)} bytes", mend)
    return ClusterConfig(cluster_id, key or bytes(KEY_BYTES_MIN))


def read_client(table: Table, folder: Path) -> ClientConfig:
    listen = table.address("listen", "127.0.0.1:7101")
    host, port = listen
    tls = _client_tls(table, folder)
    scheme = "wss" if tls is not None else "ws"
    url = table.url("url", f"{scheme}://{_bracketed(host)}:{port}/v1/ws")
    if tls is not None and not url.startswith("wss:"):
        table.note("url", "there is a [client.tls], so clients need wss", "write wss://host/v1/ws")
    return ClientConfig(listen, url, tls, deflate=table.flag("deflate", False))


def _client_tls(client: Table, folder: Path) -> ClientTlsConfig | None:
    table = client.table("tls")
    if table is None:
        return None
    cert, key = (table.file(name, folder, f"{name}.pem") for name in ("cert", "key"))
    table.finish()
    return ClientTlsConfig(cert, key)


def read_grpc(table: Table | None) -> GrpcConfig | None:
    if table is None:
        return None
    listen = table.address("listen", "127.0.0.1:7301")
    default = GrpcConfig(listen)
    config = GrpcConfig(
        listen,
        table.integer("calls_max", default.calls_max, 1, CALLS_MAX),
        table.integer("streams_max", default.streams_max, 1, CALLS_MAX),
        table.seconds("connection_age", "60m", 60, 7 * 24 * 3600)
        if "connection_age" in table
        else default.connection_age_s,
    )
    table.finish()
    return config


def read_observe(table: Table | None) -> ObserveConfig | None:
    if table is None:
        return None
    hosts = table.texts("hosts", ())
    for host in hosts:
        if not _HOST.fullmatch(host):
            table.note("hosts", f'"{host}" is no name of a machine', 'write "n1.desk.example"')
    config = ObserveConfig(table.address("listen", "127.0.0.1:7401"), hosts)
    table.finish()
    return config


def read_tls(peer: Table, folder: Path) -> TlsConfig | None:
    table = peer.table("tls")
    if table is None:
        return None
    cert, key, ca = (table.file(name, folder, f"{name}.pem") for name in ("cert", "key", "ca"))
    table.finish()
    return TlsConfig(cert, key, ca)


def read_nodes(nodes: Table) -> dict[str, MemberConfig]:
    found = {}
    for name, table in nodes.tables().items():
        nodes.check_name(name, name)
        peer = table.address("peer", "127.0.0.1:7201")
        url = table.url("url", "ws://127.0.0.1:7101/v1/ws")
        if "url" not in table:
            table.note("url", "is missing", f'write url = "ws://host:port/v1/ws" in [{table.name}]')
        table.finish()
        found[name] = MemberConfig(name, peer, url)
    return found


def read_tokens(table: Table | None) -> TokensConfig:
    if table is None:
        return TokensConfig()
    people_s, services_s = (
        round(table.seconds(key, default, *TOKEN_TTL_S))
        for key, default in (("people", "8h"), ("services", "1h"))
    )
    table.finish()
    return TokensConfig(people_s, services_s)


def read_timing(table: Table | None) -> TimingConfig:
    if table is None:
        return TimingConfig()
    heartbeat_s = table.seconds("heartbeat", HEARTBEAT, 0.01, 5)
    low_s, high_s = table.seconds_range("election", ELECTION, 0.05, 60)
    offer_s = table.seconds("offer", "20s", 1, 3600)
    if low_s < HEARTBEATS_PER_ELECTION_MIN * heartbeat_s:
        mend = f"make it at least {HEARTBEATS_PER_ELECTION_MIN} times the heartbeat"
        table.note("election", "a lost heartbeat would start an election", mend)
    drain_s = table.seconds("drain", "10s", 1, 600)
    table.finish()
    return TimingConfig(heartbeat_s, low_s, high_s, round(offer_s * 1000), drain_s)


def read_limits(table: Table | None, *, processes: int) -> LimitsConfig:
    if table is None:
        return LimitsConfig()
    default = LimitsConfig()
    per_s = {
        key: table.integer(key, getattr(default, key), 0, REQUESTS_PER_S_MAX)
        for key in ("visitor_requests_per_s", "requests_per_s", "service_requests_per_s")
    }
    per_address = {
        key: table.integer(key, getattr(default, key), 0, REQUESTS_PER_S_MAX)
        for key in ("address_connections_max", "address_connects_per_s")
    }
    limits = LimitsConfig(
        table.integer("connections_max", default.connections_max, 1, 1_000_000),
        **per_s,
        **per_address,
        trusted_addresses=table.networks("trusted_addresses"),
        memory_bytes_max=(
            table.size("memory_max", "2GB", processes * MEMORY_BYTES_MIN)
            if "memory_max" in table
            else 0
        ),
    )
    table.finish()
    return limits


def read_visitors(table: Table | None) -> VisitorsConfig:
    if table is None:
        return VisitorsConfig()
    default = VisitorsConfig()
    origins = table.texts("origins", ())
    if not origins:
        table.note("origins", "nobody may ask", 'write origins = ["https://shop.example"]')
    for origin in origins:
        why = mistake_in(origin)
        if why:
            table.note(
                "origins", f'"{origin}" {why}', 'write "https://shop.example", as browsers do'
            )
    ttl_s = round(table.seconds("ttl", "24h", 60, 30 * 86_400))
    per_minute = table.integer("per_minute", default.per_minute, 0, REQUESTS_PER_S_MAX)
    table.finish()
    return VisitorsConfig(origins, ttl_s, per_minute)


def read_desk(table: Table | None) -> DeskConfig:
    if table is None:
        return DeskConfig()
    default = DeskConfig()
    desk = DeskConfig(
        table.seconds("away_after", "0s", 0, 24 * 3600),
        stale_guard=table.flag("stale_guard", default.stale_guard),
        invite_ms=round(table.seconds("invite", "30s", 1, 3600) * 1000),
    )
    table.finish()
    return desk


def read_heal(table: Table | None) -> HealSettings:
    if table is None:
        return HealSettings()
    default = HealSettings()
    mode = cast("HealMode", table.choice("mode", default.mode, get_args(HealMode)))
    replace_s = table.seconds("replace_after", "10m", 10, 7 * 24 * 3600)
    table.finish()
    return HealSettings(mode, replace_s)


def read_chaos(table: Table | None) -> ChaosConfig:
    if table is None:
        return ChaosConfig()
    config = ChaosConfig(table.flag("enabled", False))
    table.finish()
    return config


def read_plugins(table: Table | None) -> dict[str, dict[str, Any]]:
    """Return the settings of those that are on; what they mean is each plugin's to say."""
    if table is None:
        return {}
    found = {}
    for name, one in table.tables().items():
        table.check_name(name, name)
        if name == "chaos":
            one.note("", "chaos has a table of its own", "write [chaos] enabled = true")
        if one.flag("enabled", False):
            found[name] = one.rest()
    table.finish()
    return found


def read_log(table: Table | None) -> LogConfig:
    if table is None:
        return LogConfig()
    form = cast("Format", table.choice("format", "json", get_args(Format)))
    level = cast("Level", table.choice("level", "info", get_args(Level)))
    table.finish()
    return LogConfig(form, level)


def read_trace(table: Table | None) -> TraceConfig:
    if table is None:
        return TraceConfig()
    named = "endpoint" in table
    endpoint = table.text("endpoint", example="http://127.0.0.1:4318") if named else ""
    if endpoint:
        _check_collector(table, endpoint)
    sample = table.share("sample", SAMPLE if endpoint else 0.0)
    table.finish()
    return TraceConfig(endpoint, sample)


def _check_collector(table: Table, endpoint: str) -> None:
    """Note what is no collector's address, and secrets in one: it is shown in logs."""
    try:
        parts = urlsplit(endpoint)
        known = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        known = None
    if not known:
        mend = 'write "http://127.0.0.1:4318", or leave it out'
        table.note("endpoint", f'"{endpoint[:64]}" is no address of a collector', mend)
    elif "@" in parts.netloc:
        mend = "put it into the environment: OTEL_EXPORTER_OTLP_HEADERS"
        table.note("endpoint", "has a name or password of the collector in it", mend)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
