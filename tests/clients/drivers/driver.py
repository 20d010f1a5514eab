"""What the tests have the Python client do.  Talks to nodes; a line of JSON for each thing it saw.

visitor N   opens a conversation, says N things, each when the one before was answered, and closes
agent       accepts what is offered, answers each message, and leaves when the conversation ends
errors      asks for what is refused, and says with what
say KEY     opens a conversation with that key
listen S    tells what it hears for that long, on from PLACE, and where it is then; TOKEN may be
            several, fetched one after the other
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "clients"))
from unidesk import Refused, Unavailable, Unidesk, UnideskError

URLS = os.environ["URLS"].split(",")
TOKEN = os.environ["TOKEN"]


def tell(**fields: Any) -> None:
    print(json.dumps(fields), flush=True)


def note(name: str, data: dict[str, Any]) -> None:
    if name == "welcome":
        tell(node=data["node"])
    elif name == "ev":
        body = data.get("data", {}).get("body")
        tell(cv=data["cv"], seq=data["seq"], type=data["type"], body=body)
    elif name == "gap":
        tell(gap=data)


def is_said_by(name: str, data: dict[str, Any], role: str) -> bool:
    return name == "ev" and data["type"] == "msg" and data["by"][0] == role


def visitor(count: int) -> None:
    desk = Unidesk(URLS, TOKEN)
    cv, said = "", 1
    with desk.events() as events:
        for name, data in events:
            note(name, data)
            if not cv:
                cv = desk.open(text="1", key="open")["cv"]
            elif is_said_by(name, data, "agent"):
                if said == count:
                    desk.close(cv, key="close")
                    continue
                said += 1
                desk.send(cv, str(said), key=f"m{said}")
                tell(said=said)
            elif name == "ev" and data["type"] == "closed":
                return


def agent() -> None:
    desk = Unidesk(URLS, TOKEN)
    fences: dict[str, int] = {}
    with desk.events() as events:
        for name, data in events:
            note(name, data)
            if name == "welcome":
                desk.call("status.set", status="online")
            elif name == "offer":
                reply = desk.call("offer.accept", oid=data["oid"], key=data["oid"])
                fences[reply["cv"]] = reply["fence"]
            elif is_said_by(name, data, "visitor"):
                cv, body = data["cv"], data["data"]["body"]
                desk.send(cv, f"re {body}", key=f"{cv}.{data['seq']}", fence=fences[cv])
            elif name == "ev" and data["type"] == "closed":
                return


def errors() -> None:
    desk = Unidesk(URLS, TOKEN)
    cv = desk.open(text="one")["cv"]
    closed = desk.open()["cv"]
    desk.close(closed)
    desk.send(cv, "same", key="k")
    nowhere = Unidesk(["http://127.0.0.1:1"], TOKEN, deadline_s=0.5)
    cases: dict[str, Callable[[], Any]] = {
        "bad token": lambda: Unidesk(URLS, "nonsense").open(),
        "bad token of a stream": lambda: next(iter(Unidesk(URLS, "nonsense").events())),
        "forbidden": lambda: desk.call("members.get"),
        "unknown op": lambda: desk.call("cv.fly"),
        "not found": lambda: desk.history("01J00000000000000000000000"),
        "closed": lambda: desk.send(closed, "too late"),
        "same key, other body": lambda: desk.send(cv, "other", key="k"),
        "bad request": lambda: desk.call("msg.send", cv=cv),
        "too large": lambda: desk.send(cv, "x" * 20_000),
        "nobody there": lambda: nowhere.open(key="k2"),
    }
    for case, ask in cases.items():
        try:
            ask()
        except UnideskError as no:
            kinds = {Refused: "Refused", Unavailable: "Unavailable"}
            tell(case=case, kind=kinds[type(no)], code=no.code, retry=no.retry, key=no.key)
    again = desk.send(cv, "same", key="k")
    desk.close(cv)
    tell(case="same key, same body", kind="", code="", retry=again.get("dup"), key="")


def say(key: str) -> None:
    desk = Unidesk(URLS, TOKEN, deadline_s=10)
    try:
        reply = desk.open(text="once", key=key)
        tell(cv=reply["cv"], dup=reply.get("dup", False))
    except Unavailable as no:
        tell(code=no.code, key=no.key)


def listen(for_s: float) -> None:
    tokens = TOKEN.split(",")
    desk = Unidesk(URLS, lambda: tokens.pop(0) if len(tokens) > 1 else tokens[0])
    with desk.events(for_s=for_s, place=os.environ.get("PLACE", "")) as events:
        for name, data in events:
            note(name, data)
        tell(place=events.place)


if __name__ == "__main__":
    scenario, *words = sys.argv[1:]
    if scenario == "visitor":
        visitor(int(words[0]))
    elif scenario == "agent":
        agent()
    elif scenario == "errors":
        errors()
    elif scenario == "say":
        say(words[0])
    else:
        listen(float(words[0]))
