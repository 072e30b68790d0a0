import numpy as np
import pyarrow as pa
import pytest

from kfp_tabular.components.common.statistics.batch_scan import MOST_CODES, BatchScan


def scanned(batch_rows: int = 7, **splits: pa.Table) -> BatchScan:
    scan = BatchScan()
    for split, table in splits.items():
        scan.start_split(split, table.num_rows)
        for batch in table.to_batches(max_chunksize=batch_rows):
            scan.add(batch)
    return scan


def formats(texts: list[str | None]) -> list[str]:
    scan = scanned(train=pa.table({"when": pa.array(texts, pa.string())}), batch_rows=2)
    return [time.string_format for time in scan.times.get("when", [])]


@pytest.mark.parametrize(
    ("texts", "best"),
    [
        (["2024-02-29", None, "1999-12-31"], "%Y-%m-%d"),
        (["2024-02-29 23:59", "2024-02-29 00:00"], "%Y-%m-%d %H:%M"),
        (["2024-02-29 23:59:01"], "%Y-%m-%d %H:%M:%S"),
        (["2024-02-29T23:59:01Z"], "%Y-%m-%dT%H:%M:%SZ"),
        (["2024-02-29T23:59:01+02:00", "2024-02-29T23:59:01-0930"], "%Y-%m-%dT%H:%M:%S%z"),
        # Whole seconds among fractions, in either order, over batches.
        (["2024-02-29 23:59:01"] * 5 + ["2024-02-29 23:59:01.25"], "%Y-%m-%d %H:%M:%S.%f"),
        (["2024-02-29 23:59:01.25"] + ["2024-02-29 23:59:01"] * 5, "%Y-%m-%d %H:%M:%S.%f"),
    ],
)
def test_points_in_time_are_recognised(texts, best):
    assert formats(texts)[0] == best


@pytest.mark.parametrize(
    "texts",
    [
        ["2024-13-01"],
        ["2024-02-29", "soon"],
        ["2024-02-29"] * 30 + ["n/a"],
        ["2024-02-29", "2024-02-29 10:00:00"],
        ["2024-02-29 10:00:00", "2024-02-29T10:00:00"],
        ["29.02.2024"],
        ["2024-02-29 10:00:00\n"],
        [None, None],
    ],
)
def test_anything_else_is_text(texts):
    assert formats(texts) == []


def test_codes_are_counted_by_split():
    scan = scanned(
        train=pa.table({"a": [1, 2, 2, None] * 10, "b": range(40)}),
        eval=pa.table({"a": [3, 3], "b": [1, 2]}),
    )
    assert scan.codes["a"] == {"train": {1: 10, 2: 20}, "eval": {3: 2}}
    assert scan.codes["b"]["eval"] == {1: 1, 2: 1}


def test_many_distinct_values_in_any_split_are_not_codes():
    few, many = list(range(50)), list(range(50, 51 + MOST_CODES))
    scan = scanned(
        train=pa.table({"a": few}), eval=pa.table({"a": many}), test=pa.table({"a": few})
    )
    assert scan.codes == {}
    scan = scanned(train=pa.table({"a": few}), eval=pa.table({"a": list(range(50, 101))}))
    assert scan.codes == {}, "together they are more than 100"
    wide = pa.table({"a": np.arange(5000)})
    assert scanned(batch_rows=5000, train=wide).codes == {}


def test_the_sample_is_spread_evenly_and_finite():
    values = np.arange(100_000, dtype=np.float64)
    values[::1000] = np.inf
    table = pa.table(
        {"x": pa.array(values, mask=np.arange(100_000) % 50 == 3), "text": ["t"] * 100_000}
    )
    sample = scanned(batch_rows=999, train=table).samples["train"]
    assert list(sample) == ["x"]
    x = sample["x"]
    assert 10_000 < len(x) <= 20_000
    assert np.isfinite(x).all()
    assert np.quantile(x, [0.25, 0.5, 0.75]) == pytest.approx([25_000, 50_000, 75_000], rel=0.01)
