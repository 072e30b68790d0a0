import pytest

from kfp_tabular.components.common.statistics.distances import Distance
from kfp_tabular.components.data_validation import anomalies
from kfp_tabular.components.data_validation.anomalies import Anomaly


def anomaly(severity="error", column="x", split="train", kind="missing values", rows=1) -> Anomaly:
    return Anomaly(severity, column, split, kind, "a value in every row", "empty", rows, 10)


def test_a_message_is_one_line_with_everything():
    assert anomaly().message == (
        "column 'x' in split train: missing values: expected a value in every row, found empty "
        "(1 of 10 rows)"
    )
    whole = Anomaly("warning", "", "", "odd", "even", "odd")
    assert whole.message == "the data: odd: expected even, found odd"


def test_errors_come_first_then_more_rows():
    few, many, warning = anomaly(rows=1), anomaly(rows=5), anomaly("warning", rows=9)
    assert anomalies.by_severity([warning, few, many]) == [many, few, warning]


@pytest.mark.parametrize(
    ("found", "fail_on", "valid", "fails"),
    [
        ([], "error", True, False),
        ([], "warning", True, False),
        (["warning"], "error", True, False),
        (["warning"], "warning", False, True),
        (["warning"], "never", True, False),
        (["warning", "error"], "error", False, True),
        (["error"], "never", False, False),
    ],
)
def test_what_fails_and_what_is_valid(found, fail_on, valid, fails):
    made = [anomaly(severity) for severity in found]
    assert anomalies.is_valid(made, fail_on) == valid
    assert bool(anomalies.failure(made, fail_on)) == fails


def test_the_failure_names_the_first_and_counts_the_rest():
    made = [anomaly(column=f"c{i}", rows=9 - i) for i in range(5)] + [anomaly("warning", "w")]
    line = anomalies.failure(anomalies.by_severity(made), "error")
    assert line.startswith("the data have 5 errors: column 'c0' in split train")
    assert "; and 2 more." in line
    assert "'w'" not in line
    assert "5 errors and 1 warning" in anomalies.failure(made, "warning")
    assert "\n" not in line


def test_a_distance_above_its_threshold_is_an_anomaly():
    far = Distance("code", "eval", "skew", "L_INFTY", 0.2, threshold=0.1)
    assert anomalies.from_distance(far).message == (
        "column 'code' in split eval: skew against the train split: expected L-infinity distance "
        "at most 0.1, found 0.2"
    )
