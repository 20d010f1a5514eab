"""What permessage-deflate saves on real dialogues, and what it costs.

    python -m scripts.bench_deflate ../shared/data/dialogues.jsonl [--conversations 40]

Wire: one node with `[client] deflate = true`; a supervisor follows every conversation twice, over a
plain connection and over one that deflates, while the dialogues are held, and asks for each one's
history at the end.  What is counted are the bytes that come out of the two sockets.

Work: the frames of the plain connection, deflated once each, and read back.

Memory: a bare edge in a process of its own, before and after `IDLE` connections that have each
sent and been sent a message, which is what may leave something behind.
"""

import argparse
import contextlib
import json
import socket
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Mapping
from pathlib import Path

import trio

from node.client import open_client
from node.edge.deflate import DEFLATE_BYTES_MIN, WINDOW_BITS, deflated
from node.edge.frame import encode_text
from node.edge.server import EdgeLimits, EdgeServer, open_listener
from node.local import UNLIMITED, LocalCluster
from node.protocol.catalogue import CvOpen, MsgSend
from node.replay.dialogues import Dialogue, load
from scripts.conformance.echo import Echo
from scripts.crowd.clients import UPGRADE, frames, masked
from scripts.crowd.processes import node_addresses, pss_bytes

IDLE = 4_000
OFFER = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
QUIET_S = 2.0
LONG = b"how may I help you with your order today? " * 20


class Observer:
    """One connection that follows, and the bytes that it was sent."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self.received = b""

    async def listen(self) -> None:
        """Read until cancelled."""
        while data := await self.stream.receive_some(65_536):
            self.received += data

    async def say(self, **fields: object) -> None:
        """Send one request."""
        await self.stream.send_all(masked(1, encode(fields)))


def encode(fields: dict[str, object]) -> bytes:
    """Return a request as JSON."""
    return json.dumps(fields).encode()


async def observe(cluster: LocalCluster, *, deflate: bool) -> Observer:
    """Return a supervisor's connection that has said hello."""
    host, port = node_addresses(cluster)[0]
    stream = await trio.open_tcp_stream(host, port)
    upgrade = UPGRADE.removesuffix("\r\n") + OFFER if deflate else UPGRADE
    await stream.send_all(upgrade.encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += await stream.receive_some(4096)
    assert (b"permessage-deflate" in answer) is deflate
    observer = Observer(stream)
    await observer.say(op="hello", ver="1", token=cluster.mint("supervisor", f"s{deflate}"))
    return observer


async def hold(cluster: LocalCluster, dialogues: list[Dialogue]) -> tuple[Observer, Observer]:
    """Hold the dialogues; return the two observers."""
    plain, small = [await observe(cluster, deflate=deflate) for deflate in (False, True)]
    token = cluster.mint("service", "dialogues")
    async with trio.open_nursery() as nursery, open_client(cluster.urls, token) as client:
        for one in (plain, small):
            nursery.start_soon(one.listen)
        for number, dialogue in enumerate(dialogues):
            opened = await client.request(CvOpen(key=f"o{number}", tags=dialogue.flat_tags))
            for one in (plain, small):
                await one.say(op="cv.sub", id=number + 1, cv=opened["cv"])
            for place, turn in enumerate(dialogue.turns):
                said = MsgSend(cv=opened["cv"], key=f"{number}-{place}", body=turn.text)
                await client.request(said)
            for one in (plain, small):
                await one.say(op="cv.history", id=10_000 + number, cv=opened["cv"])
        await trio.sleep(QUIET_S)
        nursery.cancel_scope.cancel()
    return plain, small


def report(plain: Observer, small: Observer) -> None:
    """Print what was saved on the wire, and what it takes to make and read it."""
    told, rest = frames(plain.received)
    assert not rest
    payloads = [payload for opcode, payload in told if opcode == 1]
    large = [encode_text(one) for one in payloads if len(one) >= DEFLATE_BYTES_MIN]
    share = len(small.received) / len(plain.received)
    print(f"frames {len(payloads):,}, of them {len(large):,} of {DEFLATE_BYTES_MIN} bytes and more")
    print(f"  plain on the wire         {len(plain.received):10,} bytes")
    print(f"  deflated on the wire      {len(small.received):10,} bytes  {share:5.1%}")
    kept = zlib.compressobj(6, zlib.DEFLATED, -15)
    size = sum(len(kept.compress(one) + kept.flush(zlib.Z_SYNC_FLUSH)) for one in payloads)
    print(f"  with a window that is kept{size:10,} bytes  {size / len(plain.received):5.1%}")
    began = time.process_time()
    made = [deflated(frame, WINDOW_BITS) for frame in large]
    took_s = time.process_time() - began
    print(f"  to deflate a frame        {1e6 * took_s / len(large):10.1f} us")
    bodies = [one[4 if one[1] == 126 else 2 :] for one in made if one[0] & 0x40 and one[1] < 127]
    began = time.process_time()
    for body in bodies:
        zlib.decompressobj(-15).decompress(body + b"\x00\x00\xff\xff")
    took_s = time.process_time() - began
    print(f"  to inflate it             {1e6 * took_s / max(1, len(bodies)):10.1f} us")


async def serve_bare(deflate: bool) -> None:
    """Be a bare edge; print its port, stop when standard input ends."""
    listener = open_listener("127.0.0.1", 0)
    print(listener.getsockname()[1], flush=True)
    async with trio.open_nursery() as nursery:
        await nursery.start(
            EdgeServer(Echo(), limits=EdgeLimits(deflate=deflate)).serve, [listener]
        )
        await trio.lowlevel.wait_readable(sys.stdin.fileno())
        nursery.cancel_scope.cancel()


def idle_bytes(deflate: bool) -> float:
    """Return what one idle connection holds in a bare edge."""
    command = [sys.executable, "-m", "scripts.bench_deflate", "--serve", str(int(deflate))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        port = int(process.stdout.readline())
        with contextlib.ExitStack() as stack:
            stack.callback(process.stdin.close)
            before = 0
            for number in range(IDLE + 200):
                if number == 200:  # what is made once has been made
                    before = pss_bytes([process.pid])
                stack.enter_context(_idle_client(port, deflate))
            return (pss_bytes([process.pid]) - before) / IDLE


def _idle_client(port: int, deflate: bool) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), timeout=5)
    upgrade = UPGRADE.removesuffix("\r\n") + OFFER if deflate else UPGRADE
    client.sendall(upgrade.replace("Sec-WebSocket-Protocol: unidesk.v1+json\r\n", "").encode())
    while b"\r\n\r\n" not in client.recv(4096):
        pass
    if deflate:
        deflater = zlib.compressobj(6, zlib.DEFLATED, -15)
        small = deflater.compress(LONG) + deflater.flush(zlib.Z_SYNC_FLUSH)
        client.sendall(b"\xc1" + masked(1, small[:-4])[1:])
    else:
        client.sendall(masked(1, LONG))
    client.recv(65_536)
    return client


def main() -> None:
    """Measure, and print tables."""
    parser = argparse.ArgumentParser(prog="python -m scripts.bench_deflate")
    parser.add_argument("dialogues", type=Path, nargs="?")
    parser.add_argument("--conversations", type=int, default=40)
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve is not None:
        trio.run(serve_bare, bool(options.serve))
        return
    if options.dialogues is None:
        parser.error("name a file of dialogues")
    dialogues = load(options.dialogues, limit=options.conversations)
    with tempfile.TemporaryDirectory() as folder:
        trio.run(_wire, Path(folder), dialogues)
    for deflate in (False, True):
        name = "deflate" if deflate else "plain"
        print(f"  an idle connection, {name:8}{idle_bytes(deflate) / 1024:8.2f} KB")


async def _wire(folder: Path, dialogues: list[Dialogue]) -> None:
    sections: dict[str, Mapping[str, str | int]] = {**UNLIMITED, "client": {"deflate": True}}
    async with LocalCluster(folder, nodes=1, cluster_id="bench", sections=sections) as cluster:
        report(*await hold(cluster, dialogues))


if __name__ == "__main__":
    main()
