"""The metrics file, as Katib's collector reads it."""

import math
import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.training.loop import metrics_writer

# DefaultFilter in pkg/metricscollector/v1beta1/common/const.go, with Go's ASCII classes.
FILTER = re.compile(r"([\w|-]+)\s*=\s*([+-]?\d*(\.\d+)?([Ee][+-]?\d+)?)", re.ASCII)
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]{0,20}", fullmatch=True)


def collected(line):
    """Return what the collector reads from a line; a value that is not a number ends it."""
    return [(match[1].strip(), float(match[2].strip())) for match in FILTER.finditer(line)]


@given(st.dictionaries(NAMES, st.floats(), min_size=1, max_size=6))
def test_every_finite_value_is_collected_and_nothing_else(values):
    line = f"2026-01-02T03:04:05.000006Z {metrics_writer.katib_line(values)}"
    found = collected(line)
    expected = [(name, value) for name, value in values.items() if math.isfinite(value)]
    assert [name for name, _ in found] == [name for name, _ in expected]
    for (_, read), (_, written) in zip(found, expected, strict=True):
        assert read == pytest.approx(written, rel=1e-7)


@pytest.mark.parametrize(
    ("value", "text"),
    [(1e-5, "1e-05"), (1.5e300, "1.5e+300"), (-7.53e-5, "-7.53e-05"), (12.0, "12"), (0.0, "0")],
)
def test_numbers_as_they_are_written(value, text):
    assert metrics_writer.katib_line({"loss": value}) == f"loss={text}"


def entry(step, **values):
    return {"step": float(step), "eval_auc": 0.5 + step / 1000, **values}


def test_lines_start_with_the_time(tmp_path):
    now = datetime(2026, 1, 2, 4, 4, 5, 6, tzinfo=timezone(timedelta(hours=1)))
    file = tmp_path / "deep" / "metrics.txt"
    with metrics_writer.MetricsWriter(None, file, now=lambda: now) as writing:
        writing.write(entry(10, train_loss=math.nan))
        writing.close_with({"eval_auc": 0.51, "train_auc": math.inf})
    first, second = file.read_text().splitlines()
    assert first == "2026-01-02T03:04:05.000006Z step=10 eval_auc=0.51"
    assert second == "2026-01-02T03:04:05.000006Z eval_auc=0.51"
    assert datetime.fromisoformat(first.partition(" ")[0]).tzinfo == UTC


def test_a_resumed_run_reports_each_step_once(tmp_path):
    """In the same pod the file still exists; in another one it must be restored."""
    history = [entry(10), entry(20)]
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    with metrics_writer.MetricsWriter(None, here) as writing:
        for values in [*history, entry(30)]:
            writing.write(values)
    # Cut off by the kill.
    with here.open("a") as stream:
        stream.write("2026-01-02T03:04:05.000006Z step=4")
    for file in (here, elsewhere):
        with metrics_writer.MetricsWriter(None, file) as writing:
            writing.resume(history)
            for step in (30, 40):
                writing.write(entry(step))
        whole = [line for line in file.read_text().splitlines() if "eval_auc" in line]
        assert [int(dict(collected(line))["step"]) for line in whole] == [10, 20, 30, 40]


def test_processes_that_write_nothing(tmp_path):
    with metrics_writer.MetricsWriter(
        tmp_path / "logs", tmp_path / "metrics", writes=False
    ) as writing:
        writing.resume([entry(1)])
        writing.write(entry(2))
        writing.close_with({"eval_auc": 1.0})
    assert not list(tmp_path.iterdir())
