"""Which rule refused: `data.rule` of an error, `rule` of a `bye`.  No I/O.

    error    {"op": "err", "code": "forbidden", "msg": "…", "data": {"rule": "role"}}
    goodbye  {"op": "bye", "code": 4109, "reason": "…", "rule": "token.revoked"}
    by HTTP  {"code": "unauthorized", "msg": "…", "data": {"rule": "token.expired"}}

A code says what the client should do, a rule why: every refusal of access names one, and a
program may rely on its name.  Words for people may change.
"""

from typing import Literal, get_args

from cluster.state.outcome import RefusalRule

Rule = (
    Literal[
        "hello",
        "token.missing",
        "token.malformed",
        "token.signature",
        "token.issuer",
        "token.audience",
        "token.claims",
        "token.expired",
        "token.not_yet",
        "token.unknown_key",
        "token.revoked",
        "token.other_principal",
        "session.ended",
        "credentials",
        "credentials.transport",
        "credentials.grant",
        "login.code",
        "origin",
        "visitor.named",
        "rate.principal",
        "rate.account",
        "rate.address",
    ]
    | RefusalRule
)

MEANING: dict[Rule, str] = {
    "hello": "Nothing may be asked before `hello`.",
    "role": "The operation, or this use of it, is not for the token's role.",
    "token.missing": "By HTTP, a request says who asks: `Authorization: Bearer TOKEN`.",
    "token.malformed": "This is no JSON Web Token, or over its size.",
    "token.signature": "It is not signed by a key, or in a way, that counts here.",
    "token.issuer": "It was issued by somebody who is not trusted, or not with that.",
    "token.audience": "It was issued for another cluster.",
    "token.claims": "A claim is missing, or is not what it must be.",
    "token.expired": "It was good once: fetch another.",
    "token.not_yet": "It is not good yet (`nbf`).",
    "token.unknown_key": "Its key is not known yet: ask again in a moment.",
    "token.revoked": "It, or all that its principal had, was revoked.",
    "token.other_principal": "A connection is renewed by its own principal's token alone.",
    "session.ended": "An operator ended the session: its token is good, and it may log in anew.",
    "credentials": "No such account, or not its secret; which of the two is not told.",
    "credentials.transport": "Secrets are taken over TLS, or from this machine.",
    "credentials.grant": "People use the grant `password`, services `client_credentials`.",
    "login.code": "A login's code is good once, for a minute, with its own verifier.",
    "origin": "Visitors come from pages whose origin node.toml lists: `[visitors] origins`.",
    "visitor.named": "Only tokens of anonymous visitors are renewed here.",
    "account.disabled": "An operator disabled the account.",
    "account.changed": "The account changed while its secret was looked at: try again.",
    "conversation.not_yours": "Visitors have what they opened; agents read what is theirs.",
    "conversation.not_owner": "An agent speaks in, and decides about, what they own.",
    "fence": "The conversation was assigned anew since the `fence` that was given.",
    "note.visitor": "Visitors write no notes.",
    "offer.not_yours": "An offer is answered by whom it was made to.",
    "status.not_yours": "Agents set their own status; supervisors and operators anybody's.",
    "session.not_yours": "A session is resumed by its own principal.",
    "conversation.no_part": "Agents see to conversations that they own or take part in.",
    "message.not_yours": "A message is corrected by its author, or by a supervisor.",
    "supervision.mode": "Who monitors says nothing; who whispers says nothing to the visitor.",
    "chaos": "Only a node whose node.toml says `[chaos] enabled` is broken on purpose.",
    "rate.principal": "The principal asks too fast.",
    "rate.account": "Too many wrong secrets for this account.",
    "rate.address": "Too many wrong secrets, logins or new visitors from this address.",
}
"""Every rule, and what it demands."""
assert MEANING.keys() == {name for part in get_args(Rule) for name in (get_args(part) or (part,))}
