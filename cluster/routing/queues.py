"""Names of queues in rule files: which there are, and what names none.  No I/O.

any [queue.NAME]      every route, step and overflow names one of them
none                  naming a queue makes it
"""

from typing import Any

from cluster.routing.reading import QUEUE_NAME, Reader
from cluster.routing.rules import DEFAULT_QUEUE, QueueRules
from cluster.state.limits import QUEUES_MAX
from cluster.toml_source import Document, Path, did_you_mean, shown


class Queues:
    """The queues of one rule set, while it is read."""

    def __init__(self, read: Reader, documents: list[Document]) -> None:
        self._read = read
        self.named: set[str] = set()
        """Queues that have a table, be it right or wrong; empty where no file declares any."""
        self.rules: dict[str, QueueRules] = {}
        self.used: set[str] = set()
        """Queues that something names."""
        for document in documents:
            tables = document.data.get("queue", {})
            self.named |= set(tables) if isinstance(tables, dict) else set()

    def refer(self, document: Document, path: Path, name: Any) -> str:
        """Return the queue that is named at `path`; the default one where it is none."""
        if not isinstance(name, str) or not QUEUE_NAME.fullmatch(name):
            problem = f"{shown(repr(name))} is no queue name"
            mend = "use a-z, 0-9, _ and -, at most 64"
            self._read.mistake(document, path, problem, mend)
            return DEFAULT_QUEUE
        self.used.add(name)
        if name in self.named or name in self.rules:
            return name
        if self.named:
            known = [known for known in self.named if QUEUE_NAME.fullmatch(known)]
            mend = f"{did_you_mean(name, known)} (or add [queue.{name}])"
            self._read.mistake(document, path, f"no queue {name!r}", mend)
        elif len(self.rules) >= QUEUES_MAX:
            self._read.mistake(document, path, f"more than {QUEUES_MAX} queues", "merge some")
        else:
            self.rules[name] = QueueRules(name)
        return name
