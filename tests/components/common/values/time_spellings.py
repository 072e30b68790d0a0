"""Spellings of points in time, each with the moment that it means."""

import datetime as dt

from hypothesis import strategies as st

MOMENTS = st.datetimes(dt.datetime(1970, 1, 1), dt.datetime(2068, 12, 31))

DATES = [
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d.%m.%Y",
    "%d-%m-%Y",
    "%d/%m/%y",
    "%m/%d/%y",
    "%d.%m.%y",
    "%y-%m-%d",
    "%Y%m%d",
    "%d %b %Y",
    "%d %B %Y",
    "%d-%b-%y",
    "%d-%b-%Y",
    "%b %d, %Y",
    "%B %d, %Y",
    "%a, %d %b %Y",
    "%A %d %B %Y",
    "%Y-%b-%d",
    "%d%b%Y",
]
CLOCKS = {
    "": dt.timedelta(days=1),
    " %H:%M": dt.timedelta(minutes=1),
    "T%H:%M": dt.timedelta(minutes=1),
    " %H:%M:%S": dt.timedelta(seconds=1),
    "T%H:%M:%S": dt.timedelta(seconds=1),
    " %H:%M:%S.%f": dt.timedelta(microseconds=1),
    " %I:%M %p": dt.timedelta(minutes=1),
    " %I:%M:%S%p": dt.timedelta(seconds=1),
}
ZONES = {
    "": 0,
    "Z": 0,
    " UTC": 0,
    "+00:00": 0,
    "+01:00": 60,
    "-0530": -330,
    " GMT+2": 120,
    " EST": -300,
}
OTHER_FORMATS = {
    "%Y%m%d%H%M%S": dt.timedelta(seconds=1),
    "%Y%m%dT%H%M": dt.timedelta(minutes=1),
    "%a %b %d %H:%M:%S %Y": dt.timedelta(seconds=1),
    "%F %T": dt.timedelta(seconds=1),
    "on %d of %m in %Y": dt.timedelta(days=1),
}

ODD = st.one_of(
    st.sampled_from(
        [
            "",
            "soon",
            "0000-00-00",
            "31/02/2023",
            "02/31/2023",
            "2023-13-01",
            "2023-02-29",
            "2023-01-01 24:00",
            "2023-01-01 10:61",
            "2023-01-01T10:00+25:00",
            "2023-01-01 13:00 PM",
            "2023-01-01 0:30 AM",
            "1.2.13",
            "12345678901234567890",
            "0000-01-01",
            "0001-01-01T00:00+01:00",
            "9999-12-31T23:59:59.999999-01:00",
            "2023-01-01 10:00:60",
            "\u0661\u0662/05/2023",
            "2023-01-01\n",
            "5 \u017fep 2023",
        ]
    ),
    st.text(st.sampled_from("0123456789-/.: TZ+"), max_size=20),
    st.text(max_size=10),
)


@st.composite
def spellings(draw: st.DrawFn) -> tuple[str, list[tuple[str, dt.datetime, int]]]:
    """Draw a format, and texts in it: each with its moment, as written, and its offset."""
    written = draw(st.sampled_from([*DATES, *OTHER_FORMATS]))
    clock, zone = "", ""
    if written in DATES:
        clock = draw(st.sampled_from(list(CLOCKS)))
        zone = draw(st.sampled_from(list(ZONES))) if clock else ""
    step = CLOCKS[clock] if written in DATES else OTHER_FORMATS[written]
    found = []
    for moment in draw(st.lists(MOMENTS, min_size=1, max_size=5)):
        whole = moment - (moment - dt.datetime(1970, 1, 1)) % step
        found.append((whole.strftime(written + clock) + zone, whole, ZONES[zone]))
    return written + clock + ("%z" if zone else ""), found
