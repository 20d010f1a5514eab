"""Routing rules: read, compiled and put into force.  No I/O: compiles in a thread."""

from functools import partial

import trio

from cluster.routing.ruleset import compile_rules
from cluster.state import commands
from cluster.toml_source import SourceErrors
from node.auth import Principal
from node.desk.context import Context
from node.desk.lookup import Answered, Effect, Later, Lookup
from node.desk.operations.effects import Asker, Handlers
from node.desk.plain import NotAllowed, check_name
from node.protocol import catalogue as ops

RULE_FILES_MAX = 32
"""Files of one rule set; their size is bounded by the frame."""


class Rules:
    """Serves these operations."""

    def __init__(self, context: Context, lookup: Lookup) -> None:
        self._context = context
        self._lookup = lookup
        self._compiling = trio.CapacityLimiter(1)

    def handlers(self) -> Handlers:
        return {ops.RulesGet: self._rules_get, ops.RulesApply: self._rules_apply}

    def _rules_get(self, asker: Asker, principal: Principal, request: ops.RulesGet) -> Effect:
        return Later(self._read_rules)

    async def _read_rules(self) -> Answered:
        await self._lookup.barrier()
        rules = self._context.state.rules
        if rules is None:
            return Answered({"rev": 0, "files": {}})
        return Answered({"rev": rules.rev, "files": rules.files, "by": rules.by, "at": rules.at_ms})

    def _rules_apply(self, asker: Asker, principal: Principal, request: ops.RulesApply) -> Effect:
        if not 1 <= len(request.files) <= RULE_FILES_MAX:
            raise NotAllowed("bad_request", f"files: must be 1 to {RULE_FILES_MAX}")
        for name in request.files:
            check_name(name, "files: a name")
        return Later(partial(self._compile, principal, request))

    async def _compile(self, principal: Principal, request: ops.RulesApply) -> commands.ApplyRules:
        try:
            rules = await trio.to_thread.run_sync(
                compile_rules, request.files, limiter=self._compiling
            )
        except SourceErrors as errors:
            raise NotAllowed("bad_request", str(errors)) from None
        return commands.ApplyRules(
            by=principal.by,
            files=request.files,
            queues={name: one.queue for name, one in rules.queues.items()},
            slas=dict(rules.levels),
            rev_expected=request.rev_expected,
            node=self._context.port.node_id,
            reroute=request.reroute,
        )
