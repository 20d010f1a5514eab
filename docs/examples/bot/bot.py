"""A bot that answers what it knows and hands the rest over to people.  Talks to nodes.

    PYTHONPATH=clients UNIDESK_TOKEN=... python docs/examples/bot/bot.py ws://127.0.0.1:7101

A bot is an agent like others: it is offered conversations, accepts, speaks, transfers.  What it
needs to know is in the conversation, so it keeps nothing: when it or its node dies, it reads what
it missed and goes on.  An answer's key is made of what it answers, so none is given twice.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from unidesk import Refused, Unavailable, Unidesk

PEOPLE = "people"  # the queue to hand over to
PERSON = ("person", "human", "agent", "人工", "客服")
ANSWERS = (
    (("open", "hours", "营业", "几点"), "We are here from 9 to 18 o'clock. 营业时间 9:00–18:00。"),
    (("parcel", "delivery", "快递", "物流"), "Parcels take two days. 快递一般两天送达。"),
)
HANDED_OVER = "I ask a colleague to help you. 正在为您转接人工客服。"


class Talk:
    """A conversation: what was said since the last answer, and whether it is ours to answer."""

    def __init__(self) -> None:
        self.fence = 0
        self.asked: list[dict[str, Any]] = []
        self.caught = False


class Bot:
    """Answers in all conversations at once, one event after the other."""

    def __init__(self, desk: Unidesk) -> None:
        self.desk = desk
        self.me = ""
        self.talks: dict[str, Talk] = {}

    def run(self) -> None:
        """Listen and answer; the client goes to another node when it has to."""
        with self.desk.events() as events:
            for name, data in events:
                if name == "welcome":
                    self.me = data["you"]["id"]
                    self.desk.call("status.set", status="online")
                    print(f"{self.me} at {data['node']}", flush=True)
                elif name == "offer":
                    self.accept(data["oid"])
                elif name == "ev":
                    self.note(data)
                elif name == "caught":
                    self.talks.setdefault(data["cv"], Talk()).caught = True
                if data.get("cv") in self.talks:
                    self.answer(data["cv"])

    def accept(self, oid: str) -> None:
        try:
            self.desk.call("offer.accept", oid=oid, key=oid)
        except Refused as no:
            print(f"offer {oid}: {no}", flush=True)  # it was closed, or too late

    def note(self, event: dict[str, Any]) -> None:
        """Take note of what was said, by whom, and whose conversation it is."""
        talk, kind = self.talks.setdefault(event["cv"], Talk()), event["type"]
        by = event.get("by") or ["", ""]
        if kind == "assigned":
            talk.fence = event["data"]["fence"] if event["data"]["agent"] == self.me else 0
        elif kind == "msg":
            talk.asked = [*talk.asked, event] if by[0] == "visitor" else []
        elif kind in ("transferred", "unassigned", "closed"):
            del self.talks[event["cv"]]  # nothing more of it comes, unless it comes back

    def answer(self, cv: str) -> None:
        """Say what is to be said, once all that was missed is known."""
        talk = self.talks[cv]
        if not (talk.caught and talk.fence and talk.asked):
            return
        last = talk.asked[-1]
        key, body = f"{cv}.{last['seq']}", str(last["data"].get("body", "")).lower()
        known = next((text for words, text in ANSWERS if any(word in body for word in words)), "")
        handed = any(word in body for word in PERSON) or not known
        try:
            self.desk.send(cv, HANDED_OVER if handed else known, key=key, fence=talk.fence)
            if handed:
                note = f"The bot was asked: {body[:200]}"
                to = {"queue": PEOPLE}
                self.desk.transfer(cv, to, key=f"{key}.over", note=note, fence=talk.fence)
            talk.asked = []
        except Refused as no:
            talk.fence = 0  # closed, or somebody else's by now
            print(f"{cv}: {no}", flush=True)
        except Unavailable as trouble:
            print(f"{cv}: {trouble}", flush=True)  # asked again with the next event


if __name__ == "__main__":
    Bot(Unidesk(sys.argv[1:], os.environ["UNIDESK_TOKEN"])).run()
