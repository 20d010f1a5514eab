"""`apply(index, payload) -> outcomes, notices`: the one way in which the state changes.  No I/O.

Deterministic and total: no clock, no chance, and no bytes that make it raise.  The same
entries give the same state and the same outcomes on every node.

    entry ──▶ batches ──▶ proposals, each applied once by its name (node, boot, number)
      │                       │ of a boot that is over, or unknown     Skipped late
      │                       │ the announcement of one that may not begin   Refused
      │                       │ applied before, or given up            Skipped late
      │                       │ one before it has not come             Skipped early
      │                       ├ no command of this release             Refused bad_request
      │                       ├ of a level the cluster has not yet       Refused conflict
      │                       ├ its principal's account is disabled    Refused forbidden
      │                       ├ a key that was used before             Done dup | key_reused
      │                       └ the lifecycle's function               Done | Refused
      └ no entry of this release: only the index moves

A boot begins with its announcement, `BootNode`; what it numbered before comes too late.
`Skipped` is no outcome: this copy changed nothing, and what another did was said elsewhere.
Whoever still waits for a late one says `timeout`, and the client's own key decides what a retry
gets; an early one is sent again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from cluster.state import (
    accounts,
    agents,
    alerting,
    auditing,
    canned,
    chaos,
    commands,
    conversations,
    corrections,
    dismissals,
    drains,
    heal_log,
    idempotency,
    invariants,
    invitations,
    labels,
    levels,
    messages,
    nesting,
    offers,
    overflow,
    rating,
    reopening,
    rules,
    service_level,
    sessions,
    statuses,
    steps,
    supervision,
    tokens,
    wrap_up,
)
from cluster.state.change import Change, No
from cluster.state.commands import BootNode, Command
from cluster.state.entry import VERSION, Batch, Entry, Proposal, decode_entry
from cluster.state.invariants import InvariantViolated
from cluster.state.limits import INTEGER_MAX, NESTING_MAX, NOW_MS_MAX, RETIRED_BOOTS_MAX
from cluster.state.outcome import Done, Notice, Outcome, Refused
from cluster.state.proposer import Proposer
from cluster.state.state import State


class Skipped(msgspec.Struct, frozen=True):
    """This copy changed nothing: the proposal was applied, or given up, before; or it is `early`:
    one that its node numbered before it has not come.
    """

    early: bool = False


@dataclass(frozen=True, slots=True)
class Applied:
    """What one entry did, in order."""

    index: int
    now_ms: int
    outcomes: list[tuple[str, str, int, Outcome | Skipped]]
    """(node, boot, number, outcome) of every proposal in the entry."""
    notices: list[Notice]


class Machine:
    """The state and how entries change it.

    `checked`: hold what every command touched against the invariants.  A violation is a bug of
    ours, the same on every node; it goes to `on_violation`, which raises it unless another is
    given.  A node in production reports it and goes on: to stop would stop all nodes at once.
    """

    def __init__(
        self,
        state: State | None = None,
        *,
        checked: bool = __debug__,
        on_violation: Callable[[InvariantViolated], None] | None = None,
    ) -> None:
        self.state = state if state is not None else State()
        """Replaced as a whole when a snapshot is installed."""
        self._checked = checked
        self._on_violation = on_violation or _raise

    def apply(self, index: int, payload: bytes) -> Applied:
        """Apply the entry at `index`, above the one before.  Never raises for `payload`."""
        state = self.state
        assert index > state.applied_index, (index, state.applied_index)
        state.applied_index = index
        applied = Applied(index, state.now_ms, [], [])
        entry = _parse(payload)
        if entry is None:
            return applied
        state.now_ms = max(state.now_ms, entry.now_ms)
        applied = Applied(index, state.now_ms, [], [])
        for batch in entry.batches:
            self._apply_batch(batch, applied)
        idempotency.forget_old(state)
        tokens.forget_old(state)
        return applied

    def _apply_batch(self, batch: Batch, applied: Applied) -> None:
        for proposal in batch.proposals:
            outcome = self._outcome(batch, proposal, applied.notices)
            applied.outcomes.append((batch.node, batch.boot, proposal.number, outcome))

    def _outcome(
        self, batch: Batch, proposal: Proposal, notices: list[Notice]
    ) -> Outcome | Skipped:
        command = _parse_command(proposal.command)
        proposer = self.state.proposers.get(batch.node)
        if proposer is None or proposer.boot != batch.boot:
            begun = self._begin_boot(proposer, batch, proposal.number, command)
            if not isinstance(begun, Proposer):
                return begun
            proposer = begun
        turn = proposer.take_turn(proposal.number, batch.settled)
        if turn != "now":
            return Skipped(early=turn == "early")
        if isinstance(command, Refused):
            return command
        return self._run(command, batch.node, notices)

    def _begin_boot(
        self, old: Proposer | None, batch: Batch, number: int, command: Command | Refused
    ) -> Proposer | Refused | Skipped:
        """Return the proposer of a boot that announces itself, whose turn is `number`."""
        if not isinstance(command, BootNode):
            return Skipped()
        if (command.node, command.boot) != (batch.node, batch.boot):
            return Skipped()
        if not max(batch.settled, 1) <= number <= INTEGER_MAX:
            return Skipped()
        if old is not None and batch.boot in old.retired:
            return Skipped()
        try:
            sessions.check_boot(self.state, command)
        except No as refusal:
            return refusal.refused
        retired = (*old.retired, old.boot)[-RETIRED_BOOTS_MAX:] if old is not None else ()
        proposer = Proposer(batch.boot, number, retired)
        self.state.proposers[batch.node] = proposer
        return proposer

    def _run(self, command: Command, node: str, notices: list[Notice]) -> Outcome:
        """Apply one command that was not applied before; `node` proposed it."""
        change = Change(self.state, node)
        try:
            levels.check(command, self.state.level)
            accounts.check_enabled(self.state, command)
            if isinstance(command, idempotency.Keyed):
                outcome = _run_keyed(change, command)
            else:
                outcome = _handle(change, command)
        except No as refusal:
            assert not change.notices, "a refusal changes nothing"
            return refusal.refused
        if self._checked:
            try:
                invariants.check_touched(self.state, change.notices)
            except InvariantViolated as violated:
                self._on_violation(violated)
        notices += change.notices
        return outcome


def _raise(violated: InvariantViolated) -> None:
    raise violated


def _run_keyed(change: Change, command: idempotency.Keyed) -> Done:
    name = idempotency.name_of(command)
    if isinstance(command, commands.SendMessage):
        messages.check_message(command)
    elif isinstance(command, commands.OpenConversation):
        conversations.check_opening(command)
    elif isinstance(command, commands.EditMessage):
        corrections.check_edit(command)
    digest = idempotency.digest_of(command)
    result = idempotency.recall(change.state, name, digest)
    if result is not None:
        return Done(result, dup=True)
    done = _handle(change, command)
    idempotency.remember(change, name, digest, done.result)
    return done


def _handle(change: Change, command: Command) -> Done:
    result = _HANDLERS[type(command)](change, command)
    return result if isinstance(result, Done) else Done(result)


def _parse(payload: bytes) -> Entry | None:
    """Return the entry; None for what no release of this program wrote."""
    try:
        try:
            entry = decode_entry(payload)
        except RecursionError:
            entry = nesting.split_entry(payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return entry if entry.version == VERSION and 0 <= entry.now_ms <= NOW_MS_MAX else None


def _parse_command(raw: msgspec.Raw) -> Command | Refused:
    """Return the command; a refusal for what is none of this release."""
    data = bytes(raw)
    if nesting.is_deeper(data, NESTING_MAX):
        return Refused("bad_request", f"a command nested more than {NESTING_MAX} deep")
    try:
        return commands.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Refused("bad_request", f"not a command of this release: {error}")


_HANDLERS: dict[type[Any], Callable[[Change, Any], dict[str, Any] | Done]] = {
    commands.OpenConversation: conversations.open_conversation,
    commands.RouteConversation: steps.route,
    commands.SendMessage: messages.send,
    commands.SetStatus: agents.set_status,
    commands.OpenSession: sessions.open_session,
    commands.LoseSession: sessions.lose_session,
    commands.CloseSession: sessions.close_session,
    commands.ExpireSession: sessions.expire_session,
    commands.BootNode: sessions.boot_node,
    commands.LoseNode: sessions.lose_node,
    commands.MakeOffer: offers.make,
    commands.AcceptOffer: invitations.accept,
    commands.DeclineOffer: invitations.decline,
    commands.ExpireOffer: invitations.expire,
    commands.TransferConversation: invitations.transfer,
    commands.CloseConversation: conversations.close,
    commands.ApplyRules: rules.apply_rules,
    commands.PurgeConversations: conversations.purge,
    commands.PutAccount: accounts.put,
    commands.SetSecret: accounts.set_secret,
    commands.RemoveAccount: accounts.remove,
    commands.RevokeTokens: tokens.revoke,
    commands.IssueToken: tokens.issue,
    commands.AddAudit: auditing.add,
    commands.RollbackRules: rules.rollback,
    commands.AdvanceStep: steps.advance,
    commands.TakeConversation: offers.take,
    commands.FinishWrapUp: wrap_up.finish,
    commands.EndWrapUp: wrap_up.end,
    commands.OverflowConversation: overflow.overflow,
    commands.SlaDue: service_level.due,
    commands.RateConversation: rating.rate,
    commands.PutCanned: canned.put,
    commands.RemoveCanned: canned.remove,
    commands.QueueAlert: alerting.alert,
    commands.SetFields: labels.set_fields,
    commands.EndStatus: statuses.end,
    commands.IdleSession: statuses.set_idle,
    commands.InviteAgent: invitations.invite,
    commands.LeaveConversation: invitations.leave,
    commands.AskColleague: invitations.ask,
    commands.JoinConversation: supervision.join,
    commands.EndSupervision: supervision.leave,
    commands.EditMessage: corrections.edit,
    commands.DeleteMessage: corrections.delete,
    commands.ReopenConversation: reopening.reopen,
    commands.RaiseLevel: levels.raise_level,
    commands.NoteHeal: heal_log.note,
    commands.DrainNode: drains.drain,
    commands.DismissSession: dismissals.dismiss,
    commands.AllowChaos: chaos.allow,
    commands.StartChaos: chaos.start,
    commands.EndChaos: chaos.end,
}
