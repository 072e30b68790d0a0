"""The gRPC interface over loopback, with real models."""

import logging

import grpc
import numpy as np
import pytest
from kserve.protocol.grpc import grpc_predict_v2_pb2 as messages
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from kfp_tabular.serving.settings.server_settings import ValuePolicies

V1 = "/v1/models/fraud:predict"
SECRET = "4111-1111-geheim"
VALID = {"amount": 1.0, "商户": "x"}
ROWS = [
    {"amount": 3.25, "Straße & Nr.": "Große Allee 5", "hour": 7, "商户": "店", "rate": 0.5},
    {"amount": -1.0, "Straße & Nr.": "", "hour": 3, "商户": "x", "rate": float("nan")},
]
CONTENTS = {
    "amount": ("FP32", "fp32_contents"),
    "Straße & Nr.": ("BYTES", "bytes_contents"),
    "hour": ("INT64", "int64_contents"),
    "商户": ("BYTES", "bytes_contents"),
    "rate": ("FP64", "fp64_contents"),
    "customer": ("BYTES", "bytes_contents"),
}


def request(*rows, **changes):
    made = messages.ModelInferRequest(**({"model_name": "fraud", "id": "a"} | changes))
    for name in dict.fromkeys(name for row in rows for name in row):
        datatype, place = CONTENTS.get(name, ("FP32", "fp32_contents"))
        tensor = made.inputs.add(name=name, datatype=datatype, shape=[len(rows)])
        values = [row[name] for row in rows]
        getattr(tensor.contents, place).extend(
            value.encode() if isinstance(value, str) else value for value in values
        )
    return made


def packed(*texts):
    return b"".join(len(text).to_bytes(4, "little") + text for text in texts)


def raw(*tensors, **changes):
    made = messages.ModelInferRequest(**({"model_name": "fraud"} | changes))
    for name, datatype, shape, content in tensors:
        made.inputs.add(name=name, datatype=datatype, shape=shape)
        made.raw_input_contents.append(content)
    return made


@pytest.fixture
def stub(grpc_endpoint):
    return lambda *arguments, **options: GRPCInferenceServiceStub(
        grpc_endpoint(*arguments, **options)
    )


@pytest.fixture
def refused(stub):
    """Send a request that must be rejected, and return the error."""

    def ask(made, **options):
        with pytest.raises(grpc.RpcError) as caught:
            stub(**options).ModelInfer(made, timeout=30)
        return caught.value

    return ask


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_responses_equal_those_of_http(client, stub, task):
    rows = [{k: v for k, v in row.items() if v == v} for row in ROWS]
    wanted = client(task).post(V1, json={"instances": rows}).json()
    answer = stub(task).ModelInfer(request(*ROWS), timeout=30)
    assert (answer.id, answer.model_name, answer.model_version) == ("a", "fraud", "7")
    outputs = {output.name: output for output in answer.outputs}
    if task == "regression":
        assert list(outputs) == ["prediction"]
        assert list(outputs["prediction"].contents.fp32_contents) == pytest.approx(
            [prediction["prediction"] for prediction in wanted["predictions"]]
        )
        return
    probabilities, classes = outputs["probabilities"], outputs["classes"]
    assert (probabilities.datatype, classes.datatype) == ("FP32", "BYTES")
    assert list(classes.shape) == [2]
    np.testing.assert_array_equal(
        np.reshape(probabilities.contents.fp32_contents, probabilities.shape),
        np.float32([prediction["probabilities"] for prediction in wanted["predictions"]]),
    )
    assert [label.decode() for label in classes.contents.bytes_contents] == [
        prediction["class"] for prediction in wanted["predictions"]
    ]


def test_raw_contents_are_read_and_written(stub):
    made = raw(
        ("amount", "FP32", [2], np.array([2.5, 7], "<f4").tobytes()),
        ("rate", "FP16", [2, 1], np.array([0.5, np.nan], "<f2").tobytes()),
        ("商户", "BYTES", [2], packed("店".encode(), b"x")),
    )
    answer = stub().ModelInfer(made, timeout=30)
    typed = stub().ModelInfer(
        request(
            {"amount": 2.5, "商户": "店", "rate": 0.5},
            {"amount": 7, "商户": "x", "rate": float("nan")},
        ),
        timeout=30,
    )
    probabilities, classes = typed.outputs
    given = np.frombuffer(answer.raw_output_contents[0], "<f4")
    np.testing.assert_array_equal(given, np.float32(probabilities.contents.fp32_contents))
    assert answer.raw_output_contents[1] == packed(*classes.contents.bytes_contents)
    assert not answer.outputs[0].HasField("contents")


def test_the_server_and_the_model_describe_themselves(stub):
    ask = stub("multiclass")
    assert ask.ServerLive(messages.ServerLiveRequest()).live
    assert ask.ServerReady(messages.ServerReadyRequest()).ready
    assert ask.ModelReady(messages.ModelReadyRequest(name="fraud", version="7")).ready
    assert ask.ServerMetadata(messages.ServerMetadataRequest()).name == "kfp-tabular"
    metadata = ask.ModelMetadata(messages.ModelMetadataRequest(name="fraud"))
    assert (metadata.name, list(metadata.versions)) == ("fraud", ["7"])
    assert [(t.name, t.datatype, list(t.shape)) for t in metadata.inputs][:2] == [
        ("amount", "FP32", [-1]),
        ("Straße & Nr.", "BYTES", [-1]),
    ]
    assert [(t.name, list(t.shape)) for t in metadata.outputs] == [
        ("probabilities", [-1, 3]),
        ("classes", [-1]),
    ]


def test_kubernetes_can_probe(grpc_endpoint):
    def check(**options):
        call = grpc_endpoint(**options).unary_unary("/grpc.health.v1.Health/Check")
        return call(b"\x0a\x05fraud", timeout=30)

    assert check() == b"\x08\x01"
    assert check(loaded=False) == b"\x08\x02"


def test_a_model_that_is_not_loaded_is_not_ready(stub, refused):
    waiting = stub(loaded=False)
    assert waiting.ServerLive(messages.ServerLiveRequest()).live
    assert not waiting.ServerReady(messages.ServerReadyRequest()).ready
    assert not waiting.ModelReady(messages.ModelReadyRequest(name="fraud")).ready
    error = refused(request(VALID), loaded=False)
    assert error.code() == grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("changes", [{"model_name": "other"}, {"model_version": "8"}])
def test_unknown_models_and_versions_are_not_found(refused, changes):
    assert refused(request(VALID, **changes)).code() == grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("method", ["RepositoryModelLoad", "RepositoryModelUnload", "NoSuchMethod"])
def test_clients_cannot_load_or_unload_models(grpc_endpoint, method):
    call = grpc_endpoint().unary_unary(f"/inference.GRPCInferenceService/{method}")
    with pytest.raises(grpc.RpcError) as caught:
        call(b"", timeout=30)
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize(
    ("made", "feature", "row", "words"),
    [
        (request({"商户": "x"}), "amount", 0, "required"),
        (request(VALID, VALID | {"amount": float("nan")}), "amount", 1, "required"),
        (request(VALID, VALID | {"amount": float("inf")}), "amount", 1, "not finite"),
        (request(VALID | {"Hour": 3}), "Hour", None, "Did you mean 'hour'"),
        (request(VALID | {"amount": 3e6}), "amount", 0, "from -2e+06 to 2e+06"),
        (
            raw(("amount", "FP32", [1], b"abcd"), ("商户", "BYTES", [1], packed(b"\xff"))),
            "商户",
            0,
            "UTF-8",
        ),
        (raw(("amount", "FP32", [1], b"abc")), "amount", None, "the 1 FP32 values"),
        (raw(("amount", "FP99", [1], b"abcd")), "amount", None, "unknown datatype"),
        (raw(("amount", "FP32", [-1], b"abcd")), "amount", None, "negative"),
        (raw(("amount", "FP32", [2**40], b"abcd")), None, None, "rows"),
        (messages.ModelInferRequest(model_name="fraud"), None, None, "no rows"),
        (request(VALID, raw_input_contents=[b"a"]), None, None, "raw contents"),
        (request(VALID, raw_input_contents=[b"a", b"b"]), "amount", None, "found both"),
        (request(VALID, outputs=[{"name": "scores"}]), None, None, "unknown output 'scores'"),
    ],
)
def test_a_wrong_request_names_the_feature_and_the_row(refused, made, feature, row, words):
    error = refused(made)
    expected = (
        grpc.StatusCode.RESOURCE_EXHAUSTED if words == "rows" else grpc.StatusCode.INVALID_ARGUMENT
    )
    assert error.code() == expected, error.details()
    details = dict(error.trailing_metadata())
    assert details.get("feature-bin", b"").decode() == (feature or "")
    assert details.get("row") == (None if row is None else str(row))
    assert words in error.details()
    if feature is not None:
        assert repr(feature) in error.details()


def test_unseen_values_are_rejected_if_configured(refused):
    error = refused(
        request(VALID | {"Straße & Nr.": SECRET}), policies=ValuePolicies(unseen_values="reject")
    )
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "one of the 2 values" in error.details()
    assert SECRET not in error.details() + str(error.trailing_metadata())


def test_only_requested_outputs_are_returned(stub):
    answer = stub().ModelInfer(request(VALID, outputs=[{"name": "classes"}]), timeout=30)
    assert [output.name for output in answer.outputs] == ["classes"]


def test_limits_are_enforced(refused, stub):
    assert refused(request(*[VALID] * 51)).code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    large = refused(request(VALID | {"customer": "x" * 20_001}))
    assert large.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert stub().ModelInfer(request(*[VALID] * 50), timeout=30).outputs


def test_malformed_messages_are_rejected(grpc_endpoint):
    for method in ("ModelInfer", "ModelReady", "ModelMetadata"):
        call = grpc_endpoint().unary_unary(f"/inference.GRPCInferenceService/{method}")
        with pytest.raises(grpc.RpcError) as caught:
            call(b"\xff\xff\xff", timeout=30)
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_an_unexpected_exception_shows_no_value(refused, monkeypatch, caplog):
    def fail(*_):
        raise RuntimeError(SECRET)

    monkeypatch.setattr("kfp_tabular.serving.model.served_model.check_domains", fail)
    with caplog.at_level(logging.INFO):
        error = refused(request(VALID))
    assert error.code() == grpc.StatusCode.INTERNAL
    assert "RuntimeError" in caplog.text
    assert SECRET not in caplog.text + error.details()
