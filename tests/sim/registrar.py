"""An operator of a simulated cluster, and the one account that it looks after.

    put ─▶ issue, issue … ─▶ revoke one | revoke all | another secret | disable ─▶ enable ─▶ issue …

What was issued and what was revoked is noted as it was acknowledged, wherever and however often it
was asked; at the end all that was revoked counts nowhere, and all that was not still does.
"""

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from cluster.port import Answer
from cluster.state import commands
from cluster.state.commands import By, Command
from cluster.state.outcome import Done
from cluster.state.state import State
from cluster.state.tokens import is_revoked
from tests.sim.checks import check
from tests.sim.clients import Client

if TYPE_CHECKING:
    from tests.sim.world import World

HASH = "$argon2id$of-a-secret"
LIFE_S = 30 * 24 * 3_600
"""Longer than any run, and than what the clocks of a run are off."""


class Issued(NamedTuple):
    jti: str
    iat_s: int
    exp_s: int


class Registrar(Client):
    def __init__(self, world: "World", name: str) -> None:
        super().__init__(world, name)
        self._by = By("operator", name)
        self._principal = By("agent", f"agent of {name}")
        self._rev = 0
        self._last = False
        self.alive: list[Issued] = []
        self.dead: list[Issued] = []

    def finish_soon(self) -> None:
        self._last = True

    def go_on(self) -> None:
        user, key = self._principal.id, self.new_id()
        if not self._rev:
            self._change(commands.PutAccount(self._by, key, user, "agent", secret=HASH))
        elif len(self.alive) < 2 or self.rng.random() < 0.5:
            issue = commands.IssueToken(self._principal, self.new_id(), LIFE_S, self._rev)
            self.ask(issue, partial(self._on_issued, issue.jti))
        else:
            self._end_some(user, key)

    def _end_some(self, user: str, key: str) -> None:
        match self.rng.randrange(4):
            case 0:
                one = self.rng.choice(self.alive)
                revoke = commands.RevokeTokens(self._by, key, jti=one.jti, exp_s=one.exp_s)
                self.ask(revoke, partial(self._on_ended, [one]))
            case 1:
                revoke = commands.RevokeTokens(self._by, key, "agent", user)
                self.ask(revoke, partial(self._on_ended, list(self.alive)))
            case 2:
                self._change(commands.SetSecret(self._by, key, user, HASH + key), ends=True)
            case _:
                self._change(commands.PutAccount(self._by, key, user, disabled=True), ends=True)

    def _change(self, command: Command, *, ends: bool = False) -> None:
        self.ask(command, partial(self._on_changed, command, ends))

    def _on_changed(self, command: Command, ends: bool, answer: Answer) -> None:
        assert isinstance(answer, Done), answer
        self._rev = answer.result["rev"]
        if ends:
            self._bury(self.alive)
        if isinstance(command, commands.PutAccount) and command.disabled:
            enable = commands.PutAccount(self._by, self.new_id(), command.id, disabled=False)
            self._change(enable)
        else:
            self._rest()

    def _on_issued(self, jti: str, answer: Answer) -> None:
        assert isinstance(answer, Done), answer
        self.alive.append(Issued(jti, answer.result["iat"], answer.result["exp"]))
        self.world.counts["tokens issued"] += 1
        self._rest()

    def _on_ended(self, ended: list[Issued], answer: Answer) -> None:
        assert isinstance(answer, Done), answer
        self._bury(ended)
        self._rest()

    def _bury(self, ended: list[Issued]) -> None:
        self.dead += ended
        self.alive = [one for one in self.alive if one not in ended]
        self.world.counts["tokens revoked"] += len(ended)

    def _rest(self) -> None:
        self.done = self._last
        if not self.done:
            self.pause()

    def ended(self, state: State) -> None:
        """After the last fault: nothing that was revoked counts, and nothing else is revoked."""
        kind, user = self._principal.kind, self._principal.id
        for expected, issued in ((True, self.dead), (False, self.alive)):
            for one in issued:
                revoked = is_revoked(state, kind, user, jti=one.jti, iat_s=one.iat_s)
                check(revoked is expected, f"{one} of {user}: revoked is {revoked}")
