"""Ports that are found once, whoever looks, until who found them ends."""

import subprocess
import sys

import pytest

from node.local import ports
from node.local.ports import NoPort, free_ports

FEW = range(31_900, 31_904)
OTHER = f"""
import sys
from node.local import ports
ports.PORTS, ports.PORT_TRIES_MAX = range({FEW.start}, {FEW.stop}), {len(FEW)}
print(*ports.free_ports(3), flush=True)
sys.stdin.read()
"""


def test_a_port_is_found_once_while_who_found_it_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "PORTS", FEW)
    monkeypatch.setattr(ports, "PORT_TRIES_MAX", len(FEW))
    monkeypatch.setattr(ports, "_claimed", set())
    command = [sys.executable, "-c", OTHER]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        theirs = [int(word) for word in other.stdout.readline().split()]
        (ours,) = free_ports(1)  # nobody listens on any of the four
        assert sorted([ours, *theirs]) == list(FEW)
        with pytest.raises(NoPort):
            free_ports(1)
        assert free_ports(1, [ours]) == [ours], "unless it is asked for"
        with pytest.raises(NoPort):
            free_ports(1, theirs)
        other.communicate("")
    assert sorted(free_ports(3)) == sorted(theirs)
