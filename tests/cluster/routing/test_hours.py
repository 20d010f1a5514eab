from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.routing.hours import (
    DATES_MAX,
    Hours,
    Span,
    local_time,
    parse_dates,
    parse_days,
    parse_spans,
)

MINUTE_MS = 60_000
ZONES = ["Asia/Shanghai", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "UTC"]


def ms(text: str, zone: str = "UTC", *, fold: int = 0) -> int:
    time = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return int(time.timestamp()) * 1000


def week(**days: str) -> tuple[tuple[Span, ...], ...]:
    of_day = {day: parse_spans(spans) for name, spans in days.items() for day in parse_days(name)}
    return tuple(of_day.get(day, ()) for day in range(7))


OFFICE = Hours(
    "office",
    "Asia/Shanghai",
    (*(((540, 720), (810, 1080)),) * 5, ((1320, 120),), ()),
    frozenset(parse_dates("2026-10-01..2026-10-07")),
    {date(2026, 10, 10): ((540, 1080),), date(2026, 10, 6): ((600, 660),)},
)


@pytest.mark.parametrize(
    ("at", "is_open"),
    [
        ("2026-01-14 08:59", False),
        ("2026-01-14 09:00", True),
        ("2026-01-14 12:00", False),
        ("2026-01-14 13:30", True),
        ("2026-01-14 18:00", False),
        ("2026-01-17 21:59", False),  # Saturday
        ("2026-01-17 22:00", True),
        ("2026-01-18 01:59", True),  # over midnight
        ("2026-01-18 02:00", False),
        ("2026-10-01 10:00", False),  # a holiday
        ("2026-10-08 10:00", True),
        ("2026-10-10 10:00", True),  # a Saturday at work
        ("2026-10-10 23:00", False),  # which has its own hours
        ("2026-10-11 01:00", False),
        ("2026-10-06 10:30", True),  # a holiday with hours of its own
        ("2026-10-06 11:30", False),
    ],
)
def test_an_office_is_open_by_the_clock_on_its_wall(at: str, is_open: bool) -> None:
    assert OFFICE.is_open(ms(at, "Asia/Shanghai")) is is_open


def test_an_hour_that_comes_twice_counts_twice_and_one_that_is_left_out_has_none() -> None:
    office = Hours("o", "Europe/Berlin", (((120, 180),),) * 7)  # 02:00 to 03:00
    night = ms("2026-10-25 00:00", "Europe/Berlin")
    minutes = [minute for minute in range(6 * 60) if office.is_open(night + minute * MINUTE_MS)]
    assert minutes == list(range(120, 240))
    spring = ms("2026-03-29 00:00", "Europe/Berlin")
    assert not any(office.is_open(spring + minute * MINUTE_MS) for minute in range(6 * 60))


def test_a_holiday_ends_what_would_begin_on_it_and_not_what_began_before() -> None:
    office = Hours("o", "UTC", week(**{"mon-sun": "22:00-06:00"}), frozenset({date(2026, 5, 1)}))
    opened = [office.is_open(ms(f"2026-05-0{at}")) for at in ("1 05:00", "1 23:00", "2 05:00")]
    assert opened == [True, False, False]


spans = st.tuples(st.integers(0, 1439), st.integers(0, 1440)).filter(
    lambda span: span[0] != span[1]
)
days = st.lists(spans, max_size=2).map(tuple)
dates = st.dates(date(2026, 1, 1), date(2027, 12, 31))
hours = st.builds(
    Hours,
    st.just("h"),
    st.sampled_from(ZONES),
    st.tuples(*[days] * 7),
    st.frozensets(dates, max_size=3),
    st.dictionaries(dates, days, max_size=3),
)
times = st.integers(ms("2026-01-01") // 60_000, ms("2027-12-31") // 60_000).map(
    lambda minute: datetime.fromtimestamp(minute * 60, UTC)
)
near_changes = st.sampled_from(
    ["2026-03-08", "2026-03-29", "2026-10-25", "2026-11-01", "2026-04-05"]
)


@given(
    one=hours,
    at=st.one_of(
        times,
        st.builds(
            lambda day, minute: (
                datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(minutes=minute)
            ),
            near_changes,
            st.integers(-1440, 2880),
        ),
    ),
)
@settings(max_examples=300, deadline=None)
def test_it_is_open_when_the_wall_clock_is_within_the_hours_of_a_day(
    one: Hours, at: datetime
) -> None:
    """The model writes every span out as wall-clock times, without a zone or modular arithmetic."""
    wall = at.astimezone(ZoneInfo(one.zone)).replace(tzinfo=None)
    expected = False
    for back in (0, 1):
        day = wall.date() - timedelta(days=back)
        midnight = datetime.combine(day, datetime.min.time())
        listed = one.week[day.weekday()] if day not in one.holidays else ()
        for start, end in one.extra.get(day, listed):
            until = end if end > start else end + 1440
            begin = midnight + timedelta(minutes=start)
            expected |= begin <= wall < midnight + timedelta(minutes=until)
    assert one.is_open(int(at.timestamp() * 1000)) is expected


@given(st.integers(), st.sampled_from(ZONES))
def test_any_number_is_some_time(now_ms: int, zone: str) -> None:
    assert 1969 <= local_time(now_ms, zone).year <= 9999


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mon", [0]),
        ("mon-fri", [0, 1, 2, 3, 4]),
        ("sat, sun", [5, 6]),
        ("fri-mon", [4, 5, 6, 0]),
        ("Mon", [0]),
    ],
)
def test_days_are_read(text: str, expected: list[int]) -> None:
    assert parse_days(text) == expected


@pytest.mark.parametrize("text", ["", "-", "monday", "mon-", "-fri", "mon fri", "mon-fri-sun"])
def test_what_is_no_day_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no day of the week"):
        parse_days(text)


@pytest.mark.parametrize("value", ["", "9:00-18:00", "09:00", "09:60-10:00", "24:00-01:00", 9])
def test_what_are_no_hours_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"hours|a day goes"):
        parse_spans(value)


def test_hours_are_read() -> None:
    assert parse_spans("00:00-24:00") == ((0, 1440),)
    assert parse_spans("22:00 - 06:00,09:00-10:00") == ((1320, 360), (540, 600))
    assert parse_spans("closed") == ()


def test_dates_are_read() -> None:
    assert parse_dates("2026-02-27..2026-03-01") == [
        *(date(2026, 2, 27), date(2026, 2, 28), date(2026, 3, 1)),
    ]
    assert parse_dates(date(2026, 1, 1)) == parse_dates("2026-01-01") == [date(2026, 1, 1)]


@pytest.mark.parametrize("value", ["0001-01-01..9999-12-31", "1-1-2026", "2026-01-01..", 5])
def test_what_are_no_dates_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=rf"is no date|more than {DATES_MAX} days"):
        parse_dates(value)
