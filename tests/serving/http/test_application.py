"""The HTTP interface in this process, with real models."""

import json
import logging
import math
import re
import struct
from typing import get_args

import numpy as np
import pytest

from kfp_tabular.components.common.artifacts import lineage
from kfp_tabular.components.common.process.tensorflow import import_tensorflow
from kfp_tabular.serving.http.request_handlers import RequestHandlers
from kfp_tabular.serving.protocol.routes import RouteName
from kfp_tabular.serving.settings.server_settings import RequestLimits, ValuePolicies
from tests.serving.fraud_requests import SHOP, V1, V2, tensor, tensors

SECRET = "4111-1111-geheim"

ROWS = [
    {"amount": 3.25, "Straße & Nr.": "Große Allee 5", "hour": 7, "商户": "店", "rate": 0.5},
    {"amount": -1, "Straße & Nr.": None, "商户": "x"},
    {"amount": 1e6, "hour": None, "商户": "", "rate": 4},
    {"amount": 0.1, "hour": 2.0, "商户": "y", "customer": "c-1", "fraud": 1},
]
VALID = {"amount": 1, "商户": "x"}


def counted(text, name):
    """Return the sum of a metric's samples."""
    return sum(float(line.rpartition(" ")[2]) for line in re.findall(rf"^{name}.*$", text, re.M))


def expected(directory, rows):
    """Return the outputs of the exported model, called as the evaluation calls it."""
    tf = import_tensorflow()
    signature = tf.saved_model.load(str(directory)).signatures["serving_default"]

    def values(name, missing):
        return [missing if row.get(name) is None else row[name] for row in rows]

    return {
        name: value.numpy()
        for name, value in signature(
            amount=tf.constant(values("amount", math.nan), tf.float32),
            rate=tf.constant(values("rate", math.nan), tf.float32),
            hour=tf.constant([int(v) for v in values("hour", -(2**63))], tf.int64),
            Strae__Nr=tf.constant(values("Straße & Nr.", "")),
            feature_3=tf.constant(values("商户", "")),
        ).items()
    }


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_a_classifier_predicts_like_the_exported_model(client, model_directory, task):
    wanted = expected(model_directory(task), ROWS)

    v1 = client(task).post(V1, json={"instances": ROWS}).json()
    v2 = client(task).post(V2, json={"id": "a", "inputs": tensors(ROWS)}).json()

    probabilities, classes = v2["outputs"]
    labels = [label.decode() for label in wanted["classes"]]
    np.testing.assert_allclose(
        [prediction["probabilities"] for prediction in v1["predictions"]],
        wanted["probabilities"],
        atol=1e-6,
    )
    np.testing.assert_allclose(
        np.reshape(probabilities["data"], probabilities["shape"]),
        wanted["probabilities"],
        atol=1e-6,
    )
    assert [prediction["class"] for prediction in v1["predictions"]] == labels == classes["data"]
    assert len(set(labels)) > 1
    assert len(v1["classes"]) == probabilities["shape"][1]
    assert (v1["model_version"], v2["model_version"]) == ("7", "7")
    assert (v2["id"], v2["model_name"]) == ("a", "fraud")
    assert (probabilities["datatype"], classes["datatype"]) == ("FP32", "BYTES")


def test_a_regression_model_predicts_like_the_exported_model(client, model_directory):
    wanted = expected(model_directory("regression"), ROWS)["prediction"]

    v1 = client("regression").post(V1, json={"instances": ROWS}).json()
    v2 = client("regression").post(V2, json={"inputs": tensors(ROWS)}).json()

    assert v1 == {
        "predictions": [{"prediction": pytest.approx(value)} for value in wanted.tolist()],
        "model_version": "7",
    }
    assert v2["outputs"] == [
        {
            "name": "prediction",
            "shape": [4],
            "datatype": "FP32",
            "data": pytest.approx(wanted.tolist()),
        }
    ]
    assert v2["id"]


def test_the_v2_metadata_describes_the_tensors(client, model_directory):
    metadata = client("multiclass").get("/v2/models/fraud").json()
    digest = lineage.digest(model_directory("multiclass"))
    assert metadata == {
        "name": "fraud",
        "versions": ["7"],
        "platform": "tensorflow_savedmodel",
        "inputs": [
            {"name": "amount", "datatype": "FP32", "shape": [-1]},
            {"name": "Straße & Nr.", "datatype": "BYTES", "shape": [-1]},
            {"name": "hour", "datatype": "INT64", "shape": [-1]},
            {"name": "商户", "datatype": "BYTES", "shape": [-1]},
            {
                "name": "rate",
                "datatype": "FP32",
                "shape": [-1],
                "parameters": {
                    "format": {"kind": "number", "number": {"decimal": ",", "percent": True}}
                },
            },
        ],
        "outputs": [
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, 3]},
            {"name": "classes", "datatype": "BYTES", "shape": [-1]},
        ],
        "parameters": {"digest": digest},
    }
    assert client("multiclass").get("/v2/models/fraud/versions/7").json() == metadata


def test_the_v1_status_describes_the_predictions(client):
    assert client("binary").get("/v1/models/fraud").json() == {
        "name": "fraud",
        "ready": True,
        "model_version": "7",
        "task": "binary",
        "label": "fraud",
        "classes": ["no", "ja"],
        "decision_threshold": 0.5,
    }


@pytest.mark.parametrize(
    ("path", "key", "value"),
    [
        ("/", "status", "alive"),
        ("/v1/models", "models", ["fraud"]),
        ("/v2", "name", "kfp-tabular"),
        ("/v2/models", "models", ["fraud"]),
        ("/v2/health/live", "live", True),
        ("/v2/health/ready", "ready", True),
        ("/v2/models/fraud/ready", "ready", True),
        ("/v2/models/fraud/versions/7/ready", "ready", True),
    ],
)
def test_the_server_describes_itself(client, path, key, value):
    answer = client().get(path)
    assert (answer.status_code, answer.json()[key]) == (200, value)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/models/fraud"),
        ("GET", "/v2/models/fraud"),
        ("GET", "/v2/models/fraud/ready"),
        ("GET", "/v2/health/ready"),
        ("POST", V1),
        ("POST", V2),
    ],
)
def test_a_model_that_is_not_loaded_is_not_ready(client, method, path):
    waiting = client(loaded=False)
    assert waiting.request(method, path, json={"instances": ROWS}).status_code == 503
    assert waiting.get("/v2/health/live").status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/models/other:predict"),
        ("POST", "/v2/models/other/infer"),
        ("GET", "/v2/models/other/ready"),
        ("GET", "/v2/models/fraud/versions/8"),
        ("POST", "/v2/models/fraud/versions/8/infer"),
        ("POST", "/v1/models/fraud:explain"),
        ("POST", "/v2/repository/models/fraud/unload"),
        ("POST", "/v2/repository/models/fraud/load"),
        ("GET", "/v2/"),
        ("POST", f"{V1}/"),
        ("GET", "/docs"),
        ("GET", "/openapi.json"),
    ],
)
def test_unknown_paths_are_not_found_and_no_header_is_echoed(client, method, path):
    headers = {"authorization": SECRET, "host": SECRET}
    answer = client().request(method, path, json={}, headers=headers, follow_redirects=False)
    assert answer.status_code == 404
    assert isinstance(answer.json()["error"], str)
    assert SECRET not in answer.text + str(answer.headers)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", V1, "POST"),
        ("HEAD", V1, "POST"),
        ("PUT", V2, "POST"),
        ("OPTIONS", V2, "POST"),
        ("POST", "/v1/models/fraud", "GET"),
        ("DELETE", "/v2/models/fraud", "GET"),
        ("POST", "/metrics", "GET"),
    ],
)
def test_another_http_method_is_rejected_with_the_allowed_one(client, method, path, allowed):
    answer = client().request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


@pytest.mark.parametrize("path", ["/", "/v1/models/fraud", "/v2/models", "/metrics"])
def test_paths_with_get_accept_head(client, path):
    assert client().head(path).status_code == 200


def test_every_path_has_a_handler(endpoint):
    plane, _ = endpoint("binary", False, ValuePolicies(), 1)
    assert RequestHandlers(plane, RequestLimits(), []).by_route().keys() == set(get_args(RouteName))


def test_metrics_count_predictions(client):
    before = client().get("/metrics").text
    client().post(V1, json={"instances": [VALID, VALID]})
    after = client().get("/metrics").text
    assert 'request_predict_seconds_count{model_name="fraud"}' in after
    assert counted(after, "kfp_tabular_predictions_total") == 2 + counted(
        before, "kfp_tabular_predictions_total"
    )


def test_metrics_count_rejections_and_values_outside_of_the_schema(client):
    def count(*instances):
        before = client().get("/metrics").text
        client().post(V1, json={"instances": instances})
        after = client().get("/metrics").text
        return {
            line.rpartition(" ")[0]
            for line in set(after.splitlines()) - set(before.splitlines())
            if re.match(r"kfp_tabular_(rejections|out_of_domain)_total", line)
        }

    refused = 'kfp_tabular_rejections_total{feature="%s",model="fraud",reason="%s"}'
    outside = 'kfp_tabular_out_of_domain_total{feature="%s",model="fraud"}'
    assert count(VALID | {"amount": SECRET}) == {refused % ("amount", "type")}
    assert count({"商户": "x"}) == {refused % ("amount", "missing")}
    assert count(VALID | {SECRET: 1}) == {refused % ("other", "unknown")}
    assert count() == {refused % ("", "malformed")}
    assert count(*[VALID] * 51) == {refused % ("", "size")}
    assert count(VALID, VALID | {"hour": 100_001}) == {outside % "hour"}
    assert count(VALID | {"Straße & Nr.": "Weg 2"}) == {outside % "Straße & Nr."}
    assert count(VALID | {"Straße & Nr.": "Weg 1", "hour": None}) == set()
    assert count(VALID | {"amount": 3e6}) == {
        outside % "amount",
        refused % ("amount", "range"),
    }
    assert SECRET not in client().get("/metrics").text


def test_text_is_read_as_in_training_or_missing_if_configured(client, caplog):
    def predicted(served, value):
        return served.post(V1, json={"instances": [VALID | {"rate": value}]})

    strict = client(policies=ValuePolicies())
    assert predicted(strict, "45,1 %").json() == predicted(strict, 0.451).json()
    assert predicted(strict, "n/d").json() == predicted(strict, None).json()
    refused = predicted(strict, SECRET)
    assert (refused.status_code, refused.json()["feature"]) == (400, "rate")
    assert "a number as in the training data" in refused.json()["error"]
    lenient = client(policies=ValuePolicies(unreadable_values="missing"))
    name = 'kfp_tabular_unreadable_values_total{feature="rate",model="fraud"}'
    for count in (1, 2):
        assert predicted(lenient, SECRET).json() == predicted(lenient, None).json()
        assert counted(lenient.get("/metrics").text, name) == count
    warnings = [record.getMessage() for record in caplog.records if "cannot be" in record.message]
    assert warnings == [
        "feature 'rate': text that cannot be read counts as missing "
        "(--unreadable-values); 1 since the last line like this"
    ]
    assert SECRET not in lenient.get("/metrics").text + refused.text + caplog.text


def test_a_lenient_endpoint_takes_rows_of_a_csv_reader(client):
    def predicted(served, **values):
        return served.post(V1, json={"instances": [VALID | values]})

    strict, lenient = client(), client(policies=ValuePolicies(lenient=True))
    assert predicted(strict, amount="3.5").status_code == 400
    assert (
        predicted(lenient, amount="3.5", hour="7.0", rate="").json()
        == predicted(strict, amount=3.5, hour=7, rate=None).json()
    )
    refused = predicted(lenient, amount=SECRET)
    assert (refused.status_code, refused.json()["feature"]) == (400, "amount")
    assert "a finite number in float32's range" in refused.json()["error"]
    assert SECRET not in refused.text


@pytest.mark.parametrize("protocol", ["v1", "v2"])
@pytest.mark.parametrize(
    ("values", "feature", "words"),
    [
        ({"amount": 2.5e6}, "amount", "from -2e+06 to 2e+06"),
        ({"amount": -1e30}, "amount", "from -2e+06 to 2e+06"),
        ({"hour": 100_001}, "hour", "from -100000 to 100000"),
        ({"hour": -(2**63) + 1}, "hour", "from -100000 to 100000"),
        ({"Straße & Nr.": SECRET}, "Straße & Nr.", "one of the 2 values"),
    ],
)
def test_a_value_outside_of_the_schema_is_rejected_if_configured(
    client, protocol, values, feature, words
):
    strict = client(policies=ValuePolicies(unseen_values="reject", out_of_range="reject"))
    rows = [VALID, VALID, VALID | values]
    if protocol == "v1":
        answer = strict.post(V1, json={"instances": rows})
    else:
        answer = strict.post(V2, json={"inputs": tensors(rows)})
    body = answer.json()
    assert (answer.status_code, body["feature"], body["row"]) == (400, feature, 2)
    assert body["error"].startswith("instance 2: feature ")
    assert words in body["error"]
    assert SECRET not in answer.text
    lenient = client(policies=ValuePolicies(unseen_values="count", out_of_range="count"))
    assert lenient.post(V1, json={"instances": rows}).status_code == 200


@pytest.mark.parametrize(
    ("instance", "feature", "words"),
    [
        ({"商户": "x"}, "amount", ["required", "number"]),
        ({"amount": None, "商户": "x"}, "amount", ["required"]),
        (VALID | {"Hour": 3}, "Hour", ["unknown", "'hour'"]),
        (VALID | {"amount": SECRET}, "amount", ["number", "text"]),
        (VALID | {"amount": True}, "amount", ["number", "boolean"]),
        (VALID | {"hour": 7.5}, "hour", ["whole number", "fraction"]),
        (VALID | {"hour": 2**63}, "hour", ["whole number", "out of range"]),
        (VALID | {"hour": SECRET}, "hour", ["whole number", "text"]),
        (VALID | {"Straße & Nr.": 5}, "Straße & Nr.", ["text", "a number"]),
        (VALID | {"rate": [SECRET]}, "rate", ["number", "a list"]),
        (VALID | {"商户": {"a": SECRET}}, "商户", ["text", "an object"]),
        ([SECRET], None, ["object", "a list"]),
    ],
)
def test_a_wrong_instance_names_the_feature_and_the_row(client, instance, feature, words):
    answer = client().post(V1, json={"instances": [VALID, instance]})
    body = answer.json()
    assert answer.status_code == 400
    assert body["row"] == 1
    assert body.get("feature") == feature
    assert "instance 1" in body["error"]
    for word in [*words, *([repr(feature)] if feature else [])]:
        assert word in body["error"]
    assert SECRET not in answer.text


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not valid JSON"),
        (b'{"instances": [', "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
        (b"[NaN]", "not valid JSON"),
        (b"[" * 1500, "not valid JSON"),
        (b"[]", "found a list"),
        (b"{}", "'instances'"),
        (b'{"instances": {}}', "found an object"),
        (b'{"instances": []}', "empty"),
        (b'{"instances": null}', "found null"),
    ],
)
def test_a_malformed_body_is_rejected(client, body, words):
    answer = client().post(V1, content=body)
    assert answer.status_code == 400
    assert words in answer.json()["error"]


def test_a_batch_above_the_limit_is_rejected(client):
    answer = client().post(V1, json={"instances": [VALID] * 51})
    assert answer.status_code == 413
    assert "51 rows" in answer.json()["error"]
    assert client().post(V1, json={"instances": [VALID] * 50}).status_code == 200
    assert client().post(V2, json={"inputs": tensors([VALID] * 51)}).status_code == 413


@pytest.mark.parametrize("size", [20_001, 1_000_000])
@pytest.mark.parametrize("path", [V1, V2])
def test_a_body_above_the_limit_is_rejected(client, path, size):
    declared = client().post(path, content=b" " * size)
    streamed = client().post(path, content=iter([b" " * size]))
    assert (declared.status_code, streamed.status_code) == (413, 413)
    assert "20000 bytes" in declared.json()["error"]


def test_a_length_with_thousands_of_zeros_is_handled(client):
    body = json.dumps({"instances": [VALID]})
    headers = {"content-length": f"{len(body):05000}"}
    assert client().post(V1, content=body, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "first",
    [
        tensor(),
        tensor(shape=[1, 1]),
        tensor(shape=[1, 1], data=[[1.5]]),
        tensor(datatype="FP64"),
        tensor(datatype="INT32", data=[2]),
        tensor(datatype="fp32"),
        tensor(parameters={"some": "thing"}),
    ],
)
def test_equivalent_tensors_are_accepted(client, first):
    assert client().post(V2, json={"inputs": [first, SHOP]}).status_code == 200


def test_a_tensor_may_be_named_after_the_signatures_input(client):
    by_input = client().post(V2, json={"inputs": [tensor(), SHOP | {"name": "feature_3"}]}).json()
    by_feature = client().post(V2, json={"inputs": [tensor(), SHOP]}).json()
    assert by_input["outputs"] == by_feature["outputs"]


@pytest.mark.parametrize(
    ("inputs", "feature", "words"),
    [
        ([SHOP], "amount", ["required"]),
        ([tensor(data=[None]), SHOP], "amount", ["required", "instance 0"]),
        ([tensor(), SHOP, tensor(name="ammount")], "ammount", ["unknown", "'amount'"]),
        ([tensor(), SHOP, tensor()], "amount", ["twice"]),
        ([tensor(), SHOP, SHOP | {"name": "feature_3"}], "商户", ["twice"]),
        ([tensor(datatype="BYTES", data=[SECRET]), SHOP], "amount", ["FP32", "BYTES"]),
        ([tensor(datatype="BOOL", data=[True]), SHOP], "amount", ["FP32", "BOOL"]),
        ([tensor(datatype="FP23"), SHOP], "amount", ["unknown datatype 'FP23'"]),
        ([tensor(data=[SECRET]), SHOP], "amount", ["number", "text"]),
        ([tensor(data=[[1.5]]), SHOP], "amount", ["a list"]),
        ([tensor(shape=[2]), SHOP], "amount", ["2 rows", "the data 1"]),
        ([SHOP, tensor(shape=[2], data=[1, 2])], "amount", ["2 rows"]),
        ([tensor(shape=[1, 2], data=[1, 2]), SHOP], "amount", ["shape"]),
        ([tensor(shape=[]), SHOP], "amount", ["shape"]),
        ([tensor(shape=[-1]), SHOP], None, ["inputs[0].shape"]),
        ([tensor(shape=[True]), SHOP], None, ["inputs[0].shape"]),
        ([tensor(shape=[0], data=[]), SHOP | {"shape": [0], "data": []}], None, ["no rows"]),
        ([], None, ["no rows"]),
        ([tensor(name=3)], None, ["inputs[0].name", "a number"]),
        ([tensor(data=SECRET)], None, ["inputs[0].data", "text"]),
        (["x"], None, ["inputs[0]", "text"]),
        ({"a": 1}, None, ["'inputs'", "an object"]),
        ([tensor(parameters=[1])], None, ["inputs[0].parameters"]),
        (
            [tensor(parameters={"binary_data_size": 0}), SHOP],
            "amount",
            ["'data' or binary data"],
        ),
    ],
)
def test_a_wrong_tensor_is_named(client, inputs, feature, words):
    answer = client().post(V2, json={"inputs": inputs})
    assert answer.status_code == 400
    assert answer.json().get("feature") == feature
    for word in words:
        assert word in answer.json()["error"]
    assert SECRET not in answer.text


def test_only_requested_outputs_are_returned(client):
    inputs = [tensor(), SHOP]
    answer = client().post(V2, json={"inputs": inputs, "outputs": [{"name": "classes"}]}).json()
    assert [output["name"] for output in answer["outputs"]] == ["classes"]
    wrong = client().post(V2, json={"inputs": inputs, "outputs": [{"name": "scores"}]})
    assert wrong.status_code == 400
    assert "unknown output 'scores'" in wrong.json()["error"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"outputs": ""}, "'outputs': expected a list, found text"),
        ({"outputs": {}}, "'outputs': expected a list, found an object"),
        ({"parameters": {"binary_data_output": "false"}}, "parameters.binary_data_output"),
        (
            {"outputs": [{"name": "classes", "parameters": {"binary_data": 0}}]},
            "outputs[0].parameters.binary_data: expected true or false, found a number",
        ),
    ],
)
def test_an_invalid_option_is_rejected(client, options, words):
    answer = client().post(V2, json={"inputs": [tensor(), SHOP]} | options)
    assert answer.status_code == 400, answer.text
    assert words in answer.json()["error"]


def binary_request(parts, tail=b""):
    """Return a v2 request whose tensors follow its JSON as raw bytes."""
    inputs = [
        {
            "name": name,
            "shape": [rows],
            "datatype": datatype,
            "parameters": {"binary_data_size": len(raw)},
        }
        for name, datatype, rows, raw in parts
    ]
    head = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}}).encode()
    body = head + b"".join(raw for *_, raw in parts) + tail
    return body, {"inference-header-content-length": str(len(head))}


def packed(*texts):
    return b"".join(struct.pack("<I", len(text)) + text for text in texts)


def test_binary_tensors_are_read_and_written(client, model_directory):
    rows = [{"amount": 2.5, "商户": "店", "rate": 0.5}, {"amount": 7, "商户": "x", "rate": None}]
    body, headers = binary_request(
        [
            ("amount", "FP32", 2, np.array([2.5, 7], "<f4").tobytes()),
            ("rate", "FP64", 2, np.array([0.5, np.nan], "<f8").tobytes()),
            ("商户", "BYTES", 2, packed("店".encode(), b"x")),
        ]
    )
    answer = client().post(V2, content=body, headers=headers)

    length = int(answer.headers["inference-header-content-length"])
    probabilities = np.frombuffer(answer.content[length : length + 16], "<f4").reshape(2, 2)
    np.testing.assert_allclose(
        probabilities, expected(model_directory("binary"), rows)["probabilities"], atol=1e-6
    )


@pytest.mark.parametrize(
    ("parts", "tail"),
    [
        ([("amount", "FP32", 1, b"abc")], b""),
        ([("amount", "FP32", 1, b"abcd"), ("商户", "BYTES", 1, packed(b"x"))], b"more"),
        ([("amount", "FP32", 1, b"abcd"), ("商户", "BYTES", 1, b"\xff\xff\xff\xff")], b""),
        ([("amount", "FP32", 1, b"abcd"), ("商户", "BYTES", 1, packed(b"\xff\xfe"))], b""),
        ([("amount", "FP32", 1, b"abcd"), ("商户", "BYTES", 1, b"")], b""),
        ([("amount", "FP32", 1, b"\xff\xff\xff\x7f"), ("商户", "BYTES", 1, packed(b"x"))], b""),
        ([("amount", "BYTES", 1, packed(b"x")), ("商户", "BYTES", 1, packed(b"x"))], b""),
    ],
)
def test_invalid_binary_tensors_are_rejected(client, parts, tail):
    body, headers = binary_request(parts, tail)
    answer = client().post(V2, content=body, headers=headers)
    assert answer.status_code == 400, answer.text


@pytest.mark.parametrize(
    "length", ["0", "-1", "x", "999999", "³", "", "9" * 5000, "0" * 5000 + "9"]
)
def test_an_invalid_length_of_the_json_part_is_rejected(client, length):
    twice = [("inference-header-content-length", "14")] * 2
    assert client().post(V2, content=b'{"inputs": []}', headers=twice).status_code == 400
    answer = client().post(
        V2,
        content=json.dumps({"inputs": []}),
        headers={"inference-header-content-length": length.encode("latin-1")},
    )
    assert answer.status_code == 400


@pytest.mark.parametrize("rows", [1, 16])
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_prediction_that_is_not_finite_is_rejected(client, task, rows):
    beyond = VALID | {"amount": 3.4e38, "rate": 3.4e38}
    taken = client(task, policies=ValuePolicies(out_of_range="count"), rows=rows)
    for path, document in (
        (V1, {"instances": [VALID, beyond]}),
        (V2, {"inputs": tensors([VALID, beyond])}),
    ):
        answer = taken.post(path, json=document)
        assert (answer.status_code, answer.json().get("row")) == (400, 1), answer.text
        assert "not a finite number" in answer.json()["error"]


def test_an_unexpected_exception_shows_no_value(client, monkeypatch, caplog):
    def fail(*_):
        raise RuntimeError(SECRET)

    monkeypatch.setattr("kfp_tabular.serving.model.served_model.check_domains", fail)
    with caplog.at_level(logging.INFO):
        answer = client().post(V1, json={"instances": [VALID]})
    assert answer.status_code == 500
    assert "RuntimeError" in caplog.text
    assert "test_application.py" in caplog.text
    assert SECRET not in caplog.text + answer.text


def test_bad_requests_log_nothing(client, caplog):
    with caplog.at_level(logging.INFO, logger="kfp_tabular"):
        client().post(V1, json={"instances": [VALID | {"amount": SECRET}]})
        client().post(V1, content=b"{")
    assert SECRET not in caplog.text
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
