"""Names, shapes and lengths of tensors are checked before their data is unpacked."""

import json
import struct
import time

import numpy as np
import pytest
from kserve.protocol.grpc import grpc_predict_v2_pb2 as messages

from kfp_tabular.components.common.artifacts.model_document import ModelInput, ModelSpec
from kfp_tabular.components.common.prediction.instances import Decoder
from kfp_tabular.serving.protocol import v2_json, v2_messages, v2_tensors
from kfp_tabular.serving.protocol.model_interface import ModelInterface
from kfp_tabular.serving.protocol.request_error import RequestError
from kfp_tabular.serving.protocol.v2_tensors import InferenceRequest, RequestTensor

INPUTS = (
    ModelInput("hour", "int64", required=False, input="hour"),
    ModelInput("amount", "float32", required=False, input="amount"),
    ModelInput("shop", "string", required=False, input="shop_1"),
)
INTERFACE = ModelInterface(
    ModelSpec("binary", "fraud", ("no", "yes"), 0.5, INPUTS, "sha256:0"),
    frozenset({"customer"}),
    Decoder(INPUTS),
)


def decode(*tensors, outputs=()):
    request = InferenceRequest("", [RequestTensor(*tensor) for tensor in tensors], outputs)
    return v2_tensors.decode(request, INTERFACE, max_rows=10)


def packed(*texts):
    return b"".join(struct.pack("<I", len(text)) + text for text in texts)


SHOP = ("shop", "BYTES", [2], packed(b"a", b""))
EMPTY_TEXTS = bytes(32_000_000)


@pytest.mark.parametrize("name", ["shop", "customer"])
@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ([1], "does not hold the 1 BYTES values"),
        ([1, 1], "does not hold the 1 BYTES values"),
        ([0], "."),
        ([11], "11 rows, this server accepts 10"),
        ([8_000_000], "8000000 rows"),
        ([2**63], "rows"),
        ([2, 4], "[rows, 1]"),
        ([], "[rows, 1]"),
        ([1] * 1000, "[rows, 1]"),
    ],
)
def test_eight_million_empty_texts_cost_nothing(name, shape, words):
    begin = time.process_time()
    with pytest.raises(RequestError) as refused:
        decode((name, "BYTES", shape, EMPTY_TEXTS), ("hour", "INT64", [1], bytes(8)))
    # Unpacking them took 20 seconds.
    assert time.process_time() - begin < 1
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("datatype", "rows", "content"),
    [
        ("BYTES", 1, b""),
        ("BYTES", 1, bytes(3)),
        ("BYTES", 1, bytes(5)),
        ("BYTES", 2, bytes(4)),
        ("BYTES", 2, packed(b"abcdefgh")),
        ("BYTES", 1, packed(b"a") + b"x"),
        ("BYTES", 1, b"\xff\xff\xff\xff"),
        ("BYTES", 1, b"\xff\xff\xff\x7fabc"),
        ("BYTES", 2, packed(b"a") + b"\x05\0\0\0abc"),
    ],
)
def test_texts_that_disagree_with_the_shape_are_rejected(datatype, rows, content):
    with pytest.raises(RequestError, match="binary data") as refused:
        decode(("shop", datatype, [rows], content))
    assert refused.value.feature == "shop"


@pytest.mark.parametrize("datatype", sorted(v2_tensors.NUMPY_TYPES))
@pytest.mark.parametrize("difference", [-1, 1])
def test_numbers_that_disagree_with_the_shape_are_rejected(datatype, difference):
    size = 3 * v2_tensors.NUMPY_TYPES[datatype].itemsize
    assert v2_tensors.unpack(bytes(size), datatype, "hour", 3).tolist() == [0, 0, 0]
    with pytest.raises(RequestError, match=f"the 3 {datatype} values"):
        v2_tensors.unpack(bytes(size + difference), datatype, "hour", 3)
    for ignored in ("customer", "hour"):
        with pytest.raises(RequestError):
            decode((ignored, datatype, [3], bytes(size + difference)))


def test_a_bool_is_zero_or_one():
    assert decode(("hour", "BOOL", [2], b"\0\1"))["hour"].tolist() == [0, 1]
    with pytest.raises(RequestError, match="0 or 1"):
        decode(("hour", "BOOL", [2], b"\1\2"))


@pytest.mark.parametrize(
    ("first", "second"),
    [("hour", "hour"), ("shop", "shop_1"), ("shop_1", "shop"), ("customer", "customer")],
)
def test_a_repeated_tensor_is_rejected_before_its_data_is_read(first, second):
    with pytest.raises(RequestError, match="given twice"):
        decode((first, "INT64" if first == "hour" else "BYTES", [1], [None]), (second, "?", [], 0))


@pytest.mark.parametrize("outputs", [["classes", "classes"], ["classes", "probabilities"] * 1000])
def test_a_repeated_output_is_rejected(outputs):
    with pytest.raises(RequestError, match="'classes' is requested twice"):
        decode(SHOP, outputs=outputs)


def test_an_ignored_tensor_has_as_many_values_as_rows():
    assert decode(SHOP, ("customer", "INT64", [2], [1, 2]))
    with pytest.raises(RequestError, match="the shape has 2 rows, the data 3"):
        decode(SHOP, ("customer", "INT64", [2], [1, 2, 3]))


def body(tensors, binary, **more):
    head = json.dumps({"inputs": tensors} | more).encode()
    return v2_json.read_request(json.loads(head), memoryview(binary))


def binary_tensor(size, **changes):
    changes = {"name": "hour", "shape": [1], "datatype": "INT64"} | changes
    return changes | {"parameters": {"binary_data_size": size}}


@pytest.mark.parametrize("size", [-1, 9, 2**40, 2**80, 8.0, "8", True, [8]])
def test_a_size_beyond_the_body_is_rejected(size):
    with pytest.raises(RequestError, match=r"inputs\[0\].parameters.binary_data_size"):
        body([binary_tensor(size)], bytes(8))


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ([binary_tensor(4)], "more binary data"),
        ([], "more binary data"),
        ([binary_tensor(8), binary_tensor(8, name="amount")], r"inputs\[1\]"),
        ([binary_tensor(8) | {"data": [7]}], "found both"),
        ([binary_tensor(8, shape=[-1])], "negative"),
        ([binary_tensor(8, shape=[2**31])], "shape"),
        ([binary_tensor(8, shape=[1.0])], "shape"),
        ([binary_tensor(8, datatype="INT65")], "unknown datatype"),
    ],
)
def test_binary_data_and_its_description_agree(tensors, words):
    with pytest.raises(RequestError, match=words):
        body(tensors, bytes(8))


def message(contents, datatype="INT64", shape=(1,), **more):
    tensor = {"name": "hour", "datatype": datatype, "shape": shape, "contents": contents}
    made = messages.ModelInferRequest(inputs=[tensor], **more)
    return v2_tensors.decode(v2_messages.read_request(made), INTERFACE, max_rows=10)


@pytest.mark.parametrize(
    ("contents", "datatype", "words"),
    [
        ({"fp32_contents": [1.0]}, "INT64", "found some in fp32_contents"),
        ({"int64_contents": [1], "bool_contents": [True]}, "INT64", "found some in bool_contents"),
        ({"int_contents": [300]}, "INT8", "-128 to 127"),
        ({"int_contents": [-(2**15) - 1]}, "INT16", "INT16"),
        ({"uint_contents": [300]}, "UINT8", "0 to 255"),
        ({"uint_contents": [70_000]}, "UINT16", "UINT16"),
        ({"fp32_contents": [1.0]}, "FP16", "raw_input_contents"),
        ({"int64_contents": [1, 2]}, "INT64", "1 rows, the data 2"),
        ({}, "INT64", "1 rows, the data 0"),
    ],
)
def test_typed_contents_keep_to_their_datatype(contents, datatype, words):
    with pytest.raises(RequestError, match=words) as refused:
        message(contents, datatype)
    assert refused.value.feature == "hour"


def test_shapes_of_messages_may_not_overflow():
    for shape in ([2**62], [2**63 - 1, 1]):
        with pytest.raises(RequestError, match="rows"):
            message({"int64_contents": [1]}, shape=shape)


@pytest.mark.parametrize(
    ("datatype", "values"),
    [("FP16", [0.5, -2.0]), ("FP64", [1e300, 1.0]), ("UINT64", [2**63, 1]), ("INT8", [-5, 5])],
)
def test_binary_numbers_are_the_ones_that_were_sent(datatype, values):
    content = np.array(values, v2_tensors.NUMPY_TYPES[datatype]).tobytes()
    assert v2_tensors.unpack(content, datatype, "amount", 2).tolist() == values


@pytest.mark.parametrize("name", ["shared_memory_region", "shared_memory_byte_size"])
def test_values_that_lie_elsewhere_are_rejected(name):
    elsewhere = {"name": "hour", "shape": [1], "datatype": "INT64", "parameters": {name: 1}}
    with pytest.raises(RequestError, match=rf"inputs\[0\].parameters: .*{name}"):
        body([elsewhere], b"")
    made = messages.ModelInferRequest(
        inputs=[{"name": "hour", "parameters": {name: {"int64_param": 1}}}]
    )
    with pytest.raises(RequestError, match=rf"inputs\[0\].parameters: .*{name}"):
        v2_messages.read_request(made)


def test_a_classification_is_not_silently_left_out():
    output = {"name": "classes", "parameters": {"classification": 3}}
    with pytest.raises(RequestError, match=r"outputs\[0\].parameters: .*'classification'"):
        body([], b"", outputs=[output])
    made = messages.ModelInferRequest(
        outputs=[{"name": "classes", "parameters": {"classification": {"int64_param": 3}}}]
    )
    with pytest.raises(RequestError, match=r"outputs\[0\].parameters: .*'classification'"):
        v2_messages.read_request(made)
