import math
from dataclasses import replace

import numpy as np
import pytest
from tensorflow_metadata.proto.v0 import schema_pb2

from kfp_tabular.components.common.statistics.column_summary import ColumnSummary
from kfp_tabular.components.common.statistics.distances import Distance
from kfp_tabular.components.data_validation import column_charts, validation_report
from kfp_tabular.components.data_validation.anomalies import Anomaly
from kfp_tabular.components.data_validation.column_charts import bin_edges
from kfp_tabular.components.data_validation.report_content import ReportContent

RANDOM = np.random.default_rng(3)


def content(columns: int, anomalies=(), distances=(), label="") -> ReportContent:
    """Columns by turns of decimals, whole-number codes, and text."""
    schema = schema_pb2.Schema()
    names = [f"column {i}" for i in range(columns)]
    summaries, samples = (
        {"train": {}, "eval": {}, "test": {}},
        {"train": {}, "eval": {}, "test": {}},
    )
    texts = tuple((f"a rather long text {i}", 30 - i) for i in range(30))
    codes = tuple((str(i), 40) for i in range(24))
    for i, name in enumerate(names):
        kind = i % 3
        schema.feature.add(
            name=name, type=[schema_pb2.FLOAT, schema_pb2.INT, schema_pb2.BYTES][kind]
        )
        for split, found in summaries.items():
            if kind == 0:
                made = ColumnSummary(1000, 0, 0, True, -1.5, 9.25, 3.5, 1, 3, 10)
                samples[split][name] = RANDOM.lognormal(0, 2, 500)
            elif kind == 1:
                made = ColumnSummary(1000, 40, 0, True, 0, 23, 11, 7, 12, 40, 24, codes)
            else:
                made = ColumnSummary(1000, 500, distinct=30, ranked=texts)
            found[name] = made
    return ReportContent(
        label=label,
        rows=dict.fromkeys(summaries, 1000),
        columns=names,
        schema=schema,
        schema_uri="",
        summaries=summaries,
        samples=samples,
        changes=[],
        distances=distances,
        anomalies=anomalies,
        is_valid=not anomalies,
    )


def test_two_thousand_columns_stay_below_ten_megabytes():
    page = validation_report.page(content(2000))
    assert page.count("<article") == 2000
    assert page.count("<svg") == 2000
    assert len(page.encode()) < 10_000_000


def test_the_summary_comes_first():
    page = validation_report.page(content(2))
    sections = [text.partition("<")[0] for text in page.split("<h2>")[1:]]
    assert sections[0] == "Summary"
    assert sections[-1] == "Columns (2)"


def test_columns_beyond_what_can_be_drawn_are_still_listed():
    page = validation_report.page(content(2600))
    assert page.count("<article") == 2600
    assert page.count("<svg") == 2500


def test_the_label_comes_first_then_columns_with_anomalies():
    bad = Anomaly("error", "column 7", "train", "odd", "<even>", "odd", 3, 1000)
    page = validation_report.page(content(12, [bad], label="column 5"))
    columns = page[page.index("<h2>Columns") :]
    order = [columns.index(f"<h3>column {i}<") for i in (5, 7, 0, 1)]
    assert order == sorted(order)
    assert "&lt;even&gt;" in page
    assert "not valid" in page
    assert "0.30%" in page


def test_a_long_list_of_anomalies_is_cut_with_a_note():
    many = [Anomaly("warning", f"c{i}", "", "odd", "even", "odd") for i in range(700)]
    page = validation_report.page(content(3, many))
    assert "The first 500 of 700; anomalies.json holds all of them." in page


def test_the_largest_distances_come_first():
    distances = [
        Distance(f"column {i}", "eval", "skew", "L_INFTY", i / 100, 0.5 if i == 3 else None)
        for i in range(40)
    ]
    too_far = Distance("column 1", "test", "drift", "L_INFTY", 0.2, 0.1)
    page = validation_report.page(content(3, distances=[*distances, too_far]))
    part = page[page.index("Skew and drift") : page.index("<h2>Columns")]
    assert part.index("too far") < part.index("0.39")
    assert "26 more" in part
    assert "within" in part


@pytest.mark.parametrize(
    ("values", "low", "high"),
    [
        (np.array([5.0]), 4.5, 5.5),
        (np.zeros(10), -0.5, 0.5),
        (np.arange(101.0), 0, 100),
        (np.array([1e300, -1e300]), -1e300, 1e300),
        (np.array([2.0**53, 2.0**53 + 2]), 2.0**53, 2.0**53 + 2),
    ],
)
def test_bins_hold_all_values_of_a_plain_column(values, low, high):
    edges = bin_edges([values], 16)
    assert edges[0] <= low
    assert edges[-1] >= high or math.isclose(edges[-1], high)
    assert (np.diff(edges) > 0).all()
    assert np.histogram(values, edges)[0].sum() == len(values)


def test_far_outliers_do_not_decide_the_bins():
    values = np.concatenate([RANDOM.normal(size=1000), [1e9, -1e9]])
    edges = bin_edges([values], 16)
    assert -10 < edges[0] < -2
    assert 2 < edges[-1] < 10


def test_the_title_names_the_label():
    assert "<h1>Data validation: column 1</h1>" in validation_report.page(
        content(2, label="column 1")
    )
    assert "<h1>Data validation</h1>" in validation_report.page(content(2))


def test_points_in_time_are_drawn_over_days():
    day = 86_400.0
    times = {"train": {"column 2": np.arange(400) * day}, "eval": {"column 2": np.array([day])}}
    page = validation_report.page(replace(content(3), times=times))
    part = page[page.index("<h3>column 2") :]
    assert "class='area s0'" in part
    assert ">1970-07</text>" in part
    assert "1970-01-01" in part
    assert "1971-02-04" in part
    assert "a rather long text" not in part


def test_an_identifier_is_one_line():
    page = validation_report.page(replace(content(3), identifiers={"column 2": "row"}))
    part = page[page.index("<h3>column 2") :]
    assert "Identifier of rows: 30 distinct values in 500 rows" in part
    assert "for example a rather long text 0" in part
    assert "<svg" not in part
    assert "<table" not in part


def test_codes_far_apart_show_the_most_frequent_and_tell_it():
    # 20 postal codes; the highest is the most frequent.
    codes = tuple((str(10_000 + 500 * i), 1 + i) for i in reversed(range(20)))
    rows = sum(count for _, count in codes)
    low, high = 10_000, 19_500
    column = ColumnSummary(rows, 0, 0, True, low, high, 15_000, 3_000, 15_000, rows, 20, codes)
    shown = replace(content(1), summaries={"train": {"code": column}}, samples={"train": {}})
    chart = column_charts.chart(shown, "code", many=False)
    assert chart is not None
    assert ">19500<" in chart
    assert ">10000<" not in chart
    assert "the 12 most frequent of 20 values" in chart
