"""What a node says of itself and of its cluster at `GET /cluster`, to operators.  Talks to a node.

standing   starting, catching_up, serving, fenced, draining, failed
role       leader, follower, candidate
"""

from typing import Any

import msgspec

from node.client.address import Address
from node.client.http import Answer, Unreachable, get

STATUS_S = 1.0

Proof = str | tuple[str, ...]
"""A token, or some: the next is shown where the one before was revoked."""


class NodeStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One node's view; fields that a node leaves out have a plain default."""

    cluster: str = ""
    node: str = ""
    boot: str = ""
    pid: int = 0
    version: str = ""
    standing: str = "unknown"
    why: str = ""
    role: str = "unknown"
    leader: str | None = None
    term: int = 0
    commit_index: int = 0
    applied_index: int = 0
    last_index: int = 0
    nodes: list[dict[str, Any]] = []
    rules_rev: int = 0
    counts: dict[str, int] = {}
    first_index: int = 0
    snapshot_index: int = 0
    quorum_heard_s: float = 0.0
    violations: int = 0
    zone: str = ""
    wall_ms: int = 0
    """The node's clock; 0 where it does not say."""
    draining: list[str] = []
    """Nodes that operators drained."""
    totals: dict[str, int] = {}
    """Since the node's start: `messages`, `requests`."""
    storage: dict[str, float] = {}
    """`free_bytes`, `total_bytes`, `syncs`, `sync_seconds_total`, perhaps `sync_p99_ms`."""
    heals: list[dict[str, Any]] = []
    """The newest lines of the heal log, the newest last."""
    unstaffed: list[str] = []
    """Queues that nobody serves."""
    abstains: bool = False
    level: int = 1
    """Which commands its release knows."""
    level_used: int = 1
    """Which of them the cluster uses."""
    state_digest: dict[str, Any] | None = None
    epoch: int = 0
    """How often a person let the cluster go on from less than a majority."""
    heal_mode: str = ""
    """`act`, `observe` or `off`; empty where it does not say."""
    peer_tls: dict[str, Any] = {}
    """Of its certificate between nodes, if it has one: `until_ms`, `failed`."""
    chaos: dict[str, Any] = {}
    """`allowed`: nodes that may be broken on purpose; `faults`: what is broken now."""
    backup_ms: int = 0
    """When the last backup was taken that the audit log knows; 0: none."""

    def vitals(self, node: str) -> dict[str, Any]:
        """Return what this node heard of `node` last; empty if nothing, or too long ago."""
        for row in self.nodes:
            if row.get("id") == node and row.get("vitals", {}).get("fresh"):
                return dict(row["vitals"])
        return {}

    @property
    def leads(self) -> bool:
        """Whether it says that it is the leader."""
        return self.role == "leader"


class Refused(Unreachable):
    """The node answers, and does not say this to whoever asks; the message has its words."""

    def __init__(self, message: str, rule: str = "") -> None:
        self.rule = rule
        """Of `node.protocol.refusals`; empty where the node names none."""
        super().__init__(message)


async def fetch_status(
    address: Address, *, token: Proof = "", timeout_s: float = STATUS_S, digest: bool = False
) -> NodeStatus:
    """Return the status of the node at `address`.  Raises `Unreachable`, `Refused`.

    The port of the clients wants an operator's `token`, that of `[observe]` none.
    """
    *before, last = ((token,) if isinstance(token, str) else token) or ("",)
    for one in before:
        try:
            return await _fetch(address, one, timeout_s, digest=digest)
        except Refused as refused:
            if refused.rule != "token.revoked":
                raise
    return await _fetch(address, last, timeout_s, digest=digest)


async def _fetch(address: Address, token: str, timeout_s: float, *, digest: bool) -> NodeStatus:
    target = "/cluster?digest=1" if digest else "/cluster"
    answer = await get(address, target, timeout_s=timeout_s, token=token)
    if answer.status in (401, 403, 404):
        words, rule = _words(answer)
        raise Refused(f"{address.authority}: {words}", rule)
    if answer.status != 200:
        raise Unreachable(f"{address.authority}: /cluster answered {answer.status}")
    try:
        return msgspec.json.decode(answer.body, type=NodeStatus)
    except msgspec.MsgspecError as error:
        raise Unreachable(
            f"{address.authority}: /cluster is not what it should be: {error}"
        ) from None


def _words(answer: Answer) -> tuple[str, str]:
    """Return why a node refuses, as it says itself, and by which rule."""
    try:
        said = msgspec.json.decode(answer.body, type=dict[str, Any])
    except msgspec.MsgspecError:
        said = {}
    data = said.get("data")
    rule = str(data.get("rule", "")) if isinstance(data, dict) else ""
    return str(said.get("msg", ""))[:300] or f"/cluster answered {answer.status}", rule
