"""The same spellings through every protocol give the same arrays."""

import numpy as np
import orjson
import pytest
from kserve.protocol.grpc import grpc_predict_v2_pb2 as messages

from kfp_tabular.components.common.artifacts.model_document import ModelInput, ModelSpec
from kfp_tabular.components.common.prediction.instances import Decoder
from kfp_tabular.components.common.values.column_format import (
    BooleanFormat,
    ColumnFormat,
    NumberFormat,
    TimeFormat,
)
from kfp_tabular.serving.protocol import v1_json, v2_json, v2_messages, v2_tensors
from kfp_tabular.serving.protocol.model_interface import ModelInterface
from kfp_tabular.serving.protocol.request_error import RequestError

MONEY = ColumnFormat("number", NumberFormat(thousands=",", units=("$", "€"), limits=True))
INPUTS = (
    ModelInput("price", "float32", False, "price", MONEY),
    ModelInput(
        "price_unit",
        "string",
        False,
        "price_unit",
        ColumnFormat("text", derived_from="price", part="unit"),
        MONEY,
    ),
    ModelInput(
        "dose_limit",
        "int64",
        False,
        "dose_limit",
        ColumnFormat("integer", derived_from="dose", part="limit"),
        MONEY,
    ),
    ModelInput("paid", "int64", False, "paid", ColumnFormat("boolean", boolean=BooleanFormat())),
    ModelInput(
        "when",
        "string",
        False,
        "when",
        ColumnFormat("time", time=TimeFormat(canonical="%Y-%m-%d %H:%M:%S")),
    ),
    ModelInput("city", "string", False, "city", ColumnFormat("text")),
    ModelInput("tags", "string", False, "tags", ColumnFormat("bag")),
    ModelInput("plain", "float32", False, "plain"),
)
INTERFACE = ModelInterface(
    ModelSpec("regression", "y", (), None, INPUTS, "sha256:0"),
    frozenset({"y"}),
    Decoder(INPUTS, {"y"}),
)

TEXTS = {
    "price": ["$1,234.50", "<5 €", "N/A"],
    "dose": [">7", "", "3"],
    "paid": ["TRUE", "false", ""],
    "when": ["2023-05-10T18:00:00Z", "2023-05-10 20:00:00+02:00", "NULL"],
    "city": [" Paris ", "Paris", ""],
    "tags": ['["a", "b"]', "[]", ""],
}
EXPECTED = {
    "price": [1234.5, 5.0, np.nan],
    "price_unit": [b"$", "€".encode(), b""],
    "dose_limit": [1, -(2**63), 0],
    "paid": [1, 0, -(2**63)],
    "when": [b"2023-05-10 18:00:00", b"2023-05-10 18:00:00", b""],
    "city": [b"Paris", b"Paris", b""],
    "tags": [b'["a","b"]', b"[]", b""],
    "plain": [np.nan] * 3,
}


def v1(columns):
    rows = [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]
    return v1_json.decode(orjson.loads(orjson.dumps({"instances": rows})), INTERFACE, 10)


def v2(columns):
    inputs = [
        {"name": name, "datatype": "BYTES", "shape": [len(values), 1], "data": values}
        for name, values in columns.items()
    ]
    return v2_tensors.decode(
        v2_json.read_request({"inputs": inputs}, memoryview(b"")).inference, INTERFACE, 10
    )


def packed(values):
    return v2_tensors.pack(np.array([value.encode() for value in values], dtype=object))


def v2_binary(columns):
    parts = {name: packed(values) for name, values in columns.items()}
    inputs = [
        {
            "name": name,
            "datatype": "BYTES",
            "shape": [len(columns[name])],
            "parameters": {"binary_data_size": len(part)},
        }
        for name, part in parts.items()
    ]
    request = v2_json.read_request({"inputs": inputs}, memoryview(b"".join(parts.values())))
    return v2_tensors.decode(request.inference, INTERFACE, 10)


def grpc(columns, *, raw=False):
    message = messages.ModelInferRequest()
    for name, values in columns.items():
        tensor = message.inputs.add(name=name, datatype="BYTES", shape=[len(values)])
        if raw:
            message.raw_input_contents.append(packed(values))
        else:
            tensor.contents.bytes_contents.extend(value.encode() for value in values)
    return v2_tensors.decode(v2_messages.read_request(message), INTERFACE, 10)


def grpc_raw(columns):
    return grpc(columns, raw=True)


PROTOCOLS = [v1, v2, v2_binary, grpc, grpc_raw]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_protocol_reads_the_spellings_of_training(protocol):
    for rows in (slice(None), slice(1), slice(1, 2)):
        found = protocol({name: values[rows] for name, values in TEXTS.items()})
        assert set(found) == set(EXPECTED)
        for name, values in EXPECTED.items():
            np.testing.assert_array_equal(found[name], np.array(values[rows], found[name].dtype))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_unreadable_text_is_rejected_by_row_and_feature(protocol):
    for name in ("price", "paid", "when", "tags"):
        with pytest.raises(RequestError) as caught:
            protocol({name: ["", "4111 secret"]})
        assert f"instance 1: feature '{name}': " in str(caught.value)
        assert "4111" not in str(caught.value)
        assert (caught.value.status, caught.value.feature, caught.value.row) == (400, name, 1)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_feature_without_a_format_takes_no_text(protocol):
    with pytest.raises(RequestError, match="feature 'plain': expected"):
        protocol({"plain": ["1.5"]})


def test_bags_are_lists_in_v1():
    found = v1({"tags": [["a", "b"], [], None]})
    assert found["tags"].tolist() == EXPECTED["tags"]


def test_numbers_and_text_may_come_in_different_tensors():
    found = v2_tensors.decode(
        v2_json.read_request(
            {
                "inputs": [
                    {"name": "price", "datatype": "FP64", "shape": [1], "data": [1234.5]},
                    {"name": "dose", "datatype": "BYTES", "shape": [1], "data": ["<1"]},
                ]
            },
            memoryview(b""),
        ).inference,
        INTERFACE,
        10,
    )
    assert (found["price"].tolist(), found["dose_limit"].tolist()) == ([1234.5], [-1])
