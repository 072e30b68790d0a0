"""Statuses as KServe's controller writes them."""

from typing import Any

import pytest

from kfp_tabular.components.deployment.kserve.resources import inference_service_status

# As a Knative service in the midst of a canary has it.
CANARY: dict[str, Any] = {
    "spec": {},
    "status": {
        "deploymentMode": "Serverless",
        "url": "http://taxi.team.example.com",
        "address": {"url": "http://taxi.team.svc.cluster.local"},
        "conditions": [
            {"type": "PredictorReady", "status": "True"},
            {"type": "Ready", "status": "True"},
        ],
        "components": {
            "predictor": {
                "latestCreatedRevision": "taxi-predictor-00002",
                "latestReadyRevision": "taxi-predictor-00002",
                "latestRolledoutRevision": "taxi-predictor-00001",
                "url": "http://taxi-predictor.team.example.com",
                "address": {"url": "http://taxi-predictor.team.svc.cluster.local"},
                "traffic": [
                    {
                        "latestRevision": True,
                        "percent": 5,
                        "revisionName": "taxi-predictor-00002",
                        "tag": "latest",
                        "url": "http://latest-taxi-predictor.team.example.com",
                    },
                    {
                        "latestRevision": False,
                        "percent": 95,
                        "revisionName": "taxi-predictor-00001",
                        "tag": "prev",
                        "url": "http://prev-taxi-predictor.team.example.com",
                    },
                ],
            }
        },
        "modelStatus": {
            "transitionStatus": "UpToDate",
            "states": {"activeModelState": "Loaded", "targetModelState": "Loaded"},
            # Of a model long ago; KServe never takes it away.
            "lastFailureInfo": {"reason": "ModelLoadFailed", "message": "old"},
        },
    },
}


def test_a_canary() -> None:
    view = inference_service_status.read(CANARY)

    assert (view.mode, view.is_ready, view.is_loaded, view.failure) == ("Knative", True, True, None)
    assert (view.share("taxi-predictor-00002"), view.share("taxi-predictor-00001")) == (5, 95)
    assert view.latest == view.created == view.latest_ready


def test_nothing_yet() -> None:
    view = inference_service_status.read({"spec": {}})

    assert not (view.is_ready or view.created or view.traffic or view.is_loaded or view.failure)
    assert view.waiting == "PredictorReady"
    assert (
        inference_service_status.read({"spec": {}, "status": {"modelStatus": None}}).failure is None
    )


@pytest.mark.parametrize(
    ("model", "text"),
    [
        (
            {
                "transitionStatus": "InvalidSpec",
                "lastFailureInfo": {
                    "reason": "RuntimeNotRecognized",
                    "message": "Waiting for runtime to become available",
                },
            },
            "InvalidSpec: RuntimeNotRecognized: Waiting for runtime to become available",
        ),
        (
            {
                "transitionStatus": "BlockedByFailedLoad",
                "states": {"targetModelState": "FailedToLoad"},
                "lastFailureInfo": {
                    "reason": "ModelLoadFailed",
                    "exitCode": 137,
                    "message": "a\nb",
                },
            },
            "BlockedByFailedLoad: ModelLoadFailed (exit code 137): a b",
        ),
        (
            {"transitionStatus": "InProgress", "states": {"targetModelState": "FailedToLoad"}},
            "FailedToLoad: no reason given",
        ),
    ],
)
def test_failures_are_in_kserves_words(model: Any, text: str) -> None:
    assert (
        str(inference_service_status.read({"spec": {}, "status": {"modelStatus": model}}).failure)
        == text
    )


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (
            'fails to reconcile predictor: admission webhook "w" denied the request: validation',
            'ReconcileFailed: refused: fails to reconcile predictor: admission webhook "w" denied '
            "the request: validation",
        ),
        ('failed calling webhook "w": Post "https://w.svc": context deadline exceeded', "None"),
        ("fails to reconcile predictor: Operation cannot be fulfilled on services", "None"),
    ],
)
def test_a_spec_that_knative_refuses(message: str, text: str) -> None:
    """The rest of the status is still that of the spec before."""
    condition = {"type": "PredictorReady", "status": "False", "reason": "ReconcileFailed"}
    conditions = [{**condition, "message": message}]
    resource = {**CANARY, "status": {**CANARY["status"], "conditions": conditions}}

    assert str(inference_service_status.read(resource).failure) == text
