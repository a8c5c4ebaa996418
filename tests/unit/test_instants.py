"""Instants: every accepted time against arithmetic of our own, every impossible one refused."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal_hooks.instants import format_instant, now_instant, parse_instant

NOON = 1_780_920_000_000_000
"""2026-06-08T12:00:00Z."""


def days_since_1970(year: int, month: int, day: int) -> int:
    """Counted year by year and month by month."""
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    months = [31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    before = (year - 1) * 365 + (year - 1) // 4 - (year - 1) // 100 + (year - 1) // 400
    return before + sum(months[: month - 1]) + day - 1 - 719_162


@given(
    st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)),
    st.integers(-23 * 60 - 59, 23 * 60 + 59),
    st.integers(0, 9),
    st.sampled_from("Tt"),
)
def test_any_time_with_an_offset(moment: datetime, offset: int, digits: int, separator: str) -> None:
    fraction = f"{moment.microsecond:06}000"[:digits]
    sign, minutes = "-" if offset < 0 else "+", abs(offset)
    date, time = moment.isoformat(timespec="seconds").split("T")
    text = f"{date}{separator}{time}{'.' if fraction else ''}{fraction}"
    text += f"{sign}{minutes // 60:02}:{minutes % 60:02}"
    seconds = days_since_1970(moment.year, moment.month, moment.day) * 86_400
    seconds += moment.hour * 3600 + moment.minute * 60 + moment.second - offset * 60
    assert parse_instant(text) == seconds * 1_000_000 + int(f"{fraction}000000"[:6])


@given(st.datetimes(timezones=st.just(UTC)))
def test_text_and_instant_go_back_and_forth(moment: datetime) -> None:
    instant = parse_instant(moment.isoformat().replace("+00:00", "Z"))
    text = format_instant(instant)
    assert parse_instant(text) == instant
    assert text == moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-06-08T12:00:00Z", NOON),
        ("2026-06-08t12:00:00z", NOON),
        ("2026-06-08T12:00:00-00:00", NOON),
        ("2026-06-08T17:45:00+05:45", NOON),
        ("2026-06-08T12:00:00.1Z", NOON + 100_000),
        ("2026-06-08T12:00:00.123456Z", NOON + 123_456),
        ("2026-06-08T12:00:00.1234569Z", NOON + 123_456),
        ("2026-06-08T12:00:00." + "9" * 30 + "Z", NOON + 999_999),
        ("1969-12-31T23:59:59.999999Z", -1),
        ("2024-02-29T00:00:00Z", 1_709_164_800_000_000),
        ("9999-12-31T23:59:59.999999Z", 253_402_300_799_999_999),
        ("0001-01-01T00:00:00Z", -62_135_596_800_000_000),
    ],
)
def test_known_times(text: str, instant: int) -> None:
    assert parse_instant(text) == instant


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-06-08",
        "2026-06-08T12:00:00",
        "2026-06-08T12:00Z",
        "2026-06-08 12:00:00Z",
        "20260608T120000Z",
        "2026-W24-1T12:00:00Z",
        "2026-6-8T12:00:00Z",
        "26-06-08T12:00:00Z",
        "02026-06-08T12:00:00Z",
        "-2026-06-08T12:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "2026-06-08T24:00:00Z",
        "2026-06-08T12:60:00Z",
        "2026-06-30T23:59:60Z",
        "2026-06-08T12:00:00+24:00",
        "2026-06-08T12:00:00+05:60",
        "2026-06-08T12:00:00+0545",
        "2026-06-08T12:00:00+05",
        "2026-06-08T12:00:00.Z",
        "2026-06-08T12:00:00,5Z",
        "2026-06-08T12:00:00." + "9" * 31 + "Z",
        "2026-06-08T12:00:00Z\n",
        " 2026-06-08T12:00:00Z",
        "٢٠٢٦-06-08T12:00:00Z",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
    ],
)
def test_what_is_no_instant_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(must|is not)") as refused:
        parse_instant(text)
    assert "2026-06-08T12:00:00.123Z" in str(refused.value) or "2026" not in str(refused.value)


def test_now_is_now() -> None:
    far_east = datetime.now(timezone(timedelta(hours=14)))
    assert abs(now_instant() - parse_instant(far_east.isoformat())) < 60_000_000
