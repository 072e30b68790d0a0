"""Whatever is sent is answered or refused, and a row gets one answer however it is asked for."""

import json

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

V1 = "/v1/models/fraud:predict"
V2 = "/v2/models/fraud/infer"
DATATYPES = {
    "amount": "FP32",
    "Straße & Nr.": "BYTES",
    "hour": "INT64",
    "商户": "BYTES",
    "rate": "FP64",
}
SHOP = {"name": "商户", "shape": [1], "datatype": "BYTES", "data": ["x"]}


def tensor(**changes):
    return {"name": "amount", "shape": [1], "datatype": "FP32", "data": [1.5]} | changes


def tensors(rows):
    return [
        {
            "name": name,
            "shape": [len(rows)],
            "datatype": datatype,
            "data": [row.get(name) for row in rows],
        }
        for name, datatype in DATATYPES.items()
    ]


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
    """Checks that a response is an answer, or an error that says what is wrong."""
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
def test_whatever_comes_through_v1_is_answered_or_refused(client, document):
    answered(client().post(V1, json=document), document)


@settings(max_examples=200, deadline=None)
@given(anything_v2 | nearly_right_v2 | values, st.none() | st.integers(0, 200).map(str))
def test_whatever_comes_through_v2_is_answered_or_refused(client, document, length):
    body = json.dumps(document).encode()
    headers = {} if length is None else {"inference-header-content-length": length}
    answered(client().post(V2, content=body, headers=headers))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=100), st.sampled_from([V1, V2]), st.text(max_size=3))
def test_any_bytes_are_refused(client, body, path, content_type):
    headers = {"content-type": content_type.encode("ascii", "ignore"), "ce-id": b"1"}
    answered(client().post(path, content=body, headers=headers))


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "amount": st.floats(-1e6, 1e6, width=32),
                "商户": st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
            },
            optional={
                "hour": st.none() | st.integers(-1000, 1000),
                "rate": st.none() | st.floats(-1e6, 1e6, width=32),
                "Straße & Nr.": st.none()
                | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5),
            },
        ),
        min_size=1,
        max_size=12,
    )
)
def test_a_row_gets_the_same_answer_alone_in_a_batch_and_through_v2(client, rows):
    together = client().post(V1, json={"instances": rows}).json()["predictions"]
    alone = [client().post(V1, json={"instances": [row]}).json()["predictions"][0] for row in rows]
    v2 = client().post(V2, json={"inputs": tensors(rows)}).json()["outputs"][0]
    probabilities = [prediction["probabilities"] for prediction in together]
    np.testing.assert_allclose([p["probabilities"] for p in alone], probabilities, atol=1e-6)
    np.testing.assert_allclose(np.reshape(v2["data"], v2["shape"]), probabilities, atol=1e-6)
