"""Whatever voters say, in whatever order: it is refused by name, or the engine goes on."""

import contextlib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.raft.engine import Committed, Install, PeerError
from cluster.raft.messages import COMMAND, NO_OP
from tests.cluster.raft.rig import Rig, meta_at
from wal.snapfile import encode_snapshot

small = st.integers(0, 9)
term = st.integers(0, 5)
flag = st.booleans()
life = st.sampled_from([0, 0, 0, 7, 9])


def message(kind: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"type": st.just(kind), "term": term, **fields})


@st.composite
def appends(draw: st.DrawFn) -> dict[str, Any]:
    prev_index = draw(st.integers(1, 8))
    terms = sorted(draw(st.lists(term, max_size=4)))
    return {
        "type": "append_entries",
        "term": draw(term),
        "request": draw(small),
        "prev_index": prev_index,
        "prev_term": draw(term),
        "commit_index": draw(small),
        "entries": [
            [draw(st.sampled_from([NO_OP, COMMAND + b"x"])), prev_index + n, entry_term]
            for n, entry_term in enumerate(terms, start=1)
        ],
    }


@st.composite
def chunks(draw: st.DrawFn) -> dict[str, Any]:
    index, index_term = draw(st.integers(2, 9)), draw(term)
    data = b"".join(encode_snapshot(meta_at(index, index_term), "rig", [b"state"]))
    return {
        "type": "snapshot_chunk",
        "term": draw(term),
        "request": draw(small),
        "index": draw(st.sampled_from([index, index + 1])),
        "index_term": index_term,
        "offset": draw(st.sampled_from([0, 0, 0, 5, len(data)])),
        "data": draw(st.sampled_from([data, data, data[:-1], data[:90], b""])),
        "done": draw(flag),
    }


messages = st.one_of(
    appends(),
    appends(),
    chunks(),
    message("append_ack", request=small, success=flag, next_index=small, life=life),
    message("snapshot_ack", request=small, index=small, offset=small, life=life),
    message("read_probe", request=small),
    message("read_ack", request=small, life=life),
    message("read_request", number=small),
    message("read_answer", number=small, index=small),
    message("pre_vote_request", last_index=small, last_term=term, round=small),
    message("pre_vote", granted=flag, current_term=term, round=small, empty=flag, life=life),
    message("vote_request", last_index=small, last_term=term, transfer=flag, begins=life),
    message("vote"),
    message("newer_term"),
    message("timeout_now"),
)
events = st.one_of(
    st.tuples(st.sampled_from(["a", "c"]), messages),
    st.tuples(st.sampled_from(["a", "c"]), messages),
    st.sampled_from(["propose", "read", "lost", "hand over", "snapshot", "kill", "power"]),
    st.sampled_from([0.0, 0.02, 0.4, 0.7]),
)


@settings(max_examples=300)
@given(st.lists(events, max_size=25))
def test_the_engine_refuses_what_cannot_be_and_never_takes_back_what_it_applied(
    script: list[Any],
) -> None:
    rig = Rig(snapshot_every_entries=2)
    applied: dict[int, tuple[int, bytes | None]] = {}
    applied_index = 1
    voted: dict[int, str] = {}
    for event in script:
        if isinstance(event, tuple):
            with contextlib.suppress(PeerError):
                rig.engine.deliver(*event)
        elif event in ("kill", "power"):
            rig.reboot(power=event == "power")
            applied_index = rig.engine.status().snapshot_index
            applied.clear()  # what liars called committed is not bound to last
        else:
            act(rig, event)
        rig.turn(event if isinstance(event, float) else 0.0)
        for to, sent in rig.sent:
            if sent["type"] == "vote":
                assert voted.setdefault(sent["term"], to) == to
        for item in rig.committed:
            if isinstance(item, Install):
                assert item.meta.index > applied_index
                applied_index = item.meta.index
                continue
            assert isinstance(item, Committed)
            assert item.index == applied_index + 1
            applied_index = item.index
            entry = (item.term, item.payload)
            assert applied.setdefault(item.index, entry) == entry
        rig.sent.clear()
        rig.committed.clear()


def act(rig: Rig, event: Any) -> None:
    match event:
        case "propose":
            rig.engine.propose(b"p")
        case "read":
            rig.engine.read_index(lambda _: None)
        case "lost":
            rig.engine.peer_lost("a")
        case "hand over":
            rig.engine.transfer_leadership()
        case "snapshot":
            meta = rig.engine.snapshot_wanted()
            if meta is not None:
                rig.engine.snapshot_saved(rig.store.save(meta, [b"s"]))
