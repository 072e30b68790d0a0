"""Rollouts against an API server over HTTP, with real serving processes behind the revisions."""

import os
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.kubernetes.client.errors import SpecConflictError
from kfp_tabular.components.common.kubernetes.client.resource_kinds import (
    INFERENCE_SERVICE,
    SERVICE,
)
from kfp_tabular.components.deployment.kserve.resources import inference_service
from kfp_tabular.components.deployment.kserve.resources.inference_service import EndpointSpec
from kfp_tabular.components.deployment.kserve.resources.service_settings import ServiceSettings
from kfp_tabular.components.deployment.kserve.rollout.endpoint_lock import (
    BusyError,
    EndpointLostError,
)
from kfp_tabular.components.deployment.kserve.rollout.strategy import RolloutError
from tests.cluster.clusters import NAMESPACE
from tests.cluster.operators import wait_until
from tests.components.deployment.kserve import kserve_controller
from tests.components.deployment.kserve.conftest import NAME, KServeSetup
from tests.components.deployment.kserve.kserve_controller import FAILED

CANARY = {"strategy": "canary"}
DIRECT = {"strategy": "direct"}
DIRECT_KNATIVE = {"strategy": "direct", "deployment_mode": "Knative"}
BLUE_GREEN = {"strategy": "blue_green"}
STRATEGIES = {
    "canary": CANARY,
    "direct": DIRECT,
    "direct in Knative mode": DIRECT_KNATIVE,
    "blue-green": BLUE_GREEN,
}
EACH = pytest.mark.parametrize("service", STRATEGIES.values(), ids=STRATEGIES)

BAD = {
    "wrong": "answers: [0-9]+ of [0-9]+ differ from those of the evaluation .* golden example",
    "slow": r"latency: p95 is [0-9.]+ ms, the bound is 200 ms",
    "errors": r"errors: [0-9]+ of [0-9]+ requests failed .* the bound is 0.0%.*HTTP 500",
    "broken": "Failed to fetch model. No model found",
}


def serves(setup: KServeSetup, service: dict[str, Any]) -> dict[str, int]:
    """Return the models that clients get."""
    if service["strategy"] == "blue_green":
        return setup.kserve.shares(setup.kserve.entry(NAME))
    return setup.kserve.shares(NAME)


def client(setup: KServeSetup, service: dict[str, Any]) -> Any:
    return setup.client(entry=service["strategy"] == "blue_green").asking()


def is_free(setup: KServeSetup) -> bool:
    return "holderIdentity" not in setup.lease()["spec"] and not setup.journal()


def names(setup: KServeSetup, kind: Any) -> list[str]:
    return [item["metadata"]["name"] for item in setup.cluster.admin.list(kind)]


@EACH
def test_a_model_is_promoted(setup: KServeSetup, service: dict[str, Any]) -> None:
    first = setup.deploy("first", service=service)
    assert first.is_new and serves(setup, service) == {"first": 100}

    with client(setup, service) as asked:
        second = setup.deploy("second", service=service)
        wait_until(lambda: "second" in asked.seen, "an answer of the second")

    assert second.is_new
    assert (second.revision == first.revision) == (service is DIRECT)
    assert second.version != first.version
    assert serves(setup, service) == {"second": 100}
    assert not asked.failed and asked.count > 5
    assert is_free(setup)
    if service["strategy"] == "blue_green":
        assert names(setup, INFERENCE_SERVICE) == [f"{NAME}-green"]
    else:
        (found,) = setup.cluster.admin.list(INFERENCE_SERVICE)
        assert "canaryTrafficPercent" not in found["spec"]["predictor"]


@EACH
def test_the_same_model_again_changes_nothing(setup: KServeSetup, service: dict[str, Any]) -> None:
    setup.deploy("first", service=service, run_id="one")
    before = setup.cluster.admin.list(INFERENCE_SERVICE)

    again = setup.deploy("first", service=service, run_id="two")

    after = setup.cluster.admin.list(INFERENCE_SERVICE)
    assert not again.is_new
    assert [item["spec"] for item in after] == [item["spec"] for item in before]
    assert [item["metadata"]["labels"]["kfp-tabular.dev/run-id"] for item in after] == ["one"]


@pytest.mark.parametrize("service", [DIRECT, BLUE_GREEN], ids=["direct", "blue-green"])
def test_what_is_loaded_is_said_where_nothing_changes(
    setup: KServeSetup, service: dict[str, Any]
) -> None:
    """The same model at another address: pods keep using the address they have."""
    first = setup.deploy("first", service=service)

    repository = setup.models.folder / "repository"
    again = setup.deploy("first", service=service, model_repository=str(repository))

    assert not again.is_new
    assert again.model_uri == first.model_uri == "pvc://models/first"
    assert f"    {first.model_uri}\n" in (setup.folder / "summary.md").read_text()


BAD_ONES = [(STRATEGIES[name], bad) for name in ("canary", "blue-green") for bad in BAD] + [
    (DIRECT, "wrong"),
    (DIRECT, "broken"),
    (DIRECT_KNATIVE, "errors"),
]


@pytest.mark.parametrize(
    ("service", "bad"),
    BAD_ONES,
    ids=[f"{service['strategy']}, {bad}" for service, bad in BAD_ONES],
)
def test_what_does_not_pass_is_rolled_back(
    setup: KServeSetup, service: dict[str, Any], bad: str
) -> None:
    # A machine under load is slow, too: only what is to be too slow is measured.
    bounds = {"max_latency_ms": {"p95": 200}} if bad == "slow" else {}
    setup.deploy("first", service=service)
    (before,) = setup.cluster.admin.list(INFERENCE_SERVICE)

    with (
        client(setup, service) as asked,
        pytest.raises(RolloutError, match=BAD[bad]),
    ):
        setup.deploy(bad, service={**service, "verification": bounds})

    assert serves(setup, service) == {"first": 100}
    assert not asked.failed
    assert is_free(setup)
    (after,) = setup.cluster.admin.list(INFERENCE_SERVICE)
    assert after["spec"] == before["spec"]
    assert after["metadata"]["labels"] == before["metadata"]["labels"]
    if service["strategy"] != "direct":
        assert asked.seen == {"first"}


def test_a_candidates_long_message_does_not_prevent_its_rollback(
    setup: KServeSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An object's annotations hold 256 KiB together, the Lease's included."""
    monkeypatch.setattr(kserve_controller, "MESSAGE", "no " * 100_000)
    setup.deploy("first", service=CANARY)

    with pytest.raises(RolloutError, match="no no no"):
        setup.deploy("broken", service=CANARY)

    assert setup.kserve.shares(NAME) == {"first": 100}
    assert is_free(setup)


LOCAL = {"cluster_local": True, "labels": {"a": "b"}, "annotations": {"c": "d"}}
OUTSIDE = f"{NAME}.{NAMESPACE}.example.com"
MODES = pytest.mark.parametrize("service", [CANARY, DIRECT], ids=["Knative", "Standard"])


@MODES
def test_an_endpoint_without_an_address_outside(
    setup: KServeSetup, service: dict[str, Any]
) -> None:
    deployed = setup.deploy("first", service={**service, **LOCAL})

    assert deployed.endpoint == f"http://{NAME}.{NAMESPACE}.svc.cluster.local"
    assert setup.kserve.route(OUTSIDE) is None


@MODES
def test_labels_and_annotations_come_and_go_with_the_settings(
    setup: KServeSetup, service: dict[str, Any]
) -> None:
    setup.deploy("first", service=service)
    others = {"metadata": {"labels": {"by": "others"}, "annotations": {"by": "others"}}}
    setup.cluster.admin.patch(INFERENCE_SERVICE, NAME, others)
    (before,) = setup.cluster.admin.list(INFERENCE_SERVICE)

    with pytest.raises(RolloutError, match="answers"):
        setup.deploy("wrong", service={**service, **LOCAL})

    (after,) = setup.cluster.admin.list(INFERENCE_SERVICE)
    for what in ("labels", "annotations"):
        assert after["metadata"][what] == before["metadata"][what]
    assert setup.kserve.route(OUTSIDE) is not None

    setup.deploy("second", service={**service, **LOCAL})
    setup.deploy("third", service=service)

    (last,) = setup.cluster.admin.list(INFERENCE_SERVICE)
    for what in ("labels", "annotations"):
        assert last["metadata"][what].keys() == before["metadata"][what].keys()
    assert setup.kserve.route(OUTSIDE) is not None


@pytest.mark.parametrize("service", [CANARY, BLUE_GREEN], ids=["canary", "blue-green"])
def test_a_first_model_that_does_not_pass_leaves_nothing(
    setup: KServeSetup, service: dict[str, Any]
) -> None:
    with pytest.raises(RolloutError, match="answers"):
        setup.deploy("wrong", service=service)

    assert names(setup, INFERENCE_SERVICE) == names(setup, SERVICE) == []
    assert setup.deploy("first", service=service).is_new


@pytest.mark.parametrize("service", [DIRECT, CANARY], ids=["direct", "canary"])
def test_a_previous_model_that_does_not_come_back_is_reported(
    setup: KServeSetup, service: dict[str, Any]
) -> None:
    setup.deploy("first", service=service)
    ports = {**setup.models.ports, "first": FAILED}
    setup.kserve._port_of = ports.__getitem__

    with pytest.raises(RolloutError, match="the rollback failed. .*answers: ") as told:
        setup.deploy("wrong", service={**service, "ready_seconds": 2})

    assert "Rollback failed: InferenceService taxi: " in str(told.value)
    assert "as it was before" not in str(told.value)


KNATIVE = pytest.mark.parametrize("service", [CANARY, DIRECT_KNATIVE], ids=["canary", "direct"])
REFUSED = {"timeout_seconds": kserve_controller.LONGEST_TIMEOUT + 1}


@KNATIVE
def test_what_knative_refuses_changes_nothing(setup: KServeSetup, service: dict[str, Any]) -> None:
    """KServe accepts the spec but creates no revision, so there is nothing to roll back."""
    setup.deploy("first", service=service)
    setup.deploy("second", service=service)
    (before,) = setup.cluster.admin.list(INFERENCE_SERVICE)

    with (
        client(setup, service) as asked,
        pytest.raises(RolloutError, match="denied the request: .* expected 0 <= 601 <= 600"),
    ):
        setup.deploy("third", service={**service, **REFUSED})

    assert serves(setup, service) == {"second": 100}
    assert asked.seen == {"second"} and not asked.failed
    assert is_free(setup)
    (after,) = setup.cluster.admin.list(INFERENCE_SERVICE)
    assert after["spec"] == before["spec"]
    assert setup.deploy("third", service=service).is_new


def test_what_knative_refuses_leaves_a_share_as_it_was(setup: KServeSetup) -> None:
    setup.deploy("first")
    setup.deploy("second")
    share(setup, 50)
    split = {"first": 50, "second": 50}
    wait_until(lambda: setup.kserve.shares(NAME) == split, "traffic")

    with pytest.raises(RolloutError, match="the endpoint is as it was before") as told:
        setup.deploy("third", service={**CANARY, **REFUSED, "ready_seconds": 5})

    assert "denied the request" in str(told.value)
    assert setup.kserve.shares(NAME) == split


def test_a_first_model_that_knative_refuses_is_not_waited_for(setup: KServeSetup) -> None:
    begin = time.monotonic()
    with pytest.raises(RolloutError, match="denied the request") as raised:
        setup.deploy("first", service={**REFUSED, "ready_seconds": 600})

    assert time.monotonic() - begin < 60
    assert "ReconcileFailed" in str(raised.value)
    assert names(setup, INFERENCE_SERVICE) == []


def test_a_canary_that_fails_under_traffic_is_taken_back(setup: KServeSetup) -> None:
    """It passes alone; then its answers are slow."""
    setup.deploy("first")
    healthy = setup.models.ports["second"]
    ports = {"now": healthy}
    setup.kserve._port_of = lambda model: ports["now"]

    def spoil() -> None:
        wait_until(lambda: bool(setup.kserve.shares(NAME).get("second")), "traffic")
        setup.kserve.revisions(NAME)[-1].port = setup.models.ports["errors"]

    thread = threading.Thread(target=spoil)
    thread.start()
    with pytest.raises(RolloutError, match="25% of the traffic: errors"):
        setup.deploy("second", service={"steps": [25, 100], "soak_seconds": 10})
    thread.join()
    assert setup.kserve.shares(NAME) == {"first": 100}


def test_a_canary_that_fails_with_all_of_the_traffic_is_taken_back(setup: KServeSetup) -> None:
    setup.deploy("first")

    def spoil() -> None:
        wait_until(lambda: setup.kserve.shares(NAME) == {"second": 100}, "all traffic")
        setup.kserve.revisions(NAME)[-1].port = setup.models.ports["errors"]

    thread = threading.Thread(target=spoil)
    thread.start()
    with pytest.raises(RolloutError, match="100% of the traffic: errors"):
        setup.deploy("second", service={"steps": [50, 100], "soak_seconds": 2})
    thread.join()
    assert setup.kserve.shares(NAME) == {"first": 100}
    assert [revision.model for revision in setup.kserve.revisions(NAME)][-1] == "first"


def until_shared(model: str, percent: int) -> Any:
    return lambda setup: setup.kserve.shares(NAME).get(model) == percent


def until_live(setup: KServeSetup) -> bool:
    return setup.kserve.entry(NAME) == f"{NAME}-green"


def until_placed(setup: KServeSetup) -> bool:
    return len(setup.kserve.revisions(NAME)) > 1


def until_beside(setup: KServeSetup) -> bool:
    return f"{NAME}-green" in names(setup, INFERENCE_SERVICE)


def until_begun(setup: KServeSetup) -> bool:
    return bool(setup.journal())


def until_backwards(setup: KServeSetup) -> bool:
    return bool(setup.journal().get("backwards"))


# Each step is one soak: what looks at the last one only does without those before.
AT_ONCE = {**CANARY, "steps": [100]}
SOAKS = {"soak_seconds": 1.0, "keep_previous_seconds": 1.0}
KILLS = {
    "canary, begun": (CANARY, until_begun),
    "canary, placed": (CANARY, until_placed),
    "canary, at 25%": (CANARY, until_shared("second", 25)),
    "canary, at 100%": (CANARY, until_shared("second", 100)),
    "direct, begun": (DIRECT, until_begun),
    "direct, placed": (DIRECT, until_placed),
    "blue-green, beside": (BLUE_GREEN, until_beside),
    "blue-green, live": (BLUE_GREEN, until_live),
}


@pytest.mark.parametrize(("service", "moment"), KILLS.values(), ids=KILLS)
def test_a_killed_task_is_resumed(setup: KServeSetup, service: Any, moment: Any) -> None:
    setup.deploy("first", service=service)

    with client(setup, service) as asked:
        with setup.task("second", service={**service, **SOAKS}) as process:
            wait_until(lambda: moment(setup), "moment")
            process.send_signal(signal.SIGKILL)
            process.wait(60)
        deployed = setup.deploy("second", service=service)

    assert serves(setup, service) == {"second": 100}
    assert not asked.failed
    assert is_free(setup)
    assert deployed.version
    revisions = setup.kserve.revisions(setup.kserve.entry(NAME) or NAME)
    assert [revision.model for revision in revisions].count("second") == 1


def test_a_rollback_restores_the_port_of_the_previous_model(setup: KServeSetup) -> None:
    """KServe's agent is in front of the candidate's model, and was not in front of the first."""
    setup.deploy("first", service=BLUE_GREEN)
    (before,) = setup.cluster.admin.list(SERVICE)
    logged = {**BLUE_GREEN, **SOAKS, "logger": {"url": "http://sink"}, "soak_seconds": 0.2}

    with setup.task("second", service=logged) as process:
        wait_until(lambda: until_live(setup), "the second color")
        (live,) = setup.cluster.admin.list(SERVICE)
        process.send_signal(signal.SIGTERM)
        process.wait(60)

    (after,) = setup.cluster.admin.list(SERVICE)
    assert live["spec"]["ports"][0]["targetPort"] == 9081
    assert after["spec"]["ports"] == before["spec"]["ports"]
    assert after["spec"]["selector"] == before["spec"]["selector"]


@pytest.mark.parametrize("service", [AT_ONCE, BLUE_GREEN], ids=["canary", "blue-green"])
def test_another_model_after_a_kill_starts_from_what_was_there(
    setup: KServeSetup, service: dict[str, Any]
) -> None:
    setup.deploy("first", service=service)
    moment = until_live if service is BLUE_GREEN else until_shared("second", 100)
    with setup.task("second", service={**service, **SOAKS}) as process:
        wait_until(lambda: moment(setup), "moment")
        process.kill()
        process.wait(60)

    with pytest.raises(RolloutError, match="answers"):
        setup.deploy("wrong", service=service)

    assert serves(setup, service) == {"first": 100}
    assert is_free(setup)


def test_a_kill_while_rolling_back_ends_with_the_verdict(setup: KServeSetup) -> None:
    setup.deploy("first")
    setup.kserve.start_seconds = 0.6
    with setup.task("wrong") as process:
        wait_until(lambda: until_backwards(setup), "retreat")
        process.kill()
        process.wait(60)

    with pytest.raises(RolloutError, match="answers"):
        setup.deploy("wrong")

    assert setup.kserve.shares(NAME) == {"first": 100}
    assert is_free(setup)


STOPS = {
    "canary": (CANARY, until_shared("second", 25)),
    "canary, all of the traffic": (AT_ONCE, until_shared("second", 100)),
    "direct": (DIRECT, until_shared("second", 100)),
    "blue-green, beside": (BLUE_GREEN, until_beside),
    "blue-green, live": ({**BLUE_GREEN, "soak_seconds": 0.2}, until_live),
}


@pytest.mark.parametrize(("service", "moment"), STOPS.values(), ids=STOPS)
def test_a_stopped_task_gives_the_traffic_back(
    setup: KServeSetup, service: Any, moment: Any
) -> None:
    setup.deploy("first", service=service)

    with client(setup, service) as asked:
        slow = {"soak_seconds": 30, "keep_previous_seconds": 30}
        with setup.task("second", service={**slow, **service}) as process:
            wait_until(lambda: moment(setup), "moment")
            process.send_signal(signal.SIGTERM)
            begin = time.monotonic()
            code = process.wait(60)
            took = time.monotonic() - begin
        wait_until(lambda: serves(setup, service) == {"first": 100}, "the first model")

    # A machine under load takes its time; what counts is that nothing is waited for.
    assert code == 143 and took < 25, process.stderr.read()
    assert not asked.failed
    assert "holderIdentity" not in setup.lease()["spec"]
    # What the stop had no time for, the next run does.
    assert setup.deploy("second", service=service).is_new
    assert serves(setup, service) == {"second": 100}


def test_of_two_runs_one_wins_and_the_other_reports_it(setup: KServeSetup) -> None:
    setup.deploy("first")

    with setup.task("second", service={"soak_seconds": 1}, run_id="a-run") as process:
        wait_until(lambda: until_begun(setup), "a rollout")
        with pytest.raises(BusyError, match="another run is deploying .* a-run/"):
            setup.deploy("third")
        assert process.wait(60) == 0, process.stderr.read()

    assert setup.kserve.shares(NAME) == {"second": 100}
    assert [revision.model for revision in setup.kserve.revisions(NAME)] == ["first", "second"]


def test_runs_that_begin_at_once_do_not_interleave(setup: KServeSetup) -> None:
    codes = []
    with setup.task("first") as one, setup.task("second") as other:
        codes = [process.wait(60) for process in (one, other)]

    assert sorted(codes) == [0, 1] or codes == [0, 0]
    models = [revision.model for revision in setup.kserve.revisions(NAME)]
    assert models in (["first"], ["second"], ["first", "second"], ["second", "first"])
    assert setup.kserve.shares(NAME) == {models[-1]: 100}
    assert is_free(setup)


@pytest.mark.parametrize(
    "moment", [until_placed, until_shared("second", 25)], ids=["waiting", "asking"]
)
def test_a_run_that_lost_the_lock_changes_nothing_more(setup: KServeSetup, moment: Any) -> None:
    """A task that was not running for a while: another one has taken over."""
    setup.deploy("first")
    setup.kserve.start_seconds = 0.6
    with setup.task("second", service={"soak_seconds": 2}) as process:
        wait_until(lambda: moment(setup), "moment")
        os.kill(process.pid, signal.SIGSTOP)
        setup.deploy("third")
        os.kill(process.pid, signal.SIGCONT)
        assert process.wait(60) == 1
        assert "taken over" in process.stderr.read()

    assert setup.kserve.shares(NAME) == {"third": 100}


def test_a_change_by_hand_ends_the_rollout_and_is_respected(setup: KServeSetup) -> None:
    setup.deploy("first")

    def meddle() -> None:
        wait_until(lambda: until_shared("second", 25)(setup), "traffic")
        change = {"metadata": {"annotations": {"kfp-tabular.dev/spec-digest": "mine"}}}
        setup.cluster.admin.patch(INFERENCE_SERVICE, NAME, change)

    thread = threading.Thread(target=meddle)
    thread.start()
    with pytest.raises(EndpointLostError, match="changed by others"):
        setup.deploy("second", service={"soak_seconds": 5})
    thread.join()
    (found,) = setup.cluster.admin.list(INFERENCE_SERVICE)
    assert found["metadata"]["annotations"]["kfp-tabular.dev/spec-digest"] == "mine"


def share(setup: KServeSetup, percent: int | None) -> None:
    """A rollback by hand, as the runbook describes it."""
    change = {"spec": {"predictor": {"canaryTrafficPercent": percent}}}
    setup.cluster.admin.patch(INFERENCE_SERVICE, NAME, change)


def meddling(setup: KServeSetup, how: Callable[[], Any]) -> threading.Thread:
    """Call a function while the second model has a part of the traffic."""

    def meddle() -> None:
        wait_until(lambda: until_shared("second", 25)(setup), "traffic")
        how()

    thread = threading.Thread(target=meddle)
    thread.start()
    return thread


def test_a_share_that_is_set_by_hand_is_respected(setup: KServeSetup) -> None:
    setup.deploy("first")

    thread = meddling(setup, lambda: share(setup, 0))
    with pytest.raises(EndpointLostError, match="changed by others"):
        setup.deploy("second", service={"soak_seconds": 5})
    thread.join()

    assert setup.kserve.shares(NAME) == {"first": 100}


def test_a_model_that_is_set_by_hand_is_respected(setup: KServeSetup) -> None:
    setup.deploy("first")

    def change() -> None:
        found = setup.cluster.admin.get(INFERENCE_SERVICE, NAME)
        assert found is not None
        (container,) = found["spec"]["predictor"]["containers"]
        container["env"][0]["value"] = "pvc://models/third"
        setup.cluster.admin.patch(INFERENCE_SERVICE, NAME, {"spec": found["spec"]})

    thread = meddling(setup, change)
    with pytest.raises(EndpointLostError, match="changed by others"):
        setup.deploy("second", service={"soak_seconds": 5})
    thread.join()


@pytest.mark.parametrize("model", ["second", "third"])
def test_after_a_deletion_by_hand_the_next_run_starts_anew(setup: KServeSetup, model: str) -> None:
    setup.deploy("first")

    thread = meddling(setup, lambda: setup.cluster.admin.delete(INFERENCE_SERVICE, NAME))
    with pytest.raises(EndpointLostError, match="deleted by others"):
        setup.deploy("second", service={"soak_seconds": 5})
    thread.join()

    assert setup.deploy(model).is_new
    assert setup.kserve.shares(NAME) == {model: 100}
    assert is_free(setup)


@pytest.mark.parametrize("model", ["second", "third"])
def test_what_took_the_place_of_a_rollout_is_not_touched(setup: KServeSetup, model: str) -> None:
    setup.deploy("first")
    own = {
        "apiVersion": INFERENCE_SERVICE.api_version,
        "kind": "InferenceService",
        "metadata": {
            "name": NAME,
            "labels": {},
            "annotations": {"serving.kserve.io/deploymentMode": "Knative"},
        },
        "spec": {"predictor": {"model": {"storageUri": "pvc://models/third"}}},
    }

    def take() -> None:
        setup.cluster.admin.delete(INFERENCE_SERVICE, NAME)
        setup.cluster.admin.create(INFERENCE_SERVICE, own)

    thread = meddling(setup, take)
    with pytest.raises(EndpointLostError, match="by others"):
        setup.deploy("second", service={"soak_seconds": 5})
    thread.join()

    with pytest.raises(SpecConflictError, match="not created by this project"):
        setup.deploy(model)
    (found,) = setup.cluster.admin.list(INFERENCE_SERVICE)
    assert found["spec"] == own["spec"]


def test_a_model_that_was_taken_back_by_hand_stays_so(setup: KServeSetup) -> None:
    setup.deploy("first")
    setup.deploy("second")
    share(setup, 0)
    wait_until(lambda: setup.kserve.shares(NAME) == {"first": 100}, "the first model")

    with pytest.raises(UserError, match="canaryTrafficPercent 0, .* kubectl patch"):
        setup.deploy("second")
    assert setup.kserve.shares(NAME) == {"first": 100}

    with pytest.raises(RolloutError, match="answers"):
        setup.deploy("wrong")
    assert setup.kserve.shares(NAME) == {"first": 100}

    assert setup.deploy("third").is_new
    assert setup.kserve.shares(NAME) == {"third": 100}


def test_a_service_that_others_have_made_is_left_alone(setup: KServeSetup) -> None:
    resource = {
        "apiVersion": INFERENCE_SERVICE.api_version,
        "kind": "InferenceService",
        "metadata": {
            "name": NAME,
            "labels": {},
            "annotations": {"serving.kserve.io/deploymentMode": "Knative"},
        },
        "spec": {"predictor": {"model": {"storageUri": "pvc://models/second"}}},
    }
    setup.cluster.admin.create(INFERENCE_SERVICE, resource)

    with pytest.raises(SpecConflictError, match="kubectl label"):
        setup.deploy("first")

    label = {"metadata": {"labels": {"app.kubernetes.io/managed-by": "kfp-tabular"}}}
    wait_until(lambda: setup.kserve.shares(NAME) == {"second": 100}, "the service")
    setup.cluster.admin.patch(INFERENCE_SERVICE, NAME, label)
    assert setup.deploy("first").is_new
    assert setup.kserve.shares(NAME) == {"first": 100}


def test_an_endpoint_that_is_called_like_a_color_is_left_alone(setup: KServeSetup) -> None:
    other = EndpointSpec(
        f"{NAME}-blue", ServiceSettings.parse(DIRECT), "pvc://models/second", "sha256:1f"
    )
    setup.cluster.admin.create(INFERENCE_SERVICE, inference_service.build_inference_service(other))
    wait_until(lambda: bool(setup.kserve.shares(f"{NAME}-blue")), "the endpoint")

    with pytest.raises(SpecConflictError, match=f"belongs to the endpoint {NAME}-blue"):
        setup.deploy("first", service=BLUE_GREEN)

    assert setup.kserve.shares(f"{NAME}-blue") == {"second": 100}
    assert is_free(setup)


def test_a_color_is_not_an_endpoint_of_that_name(setup: KServeSetup) -> None:
    setup.deploy("first", service=BLUE_GREEN)

    with pytest.raises(SpecConflictError, match=f"belongs to the endpoint {NAME}[.;]"):
        setup.deploy("second", service=DIRECT, model_name=f"{NAME}-blue")

    assert serves(setup, BLUE_GREEN) == {"first": 100}


def test_a_service_that_kserve_would_take_over_is_left_alone(setup: KServeSetup) -> None:
    setup.deploy("first", service=BLUE_GREEN)

    with pytest.raises(SpecConflictError, match=f"Service {NAME} in namespace .* Knative mode"):
        setup.deploy("second", service=CANARY)

    assert names(setup, INFERENCE_SERVICE) == [f"{NAME}-blue"]
    assert serves(setup, BLUE_GREEN) == {"first": 100}


def test_an_endpoint_with_keys_is_not_begun_without_one(setup: KServeSetup) -> None:
    with pytest.raises(UserError, match=r"auth_secret: .* service\.access\.token_file"):
        setup.deploy("first", service={**DIRECT, "auth_secret": "keys"})

    assert not names(setup, INFERENCE_SERVICE)


def test_the_deployment_mode_is_not_changed(setup: KServeSetup) -> None:
    setup.deploy("first", service=CANARY)

    with pytest.raises(UserError, match="in deployment mode Knative"):
        setup.deploy("second", service=DIRECT)

    assert setup.kserve.shares(NAME) == {"first": 100}


def test_a_controller_that_is_behind_does_not_deceive(setup: KServeSetup) -> None:
    """Until the controller has reconciled, the status is still the previous model's."""
    for service in (DIRECT, CANARY):
        for item in names(setup, INFERENCE_SERVICE):
            setup.cluster.admin.delete(INFERENCE_SERVICE, item)
        wait_until(lambda: NAME not in setup.kserve._services, "nothing")
        setup.deploy("first", service=service)
        setup.kserve.silent = True
        timer = threading.Timer(0.6, setattr, (setup.kserve, "silent", False))
        timer.start()
        setup.deploy("second", service=service)
        assert setup.kserve.shares(NAME) == {"second": 100}


def test_a_share_counts_once_the_gateways_have_it(setup: KServeSetup) -> None:
    """The status still holds the earlier traffic, and has a condition that reports it."""
    setup.deploy("first")
    setup.kserve.route_seconds = 1.0

    setup.deploy("second", service={"soak_seconds": 0})

    assert setup.kserve.shares(NAME) == {"second": 100}
    with pytest.raises(RolloutError, match="answers"):
        setup.deploy("wrong")
    assert setup.kserve.shares(NAME) == {"second": 100}


def test_a_revision_that_is_late_does_not_mislead(setup: KServeSetup) -> None:
    """KServe takes a share of 0 before there is one for a rollback, to the model before."""
    setup.deploy("first")
    setup.deploy("second")
    setup.kserve.revision_seconds, setup.kserve.start_seconds = 0.3, 2.0

    with setup.task("third", service=SOAKS) as process:
        split = {"second": 75, "third": 25}
        wait_until(lambda: setup.kserve.shares(NAME) == split, "traffic")
        assert process.wait(60) == 0, process.stderr.read()

    assert setup.kserve.shares(NAME) == {"third": 100}
    with pytest.raises(RolloutError, match="answers"):
        setup.deploy("wrong")
    assert setup.kserve.shares(NAME) == {"third": 100}


def test_an_api_server_that_goes_away_is_waited_for(setup: KServeSetup) -> None:
    setup.deploy("first")
    server = setup.cluster.server
    assert server is not None

    def go() -> None:
        wait_until(lambda: until_shared("second", 25)(setup), "traffic")
        server.away(0.5)

    thread = threading.Thread(target=go)
    thread.start()
    setup.deploy("second", service={"soak_seconds": 1})
    thread.join()
    assert setup.kserve.shares(NAME) == {"second": 100}
    server.faults.lost_answers += ["update", "create", "update"]
    setup.deploy("third")
    assert setup.kserve.shares(NAME) == {"third": 100}


def test_the_page_holds_a_command_that_works(setup: KServeSetup) -> None:
    setup.deploy("first")

    page = (setup.folder / "summary.md").read_text()

    command = shlex.split(next(line for line in page.splitlines() if "curl" in line))
    answer = subprocess.run([*command, "-s"], capture_output=True, text=True, check=True).stdout
    assert '"probabilities"' in answer
    assert "all of the traffic: " in page and "requests, 0 failed, p50" in page
