import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tensorflow_metadata.proto.v0 import schema_pb2

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.statistics.column_summary import ColumnSummary
from kfp_tabular.components.common.statistics.text_times import TEXT_TIME_FORMATS
from kfp_tabular.components.common.values.column_format import ColumnFormat, TimeFormat
from kfp_tabular.components.data_validation import given_schema, schema_features, schema_inference

from .conftest import repeated


def texts(*counts: tuple[str, int], missing: int = 0, distinct: int | None = None) -> ColumnSummary:
    rows = sum(number for _, number in counts) + missing
    return ColumnSummary(
        rows=rows,
        missing=missing,
        distinct=len(counts) if distinct is None else distinct,
        ranked=counts,
    )


def whole(values: list[int], rows: int, counted: bool = True) -> ColumnSummary:
    ranked = tuple((str(value), rows // len(values)) for value in values) if counted else ()
    return ColumnSummary(
        rows=rows, missing=0, numeric=True, low=min(values), high=max(values), ranked=ranked
    )


def feature(
    kind: pa.DataType, *splits: ColumnSummary, name: str = "c", **more
) -> schema_pb2.Feature:
    column = schema_inference.ColumnEvidence(name, kind, splits, **more)
    (made,) = schema_inference.infer([column], "label").feature
    return made


def test_texts_that_repeat_have_a_domain_over_all_splits():
    made = feature(pa.string(), texts(("b", 50), ("a", 3)), texts(("c", 2), missing=1))
    assert list(made.string_domain.value) == ["a", "b", "c"]


@pytest.mark.parametrize(
    "split",
    [
        texts(*[(f"v{i}", 1) for i in range(50)]),  # as many values as rows: names, not categories
        texts(*[(f"v{i}", 100) for i in range(101)]),  # too many
        texts(("a", 100), ("b", 50), distinct=5000),  # not all of them are known
        texts(("a", 100), ("__LARGE_BYTES__", 50)),  # one of them is not what it says
    ],
)
def test_other_texts_have_none(split):
    assert feature(pa.string(), split).WhichOneof("domain_info") is None


@pytest.mark.parametrize(
    ("values", "rows", "kind"),
    [
        ([0, 1], 10, "bool_domain"),
        ([101, 108, 212], 300, "int_domain"),
        ([101, 108, 212], 12, None),  # four rows per value: the next file brings a fourth
        (list(range(1, 13)), 1200, None),  # counts
        (list(range(0, 30_000, 1000)), 30_000, None),  # amounts
        ([1, 2], 10, None),
    ],
)
def test_whole_numbers_that_are_codes(values, rows, kind):
    made = feature(pa.int64(), whole(values, rows))
    assert made.WhichOneof("domain_info") == kind
    if kind == "int_domain":
        domain = made.int_domain
        assert (domain.min, domain.max, domain.is_categorical) == (min(values), max(values), True)


@pytest.mark.parametrize(
    ("name", "low", "high", "unit"),
    [
        ("trip_start_timestamp", 1.38e9, 1.48e9, "UNIX_SECONDS"),
        ("createdAt", 1.6e12, 1.7e12, "UNIX_MILLISECONDS"),
        ("event time", 1.6e15, 1.7e15, "UNIX_MICROSECONDS"),
        ("ts", 1.6e18, 1.7e18, "UNIX_NANOSECONDS"),
        ("amount", 1.38e9, 1.48e9, None),  # the name does not suggest a time
        ("trip_time", 0, 90_000, None),  # a duration
        ("time", 1e9, 1.7e12, None),  # seconds and milliseconds mixed
        ("sometimes", 1.38e9, 1.48e9, None),
    ],
)
def test_unix_times_are_told_by_name_and_range(name, low, high, unit):
    summary = whole([int(low), int(high)], 100, counted=False)
    made = feature(pa.int64(), summary, name=name)
    if unit is None:
        assert made.WhichOneof("domain_info") is None
    else:
        units = schema_pb2.TimeDomain.IntegerTimeFormat
        assert units.Name(made.time_domain.integer_format) == unit


def test_times_are_told_by_what_ingestion_found():
    day = TimeFormat(("%d/%m/%Y %H:%M",), canonical="%Y-%m-%d %H:%M:%S")
    summary = texts(("2023-05-10 18:00:00", 40), missing=3)
    made = feature(pa.string(), summary, given=ColumnFormat("time", time=day))
    assert made.time_domain.string_format == "%Y-%m-%d %H:%M:%S"
    count = ColumnFormat("time", time=TimeFormat(unit="milliseconds"))
    made = feature(pa.int64(), whole([1, 2], 40), given=count)
    assert made.time_domain.integer_format == schema_pb2.TimeDomain.UNIX_MILLISECONDS


def test_text_that_was_forced_is_no_time():
    dates = texts(("2023-05-10", 40))
    assert feature(pa.string(), dates, times=TEXT_TIME_FORMATS[:1]).HasField("time_domain")
    forced = ColumnFormat("text")
    made = feature(pa.string(), dates, times=TEXT_TIME_FORMATS[:1], given=forced)
    assert made.WhichOneof("domain_info") == "string_domain"


def test_bags_have_no_domain():
    summary = texts(('["a","b"]', 40), ('["a"]', 40))
    assert feature(pa.string(), summary).WhichOneof("domain_info") == "string_domain"
    made = feature(pa.string(), summary, given=ColumnFormat("bag"))
    assert made.WhichOneof("domain_info") is None


def test_presence_over_all_splits():
    full, gaps, none = texts(("a", 10)), texts(("a", 9), missing=1), texts(missing=10)
    assert schema_features.is_required(feature(pa.string(), full, full))
    made = feature(pa.string(), full, gaps)
    assert not schema_features.is_required(made)
    assert (made.presence.min_count, made.value_count.max) == (1, 1)
    assert feature(pa.string(), full, none).presence.min_count == 0


def test_the_label_is_absent_when_serving():
    columns = [
        schema_inference.ColumnEvidence(n, pa.string(), (texts(("a", 10)),)) for n in ("x", "label")
    ]
    schema = schema_inference.infer(columns, "label")
    assert list(schema.default_environment) == ["TRAINING", "SERVING"]
    assert [list(f.not_in_environment) for f in schema.feature] == [[], ["SERVING"]]
    assert schema_features.is_expected(schema, schema.feature[1])


values = st.none() | st.sampled_from(["a", "b", "", "é"])
tables = st.fixed_dictionaries(
    {
        "text": st.lists(values, min_size=30, max_size=30),
        "code": st.lists(st.none() | st.integers(-3, 3), min_size=30, max_size=30),
        "number": st.lists(st.none() | st.floats(-1e9, 1e9), min_size=30, max_size=30),
    }
)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(tables, min_size=1, max_size=3))
def test_a_fresh_schema_finds_nothing_wrong_with_its_own_data(write_examples, validated, made):
    kinds = {"text": pa.string(), "code": pa.int64(), "number": pa.float64()}
    names = ["train", "eval", "test"][: len(made)]
    splits = {
        split: pa.table({c: pa.array(columns[c], kind) for c, kind in kinds.items()})
        for split, columns in zip(names, made, strict=True)
    }
    done = validated(write_examples(**splits))
    # Only checks that need no schema may find something.
    kinds_found = {a["kind"] for a in done.listed}
    assert kinds_found <= {"no values", "values that split train lacks"}
    assert done.result.is_valid


def test_a_kept_schema_is_checked_before_it_is_used(tmp_path):
    def load(text: str, label: str = "") -> schema_pb2.Schema:
        (tmp_path / "schema.pbtxt").write_text(text)
        return given_schema.load(tmp_path, ["amount", "label"], label)

    assert len(load('feature { name: "x" type: INT }').feature) == 1
    with pytest.raises(UserError, match="has no features"):
        load("")
    with pytest.raises(UserError, match="more than one feature 'x'"):
        load('feature { name: "x" type: INT } feature { name: "x" type: FLOAT }')
    with pytest.raises(UserError, match="'x' has no type"):
        load('feature { name: "x" }')
    with pytest.raises(UserError, match="Did you mean 'label'"):
        load('feature { name: "label" type: INT }', "labels")
    with pytest.raises(UserError, match="not a TensorFlow Metadata schema"):
        load("feature {")


def test_the_schema_does_not_depend_on_the_order_of_the_rows(write_examples, validated):
    table = repeated(600, {"b": ["x", "y", None], "a": list(range(20)), "c": [0.5, 1.5]})
    there = validated(write_examples(train=table)).schema
    order = pa.array(range(table.num_rows - 1, -1, -1))
    back = validated(write_examples("back", train=table.take(order))).schema
    assert there == back
    assert [f.name for f in there.feature] == ["b", "a", "c"]
