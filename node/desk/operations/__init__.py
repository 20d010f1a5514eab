"""What each operation does with a request, by subject.  No I/O: waits for the port alone.

    returns    meaning
    Answered   read from the state: the reply's `r`
    Command    to be submitted to the log; its outcome is the reply
    Later      has to wait first (a barrier, a compiler), then one of the two above
    None       no reply

or raises `NotAllowed` with the reply's code.  The catalogue says who may ask at all;
`node.desk.requests` brings requests here and outcomes back.  Ids go into the command here;
whether it holds is decided where it is applied, the same on every node.
"""

from node.auth import Principal
from node.config import Config
from node.desk.context import Context
from node.desk.ephemeral import Ephemeral
from node.desk.hub import Hub
from node.desk.looks import Looks
from node.desk.lookup import Effect, Lookup
from node.desk.opening import Opening
from node.desk.operations.accounts import Accounts
from node.desk.operations.agents import Agents
from node.desk.operations.breaking import Breaking
from node.desk.operations.canned import CannedResponses
from node.desk.operations.company import Company
from node.desk.operations.effects import Asker, Handler
from node.desk.operations.healing import Healing
from node.desk.operations.lists import Lists
from node.desk.operations.members import Membership
from node.desk.operations.nodes import Nodes
from node.desk.operations.own import Own
from node.desk.operations.planning import Planning
from node.desk.operations.reading import Reading
from node.desk.operations.reasons import Reasons
from node.desk.operations.rules import Rules
from node.desk.operations.service import Service
from node.desk.operations.supervising import Supervising
from node.desk.operations.talking import Talking
from node.desk.operations.upkeep import Upkeep
from node.desk.overview import Overview
from node.desk.passwords import Passwords
from node.desk.plain import check_integers
from node.desk.rule_sets import RuleSets
from node.desk.session import Session
from node.protocol.catalogue import Request


class Operations:
    """What can be asked."""

    def __init__(
        self,
        context: Context,
        hub: Hub,
        opening: Opening,
        ephemeral: Ephemeral,
        passwords: Passwords,
        looks: Looks,
        overview: Overview,
        config: Config,
    ) -> None:
        lookup = Lookup(context)
        rule_sets = RuleSets()
        rules = Rules(context, lookup, rule_sets)
        self._handlers: dict[type[Request], Handler] = {
            **Own(opening, ephemeral).handlers(),
            **Reading(lookup, looks, hub.following).handlers(),
            **Talking(
                context, hub.following, rules, stale_guard=config.desk.stale_guard
            ).handlers(),
            **Agents().handlers(),
            **rules.handlers(),
            **Company(context, hub.following, config.desk.invite_ms).handlers(),
            **Upkeep().handlers(),
            **Planning(context, lookup, looks, rule_sets).handlers(),
            **Reasons(context, lookup, looks, rule_sets).handlers(),
            **Membership(context).handlers(),
            **Service(context, lookup).handlers(),
            **CannedResponses(context, lookup).handlers(),
            **Accounts(context, passwords, lookup.barrier).handlers(),
            **Lists(context, lookup, looks, overview).handlers(),
            **Supervising(context, overview).handlers(),
            **Nodes(context, hub, workers=config.node.workers).handlers(),
            **Breaking(context, lookup).handlers(),
            **Healing(context).handlers(),
        }

    def perform(self, asker: Asker, principal: Principal, request: Request) -> Effect:
        """Return what follows from a request that its role may make.  Raises `NotAllowed`.

        What needs a connection is asked by a `Session`.
        """
        assert isinstance(asker, Session) or not request.needs_connection
        check_integers(request)
        return self._handlers[type(request)](asker, principal, request)
