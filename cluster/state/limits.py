"""Every bound of the replicated state, with its reason.  No I/O."""

EVENTS_TAIL_MAX = 500
"""Events kept per conversation; the longest of 465 real dialogues has 38 turns (ADR 0005)."""
SESSION_GRACE_MS = 15_000
"""How long an agent whose socket broke keeps conversations; heal table, row 10."""
KEY_RETENTION_MS = 24 * 3600 * 1000
"""How long an idempotency key is remembered; the protocol promises 24 hours."""
KEYS_MAX = 1_000_000
"""The oldest keys go first when more than this many are younger than that."""
KEY_BYTES_MAX = 64
AUDIT_MAX = 10_000
RULE_SETS_KEPT = 20
CONVERSATION_RETENTION_MS = 7 * 24 * 3600 * 1000
"""How long a closed conversation is kept."""
PURGE_MAX = 500
TAGS_MAX = 64
TAG_KEY_BYTES_MAX = 64
TAG_VALUE_BYTES_MAX = 4096
"""Flat maps of scalars and lists of scalars: what a rule may look at is bounded here."""
TEXT_BYTES_MAX = 16 * 1024
BODY_BYTES_MAX = 32 * 1024
NAME_BYTES_MAX = 256
"""Ids, names, subjects, reasons."""
CAPACITY_MAX = 1_000
SKILLS_MAX = 64
PASSED_MAX = 100
OFFER_TTL_MS = (100, 3_600_000)
"""Shortest and longest time an agent may be given to accept."""
RETIRED_BOOTS_MAX = 8
RULES_BYTES_MAX = 128 * 1024
