"""Every decoder survives any bytes, and the work that these make grows no faster than they."""

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.fuzz.families import FAMILIES
from scripts.fuzz.targets import TARGETS
from scripts.fuzz.work import cost

SMALL, GROWTH = 400, 4
CALLS_SLACK, BYTES_SLACK = 600, 96 * 1024
"""What an input costs that is refused at its first byte."""


@st.composite
def inputs(draw: st.DrawFn, name: str) -> bytes:
    """Bytes from nowhere, or a seed that was cut, repeated and changed here and there."""
    if draw(st.booleans()):
        return draw(st.binary(max_size=120))
    data = bytearray(draw(st.sampled_from(TARGETS[name].seeds)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 4))] = draw(
            st.one_of(st.binary(max_size=4), st.just(bytes(data[: draw(st.integers(0, 40))])))
        )
    return bytes(data)


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=50)
@given(data=st.data())
def test_a_decoder_decodes_or_refuses_any_bytes(name: str, data: st.DataObject) -> None:
    TARGETS[name].survive(data.draw(inputs(name)))


@pytest.mark.parametrize(("name", "made"), FAMILIES.values(), ids=FAMILIES)
def test_the_work_grows_no_faster_than_the_bytes(name: str, made: object) -> None:
    assert callable(made)
    small, large = (cost(TARGETS[name].survive, made(n)) for n in (SMALL, SMALL * GROWTH))
    assert large.calls <= 1.25 * GROWTH * small.calls + CALLS_SLACK
    assert large.peak_bytes <= 1.25 * GROWTH * small.peak_bytes + BYTES_SLACK


def test_a_quadratic_decoder_would_be_found() -> None:
    def quadratic(data: bytes) -> None:
        for _ in data:
            for _ in data:
                data.isascii()

    small, large = (cost(quadratic, bytes(n)) for n in (50, 50 * GROWTH))
    assert large.calls > 1.25 * GROWTH * small.calls + CALLS_SLACK


def test_the_runner_names_what_it_does_not_know() -> None:
    command = [sys.executable, "-m", "scripts.fuzz", "nonsense"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no target 'nonsense'; there are websocket, deflate" in done.stderr
