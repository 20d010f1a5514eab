"""Rule sets by revision.  No I/O: whoever proposes has compiled the files already."""

import hashlib
from typing import Any

from cluster.state.change import Change, no
from cluster.state.commands import ApplyRules
from cluster.state.limits import RULE_SETS_KEPT, RULES_BYTES_MAX
from cluster.state.model import RuleSetRecord
from cluster.state.outcome import RulesApplied


def digest_of(files: dict[str, str]) -> str:
    """Return the content address of a rule set."""
    sha = hashlib.sha256()
    for name, text in sorted(files.items()):
        for part in (name, text):
            data = part.encode()
            sha.update(len(data).to_bytes(8, "big") + data)
    return sha.hexdigest()


def apply_rules(change: Change, command: ApplyRules) -> dict[str, Any]:
    """Put a rule set into force on every node at this index."""
    if command.by.kind not in ("operator", "system"):
        no("forbidden", f"a {command.by.kind} may not change the rules")
    if sum(len(text) for text in command.files.values()) > RULES_BYTES_MAX:
        no("too_large", f"rules of more than {RULES_BYTES_MAX} bytes")
    state = change.state
    current = state.rules
    rev = current.rev if current else 0
    if command.rev_expected is not None and command.rev_expected != rev:
        no("conflict", f"the rules are at revision {rev}", rev=rev)
    digest = digest_of(command.files)
    if current is not None and current.digest == digest:
        return {"rev": rev, "digest": digest, "unchanged": True}
    record = RuleSetRecord(
        rev + 1, digest, command.by, change.now_ms, command.files, command.queues
    )
    state.rule_sets = [*state.rule_sets, record][-RULE_SETS_KEPT:]
    change.notices.append(RulesApplied(record.rev))
    change.note(command.by, "rules.apply", rev=record.rev, digest=digest)
    return {"rev": record.rev, "digest": digest}
