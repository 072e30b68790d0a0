"""No log line, metric or response holds a secret, token or raw value."""

import grpc
import pytest
import requests
from kserve.protocol.grpc import grpc_predict_v2_pb2 as messages
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

KEY = "geheim-0123456789abcdef"
WRONG_KEY = "falsch-0123456789abcdef"
VALUE = "4111-1111-geheim"
NUMBER = 987654321.125
SECRETS = (KEY, WRONG_KEY, VALUE, "987654321", "9.87654")

ROW = {"amount": 1.5, "商户": "x"}
BODIES = [
    {"instances": [ROW]},
    {"instances": [ROW | {"商户": VALUE, "Straße & Nr.": VALUE}]},
    {"instances": [ROW | {"amount": VALUE}]},
    {"instances": [ROW | {"amount": NUMBER}]},
    {"instances": [ROW | {"hour": NUMBER}]},
    {"instances": [{"amount": [VALUE], "商户": {VALUE: NUMBER}}]},
    {"instances": VALUE},
    {"instances": [VALUE]},
    {"inputs": VALUE},
    {"inputs": [{"name": "amount", "shape": [1], "datatype": "FP32", "data": [VALUE]}]},
    {"inputs": [{"name": "amount", "shape": [1], "datatype": "FP32", "data": [NUMBER]}]},
    {"inputs": [{"name": "商户", "shape": [VALUE], "datatype": "BYTES", "data": [VALUE]}]},
]


@pytest.fixture(scope="module")
def server(tmp_path_factory, model_directory, start_for_module):
    keys = tmp_path_factory.mktemp("keys")
    (keys / "somebody").write_text(KEY)
    return start_for_module(
        *("--model", model_directory("binary"), "--name", "fraud", "--access-log"),
        *("--port", 0, "--grpc-port", 0, "--unseen-values", "reject"),
        *("--auth-keys", keys, "--auth-open", "health,metrics"),
    ).ready()


def rest(server, key):
    headers = {"authorization": f"Bearer {key}", "x-forwarded-for": VALUE, "ce-id": VALUE}
    for path in (
        "/v1/models/fraud:predict",
        "/v2/models/fraud/infer",
        "/v1/models/fraud:explain",
        "/v1/models/other:predict",
    ):
        for body in BODIES:
            yield requests.post(
                f"{server.url}{path}?token={key}", json=body, headers=headers, timeout=30
            )
        yield requests.post(f"{server.url}{path}", data=VALUE, headers=headers, timeout=30)
    for path in ("/", "/v1/models", "/v2/models/fraud", "/metrics", "/v2/health/ready"):
        yield requests.get(f"{server.url}{path}?v={VALUE}", headers=headers, timeout=30)


def rpc(server, key):
    for text, number in ((VALUE, 1.0), ("x", NUMBER), (VALUE, NUMBER)):
        request = messages.ModelInferRequest(model_name="fraud", id="a")
        request.inputs.add(name="amount", datatype="FP32", shape=[1]).contents.fp32_contents.append(
            number
        )
        for name in ("商户", "Straße & Nr."):
            request.inputs.add(
                name=name, datatype="BYTES", shape=[1]
            ).contents.bytes_contents.append(text.encode())
        with grpc.insecure_channel(server.grpc) as channel:
            metadata = (("authorization", f"Bearer {key}"), ("x-some", VALUE))
            try:
                answer = GRPCInferenceServiceStub(channel).ModelInfer(
                    request, timeout=30, metadata=metadata
                )
                yield grpc.StatusCode.OK, str(answer)
            except grpc.RpcError as error:
                yield error.code(), f"{error.details()} {error.trailing_metadata()}"


def test_no_secret_or_value_is_disclosed(server):
    answers = [answer for key in (KEY, WRONG_KEY) for answer in rest(server, key)]
    calls = [call for key in (KEY, WRONG_KEY) for call in rpc(server, key)]
    assert {answer.status_code for answer in answers} == {200, 400, 401, 404}
    assert {code for code, _ in calls} == {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.UNAUTHENTICATED,
    }
    metrics = requests.get(f"{server.url}/metrics", timeout=30).text
    assert 'key="somebody"' in metrics
    assert server.stop()[0] == 0
    told = [
        server.log,
        metrics,
        *(answer.text for answer in answers),
        *(str(answer.headers) for answer in answers),
        *(text for _, text in calls),
    ]
    assert "401" in server.log
    for secret in SECRETS:
        lines = [line for text in told for line in text.splitlines() if secret in line]
        assert lines == []
