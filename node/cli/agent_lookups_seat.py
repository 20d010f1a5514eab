"""What an agent looks up and uses: canned responses, and who waits.  Talks to nodes.

    /canned        those for the current conversation        /take     who waits, with numbers
    /canned WORD   sends the one of that shortcut, or        /take N   helps oneself to one
                   shows what fits the word

Nothing goes to the visitor by a guess: a response is sent by its whole shortcut alone, and not with
a placeholder that nothing is known for.
"""

from datetime import UTC, datetime
from typing import Any

from node.cli.agent_lines import parse_number
from node.cli.agent_orders_seat import AgentOrders
from node.client import new_key
from node.protocol.catalogue import CannedFind, ConversationFilter, CvList, CvTake

FOUND_MAX = 8
WAITING_SHOWN_MAX = 20


class AgentLookups(AgentOrders):
    """The part of an agent's seat that looks things up."""

    async def _canned(self, text: str) -> None:
        current = self._current()
        if current is None:
            return
        reply = await self.request(CannedFind(q=text, cv=current[0], limit=FOUND_MAX))
        if reply is None:
            return
        hits = reply["items"]
        if not hits:
            self.say("agent.canned_none", word=text)
        elif text and hits[0]["shortcut"] == text:
            await self._send_canned(hits[0])
        else:
            for hit in hits:
                self.say("agent.canned", shortcut=hit["shortcut"], text=hit["text"])

    async def _send_canned(self, hit: dict[str, Any]) -> None:
        missing = hit.get("missing")
        if missing:
            self.say("agent.canned_missing", missing=", ".join(missing), text=hit["text"])
        else:
            await self._send(hit["text"], hidden=False)

    async def _take(self, text: str) -> None:
        if not text:
            await self._show_waiting()
            return
        number = parse_number(text)
        cv = self._desk.numbered(number) if number is not None else None
        if cv is None:
            self.say("agent.no_such", number=text)
        else:
            await self.request(CvTake(cv=cv, key=new_key()))

    async def _show_waiting(self) -> None:
        """Show who waits where the agent serves, the oldest first."""
        wanted = ConversationFilter(state="waiting")
        asked = CvList(filter=wanted, order="oldest", limit=WAITING_SHOWN_MAX)
        reply = await self.request(asked)
        if reply is None:
            return
        if not reply["items"]:
            self.say("agent.nobody_waits")
        for one in reply["items"]:
            opened = datetime.fromtimestamp(one["opened"] / 1000, UTC).astimezone()
            self.say(
                "agent.waits",
                number=self._desk.number(one["cv"]),
                who=(one.get("visitor") or {}).get("name") or self.words("visitor"),
                queue=one.get("queue") or "",
                since=f"{opened:%H:%M:%S}",
            )
