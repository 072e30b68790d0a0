"""`:explain` over HTTP, with real models."""

import asyncio
import math

import pytest

from tests.serving.fraud_requests import V1

EXPLAIN = V1.replace(":predict", ":explain")
SECRET = "4111-1111-geheim"
ROWS = [
    {"amount": 3.25, "Straße & Nr.": "Große Allee 5", "hour": 7, "商户": "店", "rate": 0.5},
    {"amount": -1, "Straße & Nr.": None, "商户": "x"},
]
BASELINE = {"amount": 0, "hour": 0, "商户": "x", "rate": 0, "Straße & Nr.": "Weg 1"}


def explain(client, task="regression", **document):
    given = {"instances": ROWS, "baseline": {"amount": 0}, **document}
    return client(task, explains=True).post(EXPLAIN, json=given)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_attributions_add_up_to_the_change_of_the_prediction(client, task):
    answer = explain(client, task).json()
    predicted = client(task).post(V1, json={"instances": ROWS}).json()["predictions"]
    assert len(answer["explanations"]) == len(ROWS)
    for entry, prediction in zip(answer["explanations"], predicted, strict=True):
        if task == "regression":
            value = prediction["prediction"]
        else:
            classes = client(task).get(V1.removesuffix(":predict")).json()["classes"]
            value = prediction["probabilities"][classes.index(entry["class"])]
        assert entry["value"] == pytest.approx(value, abs=1e-6)
        change = entry["value"] - entry["baseline_value"]
        scale = max(abs(entry["value"]), abs(entry["baseline_value"]))
        allowed = 1e-3 * (scale if task == "regression" else 1)
        assert math.isclose(sum(entry["attributions"].values()), change, abs_tol=allowed)
        assert set(entry["attributions"]) == {"amount", "Straße & Nr.", "hour", "商户", "rate"}


def test_a_sum_gives_its_terms(client):
    answer = explain(client, baseline=BASELINE).json()
    first = answer["explanations"][0]
    assert first["method"] == "integrated_gradients"
    terms = first["attributions"]
    assert terms["amount"] == pytest.approx(3.25, abs=1e-3)
    assert terms["hour"] == pytest.approx(14, abs=1e-3)
    assert terms["rate"] == pytest.approx(0.5, abs=1e-3)
    # Three times the lengths of both streets in bytes.
    lengths = [len(name.encode()) for name in ("Große Allee 5", "Weg 1")]
    assert terms["Straße & Nr."] == pytest.approx(3 * (lengths[0] - lengths[1]), abs=1e-3)
    assert answer["model_version"] == "7"


def test_a_whole_raw_row_is_a_baseline(client):
    assert explain(client, baseline={**BASELINE, "fraud": 1, "customer": "c"}).status_code == 200


@pytest.mark.parametrize(
    ("baseline", "said"),
    [
        ([1], "'baseline': expected an object of values by feature name, found a list."),
        ({"speed": 1}, "baseline: "),
        ({"hour": SECRET}, "baseline: feature 'hour': expected"),
    ],
)
def test_a_bad_baseline_is_refused_without_its_value(client, baseline, said):
    answer = explain(client, baseline=baseline)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(said)
    assert SECRET not in answer.text


def test_the_answer_says_what_the_baseline_declares(client):
    given = {"hour": 3, "amount": 2, "商户": "x", "rate": None}
    found = explain(client, baseline=given).json()["baseline"]
    assert found["declared"] == ["amount", "hour", "商户"]
    assert found["missing"] == ["Straße & Nr.", "rate"]


def test_the_models_typical_row_is_the_default_baseline(client):
    answer = explain(client, "binary", baseline={"hour": 3}).json()
    assert answer["baseline"] == {
        "declared": ["hour"],
        "typical": ["amount", "商户"],
        "missing": ["Straße & Nr.", "rate"],
    }
    whole = {"amount": 2, "商户": "x", "hour": 3, "*": None}
    assert (
        explain(client, "binary", baseline=whole).json()["explanations"] == answer["explanations"]
    )
    assert explain(client, "binary", baseline={"*": None}).status_code == 400


@pytest.mark.parametrize("baseline", [{}, {"hour": 3}, {"amount": None}])
def test_a_number_that_was_never_missing_needs_a_value_in_the_baseline(client, baseline):
    answer = explain(client, baseline=baseline)
    assert answer.status_code == 400
    said = "baseline: no value for feature 'amount', which was never missing in training"
    assert answer.json()["error"].startswith(said)


ONE = {"amount": 1, "商户": "x"}
HOSTILE = {
    "not JSON": (b"{", 400, "not valid JSON"),
    "no bytes": (b"", 400, "not valid JSON"),
    "a list": ([ONE], 400, "expected a JSON object with 'instances'"),
    "no instances": ({"baseline": {}}, 400, "an object without 'instances'"),
    "instances of text": ({"instances": "x"}, 400, "'instances': expected a list"),
    "nothing": ({"instances": []}, 400, "'instances' is empty"),
    "a row of numbers": ({"instances": [[1, 2]]}, 400, "instance 0: "),
    "an unknown feature": ({"instances": [{**ONE, "amuont": 1}]}, 400, "instance 0: "),
    "a missing feature": ({"instances": [{"amount": 1}]}, 400, "instance 0: "),
    "the wrong type": ({"instances": [ONE, {**ONE, "hour": [SECRET]}]}, 400, "instance 1: "),
    "a baseline of null": ({"instances": [ONE], "baseline": None}, 400, "'baseline': expected"),
    "a nested baseline": (
        {"instances": [ONE], "baseline": {"hour": {"a": SECRET}}},
        400,
        "baseline: feature 'hour'",
    ),
    "a row too many": ({"instances": [ONE] * 33}, 413, "33 rows, this server accepts 32"),
    "many rows too many": ({"instances": [ONE] * 700}, 413, ""),
    "many values": (b'{"instances": [' + b"[]," * 6000 + b"[]]}", 413, ""),
    "a large body": ({"instances": [{**ONE, "商户": "x" * 30_000}]}, 413, ""),
    "a deep baseline": (
        b'{"instances": [], "baseline": ' + b"[" * 500 + b"]" * 500 + b"}",
        400,
        "",
    ),
}


@pytest.mark.parametrize("body", HOSTILE)
def test_a_request_that_cannot_be_explained_gets_one_short_line(client, body):
    content, status, said = HOSTILE[body]
    sent = {"content": content} if isinstance(content, bytes) else {"json": content}
    answer = client("binary", explains=True).post(EXPLAIN, **sent)
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert said in error
    assert len(error) < 300
    assert "\n" not in error
    assert SECRET not in error


def test_rows_of_a_wide_model_are_bounded_by_the_predictions_that_they_take():
    from types import SimpleNamespace

    from kfp_tabular.serving.model.explaining import check_effort
    from kfp_tabular.serving.protocol.request_error import RequestError
    from kfp_tabular.serving.protocol.v1_explanations import ExplanationRequest

    wide = SimpleNamespace(evaluations=lambda _: 40_000)
    check_effort(wide, ExplanationRequest({"a": [0] * 3}, {}))
    with pytest.raises(RequestError, match="takes 40000 predictions .* explains 3 in a request"):
        check_effort(wide, ExplanationRequest({"a": [0] * 4}, {}))
    # The rows that are accepted by default are no more than a usual model's explanations take.
    check_effort(
        SimpleNamespace(evaluations=lambda _: 4096), ExplanationRequest({"a": [0] * 32}, {})
    )


def test_rows_are_bounded(client):
    answer = explain(client, instances=ROWS * 17)
    assert answer.status_code == 413
    assert "has 34 rows, this server accepts 32" in answer.json()["error"]


def test_no_header_and_no_value_is_echoed(client):
    rows = [{"amount": 1, "商户": SECRET}]
    headers = {"authorization": SECRET, "x-other": SECRET}
    answer = client("binary", explains=True).post(
        EXPLAIN,
        json={"instances": rows, "baseline": {"amount": 1, "商户": SECRET}},
        headers=headers,
    )
    assert answer.status_code == 200
    assert SECRET not in answer.text
    assert SECRET not in str(answer.headers)


def test_values_are_checked_as_for_predictions(client):
    answer = explain(client, instances=[{"amount": 3e6, "商户": "x"}])
    assert answer.status_code == 400
    assert "amount" in answer.json()["error"]


def test_a_model_without_explainer_is_not_found(client):
    answer = client("binary").post(EXPLAIN, json={"instances": ROWS})
    assert answer.status_code == 404
    assert answer.json()["error"] == "model 'fraud' has no explainer."


def test_predictions_are_answered_while_an_explanation_runs_and_a_flood_is_refused(
    endpoint, monkeypatch
):
    """Explanations run outside of the event loop, and only so many wait."""
    import threading

    from kfp_tabular.serving.model import explaining
    from kfp_tabular.serving.model.overload import OverloadedError
    from kfp_tabular.serving.protocol.v1_explanations import ExplanationRequest

    go_on = threading.Event()
    monkeypatch.setattr(explaining, "_explained", lambda *_: go_on.wait(60))

    async def run():
        queue = explaining.Explaining()
        tasks = [
            asyncio.create_task(queue.explain(None, ExplanationRequest({}, {}))) for _ in range(9)
        ]
        # The loop turns while the first one blocks its thread; the ninth is refused at once.
        done, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        assert len(waiting) == 8
        assert isinstance(done.pop().exception(), OverloadedError)
        go_on.set()
        assert await asyncio.gather(*waiting) == [True] * 8

    asyncio.run(run())
