"""Random commands, one after the other, of those that the state calls for."""

import random
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from cluster.state import commands as c
from cluster.state import snapshot
from cluster.state.commands import Command
from cluster.state.outcome import Done
from tests.cluster.state.sensible import sensible
from tests.cluster.state.trio import Trio


class Working(Trio):
    def __init__(self) -> None:
        super().__init__()
        self.said: dict[tuple[str, str], list[str]] = {}
        """What each message says; no other says the same."""

    @rule(seed=st.integers(0, 2**32), count=st.integers(4, 16))
    def work(self, seed: int, count: int) -> None:
        """Each kind of command as often as others, whatever there is most of."""
        rng = random.Random(seed)
        for _ in range(count):
            self.now_ms += rng.choice((0, 10, 3_000, 20_000))
            by_kind: dict[type[Any], list[Command]] = {}
            for command in sensible(self.one.state, self.now_ms, f"w{next(self.ids)}"):
                by_kind.setdefault(type(command), []).append(command)
            command = rng.choice(by_kind[rng.choice(list(by_kind))])
            (outcome,) = self.run(command)
            if isinstance(command, c.EditMessage | c.DeleteMessage) and isinstance(outcome, Done):
                self.forgets(command)
            elif isinstance(command, c.SendMessage):
                self.said[command.cv, command.mid] = [command.body]

    on_monday = on_tuesday = on_wednesday = on_thursday = on_friday = on_saturday = work
    """A rule by several names is chosen as often as several rules."""

    def forgets(self, command: c.EditMessage | c.DeleteMessage) -> None:
        """What was said before is nowhere in what is kept."""
        everything = b"".join(snapshot.dump(self.one.state.frozen_copy()))
        now = [command.body] if isinstance(command, c.EditMessage) else []
        for said in self.said.get((command.cv, command.mid), []):
            assert said.encode() not in everything
        self.said[command.cv, command.mid] = now
