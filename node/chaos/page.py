"""A run's record as one HTML file that needs nothing else.  No I/O.

    verdict, figures ── timeline ── faults ── guarantees ── what the cluster did ── trouble

Headings are in English and Chinese.  Nothing is fetched and nothing runs: the page's own policy
forbids both, so it can be mailed and kept.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape

from node.chaos.plot import timeline
from node.chaos.record import Record

EVENTS_SHOWN_MAX = 500

_STYLE = """
:root { color-scheme: light dark; --paper: #fcfcfa; --ink: #1d2329; --soft: #59636e;
  --rule: #dfe3e6; --card: #ffffff; --blue: #1f6fb2; --band: #d9822b; --good: #1a7f4b;
  --bad: #b42318; --leader: #7a3fb0; --silent: #9aa4ae; --apart: #e0a030; }
@media (prefers-color-scheme: dark) { :root { --paper: #14181c; --ink: #e4e8ec; --soft: #9aa5b1;
  --rule: #2c343c; --card: #1b2127; --blue: #5aa9e6; --band: #e39a4d; --good: #4cc38a;
  --bad: #f0736a; --leader: #c08cf0; --silent: #56616c; --apart: #d9a441; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, "Segoe UI", "Noto Sans", "Noto Sans CJK SC", sans-serif; }
main { max-width: 1040px; margin: 0 auto; padding: 28px 20px 60px; }
h1 { font-size: 26px; line-height: 1.25; margin: 0 0 4px; }
h2 { font-size: 18px; margin: 36px 0 10px; }
h1 small, h2 small { color: var(--soft); font-weight: 400; font-size: 0.8em; margin-left: 8px; }
p.about { color: var(--soft); margin: 0 0 18px; }
.verdict { display: inline-block; padding: 6px 14px; border-radius: 6px; font-weight: 600;
  color: #fff; background: var(--good); margin: 6px 0 18px; }
.verdict.bad { background: var(--bad); }
@media (prefers-color-scheme: dark) { .verdict { color: #10151a; } }
dl { display: grid; grid-template-columns: repeat(4, 1fr); gap: 10px; margin: 0; }
@media (max-width: 700px) { dl { grid-template-columns: repeat(2, 1fr); } }
dl div { background: var(--card); border: 1px solid var(--rule); border-radius: 8px;
  padding: 10px 14px; }
dt { color: var(--soft); font-size: 13px; }
dd { margin: 0; font-size: 22px; font-weight: 600; font-variant-numeric: tabular-nums; }
figure { margin: 0; background: var(--card); border: 1px solid var(--rule); border-radius: 8px;
  padding: 14px 10px 10px; }
figcaption { color: var(--soft); font-size: 13px; padding: 6px 8px 0; }
figcaption span { white-space: nowrap; }
figcaption i { display: inline-block; width: 12px; height: 12px; border-radius: 2px;
  margin: 0 5px 0 12px; vertical-align: -1px; }
.scroll { overflow-x: auto; background: var(--card); border: 1px solid var(--rule);
  border-radius: 8px; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: 7px 12px; border-bottom: 1px solid var(--rule);
  vertical-align: top; }
tbody tr:last-child td, tbody tr:last-child th { border-bottom: 0; }
thead th { font-size: 13px; color: var(--soft); font-weight: 600; white-space: nowrap; }
tbody th { font-weight: 600; white-space: nowrap; }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.good { color: var(--good); font-weight: 600; } .bad { color: var(--bad); font-weight: 600; }
td small { display: block; color: var(--soft); }
footer { margin-top: 40px; color: var(--soft); font-size: 13px; }
.plot { display: block; width: 100%; height: auto; font: 12px system-ui, sans-serif; }
.plot text { fill: var(--soft); } .plot .end { text-anchor: end; }
.plot .middle { text-anchor: middle; }
.plot .grid { stroke: var(--rule); } .plot .axis { stroke: var(--soft); }
.plot .area { fill: var(--blue); opacity: 0.22; }
.plot .line { fill: none; stroke: var(--blue); stroke-width: 1.5; }
.plot .band rect { fill: var(--band); opacity: 0.16; }
.plot .band text { fill: var(--band); font-weight: 700; text-anchor: middle; }
.plot .leader line { stroke: var(--leader); stroke-width: 1.5; stroke-dasharray: 4 3; }
.plot .leader text { fill: var(--leader); font-weight: 600; }
.plot .lane.serving { fill: var(--good); opacity: 0.75; }
.plot .lane.silent { fill: var(--silent); } .plot .lane.apart { fill: var(--apart); }
"""

_POLICY = """<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src 'unsafe-inline'">"""
_FOOT = """<footer>Made by <code>unidesk chaos run</code> of the JSON record beside it, and again by
 <code>unidesk chaos report run.json -o run.html</code>.</footer>"""

Row = Sequence[str]


def page(record: Record) -> str:
    """Return the whole file."""
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            _POLICY,
            f"<title>{escape(record.title)} - unidesk chaos</title>",
            f"<style>{_STYLE}</style>",
            "</head>",
            "<body><main>",
            *_head(record),
            *_figures(record),
            _heading("Timeline", "时间线"),
            _figure(record),
            _heading("What was broken", "注入的故障"),
            _faults(record),
            _heading("What must hold", "必须成立的保证"),
            _checks(record),
            _heading("What the cluster did", "集群的反应"),
            _events(record),
            *_lists(record),
            _FOOT,
            "</main></body>",
            "</html>",
            "",
        ]
    )


def _heading(english: str, chinese: str) -> str:
    return f'<h2>{english} <small lang="zh">{chinese}</small></h2>'


def _head(record: Record) -> Iterable[str]:
    began = datetime.fromtimestamp(record.began_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    yield f"<h1>{escape(record.title)}</h1>"
    zones = sorted({node.zone for node in record.nodes if node.zone})
    where = f" in {len(zones)} zones" if zones else ""
    versions = ", ".join(sorted({node.version for node in record.nodes if node.version}))
    yield (
        f'<p class="about">{began} · {len(record.nodes)} nodes{where}'
        f"{f' · unidesk {escape(versions)}' if versions else ''} · {record.visitors} visitors at a"
        f" time, {record.agents} agents</p>"
    )
    if record.good:
        words = "Every guarantee held · 所有保证均成立"
        yield f'<p class="verdict">✓ {words}</p>'
    else:
        broken = sum(1 for check in record.checks if not check.holds)
        words = f"{broken} of {len(record.checks)} guarantees did not hold · 有保证未成立"
        yield f'<p class="verdict bad">✗ {words}</p>'


def _figures(record: Record) -> Iterable[str]:
    violations = sum(check.found for check in record.checks)
    mean = record.acknowledged / record.seconds if record.seconds else 0.0
    healed = f"{record.healed_s:.1f} s" if record.healed_s is not None else "not seen"
    shown = (
        ("violations", str(violations)),
        ("messages acknowledged", f"{record.acknowledged:,}"),
        ("a second, mean", f"{mean:.1f}"),
        ("longest stall", f"{record.stall_max_s:.2f} s"),
        ("one state within", healed),
        ("latency p50 / p99", f"{record.latency_p50_ms:.0f} / {record.latency_p99_ms:.0f} ms"),
        ("conversations", f"{record.conversations:,}"),
        ("views compared", f"{record.observers:,}"),
    )
    yield "<dl>"
    for what, value in shown:
        yield f"<div><dt>{what}</dt><dd>{value}</dd></div>"
    yield "</dl>"


def _figure(record: Record) -> str:
    keys = (
        ("--blue", "messages acknowledged a second"),
        ("--band", "a fault, by its number"),
        ("--leader", "another node leads"),
        ("--good", "the node serves"),
        ("--apart", "it does not: fenced, catching up"),
        ("--silent", "it does not answer"),
    )
    caption = " ".join(
        f'<span><i style="background: var({name})"></i>{what}</span>' for name, what in keys
    )
    return f"<figure>{timeline(record)}<figcaption>{caption}</figcaption></figure>"


def _table(columns: Sequence[tuple[str, str]], rows: Iterable[Row], label: str) -> str:
    """Return a table; cells are HTML, a column's second part is its class."""
    head = "".join(f'<th scope="col" class="{kind}">{name}</th>' for name, kind in columns)
    body = []
    for row in rows:
        first = f'<th scope="row">{row[0]}</th>'
        rest = "".join(
            f'<td class="{kind}">{cell}</td>'
            for cell, (_, kind) in zip(row[1:], columns[1:], strict=True)
        )
        body.append(f"<tr>{first}{rest}</tr>")
    if not body:
        body.append(f'<tr><td colspan="{len(columns)}">nothing</td></tr>')
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{label}"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


def _faults(record: Record) -> str:
    columns = (
        ("#", ""),
        ("step", ""),
        ("what", ""),
        ("from", "n"),
        ("to", "n"),
        ("messages/s", "n"),
        ("stall", "n"),
        ("all serve after", "n"),
    )
    rows = (
        (
            str(number),
            escape(f"{one.step}, round {one.round}" if one.round > 1 else one.step),
            escape(one.what),
            f"{one.began_s:.1f} s",
            f"{one.ended_s:.1f} s",
            f"{one.rate:.1f}",
            f"{one.stall_s:.2f} s",
            f"{one.healed_s:.1f} s" if one.healed_s is not None else "not seen",
        )
        for number, one in enumerate(record.faults, start=1)
    )
    return _table(columns, rows, "What was broken")


def _checks(record: Record) -> str:
    columns = (("", ""), ("guarantee", ""), ("violations", "n"), ("", ""))
    rows = (
        (
            one.id,
            f'{escape(one.what)}<small lang="zh">{escape(one.what_zh)}</small>',
            str(one.found),
            '<span class="good">✓ held</span>'
            if one.holds
            else '<span class="bad">✗ broken</span>',
        )
        for one in record.checks
    )
    return _table(columns, rows, "What must hold")


def _events(record: Record) -> str:
    columns = (("at", "n"), ("kind", ""), ("node", ""), ("what", ""))
    rows = (
        (f"{one.at_s:.2f} s", escape(one.kind), escape(one.node), escape(one.what))
        for one in record.events[:EVENTS_SHOWN_MAX]
    )
    return _table(columns, rows, "What the cluster did")


def _lists(record: Record) -> Iterable[str]:
    for english, chinese, lines in (
        ("Violations", "违反", record.violations),
        ("Steps that were not done", "未执行的步骤", record.undone),
        ("Conversations that took too long", "超时的会话", record.unfinished),
        ("What else went wrong", "其他问题", record.trouble),
    ):
        if lines:
            yield _heading(english, chinese)
            yield f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"
