"""The Role grants what the launchers ask for: nothing is missing, and nothing is left over.

Each flow runs a launcher against an API server that enforces the shipped Role and remembers which
rights were needed.
"""

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from kfp_tabular.components.common.kubernetes.client.errors import DeadlineError, JobFailedError
from kfp_tabular.components.common.kubernetes.client.resource_kinds import (
    EVENT,
    EXPERIMENT,
    INFERENCE_SERVICE,
    POD,
    SERVICE,
    SUGGESTION,
    TFJOB,
    TRIAL,
)
from kfp_tabular.components.common.spark_task import launcher as spark_launcher
from kfp_tabular.components.common.spark_task.task_request import TaskRequest
from kfp_tabular.components.deployment.deployment_request import DeploymentRequest
from kfp_tabular.components.deployment.kserve import backend as deployment
from kfp_tabular.components.deployment.kserve.rollout.strategy import RolloutError
from kfp_tabular.components.deployment.options import DeploymentOptions
from kfp_tabular.components.training.kubeflow import backend as training
from kfp_tabular.components.training.kubeflow.job_plan import TrainingJobRequest
from kfp_tabular.components.training.options import PlacementOptions
from kfp_tabular.components.training.training_request import ArtifactUris
from kfp_tabular.components.training.worker_settings import WorkerSettings
from kfp_tabular.components.tuning.katib import backend as tuning
from kfp_tabular.components.tuning.katib.experiment_request import ExperimentRequest
from kfp_tabular.components.tuning.options import TuningOptions
from tests.cluster import kustomize
from tests.cluster.api_server import WORKFLOW, Asked, Rule
from tests.cluster.clusters import NAMESPACE, USER, Cluster, simulated
from tests.cluster.operators import Job, Script
from tests.cluster.operators import Operator as SparkOperator
from tests.cluster.scenarios import run_on
from tests.components.common.spark_task.flavours import SPARK_FLAVOUR, runs
from tests.components.deployment.kserve.kserve_controller import FAILED, KServe
from tests.components.deployment.kserve.task import QUICK_TIMING
from tests.components.training.kubeflow.operators import Container, Operator

ROLE = "base/access/launcher-role.yaml"
RUN_ID = "run"
TASK_POD = "train-model-task"

Flow = Callable[[Cluster, Path], None]


def granted() -> set[Asked]:
    (role,) = kustomize.read(ROLE)
    return {
        Asked(verb, group, resource)
        for rule in role["rules"]
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


def shipped_rules() -> list[Rule]:
    (role,) = kustomize.read(ROLE)
    assert not [rule for rule in role["rules"] if "resourceNames" in rule]
    return [Rule.of(rule) for rule in role["rules"]]


def trains(container: Container) -> int:
    """Write what the training program would."""
    container.write("reading")
    for place, name in (("output", "saved_model.pb"), ("logs", "training.json")):
        if "-chief-" in container.pod or "-node-0-0-" in container.pod:
            folder = Path(container.flag(place))
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text("{}")
    return 0


def fails(container: Container) -> int:
    container.write("RuntimeError: out of luck")
    return 1


def is_stopped(container: Container) -> int:
    """The run is stopped in the user interface while the job runs."""
    container.write("reading")
    if "-chief-" in container.pod or "-node-0-0-" in container.pod:
        os.kill(os.getpid(), signal.SIGTERM)
    container.ended.wait(10)
    return 143


def order(folder: Path, kind: str, **job: Any) -> TrainingJobRequest:
    for name in ("examples", "graph"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    volume = {"claim": "artifacts", "mount_path": str(folder)}
    return TrainingJobRequest(
        settings=WorkerSettings(
            Path(), Path(), folder / "task" / "model", folder / "task" / "logs"
        ),
        placement=PlacementOptions(
            backend=kind, job={"volumes": [volume], **job}, workers=2, run_id=RUN_ID
        ),
        uris=ArtifactUris(
            str(folder / "examples"), str(folder / "graph"), str(folder / "run" / "model")
        ),
    )


@contextmanager
def operator(cluster: Cluster, program: Callable[[Container], int]) -> Iterator[Operator]:
    assert cluster.server is not None
    with Operator(cluster.server, program).running() as working:
        yield working


def train(kind: str, program: Callable[[Container], int], **job: Any) -> Flow:
    def flow(cluster: Cluster, folder: Path) -> None:
        with operator(cluster, program):
            training.run(order(folder, kind, **job), cluster.connect())

    return flow


def train_that_fails(kind: str) -> Flow:
    def flow(cluster: Cluster, folder: Path) -> None:
        with operator(cluster, fails):
            with pytest.raises(JobFailedError, match="out of luck"):
                training.run(order(folder, kind), cluster.connect())
            # A retry deletes the job that failed, and makes it again.
            with pytest.raises(JobFailedError, match="out of luck"):
                training.run(order(folder, kind), cluster.connect())

    return flow


def train_that_is_stopped(kind: str) -> Flow:
    def flow(cluster: Cluster, folder: Path) -> None:
        with operator(cluster, is_stopped), pytest.raises(SystemExit) as stopped:
            training.run(order(folder, kind), cluster.connect())
        assert stopped.value.code == 143

    return flow


def train_without_watch(kind: str) -> Flow:
    """A Role without `watch`: the launcher polls instead."""

    def flow(cluster: Cluster, folder: Path) -> None:
        assert cluster.server is not None
        resources = ("tfjobs", "trainjobs", "pods")
        cluster.server.faults.forbidden |= {("watch", resource) for resource in resources}
        train(kind, trains)(cluster, folder)

    return flow


def train_that_takes_too_long(cluster: Cluster, folder: Path) -> None:
    # No operator runs the job.
    with pytest.raises(DeadlineError):
        training.run(order(folder, "tfjob", deadline_seconds=1), cluster.connect())
    assert cluster.admin.list(TFJOB) == []


def train_in_a_run(cluster: Cluster, folder: Path) -> None:
    """The task's own pod determines the image, and the run that owns the job."""
    make_task_pod(cluster)
    os.environ["KFP_POD_NAME"] = TASK_POD
    try:
        train("tfjob", trains)(cluster, folder)
    finally:
        del os.environ["KFP_POD_NAME"]


def make_task_pod(cluster: Cluster) -> None:
    run = cluster.admin.create(
        WORKFLOW,
        {"apiVersion": WORKFLOW.api_version, "kind": "Workflow", "metadata": {"name": "run"}},
    )
    owner = {
        "apiVersion": run["apiVersion"],
        "kind": "Workflow",
        "name": "run",
        "uid": run["metadata"]["uid"],
        "controller": True,
    }
    cluster.admin.create(
        POD,
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": TASK_POD, "ownerReferences": [owner]},
            "spec": {"containers": [{"name": "main", "image": "registry.example.com/ml:7"}]},
        },
    )


SEARCH = ExperimentRequest(
    options=TuningOptions(
        max_trials=2,
        parallel_trials=1,
        max_failed_trials=1,
        search_space=[
            {
                "name": "learning_rate",
                "parameterType": "double",
                "feasibleSpace": {"min": "0.001", "max": "0.1"},
            }
        ],
    ),
    transformed_examples="minio://mlpipeline/examples",
    transform_graph="minio://mlpipeline/graph",
    task="binary",
)


def condition(kind: str, message: str = "") -> dict[str, str]:
    return {"type": kind, "status": "True", "reason": f"Experiment{kind}", "message": message}


@contextmanager
def katib(cluster: Cluster, act: Callable[[Cluster, dict[str, Any]], None]) -> Iterator[None]:
    """Act once on each Experiment, as Katib's controller would."""
    stop, seen = threading.Event(), set[str]()

    def work() -> None:
        while not stop.wait(0.05):
            for experiment in cluster.admin.list(EXPERIMENT):
                if experiment["metadata"]["uid"] not in seen:
                    seen.add(experiment["metadata"]["uid"])
                    act(cluster, experiment)

    thread = threading.Thread(target=work, name="katib", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(10)


def one_trial(cluster: Cluster, experiment: Mapping[str, Any], state: str) -> dict[str, Any]:
    name = experiment["metadata"]["name"]
    labels = {"katib.kubeflow.org/experiment": name}
    trial = f"{name}-abcdefgh"
    cluster.admin.create(
        TRIAL,
        {
            "apiVersion": TRIAL.api_version,
            "kind": "Trial",
            "metadata": {"name": trial, "labels": labels},
            "spec": {"parameterAssignments": [{"name": "learning_rate", "value": "0.01"}]},
        },
    )
    number = {"name": "eval_auc", "latest": "0.9", "max": "0.9", "min": "0.9"}
    observation = {"metrics": [number]}
    cluster.admin.status(
        TRIAL, trial, {"conditions": [condition(state)], "observation": observation}
    )
    pod_labels = {**labels, "katib.kubeflow.org/trial": trial}
    container = {"name": "tensorflow", "image": "registry.example.com/ml:7"}
    cluster.admin.create(
        POD,
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"{trial}-chief-0", "labels": pod_labels},
            "spec": {"containers": [container]},
        },
    )
    return {"bestTrialName": trial, "observation": observation}


def finds_the_best(cluster: Cluster, experiment: dict[str, Any]) -> None:
    best = one_trial(cluster, experiment, "Succeeded")
    status = {
        "conditions": [condition("Succeeded")],
        "currentOptimalTrial": best,
        "trials": 1,
        "trialsSucceeded": 1,
    }
    cluster.admin.status(EXPERIMENT, experiment["metadata"]["name"], status)


def loses_its_trials(cluster: Cluster, experiment: dict[str, Any]) -> None:
    name = experiment["metadata"]["name"]
    one_trial(cluster, experiment, "Failed")
    pod = f"{name}-abcdefgh-chief-0"
    terminated = {"exitCode": 1, "reason": "Error", "startedAt": None, "finishedAt": None}
    state = {"name": "tensorflow", "restartCount": 0, "state": {"terminated": terminated}}
    cluster.logs.write(NAMESPACE, pod, "tensorflow", "RuntimeError: out of luck")
    cluster.logs.end(NAMESPACE, pod, "tensorflow")
    cluster.admin.status(POD, pod, {"phase": "Failed", "containerStatuses": [state]})
    status = {"conditions": [condition("Failed", "too many trials have failed")]}
    cluster.admin.status(EXPERIMENT, name, {**status, "trials": 1, "trialsFailed": 1})


def has_no_such_algorithm(cluster: Cluster, experiment: dict[str, Any]) -> None:
    name = experiment["metadata"]["name"]
    cluster.admin.create(
        SUGGESTION,
        {"apiVersion": SUGGESTION.api_version, "kind": "Suggestion", "metadata": {"name": name}},
    )
    failed = {"type": "Failed", "status": "True", "message": "no such setting"}
    cluster.admin.status(SUGGESTION, name, {"conditions": [failed]})
    status = {"conditions": [condition("Failed", "Suggestion has failed")]}
    cluster.admin.status(EXPERIMENT, name, status)


def stops_the_run(cluster: Cluster, experiment: dict[str, Any]) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def search(cluster: Cluster, folder: Path) -> None:
    make_task_pod(cluster)
    os.environ["KFP_POD_NAME"] = TASK_POD
    try:
        with katib(cluster, finds_the_best):
            found = tuning.run(SEARCH, RUN_ID, cluster.connect())
            # A task that is tried again finds its Experiment.
            tuning.run(SEARCH, RUN_ID, cluster.connect())
    finally:
        del os.environ["KFP_POD_NAME"]
    assert len(cluster.admin.list(EXPERIMENT)) == 1
    assert found.best.objective == 0.9


def search_that_fails(cluster: Cluster, folder: Path) -> None:
    with katib(cluster, loses_its_trials), pytest.raises(RuntimeError):
        tuning.run(SEARCH, RUN_ID, cluster.connect())


def search_that_katib_refuses(cluster: Cluster, folder: Path) -> None:
    with katib(cluster, has_no_such_algorithm), pytest.raises(Exception, match="no such setting"):
        tuning.run(SEARCH, RUN_ID, cluster.connect())


def search_that_is_stopped(cluster: Cluster, folder: Path) -> None:
    with katib(cluster, stops_the_run), pytest.raises(SystemExit) as stopped:
        tuning.run(SEARCH, RUN_ID, cluster.connect())
    assert stopped.value.code == 143
    assert cluster.admin.list(EXPERIMENT) == []


def search_without_watch(cluster: Cluster, folder: Path) -> None:
    assert cluster.server is not None
    cluster.server.faults.forbidden |= {("watch", "experiments"), ("watch", "pods")}
    with katib(cluster, finds_the_best):
        tuning.run(SEARCH, RUN_ID, cluster.connect())


MODEL = {
    "label": "y",
    "versions": {},
    "hyperparameters": {},
    "task": "regression",
    "classes": [],
    "decision_threshold": None,
    "inputs": [],
    "schema_digest": "sha256:0",
}


NO_GOLDEN_EXAMPLES: Mapping[str, Any] = {"instances": [], "predictions": []}


def deploy(
    cluster: Cluster,
    folder: Path,
    name: str,
    service: Mapping[str, Any],
    golden: Mapping[str, Any] = NO_GOLDEN_EXAMPLES,
) -> None:
    """Deploy a model. Without golden examples no predictions are requested."""
    model = folder / name
    model.mkdir(exist_ok=True)
    (model / "saved_model.pb").write_text(name)
    (model / "model.json").write_text(json.dumps(MODEL))
    (folder / "golden.json").write_text(json.dumps(golden))
    settings = {
        "soak_seconds": 0,
        "keep_previous_seconds": 0,
        "volumes": [{"claim": "models", "mount_path": str(folder)}],
        **service,
    }
    request = DeploymentRequest(
        model=model,
        model_uri=str(model),
        golden_examples=folder,
        summary=folder / "summary.md",
        options=DeploymentOptions(model_name="taxi", service=settings),
    )
    deployment.run(request, cluster.connect(), QUICK_TIMING)


def roll_out(**service: Any) -> Flow:
    """A first model, a second one, and one that KServe cannot load."""

    def flow(cluster: Cluster, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        kserve = KServe(cluster, lambda model: FAILED if model == "broken" else 1)
        with kserve.running():
            with pytest.raises(RolloutError, match="Failed to fetch model"):
                deploy(cluster, folder, "broken", service)
            deploy(cluster, folder, "first", service)
            deploy(cluster, folder, "second", service)
            with pytest.raises(RolloutError, match="Failed to fetch model"):
                deploy(cluster, folder, "broken", service)

    return flow


class Answers(BaseHTTPRequestHandler):
    """Answers with the prediction of the one golden example."""

    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""

    def do_POST(self) -> None:
        content = json.dumps({"predictions": [{"prediction": 1.0}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def roll_out_a_first_that_clients_do_not_reach(cluster: Cluster, folder: Path) -> None:
    """It passes under its own name; then the Service that leads to it goes with it."""
    folder.mkdir(parents=True, exist_ok=True)
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as model:
        threading.Thread(target=model.serve_forever, daemon=True).start()
        kserve = KServe(cluster, lambda _: model.server_address[1])
        find = kserve.route
        kserve.route = lambda host: None if host.startswith("taxi.") else find(host)  # type: ignore[method-assign]
        service = {
            "strategy": "blue_green",
            "verification": {"requests": 1, "startup_seconds": 1},
            "access": {"via": "gateway", "gateway": kserve.url},
        }
        golden = {"instances": [{}], "predictions": [{"prediction": 1.0}]}
        with kserve.running(), pytest.raises(RolloutError, match="address: reachability"):
            deploy(cluster, folder, "first", service, golden)
        model.shutdown()
    assert cluster.admin.list(SERVICE) == cluster.admin.list(INFERENCE_SERVICE) == []


def spark_task(folder: Path) -> TaskRequest:
    def artifact(name: str) -> dict[str, Any]:
        return {name: {"artifacts": [{"name": name, "uri": str(folder / name)}]}}

    volume = {"claim": "artifacts", "mount_path": str(folder)}
    document = {"engine": "spark", "master": "k8s", "kubernetes": {"volumes": [volume]}}
    return TaskRequest(
        "package.component:validate_data",
        {
            "inputs": {
                "parameterValues": {"processing": document},
                "artifacts": artifact("examples"),
            },
            "outputs": {"outputFile": str(folder / "output.json"), "artifacts": artifact("schema")},
        },
    )


def spark_writes(job: Job, pod: str) -> int:
    """Write what the driver's program would."""
    job.log(pod, "validating")
    request = Path(job.resource["spec"]["arguments"][0].removeprefix("--request="))
    (request.parent / "executor_output.json").write_text("{}")
    return 0


def spark(script: Script) -> Flow:
    def flow(cluster: Cluster, folder: Path) -> None:
        request = spark_task(folder)
        settings = request.spark()
        assert settings is not None
        paths = {"schema": folder / "schema"}
        with SparkOperator(cluster, SPARK_FLAVOUR, script).working():
            spark_launcher.run(request, settings, paths, cluster.connect())

    return flow


def spark_that_fails(cluster: Cluster, folder: Path) -> None:
    def program(job: Job, pod: str) -> int:
        job.log(pod, "RuntimeError: out of luck")
        return 1

    with pytest.raises(JobFailedError, match="out of luck"):
        spark(runs(program))(cluster, folder)


def spark_that_is_stopped(cluster: Cluster, folder: Path) -> None:
    def stopped(job: Job) -> None:
        run_on(job)
        os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(SystemExit) as ended:
        spark(stopped)(cluster, folder)
    assert ended.value.code == 143


FLOWS: dict[str, Flow] = {
    "tfjob succeeds": train("tfjob", trains),
    "tfjob in a run": train_in_a_run,
    "tfjob fails": train_that_fails("tfjob"),
    "tfjob is stopped": train_that_is_stopped("tfjob"),
    "tfjob without watch": train_without_watch("tfjob"),
    "tfjob takes too long": train_that_takes_too_long,
    "trainjob succeeds": train("trainjob", trains),
    "trainjob fails": train_that_fails("trainjob"),
    "trainjob is stopped": train_that_is_stopped("trainjob"),
    "trainjob without watch": train_without_watch("trainjob"),
    "spark succeeds": spark(runs(spark_writes)),
    "spark fails": spark_that_fails,
    "spark is stopped": spark_that_is_stopped,
    "search succeeds": search,
    "search fails": search_that_fails,
    "search is refused": search_that_katib_refuses,
    "search is stopped": search_that_is_stopped,
    "search without watch": search_without_watch,
    "canary": roll_out(strategy="canary"),
    "direct": roll_out(strategy="direct"),
    "blue-green": roll_out(strategy="blue_green"),
    "blue-green, out of reach": roll_out_a_first_that_clients_do_not_reach,
}

_asked: dict[str, set[Asked]] = {}


def asked_in(name: str, folder: Path) -> set[Asked]:
    """Run a flow, once for all tests; return the rights that it needed."""
    if name not in _asked:
        with simulated(shipped_rules()) as cluster:
            FLOWS[name](cluster, folder)
            assert cluster.server is not None
            _asked[name] = set(cluster.server.asked[USER])
    return _asked[name]


@pytest.mark.parametrize("name", FLOWS)
def test_no_right_is_missing(name: str, tmp_path: Path) -> None:
    assert asked_in(name, tmp_path) <= granted()


def test_no_right_is_left_over(tmp_path: Path) -> None:
    needed = set().union(
        *(asked_in(name, tmp_path / str(number)) for number, name in enumerate(FLOWS))
    )

    assert granted() - needed == set()


def test_a_missing_right_is_found(tmp_path: Path) -> None:
    """The test above can fail: without `create` nothing works."""
    rules = [
        replace(rule, verbs=tuple(verb for verb in rule.verbs if verb != "create"))
        for rule in shipped_rules()
    ]
    with simulated(rules) as cluster, pytest.raises(Exception, match="create"):
        train("tfjob", trains)(cluster, tmp_path)


def test_events_are_asked_for_only_to_explain() -> None:
    """No task may make or delete events and pods; operators do."""
    rights = granted()

    for resource in ("pods", "events", EVENT.plural, "trials"):
        assert not {right.verb for right in rights if right.resource == resource} & {
            "create",
            "delete",
            "patch",
            "update",
        }
