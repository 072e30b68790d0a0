from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.common.kubernetes.pods.logs import Cursor

START = datetime(2026, 1, 1, tzinfo=UTC)


def stamp(nanoseconds: int) -> str:
    """Write a time as Go does: without the zeros at the end of the fraction."""
    seconds, rest = divmod(nanoseconds, 10**9)
    fraction = f".{rest:09}".rstrip("0").rstrip(".")
    return f"{START + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}{fraction}Z"


# Steps between lines; many lines have the same time, or the same second.
steps = st.lists(st.sampled_from([0, 0, 1, 999, 10**8, 10**9, 3 * 10**9]), max_size=30)


@given(steps, st.lists(st.integers(0, 30), max_size=6))
def test_each_line_once_however_often_the_stream_breaks(
    given_steps: list[int], breaks: list[int]
) -> None:
    times, now = [], 0
    for step in given_steps:
        now += step
        times.append(now)
    log = [(time, f"line {number}") for number, time in enumerate(times)]
    cursor, shown = Cursor(), []
    for length in [*breaks, len(log)]:
        # The server begins with the whole second of the last line.
        since = 0
        if cursor.time:
            since = next(time for time, _ in log if stamp(time) == cursor.time) // 10**9 * 10**9
        served = [f"{stamp(time)} {text}" for time, text in log if time >= since]
        shown += cursor.new(served[:length])
    assert shown == [text for _, text in log]


def test_lines_without_a_time_pass() -> None:
    cursor = Cursor()
    lines = ["2026-01-01T00:00:00Z a", "unable to retrieve container logs for x", ""]
    assert list(cursor.new(lines)) == ["a", "unable to retrieve container logs for x", ""]
    assert cursor.time == "2026-01-01T00:00:00Z"


def test_a_clock_that_is_set_back_loses_nothing() -> None:
    cursor = Cursor()
    lines = ["2026-01-01T00:00:09Z a", "2026-01-01T00:00:01Z b", "2026-01-01T00:00:02Z c"]
    assert list(cursor.new(lines)) == ["a", "b", "c"]
    assert cursor.time == "2026-01-01T00:00:09Z"


def test_other_time_zones() -> None:
    cursor = Cursor()
    assert list(cursor.new(["2026-01-01T02:00:00.5+02:00 a"])) == ["a"]
    assert list(cursor.new(["2026-01-01T00:00:00.5Z a", "2026-01-01T00:00:00.500000001Z b"])) == [
        "b"
    ]


def test_a_progress_bar_shows_its_last_state() -> None:
    lines = ["2026-01-01T00:00:00Z  1/2 [>   ]\r 2/2 [===]", "2026-01-01T00:00:01Z end\r"]
    assert list(Cursor().new(lines)) == [" 2/2 [===]", "end"]
