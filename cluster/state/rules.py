"""Rule sets by revision.  No I/O: whoever proposes has compiled the files already.

    rev 0         the built-in rules
    rules.apply      rev ──▶ rev + 1   on every node at the same index
                     rev ──▶ rev       the same files again: nothing to do
    rules.rollback   rev ──▶ rev + 1   with the files of a revision that is kept

A retry after an unknown outcome expects the revision before its own: it is told that its rules
are in force, not that somebody else was quicker.
"""

import hashlib
from typing import Any

from msgspec.structs import replace

from cluster.state import limits, staffing
from cluster.state.change import Change, no
from cluster.state.checks import check_ids, check_names, check_operator, check_skills
from cluster.state.commands import ApplyRules, RollbackRules
from cluster.state.model import RuleSetRecord
from cluster.state.outcome import Done, RulesApplied
from cluster.state.route import Queue

_AGAIN = "look at what changed, and say that you expect this one"


def digest_of(files: dict[str, str]) -> str:
    """Return the content address of a rule set, whatever the order of its files."""
    sha = hashlib.sha256()
    for name, text in sorted(files.items()):
        for part in (name, text):
            data = part.encode()
            sha.update(len(data).to_bytes(8, "big") + data)
    return sha.hexdigest()


def apply_rules(change: Change, command: ApplyRules) -> dict[str, Any] | Done:
    """Put a rule set into force on every node at this index."""
    _check(command)
    state = change.state
    current = state.rules
    rev = current.rev if current is not None else 0
    digest = digest_of(command.files)
    same = current is not None and current.digest == digest
    if command.rev_expected not in (None, rev) and not (same and command.rev_expected == rev - 1):
        no("conflict", f"the rules are at revision {rev}; {_AGAIN}", rev=rev)
    if same:
        return Done({"rev": rev, "digest": digest, "unchanged": True}, dup=True)
    record = RuleSetRecord(
        rev + 1,
        digest,
        command.by,
        change.now_ms,
        command.files,
        command.queues,
        command.slas,
        command.reroute,
    )
    _enforce(change, record)
    where = {"node": command.node} if command.node else {}
    change.note(command.by, "rules.apply", rev=record.rev, digest=digest, **where)
    return {"rev": record.rev, "digest": digest}


def rollback(change: Change, command: RollbackRules) -> dict[str, Any] | Done:
    """Put a kept revision into force again, as a new one, on every node at this index."""
    check_operator(command.by, "change the rules")
    current = change.state.rules
    old = change.state.rules_at(command.rev)
    if current is None or old is None:
        no("not_found", f"revision {command.rev} is not kept: {_kept(change)}")
    same = current.digest == old.digest
    if command.rev_expected not in (None, current.rev) and not (
        same and command.rev_expected == current.rev - 1
    ):
        no("conflict", f"the rules are at revision {current.rev}; {_AGAIN}", rev=current.rev)
    if same:
        return Done({"rev": current.rev, "digest": old.digest, "unchanged": True}, dup=True)
    record = replace(
        old,
        rev=current.rev + 1,
        by=command.by,
        at_ms=change.now_ms,
        reroute=command.reroute,
    )
    _enforce(change, record)
    where = {"node": command.node} if command.node else {}
    change.note(
        command.by,
        "rules.rollback",
        rev=record.rev,
        to=old.rev,
        digest=old.digest,
        **where,
    )
    return {"rev": record.rev, "digest": old.digest}


def _enforce(change: Change, record: RuleSetRecord) -> None:
    change.state.put_rules(record)
    change.tell_staffed(staffing.refit(change.state))
    change.notices.append(RulesApplied(record.rev))


def _kept(change: Change) -> str:
    """Say which revisions are kept."""
    revs = [record.rev for record in change.state.rule_sets]
    return f"there are {revs[0]} to {revs[-1]}" if revs else "no rules were applied yet"


def _check(command: ApplyRules) -> None:
    check_operator(command.by, "change the rules")
    size = sum(len(name.encode()) + len(text.encode()) for name, text in command.files.items())
    if size > limits.RULES_BYTES_MAX:
        no("too_large", f"rules of more than {limits.RULES_BYTES_MAX} bytes")
    if len(command.queues) > limits.QUEUES_MAX:
        no("too_large", f"more than {limits.QUEUES_MAX} queues")
    check_ids(*command.queues)
    for name, queue in command.queues.items():
        _check_queue(name, queue)
    if len(command.slas) > limits.SLAS_MAX:
        no("too_large", f"more than {limits.SLAS_MAX} service levels")
    check_ids(*command.slas)
    for name, level in command.slas.items():
        times = (level.first_response_ms, level.next_response_ms, level.resolution_ms)
        if not all(0 <= time_ms <= limits.STEP_MS_MAX for time_ms in times):
            no("bad_request", f"sla {name}: times of {times} ms")
        if not 0 <= level.warn_percent <= 100:
            no("bad_request", f"sla {name}: a warning at {level.warn_percent} %")


def _check_queue(name: str, queue: Queue) -> None:
    shortest, longest = limits.OFFER_TTL_MS
    if not shortest <= queue.accept_ms <= longest:
        no("bad_request", f"queue {name}: a time to accept of {queue.accept_ms} ms")
    check_skills(queue.skills)
    check_names(queue.agent_order)
    for time_ms in (queue.aging_ms, queue.wrap_up_ms):
        if not 0 <= time_ms <= limits.STEP_MS_MAX:
            no("bad_request", f"queue {name}: a time of {time_ms} ms")
    if not 0 <= queue.max_waiting <= limits.CONVERSATIONS_MAX:
        no("bad_request", f"queue {name}: at most {queue.max_waiting} may wait")
