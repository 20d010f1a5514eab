"""`node.toml`: what a node is told at start.  Talks to the file system.

    [cluster]   id, key | key_file           the same in every node of the cluster
    [node]      id, data                     which node this is, and where its disk is
                workers                      processes that serve clients; 0: this one does
                zone                         what fails together, such as a data centre
    [client]    listen, url                  HTTP and WebSocket
    [client.tls] cert, key                   within TLS; renewed files are found by themselves
    [grpc]      listen                       operations and events by gRPC; TLS as [client.tls]
                calls_max, streams_max; connection_age: so old a connection is given up
    [observe]   listen, hosts                probes, /metrics and /cluster, for machines: no token
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
the file are relative to the file.  `node.config_tables` reads each table; here is what concerns
several.
"""

from pathlib import Path

from cluster.toml_source import Document, Place, SourceError, SourceErrors, did_you_mean
from node.client.address import is_everywhere, is_loopback
from node.config import Config, GrpcConfig, ObserveConfig, PeerConfig
from node.config_tables import (
    read_chaos,
    read_client,
    read_cluster,
    read_desk,
    read_grpc,
    read_heal,
    read_limits,
    read_log,
    read_node,
    read_nodes,
    read_observe,
    read_plugins,
    read_timing,
    read_tls,
    read_tokens,
    read_trace,
    read_visitors,
)
from node.issuers.tables import read_issuers
from node.tables import NOWHERE, Address, Reading, Table

NODES_MAX = 9
"""More voters make every commit slower and none safer."""


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
    this = read_node(node, folder)
    config = Config(
        cluster=read_cluster(cluster, folder),
        node=this,
        client=read_client(client, folder),
        peer=PeerConfig(peer.address("listen", "127.0.0.1:7201"), read_tls(peer, folder)),
        nodes=read_nodes(nodes),
        grpc=read_grpc(root.table("grpc")),
        observe=read_observe(root.table("observe")),
        issuers=read_issuers(root.table("auth"), folder),
        tokens=read_tokens(root.table("tokens")),
        timing=read_timing(root.table("timing")),
        limits=read_limits(root.table("limits"), processes=this.workers + 1),
        log=read_log(root.table("log")),
        visitors=read_visitors(root.table("visitors")),
        desk=read_desk(root.table("desk")),
        heal=read_heal(root.table("heal")),
        chaos=read_chaos(root.table("chaos")),
        trace=read_trace(root.table("trace")),
        others=read_plugins(root.table("plugins")),
    )
    for table in (cluster, node, client, peer, root):
        table.finish()
    _check_members(config, node, nodes)
    _check_ports(config, root, peer)
    _check_loopback(config, peer)
    return config


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
    taken = {"client": config.client.listen, "peer": config.peer.listen}
    more: dict[str, GrpcConfig | ObserveConfig | None]
    more = {"grpc": config.grpc, "observe": config.observe}
    for name, table in more.items():
        if table is None or table.listen == NOWHERE:
            continue
        for other, address in taken.items():
            if _overlap(table.listen, address):
                mend = f"give [{name}] a port of its own"
                root.note(name, f"listen is the address of [{other}] too", mend)
        taken[name] = table.listen
    me = config.nodes.get(config.node.id)
    port = config.peer.listen[1]
    if me is not None and NOWHERE not in (me.peer, config.peer.listen) and me.peer[1] != port:
        problem = f"port {port}, but [nodes.{me.id}] says {me.peer[1]}"
        peer.note("listen", problem, "make both the same: the others dial the latter")


def _overlap(one: Address, other: Address) -> bool:
    """Whether two listeners would meet: on one port, and one of them everywhere or both there."""
    everywhere = is_everywhere(one[0]) or is_everywhere(other[0])
    return one[1] == other[1] and (everywhere or one[0] == other[0])


def _check_loopback(config: Config, peer: Table) -> None:
    """Note peers that would be reachable from outside without proving who they are."""
    host = config.peer.listen[0]
    if config.peer.tls is None and host and not is_loopback(host):
        mend = "add [peer.tls] with cert, key and ca, or listen on 127.0.0.1"
        peer.note("listen", f"{host} is beyond loopback and there is no [peer.tls]", mend)


def _unreadable(path: Path, problem: str, mend: str) -> SourceErrors:
    return SourceErrors([SourceError(Place(str(path), 1), problem, mend)])
