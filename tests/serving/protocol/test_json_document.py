"""A JSON text's values are counted exactly, and before they are built."""

import gc
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_tabular.components.common.artifacts.model_document import ModelInput, ModelSpec
from kfp_tabular.components.common.prediction.instances import Decoder
from kfp_tabular.serving.protocol.json_document import (
    check_json_size,
    has_more_values,
    parse_json,
)
from kfp_tabular.serving.protocol.model_interface import ModelInterface
from kfp_tabular.serving.protocol.request_error import RequestError

texts = st.text(st.sampled_from('a,[{"\\é'), max_size=6)
documents = st.recursive(
    st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


def values_of(document):
    """Count values; an empty list or object counts twice."""
    if isinstance(document, dict):
        document = list(document.values())
    if isinstance(document, list):
        return 1 + (sum(map(values_of, document)) if document else 1)
    return 1


@settings(deadline=None)
@given(documents, st.booleans())
def test_values_are_counted_exactly_whatever_the_texts_hold(document, ascii_only):
    body = json.dumps(document, ensure_ascii=ascii_only).encode("utf-8", "replace")
    values = values_of(document)
    assert not has_more_values(body, values)
    assert not has_more_values(bytearray(body), values)
    if values > 1:
        assert has_more_values(body, values - 1)


@pytest.mark.parametrize(
    ("body", "values"),
    [
        (b'["' + b",[{" * 100_000 + b'"]', 2),
        *[(b'["' + b"x" * n + b"\\\\" * 100_001 + b'",",,,"]', 3) for n in (0, 1)],
        *[(b'["' + b"x" * n + b'\\"' * 100_001 + b'",",,,"]', 3) for n in (0, 1)],
        (b'["' + b"\\\\" * 100_001 + b'",",,,"]', 3),
        (b'["' + b'\\",' * 100_000 + b'",0]', 3),
        (b'["x' + b'",",[x' * 50_000 + b'"]', 50_002),
        (b'[["' + b'"],["' * 70_000 + b'"]]', 140_003),
    ],
)
def test_texts_over_many_slices_are_followed(body, values):
    assert values_of(json.loads(body)) == values
    assert not has_more_values(body, values)
    assert has_more_values(body, values - 1)


INPUTS = tuple(ModelInput(f"f{n}", "float32", required=False, input=f"f{n}") for n in range(4))
INTERFACE = ModelInterface(
    ModelSpec("regression", "fare", (), None, INPUTS, "sha256:0"),
    frozenset({"id"}),
    Decoder(INPUTS),
)


@pytest.mark.parametrize("value", ["[]", "{}", '""', "0", "[0]", "[[]]", '{"a":0}', "[[[[[]]]]]"])
def test_a_body_of_many_small_values_is_rejected_by_the_rows_that_the_model_may_need(value):
    body = b'{"instances":[' + b",".join([value.encode()] * 20_000) + b"]}"
    with pytest.raises(RequestError, match=r"more than 12000 .* 1000 rows \(--max-rows\)") as error:
        check_json_size(body, INTERFACE, max_rows=1000, max_values=1_000_000)
    assert error.value.status == 413
    assert error.value.reason == "size"
    with pytest.raises(RequestError, match=r"more than 500 .*\(--max-values\)"):
        check_json_size(body, INTERFACE, max_rows=1000, max_values=500)


def test_the_most_rows_with_every_column_fit_in_every_form():
    row = {f"f{n}": [1.5] for n in range(4)} | {"id": "a,[b{,"}
    check_json_size(json.dumps({"instances": [row] * 1000}).encode(), INTERFACE, 1000, 1_000_000)
    tensors = [
        {"name": name, "shape": [1000, 1], "datatype": "FP32", "data": [[1]] * 1000} for name in row
    ]
    check_json_size(json.dumps({"inputs": tensors}).encode(), INTERFACE, 1000, 1_000_000)


def test_the_collector_is_on_after_a_large_body_whether_valid_or_not():
    assert parse_json(b"[" + b"[]," * 10_000 + b"[]]") == [[]] * 10_001
    assert gc.isenabled()
    with pytest.raises(RequestError, match="at byte 30001"):
        parse_json(b"[" + b"[]," * 10_000)
    assert gc.isenabled()


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 1_000_000,
        b"[" * 2_000 + b"]" * 2_000,
        b'{"a":' * 2_000 + b"0" + b"}" * 2_000,
        b"[" + b"9" * 1_000_000 + b"]",
        b'["\\ud800"]',
        b'["\xed\xa0\x80"]',
        b'["\x00"]',
    ],
)
def test_nesting_long_numbers_and_lone_surrogates_end_as_an_error(body):
    with pytest.raises(RequestError, match="not valid JSON"):
        parse_json(body)
