"""Values of v2 keep to their tensor's datatype: whatever does not is rejected by name and index."""

import pytest

from kfp_tabular.serving.protocol.json_datatypes import check_values
from kfp_tabular.serving.protocol.request_error import RequestError
from tests.serving.fraud_requests import SHOP, V2, tensor

SECRET = "4111-1111-geheim"

ACCEPTED = [
    ("BOOL", [True, False, None]),
    ("INT8", [-128, 127, 5.0, None]),
    ("INT16", [-(2**15), 2**15 - 1]),
    ("INT32", [-(2**31), 2**31 - 1]),
    ("INT64", [-(2**63), 2**63 - 1, 3.0]),
    ("UINT8", [0, 255]),
    ("UINT16", [0, 2**16 - 1]),
    ("UINT32", [0, 2**32 - 1]),
    ("UINT64", [0, 2**64 - 1]),
    ("FP16", [65_504, -65_519.9, 0.1, None]),
    ("FP32", [3.4028235e38, 7, None]),
    ("FP64", [1e308, -1e308, 2**64 - 1]),
    ("BYTES", ["", "x", None]),
    ("BYTES", [b"x"]),
    ("INT32", []),
    ("INT32", [None, None]),
]
REFUSED = [
    ("BOOL", 1),
    ("BOOL", 0.0),
    ("BOOL", "true"),
    *[(f"{sign}INT{bits}", 1.5) for sign in ("", "U") for bits in (8, 16, 32, 64)],
    *[(f"{sign}INT{bits}", True) for sign in ("", "U") for bits in (8, 16, 32, 64)],
    *[(f"{sign}INT{bits}", "1") for sign in ("", "U") for bits in (8, 16, 32, 64)],
    *[(f"INT{bits}", 2 ** (bits - 1)) for bits in (8, 16, 32, 64)],
    *[(f"INT{bits}", -(2 ** (bits - 1)) - 1) for bits in (8, 16, 32, 64)],
    *[(f"UINT{bits}", 2**bits) for bits in (8, 16, 32, 64)],
    *[(f"UINT{bits}", -1) for bits in (8, 16, 32, 64)],
    ("UINT8", 300),
    ("UINT8", 300.0),
    ("INT64", 1e300),
    ("FP16", 65_520),
    ("FP16", -1e5),
    ("FP32", 3.5e38),
    ("FP32", "1.5"),
    ("FP32", True),
    ("FP64", False),
    ("FP64", "NaN"),
    ("BYTES", 7),
    ("BYTES", True),
    ("BYTES", {"b64": "QUJD"}),
    ("BYTES", ["x"]),
    ("FP32", [1.5]),
    ("INT32", {}),
]


@pytest.mark.parametrize(("datatype", "values"), ACCEPTED)
def test_values_of_a_datatype_are_accepted(datatype, values):
    check_values(values, datatype, "hour")


@pytest.mark.parametrize(("datatype", "value"), REFUSED)
def test_other_values_are_rejected_with_the_tensor_and_the_index(datatype, value):
    usual = {"BOOL": True, "BYTES": "x"}.get(datatype, 1)
    with pytest.raises(RequestError, match=rf"instance 2: feature 'hour': .*\({datatype}\)") as e:
        check_values([usual, None, value, value], datatype, "hour")
    assert (e.value.reason, e.value.feature, e.value.row) == ("type", "hour", 2)


HOUR = {"name": "hour", "shape": [2], "datatype": "INT64", "data": [7, 8]}


@pytest.mark.parametrize(
    ("datatype", "bad"),
    [("INT64", 1.5), ("INT64", True), ("INT64", SECRET), ("UINT8", 300), ("BOOL", 1)],
)
def test_the_endpoint_names_the_tensor_and_the_index_and_quotes_nothing(client, datatype, bad):
    good = True if datatype == "BOOL" else 1
    inputs = [
        tensor(shape=[2], data=[1, 2]),
        SHOP | {"shape": [2], "data": ["x", "y"]},
        HOUR | {"datatype": datatype, "data": [good, bad]},
    ]
    answer = client().post(V2, json={"inputs": inputs})
    assert answer.status_code == 400
    assert (answer.json()["feature"], answer.json()["row"]) == ("hour", 1)
    assert SECRET not in answer.text
    inputs[2]["data"] = [good, good]
    assert client().post(V2, json={"inputs": inputs}).status_code == 200


def test_a_number_that_the_models_type_would_take_keeps_to_its_datatype(client):
    # `amount` is a float32: 1.5 fits the model, but not the datatype that the client declared.
    wrong = client().post(V2, json={"inputs": [tensor(datatype="INT32", data=[1.5]), SHOP]})
    assert wrong.status_code == 400
    assert "(INT32)" in wrong.json()["error"]
    wrong = client().post(V2, json={"inputs": [tensor(datatype="FP16", data=[7e4]), SHOP]})
    assert "(FP16), found a number out of range" in wrong.json()["error"]


@pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity", "nan", "1e999"])
@pytest.mark.parametrize("path", [V2, "/v1/models/fraud:predict"])
def test_numbers_that_json_does_not_have_are_rejected(client, path, token):
    body = (
        '{"instances":[{"amount":%s,"商户":"x"}]}'
        if path != V2
        else '{"inputs":[{"name":"amount","shape":[1],"datatype":"FP32","data":[%s]}]}'
    ) % token
    answer = client().post(path, content=body.encode())
    assert answer.status_code == 400
    assert "not valid JSON" in answer.json()["error"]
