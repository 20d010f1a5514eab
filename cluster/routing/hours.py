"""Business hours: whether somebody is there at a time, by the wall clock of a place.  No I/O but
the system's table of time zones.

    [hours.cn-office]
    tz       = "Asia/Shanghai"
    week     = { mon-fri = "09:00-12:00, 13:30-18:00", sat = "22:00-02:00" }
    holidays = ["2026-10-01..2026-10-07"]             # nobody, whatever day it is
    extra    = { "2026-10-10" = "09:00-18:00" }       # instead of the week's, and of a holiday

    a day's hours     those of `extra`, else none on a holiday, else those of its weekday
    open at t         t is within one of today's, or of one that began yesterday over midnight
    daylight saving   the wall clock decides: an hour that comes twice counts twice, and one
                      that is left out has none

Time comes in as milliseconds since 1970 UTC; leap seconds are not known.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from cluster.toml_source import did_you_mean, shown

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MINUTES = 24 * 60
SPANS_MAX = 8
"""Times of one day."""
DATES_MAX = 1_000
"""Holidays and extra days of one table: some years of them."""
_MINUTE_MS = 60_000
_LAST_MINUTE = 253_402_214_400_000 // _MINUTE_MS
"""A day before the end of the year 9999, which every zone can say."""

_SPAN = re.compile(r"(\d\d):(\d\d)\s*-\s*(\d\d):(\d\d)", re.ASCII)
_DATES = re.compile(r"(\d{4}-\d\d-\d\d)(?:\s*\.\.\s*(\d{4}-\d\d-\d\d))?", re.ASCII)

Span = tuple[int, int]
"""From and until, in minutes of a day; `until` below `from` is of the next day."""


@dataclass(frozen=True, slots=True)
class Hours:
    """The hours of one place."""

    name: str
    zone: str = "UTC"
    week: tuple[tuple[Span, ...], ...] = ((),) * 7
    """From Monday."""
    holidays: frozenset[date] = frozenset()
    extra: Mapping[date, tuple[Span, ...]] = field(default_factory=dict)

    def is_open(self, now_ms: int) -> bool:
        """Say whether it is open at `now_ms`."""
        local = local_time(now_ms, self.zone)
        minute = local.hour * 60 + local.minute
        today = local.date()
        for start, end in self.of_day(today):
            if start <= minute and (minute < end or end < start):
                return True
        yesterday = today - timedelta(days=1)
        return any(minute < end < start for start, end in self.of_day(yesterday))

    def of_day(self, day: date) -> tuple[Span, ...]:
        """Return the hours that begin on `day`."""
        if day in self.extra:
            return self.extra[day]
        return () if day in self.holidays else self.week[day.weekday()]


def local_time(now_ms: int, zone: str) -> datetime:
    """Return the wall clock of `zone`, to the minute; times beyond the calendar are its end."""
    return _local_minute(min(max(now_ms // _MINUTE_MS, 0), _LAST_MINUTE), zone)


@lru_cache(maxsize=256)
def _local_minute(minute: int, zone: str) -> datetime:
    return datetime.fromtimestamp(minute * 60, UTC).astimezone(ZoneInfo(zone))


def is_zone(name: str) -> bool:
    """Whether there is a time zone of this name."""
    return name in _zones()


def zone_mend(name: str) -> str:
    """Return how to mend a wrong name of a time zone."""
    if "beijing" in name.lower() or "peking" in name.lower():
        return 'the zone of Beijing is "Asia/Shanghai"'
    city = [zone for zone in _zones() if zone.lower().endswith(f"/{name.lower()}")]
    mend = did_you_mean(name, city or _zones())
    return mend if mend.startswith("did") else 'use a name such as "Asia/Shanghai"'


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def parse_days(text: str) -> list[int]:
    """Return the days of "mon", "mon-fri" or "sat, sun", Monday as 0.  Raises `ValueError`."""
    days: list[int] = []
    for part in text.lower().split(","):
        first, dash, last = (word.strip() for word in part.partition("-"))
        last = last if dash else first
        if first not in DAYS or last not in DAYS:
            raise ValueError(f"{shown(repr(text))} is no day of the week")
        start, end = DAYS.index(first), DAYS.index(last)
        days += [day % 7 for day in range(start, end + 1 if end >= start else end + 8)]
    return days


def parse_spans(value: Any) -> tuple[Span, ...]:
    """Return the hours of "09:00-12:00, 13:00-18:00"; of "closed" none.  Raises `ValueError`."""
    if not isinstance(value, str):
        raise ValueError(f"{shown(repr(value))} are no hours")
    if value.strip() == "closed":
        return ()
    spans = tuple(_span(part.strip(), value) for part in value.split(","))
    if len(spans) > SPANS_MAX:
        raise ValueError(f"more than {SPANS_MAX} times in a day")
    return spans


def _span(part: str, whole: str) -> Span:
    found = _SPAN.fullmatch(part)
    if found is None:
        raise ValueError(f"{shown(repr(whole))} are no hours")
    hour, minute, end_hour, end_minute = map(int, found.groups())
    start, end = hour * 60 + minute, end_hour * 60 + end_minute
    if minute > 59 or end_minute > 59 or start >= DAY_MINUTES or end > DAY_MINUTES:
        raise ValueError(f"{shown(repr(part))}: a day goes from 00:00 to 24:00")
    if start == end:
        raise ValueError(f"{shown(repr(part))} is no time at all, or the whole day")
    return start, end


def parse_dates(value: Any) -> list[date]:
    """Return the days of "2026-10-01" or "2026-10-01..2026-10-07".  Raises `ValueError`."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return [value]
    found = _DATES.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f"{shown(repr(value))} is no date")
    try:
        first = date.fromisoformat(found[1])
        last = date.fromisoformat(found[2]) if found[2] else first
    except ValueError:
        raise ValueError(f"{shown(repr(value))} is not in the calendar") from None
    days = (last - first).days + 1
    if days < 1:
        raise ValueError(f"{shown(repr(value))} ends before it begins")
    if days > DATES_MAX:
        raise ValueError(f"{shown(repr(value))} is more than {DATES_MAX} days")
    return [first + timedelta(days=number) for number in range(days)]
