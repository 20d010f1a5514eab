"""Every bound of the replicated state, with its reason.  No I/O.

A bound that is checked when a command is applied must be the same on every node: changing one
is a change of format, like a new field, and waits for a release that all nodes run.
"""

# -- conversations

CONVERSATIONS_MAX = 1_000_000
"""Conversations kept, closed ones of a week included: some gigabytes; then none is opened."""
EVENTS_KEPT = 500
"""Events kept per conversation, or a few more; the longest of 465 real dialogues has 38 turns
(ADR 0005)."""
CONVERSATION_RETENTION_MS = 7 * 24 * 3600 * 1000
"""How long a closed conversation is kept, so that a resume after a week still finds it."""
PURGE_MAX = 500
"""Conversations one command may forget: some milliseconds of work."""
TARGETED_MAX = 500
"""Conversations that wait for one agent by name: all are put back when that agent leaves."""
PASSED_MAX = 100
"""Agents remembered as having passed on a conversation, or on an invitation; more than a shift that
is asked."""
STALE_EVENTS_MAX = 10
STALE_BYTES_MAX = 32 * 1024
"""What a refused answer is told it missed: half of a client's frame."""

ROUTE_STEPS_MAX = 16
"""Steps of a route; people write two or three."""
STEP_NEED_BYTES_MAX = 4096
"""A step's need or `skip_if`: what rules' conditions may have."""
OVERFLOW_TEXT_BYTES_MAX = 1024
"""What a visitor reads when nobody comes: a few sentences."""
CHOICES_KEPT = 8
CHOICE_PASSED_MAX = 8
"""Offers of one conversation, and agents passed over for one, of which the reasons are kept."""
STEP_MS_MAX = 7 * 24 * 3600 * 1000
"""The longest wait that a route, an overflow or a service level may ask for."""

# -- what a field may hold

ID_BYTES_MAX = 256
"""Ids are ULIDs of 26; principals' ids come from other systems and may be addresses."""
NAME_BYTES_MAX = 256
"""Names, subjects, reasons: a line on a screen."""
TEXT_BYTES_MAX = 16 * 1024
"""A long e-mail; the protocol promises it in `welcome.limits`."""
BODY_BYTES_MAX = 32 * 1024
"""A card or a file's description; below the 64 KiB of a client's frame."""
BODY_DEPTH_MAX = 16
"""Lists and maps inside one another in a message's body."""
NESTING_MAX = 64
"""The same for a whole command: decoding may then recurse on any stack (see `nesting`)."""
KEY_BYTES_MAX = 64
"""A client's idempotency key; the protocol's bound."""
TAGS_MAX = 64
TAG_KEY_BYTES_MAX = 64
TAG_VALUE_BYTES_MAX = 4096
"""Flat maps of scalars and lists of scalars: what a rule may look at is bounded here."""
PRIORITY_MAX = 1_000_000
"""Either side of 0; rules use 0 to 100."""
INTEGER_MAX = 2**53 - 1
"""The largest integer that JSON readers keep: numbers of proposals, and log indexes."""
NOW_MS_MAX = INTEGER_MAX
"""An entry from beyond the year 287396 is none."""

# -- agents and nodes

SESSION_GRACE_MS = 15_000
"""How long an agent whose socket broke keeps conversations; heal table, row 10."""
CAPACITY_MAX = 1_000
"""Conversations of one agent; a bot, for people it is about 5."""
SKILLS_MAX = 64
SKILL_LEVEL_MAX = 100
LANGS_MAX = 32
"""Languages that one person speaks, with dialects: `zh`, `zh-Hant`, `yue` ..."""
LANG_BYTES_MAX = 35
"""The longest tag that software must keep whole (RFC 5646, 4.4.1)."""
AGENTS_MAX = 20_000
"""Agents known.  For one more, the longest known of those who are not here is forgotten."""
WRAP_UPS_MAX = 100
"""Of one agent; for one more the first ends."""
SERVED_MAX = 100_000
SERVED_FORGET = 1_000
"""Visitors whose last agent is remembered.  Of more the longest not served are forgotten, so many
at a time: a dictionary is slow to give up its first."""
SESSIONS_PER_AGENT_MAX = 32
"""Devices and tabs, those in their grace period included."""
NODES_MAX = 1_000
"""Nodes that ever took part: servers are replaced, clusters have 3 to 9."""
RETIRED_BOOTS_MAX = 8
"""Earlier lives of a node that are told apart from new ones."""

# -- offers

OFFER_TTL_MS = (100, 3_600_000)
"""Shortest and longest time an agent may be given to accept."""

# -- those who take part

MEMBERS_MAX = 16
"""Colleagues in one conversation beside its owner: a conference, no assembly."""
HELPS_MAX = 50
"""Conversations that an agent takes part in without owning them."""
OVERSEERS_MAX = 8
"""Supervisors who have joined one conversation."""
INVITATIONS_MAX = 8
"""Pending invitations of one conversation."""
INVITED_MAX = 50
"""Pending invitations of one agent."""
ASK_QUEUE_MS = 120_000
"""How long a warm transfer looks for somebody of a queue; as long as a conversation waits for an
agent by name."""
STATUS_UNTIL_MAX_MS = 7 * 24 * 3600 * 1000
"""How far ahead a status may end: a week off; who is away for longer logs out."""
EDITS_MAX = 20
"""Times a message may be edited: each is an event of the kept tail."""

# -- accounts and tokens

ACCOUNTS_MAX = AGENTS_MAX
SECRETS_MAX = 2
"""A service's: the next one is told to every copy of the program before the last one goes."""
SECRET_HASH_BYTES_MAX = 256
"""An argon2id hash in PHC form takes about 100."""
ARGON2ID_PREFIX = "$argon2id$"
"""Nothing else comes into the log: no password that somebody forgot to hash."""
TOKEN_TTL_S = (60, 30 * 24 * 3600)
"""Shortest and longest life of a token that is issued here."""
EXP_MAX_S = 2**53 - 1
TOKENS_REVOKED_MAX = 100_000
"""Single tokens, each until it ends; for one more all of its principal are revoked instead."""
CUTOFFS_MAX = 50_000
"""Principals whose tokens were revoked.  For one more the oldest is forgotten, and with it every
token issued up to then, whosever: nothing that was revoked comes back."""
CLOCKS_S = 5
"""Clocks of those who issue tokens elsewhere may be ahead by as much: revoked all the same."""
FORGET_TOKENS_MAX = 1_000
"""Revoked tokens that one entry may forget: a millisecond."""
AUDIT_DETAIL_MAX = 8
AUDIT_CHARACTERS_MAX = 512
"""Of a line's longer details, so that all lines together stay below some ten megabytes."""

# -- what is remembered

KEY_RETENTION_MS = 24 * 3600 * 1000
"""How long an idempotency key is remembered; the protocol promises 24 hours."""
FORGET_MAX = 20_000
"""Keys one entry may forget, more than one can bring: some ten milliseconds of work."""
KEYS_MAX = 1_000_000
"""The oldest keys go first when more than this many are younger: about 300 MB."""
HEAL_LOG_MAX = 2_000
"""Lines of `unidesk heal log`: months of a cluster that is well, a day of one that is not."""
HEAL_TEXT_BYTES_MAX = 1024
HEAL_FIGURES_MAX = 16
"""What one line may say."""
FAULTS_MAX = 16
"""Broken at a time, on purpose: more is no experiment any more."""
FAULT_NODES_MAX = 64
"""In one fault: clusters have 3 to 9."""
FAULT_MS_MAX = 600_000
"""No fault lasts longer, whoever forgets it."""
AUDIT_MAX = 10_000
"""Lines of the audit log; who needs more exports it."""
RULE_SETS_KEPT = 20
"""Revisions one can roll back to."""
RULES_BYTES_MAX = 128 * 1024
"""Below what one proposal may hold (192 KiB)."""
QUEUES_MAX = 1_000
SLAS_MAX = 100
RATE_MS = 3 * 24 * 3600 * 1000
"""How long after a close it may be rated: the widget is closed by then, and it is still kept."""
RATINGS_EACH_MAX = 5
"""Ratings of one conversation: second thoughts, and no game of it."""
RATING_TEXT_BYTES_MAX = 2 * 1024
"""A visitor's words with a rating: a paragraph."""
RATING_DAYS_KEPT = 90
RATING_ROWS_MAX = 50_000
"""Days, queues and agents that ratings are counted by: 90 days of 500 agents.  The oldest go."""
FORGET_RATINGS_MAX = 100
"""Rows that one rating may forget: more than it adds, and well below a millisecond."""
CANNED_MAX = 2_000
"""Canned responses; who has more finds none."""
CANNED_LANGS_MAX = 16
CANNED_QUEUES_MAX = 64
CANNED_TEXT_BYTES_MAX = 4 * 1024
CANNED_BYTES_MAX = 16 * 1024
"""Of one response in all its languages: two thousand of them are 32 MiB at worst."""
TALLIES_MAX = 100
"""Names that are counted; all of them stand in the code."""
FALLBACK_QUEUE = "general"
"""Where a conversation goes that nothing else names a queue for."""
