"""`node.toml`: what a node is told at start.  Talks to the file system.

    [cluster]   id, key | key_file           the same in every node of the cluster
    [node]      id, data                     which node this is, and where its disk is
                workers                      processes that serve clients; 0: this one does
                zone                         what fails together, such as a data centre
    [client]    listen, url                  HTTP and WebSocket
    [client.tls] cert, key                   within TLS; renewed files are found by themselves
    [grpc]      listen                       operations and events by gRPC; TLS as [client.tls]
                calls_max, streams_max; connection_age: so old a connection is given up
    [peer]      listen                       the other nodes
    [peer.tls]  cert, key, ca                needed as soon as peers listen beyond loopback
    [nodes.X]   peer, url                    every node, this one included
    [auth.X]    issuer, audience, keys, roles, role | role_claim    see `node.issuers`
    [visitors]  origins, ttl, per_minute     pages that may ask for anonymous visitors' tokens
    [desk]      away_after, invite, stale_guard    silent agents, invitations, crossing answers
    [heal]      mode                         act | observe | off; see `cluster.heal`
                replace_after                a voter dead for so long gives way to a standby
    [chaos]     enabled                      operators may break this node on purpose
    [plugins.X] enabled, and what X asks     see `node.plugins.loading`
    [tokens]    people, services             how long tokens live that are issued for a secret
    [timing]    heartbeat, election, offer, drain
    [limits]    connections_max; memory_max, of all processes; 0 is any number in all others:
                requests a second of one principal at this node, visitor_requests_per_s,
                requests_per_s, service_requests_per_s; sockets of one address,
                address_connections_max, address_connects_per_s, but not of trusted_addresses:
                proxies, who are also believed what they say of a client (`node.desk.credentials`)
    [log]       format, level
    [trace]     endpoint                     of a collector: spans go there by OTLP/HTTP
                sample                       share of the requests that are traced anyway

`load` finds every mistake in one go and names for each the file, the line and the mend.  Paths in
the file are relative to the file.
"""

from pathlib import Path
from typing import Any, cast, get_args
from urllib.parse import urlsplit

from cluster.heal.settings import HealMode, HealSettings
from cluster.state.limits import TOKEN_TTL_S
from cluster.toml_source import Document, Place, SourceError, SourceErrors, did_you_mean
from node.auth import KEY_BYTES_MIN
from node.client.address import is_loopback
from node.config import (
    ELECTION,
    HEARTBEAT,
    ChaosConfig,
    ClientConfig,
    ClientTlsConfig,
    ClusterConfig,
    Config,
    DeskConfig,
    GrpcConfig,
    LimitsConfig,
    LogConfig,
    MemberConfig,
    NodeConfig,
    PeerConfig,
    TimingConfig,
    TlsConfig,
    TokensConfig,
    TraceConfig,
    VisitorsConfig,
)
from node.issuers.tables import read_issuers
from node.logs import Format, Level
from node.origins import mistake_in
from node.tables import NOWHERE, Reading, Table

NODES_MAX = 9
"""More voters make every commit slower and none safer."""
REQUESTS_PER_S_MAX = 1_000_000
WORKERS_MAX = 64
CALLS_MAX = 1_000_000
MEMORY_BYTES_MIN = 128 << 20
"""Of each process: a node alone takes half of that."""
SAMPLE = 0.01
"""One request in a hundred, where a collector is named and no share."""
HEARTBEATS_PER_ELECTION_MIN = 3
"""A lost heartbeat or two must not start an election."""


def load(path: Path) -> Config:
    """Return the configuration in the file at `path`.  Raises `SourceErrors`, all at once."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise _unreadable(path, "no such file", "name a node.toml that exists") from None
    except (OSError, UnicodeDecodeError) as error:
        mend = "make it a UTF-8 text file that this user may read"
        raise _unreadable(path, f"cannot be read: {error}", mend) from None
    return parse(text, path)


def parse(text: str, path: Path) -> Config:
    """Return the configuration that `text` says, the content of `path`.

    Other files that it names are read.  Raises `SourceErrors`, all at once.
    """
    try:
        reading = Reading(Document(str(path), text))
    except SourceError as error:
        raise SourceErrors([error]) from None
    config = _config(reading.root, path.parent)
    if reading.problems:
        raise SourceErrors(reading.problems)
    return config


def _config(root: Table, folder: Path) -> Config:
    cluster, node = root.needed_table("cluster"), root.needed_table("node")
    client, peer, nodes = (root.needed_table(name) for name in ("client", "peer", "nodes"))
    this = _node(node, folder)
    config = Config(
        cluster=_cluster(cluster, folder),
        node=this,
        client=_client(client, folder),
        peer=PeerConfig(peer.address("listen", "127.0.0.1:7201"), _tls(peer, folder)),
        nodes=_nodes(nodes),
        grpc=_grpc(root.table("grpc")),
        issuers=read_issuers(root.table("auth"), folder),
        tokens=_tokens(root.table("tokens")),
        timing=_timing(root.table("timing")),
        limits=_limits(root.table("limits"), processes=this.workers + 1),
        log=_log(root.table("log")),
        visitors=_visitors(root.table("visitors")),
        desk=_desk(root.table("desk")),
        heal=_heal(root.table("heal")),
        chaos=_chaos(root.table("chaos")),
        trace=_trace(root.table("trace")),
        others=_plugins(root.table("plugins")),
    )
    for table in (cluster, node, client, peer, root):
        table.finish()
    _check_members(config, node, nodes)
    _check_ports(config, root, peer)
    _check_loopback(config, peer)
    return config


def _node(table: Table, folder: Path) -> NodeConfig:
    return NodeConfig(
        table.named("id", "n1"),
        table.folder("data", folder, "data/n1"),
        table.integer("workers", 0, 0, WORKERS_MAX) if "workers" in table else 0,
        table.named("zone", "dc1") if "zone" in table else "",
    )


def _cluster(table: Table, folder: Path) -> ClusterConfig:
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


def _client(table: Table, folder: Path) -> ClientConfig:
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


def _grpc(table: Table | None) -> GrpcConfig | None:
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


def _tls(peer: Table, folder: Path) -> TlsConfig | None:
    table = peer.table("tls")
    if table is None:
        return None
    cert, key, ca = (table.file(name, folder, f"{name}.pem") for name in ("cert", "key", "ca"))
    table.finish()
    return TlsConfig(cert, key, ca)


def _nodes(nodes: Table) -> dict[str, MemberConfig]:
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


def _tokens(table: Table | None) -> TokensConfig:
    if table is None:
        return TokensConfig()
    people_s, services_s = (
        round(table.seconds(key, default, *TOKEN_TTL_S))
        for key, default in (("people", "8h"), ("services", "1h"))
    )
    table.finish()
    return TokensConfig(people_s, services_s)


def _timing(table: Table | None) -> TimingConfig:
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


def _limits(table: Table | None, *, processes: int) -> LimitsConfig:
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


def _visitors(table: Table | None) -> VisitorsConfig:
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


def _desk(table: Table | None) -> DeskConfig:
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


def _heal(table: Table | None) -> HealSettings:
    if table is None:
        return HealSettings()
    default = HealSettings()
    mode = cast("HealMode", table.choice("mode", default.mode, get_args(HealMode)))
    replace_s = table.seconds("replace_after", "10m", 10, 7 * 24 * 3600)
    table.finish()
    return HealSettings(mode, replace_s)


def _chaos(table: Table | None) -> ChaosConfig:
    if table is None:
        return ChaosConfig()
    config = ChaosConfig(table.flag("enabled", False))
    table.finish()
    return config


def _plugins(table: Table | None) -> dict[str, dict[str, Any]]:
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


def _log(table: Table | None) -> LogConfig:
    if table is None:
        return LogConfig()
    form = cast("Format", table.choice("format", "json", get_args(Format)))
    level = cast("Level", table.choice("level", "info", get_args(Level)))
    table.finish()
    return LogConfig(form, level)


def _trace(table: Table | None) -> TraceConfig:
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


def _check_members(config: Config, node: Table, nodes: Table) -> None:
    """Note a node that is not of its own cluster, and nodes that share a place."""
    me, members = config.node.id, config.nodes
    if members and me and me not in members:
        mend = f"add [nodes.{me}]; {did_you_mean(me, members)}"
        node.note("id", f'"{me}" is not one of [nodes]', mend)
    if len(members) > NODES_MAX:
        nodes.note("", f"{len(members)} nodes", f"at most {NODES_MAX} vote")
    taken: dict[tuple[str, object], str] = {}
    for one in members.values():
        for what, where in (("peer", one.peer), ("url", one.url)):
            other = taken.setdefault((what, where), one.id)
            if other != one.id and where != NOWHERE:
                table = nodes.table(one.id)
                assert table is not None
                table.note(what, f"is that of {other} too", "give every node its own")


def _check_ports(config: Config, root: Table, peer: Table) -> None:
    if config.client.listen == config.peer.listen != NOWHERE:
        peer.note("listen", "is the address of [client] too", "give peers a port of their own")
    if config.grpc is not None and config.grpc.listen != NOWHERE:
        for name, other in (("client", config.client.listen), ("peer", config.peer.listen)):
            if config.grpc.listen == other:
                mend = "give gRPC a port of its own"
                root.note("grpc", f"listen is the address of [{name}] too", mend)
    me = config.nodes.get(config.node.id)
    port = config.peer.listen[1]
    if me is not None and NOWHERE not in (me.peer, config.peer.listen) and me.peer[1] != port:
        problem = f"port {port}, but [nodes.{me.id}] says {me.peer[1]}"
        peer.note("listen", problem, "make both the same: the others dial the latter")


def _check_loopback(config: Config, peer: Table) -> None:
    """Note peers that would be reachable from outside without proving who they are."""
    host = config.peer.listen[0]
    if config.peer.tls is None and host and not is_loopback(host):
        mend = "add [peer.tls] with cert, key and ca, or listen on 127.0.0.1"
        peer.note("listen", f"{host} is beyond loopback and there is no [peer.tls]", mend)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _unreadable(path: Path, problem: str, mend: str) -> SourceErrors:
    return SourceErrors([SourceError(Place(str(path), 1), problem, mend)])
