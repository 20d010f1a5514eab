"""Real processes under random faults: a short run of the nemesis, and its parts."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from scripts.nemesis import shim
from scripts.nemesis.proxy import Link, Network


async def test_a_link_delivers_holds_and_resets(nursery: trio.Nursery) -> None:
    async def echo(stream: trio.SocketStream) -> None:
        while data := await stream.receive_some(100):
            await stream.send_all(data)

    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    nursery.start_soon(trio.serve_listeners, echo, [listener])
    link = Link("n1", "n2", random.Random(1))
    port = await nursery.start(link.serve, listener.socket.getsockname()[1])
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all(b"one")
        assert await stream.receive_some(100) == b"one"
        link.cut()
        await stream.send_all(b"two")
        with trio.move_on_after(0.2):
            raise AssertionError(await stream.receive_some(100))
        link.mend()
        assert await stream.receive_some(100) == b"two"
        link.reset()
        with pytest.raises(trio.BrokenResourceError):
            await _read_to_the_end(stream)
    nursery.cancel_scope.cancel()


async def _read_to_the_end(stream: trio.SocketStream) -> None:
    with trio.fail_after(30):
        if await stream.receive_some(100) == b"":
            raise trio.BrokenResourceError


def test_a_network_knows_its_links_one_way_each() -> None:
    network = Network(("n1", "n2", "n3"), random.Random(1))
    found = network.between({"n1"}, {"n2", "n3"})
    assert {(link.source, link.target) for link in found} == {("n1", "n2"), ("n1", "n3")}
    for link in found:
        link.cut()
    assert network.links["n1", "n2"].is_cut
    assert not network.links["n2", "n1"].is_cut
    network.heal()
    assert not any(link.is_cut for link in network.links.values())


def test_disk_and_clock_are_spoilt_and_mended(tmp_path: Path) -> None:
    library = shim.build(tmp_path)
    if library is None:
        pytest.skip("no C compiler here")
    one = shim.Shim(library, tmp_path / "control")
    program = f"""
import errno, os, time
fd = os.open({str(tmp_path / "file")!r}, os.O_RDWR | os.O_CREAT)
def tell(act):
    try:
        act()
        print("ok", flush=True)
    except OSError as error:
        print(errno.errorcode[error.errno], flush=True)
while (asked := input()) != "end":
    match asked:
        case "sync": tell(lambda: os.fdatasync(fd))
        case "write": tell(lambda: os.pwrite(fd, b"x", 0))
        case "time": print(time.time_ns() // 1_000_000, flush=True)
"""
    from os import environ

    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environ | one.environ,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def ask(what: str) -> str:
            process.stdin.write(what + "\n")  # type: ignore[union-attr]
            process.stdin.flush()  # type: ignore[union-attr]
            return process.stdout.readline().strip()  # type: ignore[union-attr]

        assert (ask("sync"), ask("write")) == ("ok", "ok")
        one.fail_syncs(1)
        assert (ask("sync"), ask("sync")) == ("EIO", "ok")
        one.fill(True)
        assert ask("write") == "ENOSPC"
        now_ms = int(ask("time"))
        one.skew(-3_600_000)
        assert abs(now_ms - 3_600_000 - int(ask("time"))) < 60_000
        one.heal()
        assert (ask("write"), ask("sync")) == ("ok", "ok")
        process.stdin.write("end\n")
        process.stdin.close()


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_three_real_nodes_lose_nothing_whatever_happens_to_them() -> None:
    command = [sys.executable, "-m", "scripts.nemesis", "--nodes", "3", "--for", "12s", "--json"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    found = json.loads(run.stdout)
    assert found["acknowledged"] > 20
    assert sum(found["faults"].values()) >= 2
    assert found["violations"] == found["trouble"] == []
