"""Random requests get a prediction or an error, the same through every protocol."""

import json
import math
import struct
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from kserve.protocol.grpc import grpc_predict_v2_pb2 as messages
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from tests.serving.fraud_requests import DATATYPES, SHOP, V1, V2, tensor, tensors

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(min_value=-(2**64), max_value=2**64)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
names = st.sampled_from([*DATATYPES, "feature_3", "customer", "other"]) | st.text(max_size=3)
anything_v1 = st.fixed_dictionaries(
    {"instances": st.lists(st.dictionaries(names, values, max_size=6) | values, max_size=4)}
)
nearly_right_v1 = st.fixed_dictionaries(
    {
        "instances": st.lists(
            st.fixed_dictionaries(
                {
                    "amount": st.floats(allow_nan=False, allow_infinity=False) | values,
                    "商户": st.text(st.characters(exclude_categories=["Cs"])),
                },
                optional={"hour": values | st.integers(), "rate": values, "customer": values},
            ),
            min_size=1,
            max_size=3,
        )
    }
)
a_tensor = st.fixed_dictionaries(
    {
        "name": names,
        "shape": st.lists(st.integers(-1, 3), max_size=3) | st.just([1]) | values,
        "datatype": st.sampled_from(["FP32", "BYTES", "INT64", "BOOL", "FP16"]) | values,
    },
    optional={
        "data": st.lists(values, max_size=3) | values,
        "parameters": st.fixed_dictionaries({"binary_data_size": values}) | values,
    },
)
anything_v2 = st.fixed_dictionaries(
    {"inputs": st.lists(a_tensor, max_size=4) | values},
    optional={
        "id": values,
        "parameters": values | st.fixed_dictionaries({"binary_data_output": values}),
        "outputs": st.lists(
            st.fixed_dictionaries(
                {"name": st.sampled_from(["classes", "probabilities", "x"])},
                optional={"parameters": st.fixed_dictionaries({"binary_data": values}) | values},
            )
        )
        | values,
    },
)
nearly_right_v2 = st.fixed_dictionaries(
    {
        "inputs": st.tuples(
            st.just(SHOP) | a_tensor,
            st.builds(lambda data: tensor(data=[data]), values | st.floats(-1e9, 1e9)),
            a_tensor,
        ).map(list)
    }
)


def answered(response, v1_document=None):
    """Check that a response is a prediction, or an error with a message."""
    assert response.status_code in {200, 400, 413}, response.text
    if response.status_code == 200:
        if v1_document is not None:
            assert len(response.json()["predictions"]) == len(v1_document["instances"])
    else:
        error = response.json()["error"]
        assert error
        assert "\n" not in error


@settings(max_examples=200, deadline=None)
@given(anything_v1 | nearly_right_v1 | values)
def test_any_v1_request_gets_a_prediction_or_an_error(client, document):
    answered(client().post(V1, json=document), document)


@settings(max_examples=200, deadline=None)
@given(anything_v2 | nearly_right_v2 | values, st.none() | st.integers(0, 200).map(str))
def test_any_v2_request_gets_a_prediction_or_an_error(client, document, length):
    body = json.dumps(document).encode()
    headers = {} if length is None else {"inference-header-content-length": length}
    answered(client().post(V2, content=body, headers=headers))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=100), st.sampled_from([V1, V2]), st.text(max_size=3))
def test_random_bytes_are_rejected(client, body, path, content_type):
    headers = {"content-type": content_type.encode("ascii", "ignore"), "ce-id": b"1"}
    answered(client().post(path, content=body, headers=headers))


contents = st.builds(
    messages.InferTensorContents,
    bool_contents=st.lists(st.booleans(), max_size=2),
    int_contents=st.lists(st.integers(-(2**31), 2**31 - 1), max_size=2),
    int64_contents=st.lists(st.integers(-(2**63), 2**63 - 1), max_size=2),
    fp32_contents=st.lists(st.floats(width=32), max_size=2),
    fp64_contents=st.lists(st.floats(), max_size=2),
    bytes_contents=st.lists(st.binary(max_size=4), max_size=2),
)
a_message = st.builds(
    messages.ModelInferRequest,
    model_name=st.just("fraud"),
    model_version=st.sampled_from(["", "7", "8"]),
    id=st.text(max_size=3),
    inputs=st.lists(
        st.builds(
            messages.ModelInferRequest.InferInputTensor,
            name=names,
            datatype=st.sampled_from(["FP32", "FP16", "FP64", "BYTES", "INT64", "bool", ""]),
            shape=st.just([1]) | st.lists(st.integers(-(2**63), 2**63 - 1), max_size=3),
            contents=st.none() | contents,
        ),
        max_size=4,
    ),
    raw_input_contents=st.just([]) | st.lists(st.binary(max_size=9), max_size=4),
    outputs=st.just([])
    | st.lists(
        st.builds(
            messages.ModelInferRequest.InferRequestedOutputTensor,
            name=st.sampled_from(["classes", "scores"]),
        ),
        max_size=2,
    ),
)
EXPECTED_CODES = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}


@settings(max_examples=200, deadline=None)
@given(a_message.map(lambda message: message.SerializeToString()) | st.binary(max_size=60))
def test_any_grpc_request_gets_a_prediction_or_an_error(grpc_endpoint, content):
    call = grpc_endpoint().unary_unary("/inference.GRPCInferenceService/ModelInfer")
    try:
        assert messages.ModelInferResponse.FromString(call(content, timeout=30)).outputs
    except grpc.RpcError as error:
        assert error.code() in EXPECTED_CODES, error
        assert error.details()


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
right_rows = st.lists(
    st.fixed_dictionaries(
        {"amount": st.floats(-1e6, 1e6, width=32), "商户": texts},
        optional={
            "hour": st.none() | st.integers(-1000, 1000),
            "rate": st.none() | st.floats(-1e6, 1e6, width=32),
            "Straße & Nr.": st.none() | texts.filter(bool),
        },
    ),
    min_size=1,
    max_size=12,
)
MISSING = {"Straße & Nr.": "", "rate": math.nan}


def columns(rows):
    """Return the rows as dense columns, without `hour` if a row lacks it."""
    for name, datatype in DATATYPES.items():
        values = [row.get(name) for row in rows]
        if name == "hour" and None in values:
            continue
        yield name, datatype, [MISSING.get(name) if v is None else v for v in values]


def packed(datatype, column):
    if datatype == "BYTES":
        encoded = [text.encode() for text in column]
        return b"".join(struct.pack("<I", len(text)) + text for text in encoded)
    return np.array(column, {"FP32": "<f4", "FP64": "<f8", "INT64": "<i8"}[datatype]).tobytes()


def binary_body(rows):
    parts = [(n, d, packed(d, c)) for n, d, c in columns(rows)]
    inputs = [
        {
            "name": name,
            "shape": [len(rows)],
            "datatype": datatype,
            "parameters": {"binary_data_size": len(part)},
        }
        for name, datatype, part in parts
    ]
    head = json.dumps({"inputs": inputs}).encode()
    body = head + b"".join(part for *_, part in parts)
    return body, {"inference-header-content-length": str(len(head))}


def message(rows, *, raw):
    made = messages.ModelInferRequest(model_name="fraud")
    places = {
        "FP32": "fp32_contents",
        "FP64": "fp64_contents",
        "INT64": "int64_contents",
        "BYTES": "bytes_contents",
    }
    for name, datatype, column in columns(rows):
        tensor = made.inputs.add(name=name, datatype=datatype, shape=[len(rows)])
        if raw:
            made.raw_input_contents.append(packed(datatype, column))
        else:
            getattr(tensor.contents, places[datatype]).extend(
                [v.encode() for v in column] if datatype == "BYTES" else column
            )
    return made


@settings(max_examples=40, deadline=None)
@given(right_rows)
def test_a_row_gets_the_same_prediction_through_every_protocol(client, grpc_endpoint, rows):
    def v1(asked, **options):
        answer = client(**options).post(V1, json={"instances": asked})
        return [prediction["probabilities"] for prediction in answer.json()["predictions"]]

    def v2(answer):
        output = answer.json()["outputs"][0]
        return np.reshape(output["data"], output["shape"])

    wanted = v1(rows)
    body, headers = binary_body(rows)
    dense = ["hour" in name for name, *_ in columns(rows)]
    given = {
        "alone": [v1([row])[0] for row in rows],
        "batched": v1(rows, rows=8),
        "v2": v2(client().post(V2, json={"inputs": tensors(rows)})),
    }
    if any(dense) or all(row.get("hour") is None for row in rows):
        stub = GRPCInferenceServiceStub(grpc_endpoint())
        typed = stub.ModelInfer(message(rows, raw=False), timeout=30)
        raw = stub.ModelInfer(message(rows, raw=True), timeout=30)
        shape = typed.outputs[0].shape
        given |= {
            "v2 binary": v2(client().post(V2, content=body, headers=headers)),
            "grpc typed": np.reshape(typed.outputs[0].contents.fp32_contents, shape),
            "grpc raw": np.frombuffer(raw.raw_output_contents[0], "<f4").reshape(shape),
        }
    for how, probabilities in given.items():
        np.testing.assert_allclose(probabilities, wanted, atol=1e-6, err_msg=how)


def test_rows_in_a_batch_get_their_own_predictions(client):
    rows = [{"amount": float(place), "商户": "x"} for place in range(40)]
    wanted = client().post(V1, json={"instances": rows}).json()["predictions"]
    shared = client(rows=16)
    with ThreadPoolExecutor(16) as pool:
        answers = pool.map(
            lambda row: shared.post(V1, json={"instances": [row]}).json()["predictions"][0], rows
        )
        for answer, expected in zip(answers, wanted, strict=True):
            assert answer["class"] == expected["class"]
            np.testing.assert_allclose(
                answer["probabilities"], expected["probabilities"], atol=1e-6
            )


def test_without_batches_answers_are_equal_to_the_last_bit(client):
    rows = [{"amount": float(place) / 7, "商户": "x"} for place in range(40)]

    def ask(row):
        return client(rows=1).post(V1, json={"instances": [row]}).text

    alone = [ask(row) for row in rows]
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(ask, rows)) == alone
