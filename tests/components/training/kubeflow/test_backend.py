"""A training task and its job, with a real API server and object store, but without training."""

import dataclasses
import json
import logging
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from kfp_tabular.components.common import storage
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.kubernetes.client.api import Api
from kfp_tabular.components.common.kubernetes.client.errors import JobFailedError, SpecConflictError
from kfp_tabular.components.common.kubernetes.client.resource_kinds import (
    NETWORK_POLICY,
    POD,
    TFJOB,
    TRAINJOB,
)
from kfp_tabular.components.common.kubernetes.client.retries import RetryPolicy
from kfp_tabular.components.common.storage import job_directory
from kfp_tabular.components.training.kubeflow import backend, job_plan
from kfp_tabular.components.training.kubeflow.job_plan import TrainingJobRequest
from kfp_tabular.components.training.options import PlacementOptions
from kfp_tabular.components.training.training_request import ArtifactUris
from kfp_tabular.components.training.worker_settings import WorkerSettings
from tests.cluster.api_server import WORKFLOW, ApiServer
from tests.components.training.kubeflow.operators import Container, Operator

NAMESPACE = "team"
IMAGE = "registry.example.com/ml/tensorflow:7"
KINDS = {"tfjob": TFJOB, "trainjob": TRAINJOB}
EACH_KIND = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer(namespaces=[NAMESPACE]).running() as running:
        yield running


@pytest.fixture
def api(server: ApiServer) -> Api:
    from kubernetes import client

    patience = RetryPolicy(first_delay_seconds=0.02, longest_delay_seconds=0.2, cancel_seconds=2)
    configuration = client.Configuration(host=server.url)
    return Api(client.ApiClient(configuration), NAMESPACE, patience)


@pytest.fixture
def job_request(tmp_path: Path) -> TrainingJobRequest:
    volume = tmp_path / "volume"
    for name in ("examples", "graph"):
        (volume / name).mkdir(parents=True)
        (volume / name / "data").write_text(name)
    task = tmp_path / "task"
    return TrainingJobRequest(
        settings=WorkerSettings(task / "examples", task / "graph", task / "model", task / "logs"),
        placement=PlacementOptions(
            backend="tfjob",
            job={"volumes": [{"claim": "artifacts", "mount_path": str(volume)}]},
            workers=2,
            run_id="run",
        ),
        uris=ArtifactUris(
            str(volume / "examples"), str(volume / "graph"), str(volume / "run" / "model")
        ),
    )


def trains(container: Container) -> int:
    """Write what the training program writes, without training: only the chief writes."""
    container.write(f"worker of {container.pod}: reading")
    if is_chief(container):
        for place, name, text in (
            ("output", "saved_model.pb", "weights"),
            ("output", "assets/vocabulary", "a\nb"),
            ("checkpoints", "checkpoint", "weights so far"),
            ("logs", "training.json", json.dumps({"metrics": {"eval_auc": 0.9}})),
        ):
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / "file"
                file.write_text(text)
                storage.upload(file, f"{container.flag(place)}/{name}")
        container.write("model written")
    return 0


def is_chief(container: Container) -> bool:
    return "-chief-" in container.pod or "-node-0-0-" in container.pod


def fails(line: str, code: int) -> Any:
    def program(container: Container) -> int:
        container.write(line)
        return code

    return program


def result(job_request: TrainingJobRequest) -> dict[str, str]:
    folder = job_request.settings.output
    assert folder is not None
    return {
        file.relative_to(folder.parent).as_posix(): file.read_text()
        for file in sorted(folder.parent.rglob("*"))
        if file.is_file()
    }


def placed(job_request: TrainingJobRequest, **changes: Any) -> TrainingJobRequest:
    """Return the request with its placement changed."""
    placement = dataclasses.replace(job_request.placement, **changes)
    return dataclasses.replace(job_request, placement=placement)


def leftovers(job_request: TrainingJobRequest) -> list[Path]:
    return list(Path(job_request.uris.model).parent.rglob("*.*"))


@EACH_KIND
@pytest.mark.parametrize(("workers", "policies"), [(2, 1), (1, 0)])
def test_a_job_of_several_pods_has_a_policy_of_its_own(
    server, api, job_request, kind, workers, policies
) -> None:
    job_request = placed(job_request, backend=kind, workers=workers)
    with Operator(server, trains).running() as operator:
        backend.run(job_request, api)

    made = server.store.list(NETWORK_POLICY, NAMESPACE)
    assert len(made) == policies
    for policy in made:
        (job,) = operator.jobs
        assert policy["metadata"]["ownerReferences"][0]["uid"] == job["metadata"]["uid"]
        wanted = policy["spec"]["podSelector"]["matchLabels"].items()
        pods = server.store.list(POD, NAMESPACE)
        assert len(pods) == workers
        assert all(wanted <= pod["metadata"]["labels"].items() for pod in pods)


@EACH_KIND
def test_the_task_has_what_the_chief_wrote(server, api, job_request, caplog, kind) -> None:
    caplog.set_level(logging.INFO)
    job_request = placed(job_request, backend=kind)
    with Operator(server, trains).running() as operator:
        backend.run(job_request, api)

    assert set(result(job_request)) == {
        "logs/training.json",
        "model/assets/vocabulary",
        "model/saved_model.pb",
    }
    assert len(operator.jobs) == 1
    assert len(server.store.list(POD, NAMESPACE)) == 2
    assert leftovers(job_request) == []
    assert "model written" in caplog.text


@EACH_KIND
def test_an_object_store_needs_no_volume(server, api, job_request, s3, tmp_path, kind) -> None:
    bucket = s3.replace("s3://", "minio://")
    folder = f"{bucket}/{tmp_path.name}/run/transform/1"
    for name in ("examples", "graph"):
        storage.upload(Path(job_request.uris.transform_graph), f"{folder}/{name}")
    model = f"{bucket}/{tmp_path.name}/run/train-model/2/model"
    uris = ArtifactUris(f"{folder}/examples", f"{folder}/graph", model)
    job_request = dataclasses.replace(placed(job_request, backend=kind, job={}), uris=uris)
    keys = []

    def program(container: Container) -> int:
        keys.append(
            container.environment(
                {"mlpipeline-minio-artifact": {"accesskey": "minio", "secretkey": "minio123"}}
            )
        )
        return trains(container)

    with Operator(server, program).running() as operator:
        backend.run(job_request, api)

    assert {"model/saved_model.pb", "logs/training.json"} <= set(result(job_request))
    assert [found["MINIO_SECRET_KEY"] for found in keys] == ["minio123"] * 2
    assert "minio123" not in json.dumps(operator.jobs)
    below = storage.Folder(f"{bucket}/{tmp_path.name}/run")
    assert not [name for name in below.list() if name.startswith("kfp-tabular-jobs")]
    assert below.list()


def test_the_job_runs_the_tasks_image_and_belongs_to_the_run(
    server, api, job_request, monkeypatch
) -> None:
    run = server.store.create(
        WORKFLOW,
        NAMESPACE,
        {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": {"name": "run"}},
    )
    owner = {
        "apiVersion": run["apiVersion"],
        "kind": run["kind"],
        "name": "run",
        "uid": run["metadata"]["uid"],
        "controller": True,
    }
    server.store.create(
        POD,
        NAMESPACE,
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "task", "ownerReferences": [owner]},
            "spec": {
                "containers": [
                    {"name": "wait", "image": "argoexec"},
                    {"name": "main", "image": IMAGE},
                ]
            },
        },
    )
    monkeypatch.setenv("KFP_POD_NAME", "task")
    with Operator(server, trains).running() as operator:
        backend.run(job_request, api)

    (job,) = operator.jobs
    chief = job["spec"]["tfReplicaSpecs"]["Chief"]["template"]["spec"]
    assert chief["containers"][0]["image"] == IMAGE
    assert [entry["uid"] for entry in job["metadata"]["ownerReferences"]] == [owner["uid"]]
    assert job["metadata"]["labels"]["kfp-tabular.dev/run-id"] == "run"


@EACH_KIND
def test_a_user_error_of_the_program_is_one_of_the_task(server, api, job_request, kind) -> None:
    """It fails at once, because the restarts of a TFJob's operator do not fix the input."""
    job_request = placed(job_request, backend=kind)
    starts = []

    def blames(container: Container) -> int:
        starts.append(container.pod)
        container.write("2026 ERROR kfp-tabular: error: /data: column 'x' holds NaN. Fill it.")
        container.ended.wait(0.5 * container.attempt)
        return 2

    with (
        Operator(server, blames, restarts=50).running(),
        pytest.raises(UserError, match=r"^/data: column 'x' holds NaN\. Fill it\.$"),
    ):
        backend.run(job_request, api)
    assert len(starts) < 8


def test_exit_code_2_is_a_user_error_even_without_a_log(server, api, job_request) -> None:
    with (
        Operator(server, fails("", 2), restarts=3).running(),
        pytest.raises(UserError, match=r"container tensorflow: Error: exit code 2"),
    ):
        backend.run(job_request, api)


@EACH_KIND
def test_a_failed_job_fails_the_task_with_the_reason(server, api, job_request, kind) -> None:
    job_request = placed(job_request, backend=kind)
    program = fails("RuntimeError: out of luck", 1)
    with Operator(server, program).running(), pytest.raises(JobFailedError) as failed:
        backend.run(job_request, api)

    assert "exit code 1" in str(failed.value)
    assert "RuntimeError: out of luck" in str(failed.value)
    assert not job_request.settings.output.exists()


def test_a_second_attempt_finds_the_job_of_the_first(server, api, job_request) -> None:
    plan = job_plan.make(job_request)
    from kfp_tabular.components.common.kubernetes import names

    resource = plan.resource
    resource["metadata"]["annotations"] = {
        names.DIGEST_ANNOTATION: names.spec_digest(plan.resource)
    }
    api.create(TFJOB, resource)
    with Operator(server, trains).running() as operator:
        backend.run(job_request, api)

    assert len(operator.jobs) == 1
    assert "model/saved_model.pb" in result(job_request)


def test_an_attempt_with_another_job_does_not_touch_the_first(server, api, job_request) -> None:
    with Operator(server, trains).running() as operator:
        backend.run(job_request, api)
        other = placed(job_request, job={**job_request.placement.job, "memory": "8Gi"})
        with pytest.raises(SpecConflictError, match="exists and has another spec"):
            backend.run(other, api)

    assert len(operator.jobs) == 1


def test_results_lost_by_an_attempt_are_trained_again(server, api, job_request) -> None:
    with Operator(server, trains).running() as operator:
        backend.run(job_request, api)
        backend.run(job_request, api)

    assert len(operator.jobs) == 2
    assert "model/saved_model.pb" in result(job_request)


def test_partly_removed_results_are_trained_again(server, api, job_request) -> None:
    def interrupted(uri: str, first: str) -> None:
        (Path(uri) / first).unlink()
        raise KeyboardInterrupt

    with Operator(server, trains).running() as operator:
        with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(job_directory, "remove", interrupted)
            backend.run(job_request, api)
        backend.run(job_request, api)

    assert len(operator.jobs) == 2
    assert leftovers(job_request) == []


def test_a_store_that_denies_deletion_loses_no_results(
    server, api, job_request, monkeypatch, caplog
) -> None:
    def denied(uri: str, first: str) -> None:
        raise UserError("access denied.")

    monkeypatch.setattr(job_directory, "remove", denied)
    with Operator(server, trains).running():
        backend.run(job_request, api)

    assert "model/saved_model.pb" in result(job_request)
    assert "is not removed: access denied" in caplog.text


def test_a_directory_that_is_not_writable_is_reported_before_training(
    server, api, job_request, monkeypatch
) -> None:
    def denied(path: Path, uri: str) -> None:
        raise UserError(f"{uri}: access denied.")

    monkeypatch.setattr(storage, "upload", denied)
    with Operator(server, trains).running() as operator, pytest.raises(UserError, match="denied"):
        backend.run(job_request, api)

    assert operator.jobs == []


def test_a_bad_document_is_reported_without_a_cluster(job_request, monkeypatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    bad: Mapping[str, Any] = {"job": {**job_request.placement.job, "memory": "4"}}

    with pytest.raises(UserError, match=r"job\.memory"):
        backend.run(placed(job_request, **bad))


def test_no_secret_is_written_down(server, api, job_request) -> None:
    secrets = [{"name": "tracking", "env": {"token": "TRACKING_TOKEN"}}]
    job_request = placed(
        job_request, job={**job_request.placement.job, "secrets": secrets}, workers=1
    )
    seen: list[Any] = []

    def program(container: Container) -> int:
        seen.append(container.environment({"tracking": {"token": "s3cr3t"}}))
        document = Path(container.flag("output")).parent / "request.json"
        seen.append(document.read_text())
        return trains(container)

    with Operator(server, program).running() as operator:
        backend.run(job_request, api)

    assert seen[0]["TRACKING_TOKEN"] == "s3cr3t"
    assert "tracking" in seen[1]
    assert "s3cr3t" not in json.dumps(operator.jobs) + str(seen[1])
