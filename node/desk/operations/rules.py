"""Routing rules: read, compiled and put into force.  No I/O: compiles in a thread.

    rules.apply      files, compiled without a mistake ──▶ a new revision
    rules.rollback   a revision that is kept           ──▶ the same files, as a new revision
    rules.get        the files of a revision, byte for byte
    rules.history    the revisions that are kept, and what each changed

All are behind a barrier: what was acknowledged anywhere is here.
"""

from functools import partial

from cluster.routing.changes import changes
from cluster.state import commands
from cluster.state.model import RuleSetRecord
from cluster.toml_source import SourceError
from node.auth import Principal
from node.desk.context import Context
from node.desk.lookup import Answered, Effect, Later, Lookup
from node.desk.operations.effects import Asker, Handlers
from node.desk.plain import NotAllowed
from node.desk.rule_sets import RuleSets, check_files
from node.desk.rule_views import changes_view
from node.protocol import catalogue as ops
from node.protocol.rule_results import Revision, TableChanges


class Rules:
    """Serves these operations."""

    def __init__(self, context: Context, lookup: Lookup, rule_sets: RuleSets) -> None:
        self._context = context
        self._lookup = lookup
        self._rule_sets = rule_sets

    def handlers(self) -> Handlers:
        return {
            ops.RulesGet: self._get,
            ops.RulesApply: self._apply,
            ops.RulesHistory: self._history,
            ops.RulesRollback: self._rollback,
        }

    def _get(self, asker: Asker, principal: Principal, request: ops.RulesGet) -> Effect:
        return Later(partial(self._read, request.rev))

    async def _read(self, rev: int | None) -> Answered:
        await self._lookup.barrier()
        rules = self._context.state.rules
        if rev is not None and rev != (rules.rev if rules else 0):
            rules = kept(self._context, rev)
        if rules is None:
            return Answered({"rev": 0, "files": {}})
        return Answered(
            {
                "rev": rules.rev,
                "files": rules.files,
                "by": rules.by,
                "at": rules.at_ms,
                "digest": rules.digest,
            }
        )

    async def names(self) -> list[str]:
        """Return the names of the rules in force, in the order in which they are tried."""
        rules = await self._rule_sets.of(self._context.state.rules)
        return [rule.name for rule in rules.rules]

    def _apply(self, asker: Asker, principal: Principal, request: ops.RulesApply) -> Effect:
        check_files(request.files)
        return Later(partial(self._compile, principal, request))

    async def _compile(self, principal: Principal, request: ops.RulesApply) -> commands.ApplyRules:
        rules = await self._rule_sets.compiled(request.files)
        return commands.ApplyRules(
            by=principal.by,
            files=request.files,
            queues={name: one.queue for name, one in rules.queues.items()},
            slas=dict(rules.levels),
            rev_expected=request.rev_expected,
            node=self._context.port.node_id,
            reroute=request.reroute,
        )

    def _rollback(self, asker: Asker, principal: Principal, request: ops.RulesRollback) -> Effect:
        async def check() -> commands.RollbackRules:
            await self._lookup.barrier()
            # A later release may read less than the one that applied them did.
            await self._rule_sets.compiled(kept(self._context, request.rev).files)
            return commands.RollbackRules(
                by=principal.by,
                rev=request.rev,
                rev_expected=request.rev_expected,
                node=self._context.port.node_id,
                reroute=request.reroute,
            )

        return Later(check)

    def _history(self, asker: Asker, principal: Principal, request: ops.RulesHistory) -> Effect:
        async def read() -> Answered:
            await self._lookup.barrier()
            records = tuple(self._context.state.rule_sets)
            revisions = await self._rule_sets.run(lambda _: _revisions(records))
            rev = records[-1].rev if records else 0
            return Answered({"rev": rev, "revisions": revisions})

        return Later(read)


def kept(context: Context, rev: int) -> RuleSetRecord:
    """Return the rules of an applied revision.  Raises `NotAllowed` when it is not kept."""
    record = context.state.rules_at(rev)
    if record is None:
        revs = [one.rev for one in context.state.rule_sets]
        there = f"there are {revs[0]} to {revs[-1]}" if revs else "no rules were applied yet"
        raise NotAllowed("not_found", f"revision {rev} is not kept: {there}")
    return record


def _revisions(records: tuple[RuleSetRecord, ...]) -> list[Revision]:
    """Return what is told of each, newest first."""
    found: list[Revision] = []
    first: dict[str, int] = {}
    before: RuleSetRecord | None = None
    for record in records:
        found.append(
            Revision(
                rev=record.rev,
                at=record.at_ms,
                by=record.by,
                digest=record.digest,
                files=len(record.files),
                bytes=sum(len(text.encode()) for text in record.files.values()),
                again=first.get(record.digest, 0),
                changes=_changes(before, record),
            )
        )
        first[record.digest] = record.rev
        before = record
    return found[::-1]


def _changes(before: RuleSetRecord | None, record: RuleSetRecord) -> TableChanges | None:
    if before is None and record.rev > 1:
        return None
    try:
        return changes_view(changes(before.files if before else {}, record.files))
    except SourceError:  # of a release that read more than this one
        return None
