"""The [hours.NAME] of rule files, and the times that their tests speak of.  No I/O.

    tz         "Asia/Shanghai"; must be there
    week       { mon-fri = "09:00-12:00, 13:30-18:00", sat = "10:00-16:00" }
    holidays   ["2026-10-01", "2026-10-01..2026-10-07"]
    extra      { "2026-10-10" = "09:00-18:00" }

A test without `at` plays on `PLAIN_DAY`, a Wednesday at ten, in the zone of the first hours.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from cluster.routing.hours import (
    DATES_MAX,
    DAYS,
    Hours,
    Span,
    is_zone,
    parse_dates,
    parse_days,
    parse_spans,
    zone_mend,
)
from cluster.routing.reading import Reader
from cluster.toml_source import Document, Path, shown

HOURS_MAX = 100
PLAIN_DAY = datetime(2026, 1, 14, 10, tzinfo=UTC)

_SPANS_MEND = 'write "09:00-18:00", or "09:00-12:00, 13:30-18:00", or "closed"'
_DATES_MEND = 'write "2026-10-01", or "2026-10-01..2026-10-07"'
_WEEK_MEND = 'write week = { mon-fri = "09:00-18:00", sat = "10:00-16:00" }'


def read_hours(read: Reader, documents: list[Document]) -> dict[str, Hours]:
    """Return the business hours of all files."""
    hours: dict[str, Hours] = {}
    for document, name, path, table in read.every(documents, "hours", most=HOURS_MAX):
        hours[name] = Hours(
            name,
            _zone(read, document, path, table.get("tz")),
            _week(read, document, path, table.get("week")),
            _holidays(read, document, (*path, "holidays"), table.get("holidays", [])),
            _extra(read, document, (*path, "extra"), table.get("extra", {})),
        )
    return hours


def read_time_ms(
    read: Reader, document: Document, path: Path, value: Any, hours: Mapping[str, Hours]
) -> int:
    """Return when a test plays, in milliseconds since 1970 UTC."""
    zones = list(dict.fromkeys(one.zone for one in hours.values())) or ["UTC"]
    if value is None:
        return _ms(PLAIN_DAY.replace(tzinfo=ZoneInfo(zones[0])))
    mend = 'write at = "2026-10-01 10:00", or with an offset, "2026-10-01T10:00+08:00"'
    try:
        time = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    except (ValueError, TypeError):
        read.mistake(document, path, f"{shown(repr(value))} is no time", mend)
        return 0
    if time.tzinfo is None:
        if len(zones) > 1:
            problem = f"{shown(repr(value))}: which of the zones {', '.join(zones[:3])}?"
            read.mistake(document, path, problem, 'say it, as in "2026-10-01T10:00+08:00"')
        time = time.replace(tzinfo=ZoneInfo(zones[0]))
    if not 1970 < time.year < 9999:
        read.mistake(document, path, f"{shown(repr(value))} is out of the calendar", mend)
        return 0
    return _ms(time)


def _ms(time: datetime) -> int:
    return int(time.timestamp()) * 1000


def _zone(read: Reader, document: Document, path: Path, value: Any) -> str:
    if value is None:
        mend = 'add tz = "Asia/Shanghai", or where the people are'
        read.mistake(document, path, f"[{'.'.join(map(str, path))}] has no tz", mend)
    elif not isinstance(value, str) or not is_zone(value):
        mend = zone_mend(value if isinstance(value, str) else "")
        read.mistake(document, (*path, "tz"), f"no time zone {shown(repr(value))}", mend)
    else:
        return value
    return "UTC"


def _week(read: Reader, document: Document, path: Path, value: Any) -> tuple[tuple[Span, ...], ...]:
    week: dict[int, tuple[Span, ...]] = {}
    at = (*path, "week")
    if value is None:
        read.mistake(document, path, f"[{'.'.join(map(str, path))}] has no week", _WEEK_MEND)
    elif not isinstance(value, dict):
        read.mistake(document, at, f"a week of {shown(repr(value))}", _WEEK_MEND)
    else:
        for days, spans in value.items():
            inner = (*at, days)
            try:
                named = parse_days(days)
            except ValueError as error:
                mend = f"days are {' '.join(DAYS)}, and mon-fri, or sat-sun"
                read.mistake(document, inner, str(error), mend)
                continue
            hours = _spans(read, document, inner, spans)
            for day in named:
                if day in week:
                    problem = f"{DAYS[day]} is said twice"
                    read.mistake(document, inner, problem, "say each day once")
                week[day] = hours
    return tuple(week.get(day, ()) for day in range(len(DAYS)))


def _spans(read: Reader, document: Document, path: Path, value: Any) -> tuple[Span, ...]:
    try:
        return parse_spans(value)
    except ValueError as error:
        read.mistake(document, path, str(error), _SPANS_MEND)
        return ()


def _holidays(read: Reader, document: Document, path: Path, value: Any) -> frozenset[date]:
    if not isinstance(value, list):
        read.mistake(document, path, "holidays are a list of dates", f"{_DATES_MEND}, in [ ]")
        return frozenset()
    days: set[date] = set()
    for number, one in enumerate(value):
        try:
            days.update(parse_dates(one))
        except ValueError as error:
            read.mistake(document, (*path, number), str(error), _DATES_MEND)
        if len(days) > DATES_MAX:
            read.mistake(document, path, f"more than {DATES_MAX} holidays", "leave out old ones")
            break
    return frozenset(days)


def _extra(
    read: Reader, document: Document, path: Path, value: Any
) -> dict[date, tuple[Span, ...]]:
    if not isinstance(value, dict):
        mend = 'write extra = { "2026-10-10" = "09:00-18:00" }'
        read.mistake(document, path, "extra days are a table of dates and hours", mend)
        return {}
    extra: dict[date, tuple[Span, ...]] = {}
    for days, spans in value.items():
        try:
            named = parse_dates(days)
        except ValueError as error:
            read.mistake(document, (*path, days), str(error), _DATES_MEND)
            continue
        extra.update(dict.fromkeys(named, _spans(read, document, (*path, days), spans)))
        if len(extra) > DATES_MAX:
            read.mistake(document, path, f"more than {DATES_MAX} extra days", "leave out old ones")
            break
    return extra
