"""`apply(state, entry) -> outcomes, notices`: the one way in which the state changes.  No I/O.

Deterministic and total: no clock, no chance, and no bytes that make it raise.  The same
entries give the same state and the same outcomes on every node.

    entry ──▶ batches ──▶ proposals, each applied once by its name (node, boot, number)
                              │ below `settled`, or applied before     Skipped
                              │ of a boot that is over                 Skipped
                              ├ no command of this release             Refused bad_request
                              └ the lifecycle's function               Done | Refused

A boot is known from its first command, `BootNode`; until then nothing else of it counts.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from cluster.state import agents, commands, conversations, idempotency, invariants, offers, rules
from cluster.state.change import Change, No
from cluster.state.commands import BootNode, Command
from cluster.state.entry import VERSION, Batch, Entry, decode_entry
from cluster.state.limits import RETIRED_BOOTS_MAX
from cluster.state.outcome import Done, Notice, Outcome, Refused
from cluster.state.state import State, Window


class Skipped(msgspec.Struct, frozen=True):
    """This copy came too late: the proposal was applied, or given up, before."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What one entry did, in order."""

    index: int
    now_ms: int
    outcomes: list[tuple[str, str, int, Outcome | Skipped]]
    """(node, boot, number, outcome) of every proposal in the entry."""
    notices: list[Notice]


class Machine:
    """The state and how entries change it; `checked` re-checks the invariants after each."""

    def __init__(self, state: State | None = None, *, checked: bool = __debug__) -> None:
        self.state = state or State()
        self._checked = checked

    def apply(self, index: int, payload: bytes) -> Applied:
        """Apply the entry at `index`.  Never raises for what `payload` holds."""
        state = self.state
        assert index > state.applied_index, (index, state.applied_index)
        state.applied_index = index
        outcomes: list[tuple[str, str, int, Outcome | Skipped]] = []
        notices: list[Notice] = []
        entry = _parse(payload)
        if entry is not None:
            state.now_ms = max(state.now_ms, entry.now_ms)
            for batch in entry.batches:
                self._apply_batch(batch, outcomes, notices)
            idempotency.forget_old(state)
        return Applied(index, state.now_ms, outcomes, notices)

    def _apply_batch(
        self,
        batch: Batch,
        outcomes: list[tuple[str, str, int, Outcome | Skipped]],
        notices: list[Notice],
    ) -> None:
        for proposal in batch.proposals:
            outcome: Outcome | Skipped
            command = _parse_command(proposal.command)
            if not self._admit(batch, proposal.number, command):
                outcome = Skipped()
            elif isinstance(command, Refused):
                outcome = command
            else:
                outcome = self._run(command, notices)
            outcomes.append((batch.node, batch.boot, proposal.number, outcome))

    def _admit(self, batch: Batch, number: int, command: Command | Refused) -> bool:
        """Note the proposal as applied; return False when it was, or is too late."""
        window = self.state.windows.get(batch.node)
        if window is None or window.boot != batch.boot:
            window = self._begin_boot(window, batch, command)
            if window is None:
                return False
        if batch.settled > window.settled:
            window.settled = batch.settled
            window.applied = {n for n in window.applied if n >= batch.settled}
        if number < window.settled or number in window.applied:
            return False
        window.applied.add(number)
        return True

    def _begin_boot(
        self, old: Window | None, batch: Batch, command: Command | Refused
    ) -> Window | None:
        """Return the window of a boot that announces itself; None for one that is over."""
        if not isinstance(command, BootNode) or command.boot != batch.boot:
            return None
        if old is not None and batch.boot in old.retired:
            return None
        retired = () if old is None else (*old.retired, old.boot)[-RETIRED_BOOTS_MAX:]
        window = Window(batch.boot, retired=retired)
        self.state.windows[batch.node] = window
        return window

    def _run(self, command: Command, notices: list[Notice]) -> Outcome:
        """Apply one command that was not applied before."""
        change = Change(self.state)
        try:
            if isinstance(command, idempotency.Keyed):
                outcome = _run_keyed(change, command)
            else:
                outcome = Done(_HANDLERS[type(command)](change, command))
        except No as refusal:
            assert not change.notices, "a refusal changes nothing"
            return refusal.refused
        if self._checked:
            invariants.check_notices(self.state, change.notices)
        notices += change.notices
        return outcome


def _run_keyed(change: Change, command: idempotency.Keyed) -> Done:
    name = idempotency.name_of(command)
    digest = idempotency.digest_of(command)
    result = idempotency.recall(change, name, digest)
    if result is not None:
        return Done(result, dup=True)
    result = _HANDLERS[type(command)](change, command)
    idempotency.remember(change, name, digest, result)
    return Done(result)


def _parse(payload: bytes) -> Entry | None:
    """Return the entry; None for what no release of this program wrote."""
    try:
        entry = decode_entry(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return entry if entry.version == VERSION else None


def _parse_command(data: msgspec.Raw) -> Command | Refused:
    try:
        return commands.decode(bytes(data))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Refused("bad_request", f"not a command of this release: {error}")


_HANDLERS: dict[type[Any], Callable[[Change, Any], dict[str, Any]]] = {
    commands.OpenConversation: conversations.open_conversation,
    commands.RouteConversation: conversations.route,
    commands.SendMessage: conversations.send,
    commands.SetStatus: agents.set_status,
    commands.OpenSession: agents.open_session,
    commands.LoseSession: agents.lose_session,
    commands.CloseSession: agents.close_session,
    commands.ExpireSession: agents.expire_session,
    commands.BootNode: agents.boot_node,
    commands.LoseNode: agents.lose_node,
    commands.MakeOffer: offers.make,
    commands.AcceptOffer: offers.accept,
    commands.DeclineOffer: offers.decline,
    commands.ExpireOffer: offers.expire,
    commands.TransferConversation: conversations.transfer,
    commands.CloseConversation: conversations.close,
    commands.ApplyRules: rules.apply_rules,
    commands.PurgeConversations: conversations.purge,
}
