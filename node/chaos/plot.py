"""The timeline of a run as SVG.  No I/O.

    messages a second   ▁▃▅▇▅▃▁       an area, one step a second
    faults              ▒▒▒▒ 1        bands behind it, numbered as in the table
    another leader      ┊             a dashed line
    n1 · dc1            ▬▬▬░░▬▬▬      a lane per node: serves, does not, does not answer

Colours are variables of the page's style, so that one picture is right on light and dark.
"""

from collections.abc import Iterator
from html import escape

from node.chaos.record import Injected, Record

WIDTH = 960
LEFT, RIGHT, TOP = 76, 14, 30
PLOT = 210
"""Height of the rate's plot, in the picture's units."""
GAP = 34
LANE = 22
TICKS = 4
X_TICKS = 10
_STEPS = (1, 2, 5)


def nice_step(most: float, ticks: int) -> float:
    """Return 1, 2 or 5 times a power of ten, so that about `ticks` of it reach `most`."""
    exact = max(most, 1e-9) / ticks
    power = 1.0
    while power * 10 <= exact:
        power *= 10
    while power > exact:
        power /= 10
    return next((step * power for step in _STEPS if step * power >= exact), 10 * power)


class _Scale:
    """Seconds and rates to places of the picture."""

    def __init__(self, record: Record) -> None:
        self.seconds = max(1.0, float(len(record.rate)))
        most = max([*record.rate, 1])
        self.step = max(1.0, nice_step(most, TICKS))
        self.most = self.step * -(-most // self.step)

    def x(self, at_s: float) -> float:
        inside = min(max(at_s, 0.0), self.seconds)
        return round(LEFT + (WIDTH - LEFT - RIGHT) * inside / self.seconds, 1)

    def y(self, rate: float) -> float:
        return round(TOP + PLOT * (1 - rate / self.most), 1)


def timeline(record: Record) -> str:
    """Return the picture, an `<svg>` to stand in a page."""
    scale = _Scale(record)
    height = TOP + PLOT + GAP + LANE * len(record.nodes) + 12
    label = (
        f"Messages acknowledged a second over {record.seconds:.0f} seconds, with"
        f" {len(record.faults)} faults; the longest stall was {record.stall_max_s:.2f} seconds"
    )
    opening = (
        f'<svg class="plot" viewBox="0 0 {WIDTH} {height}" role="img"'
        f' aria-label="{escape(label)}" xmlns="http://www.w3.org/2000/svg">'
    )
    parts = [
        opening,
        *_bands(record, scale, height),
        *_axes(scale),
        *_area(record, scale),
        *_leaders(record, scale),
        *_lanes(record, scale),
        "</svg>",
    ]
    return "\n".join(parts)


def _bands(record: Record, scale: _Scale, height: int) -> Iterator[str]:
    for number, fault in enumerate(record.faults, start=1):
        left, right = scale.x(fault.began_s), scale.x(fault.ended_s)
        width = max(2.0, round(right - left, 1))
        yield (
            f'<g class="band"><title>{number}: {escape(_said(fault))}</title>'
            f'<rect x="{left}" y="{TOP}" width="{width}" height="{height - TOP - 8}"/>'
            f'<text x="{round(left + width / 2, 1)}" y="{TOP - 10}">{number}</text></g>'
        )


def _said(fault: Injected) -> str:
    return f"{fault.what}, {fault.began_s:.1f} s to {fault.ended_s:.1f} s"


def _axes(scale: _Scale) -> Iterator[str]:
    right = WIDTH - RIGHT
    rate = 0.0
    while rate <= scale.most:
        y = scale.y(rate)
        yield f'<line class="grid" x1="{LEFT}" y1="{y}" x2="{right}" y2="{y}"/>'
        yield f'<text class="tick end" x="{LEFT - 8}" y="{y + 4}">{rate:g}</text>'
        rate += scale.step
    step_s = max(1.0, nice_step(scale.seconds, X_TICKS))
    at_s = 0.0
    bottom = TOP + PLOT
    while at_s <= scale.seconds:
        x = scale.x(at_s)
        yield f'<line class="axis" x1="{x}" y1="{bottom}" x2="{x}" y2="{bottom + 4}"/>'
        yield f'<text class="tick middle" x="{x}" y="{bottom + 18}">{at_s:g} s</text>'
        at_s += step_s
    yield f'<text class="tick" x="8" y="{TOP - 12}">messages/s</text>'


def _area(record: Record, scale: _Scale) -> Iterator[str]:
    """Draw one step a second."""
    path = [f"M{scale.x(0)} {scale.y(0)}"]
    for second, rate in enumerate(record.rate):
        path.append(f"V{scale.y(rate)}H{scale.x(second + 1)}")
    line = "".join(path)
    yield f'<path class="area" d="{line}V{scale.y(0)}Z"/>'
    yield f'<path class="line" d="{line}"/>'


def _leaders(record: Record, scale: _Scale) -> Iterator[str]:
    for event in record.events:
        if event.kind != "leader":
            continue
        x = scale.x(event.at_s)
        yield (
            f'<g class="leader"><title>{escape(event.what)}, at {event.at_s:.2f} s</title>'
            f'<line x1="{x}" y1="{TOP}" x2="{x}" y2="{TOP + PLOT}"/>'
            f'<text x="{x + 4}" y="{TOP + 12}">{escape(event.node)}</text></g>'
        )


def _lanes(record: Record, scale: _Scale) -> Iterator[str]:
    top = TOP + PLOT + GAP
    for place, node in enumerate(record.nodes):
        y = top + place * LANE
        name = f"{node.id} · {node.zone}" if node.zone else node.id
        yield f'<text class="tick end" x="{LEFT - 8}" y="{y + 11}">{escape(name)}</text>'
        for began_s, ended_s, standing in standings(record, node.id):
            left, right = scale.x(began_s), scale.x(ended_s)
            kind = standing if standing in ("serving", "silent") else "apart"
            yield (
                f'<rect class="lane {kind}" x="{left}" y="{y + 1}" height="{LANE - 8}"'
                f' width="{max(1.0, round(right - left, 1))}" rx="2">'
                f"<title>{escape(f'{node.id} {standing}: {began_s:.1f} s to {ended_s:.1f} s')}"
                "</title></rect>"
            )


def standings(record: Record, node: str) -> list[tuple[float, float, str]]:
    """Return from when to when `node` was what, from the first second to the last."""
    found: list[tuple[float, float, str]] = []
    since_s, now = 0.0, "serving"
    for event in record.events:
        if event.kind == "standing" and event.node == node and event.at_s <= record.seconds:
            found.append((since_s, event.at_s, now))
            since_s, now = event.at_s, event.standing
    return [*found, (since_s, record.seconds, now)]
