"""Data against a given schema: the column, what was expected, and the number of rows."""

import pyarrow as pa
import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

SCHEMA = """
feature { name: "kind" type: BYTES presence { min_fraction: 1 min_count: 1 }
  shape { dim { size: 1 } } string_domain { value: "a" value: "b" } }
feature { name: "hour" type: INT presence { min_count: 1 } value_count { min: 1 max: 1 }
  int_domain { min: 0 max: 23 is_categorical: true } }
feature { name: "flag" type: INT bool_domain {} }
feature { name: "fare" type: FLOAT float_domain { min: 0 } }
feature { name: "note" type: BYTES }
"""


def good(rows: int = 100) -> dict[str, list]:
    return {
        "kind": ["a", "b"] * (rows // 2),
        "hour": [i % 24 for i in range(rows)],
        "flag": [i % 2 for i in range(rows)],
        "fare": [i / 4 for i in range(rows)],
        "note": [f"n{i}" for i in range(rows)],
    }


@pytest.fixture
def checked(tmp_path, write_examples, validated):
    """Validate rows against SCHEMA."""

    def run(text=SCHEMA, **columns):
        (tmp_path / "schema.pbtxt").write_text(text)
        table = pa.table({**good(), **columns})
        third = table.num_rows * 2 // 3
        examples = write_examples(train=table.slice(0, third), eval=table.slice(third))
        return validated(examples, schema_uri=str(tmp_path / "schema.pbtxt"))

    return run


def changed(name: str, values: dict[int, object]) -> list:
    column = list(good()[name])
    for row, value in values.items():
        column[row] = value
    return column


def test_good_data_pass_and_the_schema_is_handed_on(checked):
    done = checked()
    assert done.listed == []
    assert done.result.is_valid
    assert done.schema == text_format.Parse(SCHEMA, schema_pb2.Schema())


@pytest.mark.parametrize(
    ("column", "kind", "train", "wanted"),
    [
        (
            {"kind": changed("kind", {0: "c", 1: "c", 2: "d", 90: "c"})},
            "values outside the domain",
            3,
            ("2 values: 'a', 'b'", "'c', 'd'"),
        ),
        (
            {"hour": changed("hour", {5: 24, 6: -1, 99: 77})},
            "values outside the domain",
            2,
            ("codes 0 to 23", "'-1', '24'"),
        ),
        ({"flag": changed("flag", {5: 2})}, "values outside the domain", 1, ("0 or 1", "'2'")),
        ({"fare": changed("fare", {5: -0.5})}, "values outside the domain", 1, ("0 to ", "'-0.5'")),
        (
            {"kind": changed("kind", {0: None, 1: None})},
            "missing values",
            2,
            ("a value in every row", "empty"),
        ),
        (
            {"hour": [*changed("hour", {})[:98], None, None]},
            "missing values",
            None,
            (),
        ),
    ],
)
def test_what_the_schema_forbids(checked, column, kind, train, wanted):
    done = checked(**column)
    (name,) = column
    found = done.found(kind)
    if train is None:
        assert not found, "an optional column may have gaps"
        return
    anomaly = found[name, "train"]
    assert (anomaly["rows"], anomaly["total"], anomaly["severity"]) == (train, 66, "error")
    assert (anomaly["expected"], anomaly["found"]) == wanted
    assert {a["kind"] for a in done.listed} == {kind}
    assert not done.result.is_valid
    assert repr(name) in done.result.failure
    assert wanted[0] in done.result.failure
    info = done.anomalies("train").anomaly_info[name]
    assert info.severity == info.ERROR
    assert anomaly["message"] in info.description


def test_the_line_to_fail_with_adds_the_splits_up(checked):
    done = checked(kind=changed("kind", {0: "c", 1: "c", 90: "c"}))
    assert done.result.failure.startswith(
        "the data have 2 errors: column 'kind' in split train, eval: values outside the domain: "
        "expected 2 values: 'a', 'b', found 'c' (3 of 100 rows)."
    )


@pytest.mark.parametrize(
    ("column", "rows", "found"),
    [
        ({"fare": [str(v) for v in good()["fare"][:97]] + ["n/a", "1,5", None]}, 2, "'1,5', 'n/a'"),
        ({"hour": [*map(str, good()["hour"][:99]), "1.5"]}, 1, "'1.5'"),
        ({"hour": [*map(float, good()["hour"][:98]), 1.5, float("nan")]}, 2, "'1.5', 'nan'"),
        ({"note": [0.5] * 100}, 34, "'0.5'"),
    ],
)
def test_values_of_another_type(checked, column, rows, found):
    done = checked(**column)
    (name,) = column
    anomaly = done.found("wrong type")[name, "eval"]
    assert anomaly["rows"] == rows
    assert anomaly["found"].endswith(f"such as {found}")
    kinds = {a["kind"] for a in done.listed}
    assert kinds <= {"wrong type", "not a number"}, "one thing is reported once"


@pytest.mark.parametrize(
    "column",
    [
        {"fare": [i % 7 for i in range(100)]},  # whole numbers, where numbers are expected
        {"fare": [str(i / 2) for i in range(100)]},
        {"hour": [float(i % 24) for i in range(100)]},
        {"hour": pa.nulls(100, pa.string())},  # a column without values has no type of its own
        {"note": list(range(100))},
    ],
)
def test_another_type_that_the_model_would_take(checked, column):
    done = checked(**column)
    assert "wrong type" not in {a["kind"] for a in done.listed}
    assert all(change not in done.page for change in ("<span class='badge neutral'>type</span>",))


def test_columns_that_come_and_go(tmp_path, write_examples, validated):
    (tmp_path / "schema.pbtxt").write_text(SCHEMA)
    table = pa.table(good()).drop(["kind", "note"]).append_column("kinds", pa.array(["a"] * 100))
    done = validated(write_examples(train=table), schema_uri=str(tmp_path))
    missing, new = done.found("missing column"), done.found("new column")
    assert missing["kind", ""]["severity"] == "error"
    assert missing["kind", ""]["rows"] == 100
    assert "Did you mean 'kinds'?" in missing["kind", ""]["found"]
    assert missing["note", ""]["severity"] == "warning", "nothing requires it"
    assert new["kinds", ""]["severity"] == "warning"
    assert not done.result.is_valid


def test_a_domain_may_tolerate_some(checked):
    tolerant = SCHEMA.replace(
        'value: "b" }', 'value: "b" } distribution_constraints { min_domain_mass: 0.9 }'
    )
    assert checked(tolerant, kind=changed("kind", {0: "c", 90: "c"})).listed == []
    many = checked(tolerant, kind=changed("kind", dict.fromkeys(range(20), "c")))
    assert many.found("values outside the domain")["kind", "train"]["rows"] == 20


def test_a_domain_of_the_whole_schema(checked):
    shared = SCHEMA.replace('string_domain { value: "a" value: "b" }', 'domain: "kinds"')
    shared += 'string_domain { name: "kinds" value: "a" value: "b" }'
    done = checked(shared, kind=changed("kind", {3: "q"}))
    assert done.found("values outside the domain")["kind", "train"]["rows"] == 1


def test_what_is_not_of_training_is_not_missed(checked):
    serving = 'default_environment: "TRAINING" default_environment: "SERVING"' + SCHEMA
    required = "type: INT presence { min_fraction: 1 }"
    serving += f'feature {{ name: "later" {required} not_in_environment: "TRAINING" }}'
    serving += f'feature {{ name: "old" {required} lifecycle_stage: DEPRECATED }}'
    assert checked(serving).listed == []


def test_a_rare_value_of_a_large_domain_is_found(tmp_path, write_examples, validated):
    # TFDV's statistics keep a thousand texts; this one is not among them.
    texts = [f"v{i:04d}" for i in range(3000)]
    schema = schema_pb2.Schema()
    feature = schema.feature.add(name="code", type=schema_pb2.BYTES)
    feature.string_domain.value.extend(texts)
    (tmp_path / "schema.pbtxt").write_text(text_format.MessageToString(schema))
    table = pa.table({"code": texts * 3 + ["zzz"]})
    done = validated(write_examples(train=table), schema_uri=str(tmp_path))
    assert done.found("values outside the domain")["code", "train"]["rows"] == 1
