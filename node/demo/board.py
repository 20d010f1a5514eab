"""What the demo shows: nodes, conversations, and what happened.  No I/O but rich's tables.

nodes           id, standing, role, term, applied, pid, connections
conversations   who, state, agent, last line
happened        the newest lines: who leads, who died, what was restarted
"""

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from node.cli.output import plain
from node.client.status import NodeStatus
from node.protocol.catalogue import Ev

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

CONVERSATIONS_SHOWN_MAX = 10
CONVERSATIONS_KEPT_MAX = 200
HAPPENED_SHOWN_MAX = 6
LINE_CHARACTERS_MAX = 60


@dataclass(slots=True)
class Row:
    """One conversation as it is shown."""

    cv: str
    who: str = ""
    state: str = "new"
    agent: str = ""
    line: str = ""
    seq: int = 0


class Board:
    """Everything on view."""

    def __init__(self, tell: Callable[[str], None] | None = None) -> None:
        """`tell` gets each happening and each event as a line, when there is no live view."""
        self.rows: OrderedDict[str, Row] = OrderedDict()
        self.nodes: Mapping[str, NodeStatus | None] = {}
        self.hints: list[str] = []
        self._happened: deque[str] = deque(maxlen=HAPPENED_SHOWN_MAX)
        self._tell = tell

    def say(self, text: str) -> None:
        """Note that something happened."""
        self._happened.append(f"{time.strftime('%H:%M:%S')}  {text}")
        if self._tell is not None:
            self._tell(text)

    def show_nodes(self, nodes: Mapping[str, NodeStatus | None]) -> None:
        """Take the nodes' newest words; say when another leads."""
        before, now = _leader(self.nodes), _leader(nodes)
        self.nodes = nodes
        if now and now != before:
            status = nodes[now]
            assert status is not None
            self.say(f"{now} leads in term {status.term} (pid {status.pid})")

    def take(self, event: Ev) -> None:
        """Take an event of any conversation."""
        row = self.rows.setdefault(event.cv, Row(event.cv))
        if event.seq <= row.seq:
            return
        row.seq = event.seq
        self.rows.move_to_end(event.cv)
        while len(self.rows) > CONVERSATIONS_KEPT_MAX:
            self.rows.popitem(last=False)
        _apply(row, event)
        if self._tell is not None and event.type in ("msg", "assigned", "closed"):
            self._tell(f"{row.who or row.cv}  {row.state}  {row.agent}  {row.line}".rstrip())

    def render(self) -> "RenderableType":
        """Return everything as one thing to print."""
        from rich.console import Group
        from rich.text import Text

        from node.cli.output import table

        nodes = table(
            ("node", "standing", "role", "term", "applied", "connections", "pid"),
            [_node_row(name, status) for name, status in self.nodes.items()],
        )
        shown = list(self.rows.values())[-CONVERSATIONS_SHOWN_MAX:]
        conversations = table(
            ("conversation", "state", "agent", "last line"),
            [(row.who or row.cv[-6:], row.state, row.agent, row.line) for row in reversed(shown)],
        )
        happened = Text("\n".join(self._happened), style="dim")
        return Group(nodes, conversations, happened, Text("\n" + "\n".join(self.hints)))


def _apply(row: Row, event: Ev) -> None:
    by = event.by
    match event.type:
        case "opened":
            row.who = (by.name or by.id) if by is not None else ""
        case "queued":
            row.state = f"waiting in {event.data.get('queue', '?')}"
        case "offered":
            row.state = "offered"
        case "assigned":
            row.state = "assigned"
            row.agent = str(event.data.get("agent", ""))
        case "unassigned" | "transferred":
            row.state, row.agent = "waiting", ""
        case "closed":
            row.state = "closed"
        case "msg":
            who = (by.name or by.id) if by is not None else "?"
            body = event.data.get("body", "")
            text = body.get("text", "") if isinstance(body, dict) else body
            row.line = plain(f"{who}: {text}")[:LINE_CHARACTERS_MAX]


def _leader(nodes: Mapping[str, NodeStatus | None]) -> str:
    leaders = [
        (status.term, name) for name, status in nodes.items() if status is not None and status.leads
    ]
    return max(leaders)[1] if leaders else ""


def _node_row(name: str, status: NodeStatus | None) -> "tuple[str | Text, ...]":
    from rich.text import Text

    if status is None:
        return (name, Text("down", "red"), *[""] * 5)
    standing = Text(status.standing, "" if status.standing == "serving" else "yellow")
    role = Text(status.role, "bold green" if status.leads else "")
    connections = status.counts.get("connections", 0)
    figures = (status.term, status.applied_index, connections, status.pid)
    return (name, standing, role, *map(str, figures))
