"""A whole task on Kubernetes: Spark itself makes executors at an API server, as pods.

Their containers are processes of this machine. What is not real: the operator, which would submit
what the SparkApplication says, and the kubelet.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.kubernetes.client.resource_kinds import POD, SPARK_APPLICATION
from kfp_tabular.components.common.processing.spark import installation
from kfp_tabular.components.common.spark_task import spark_application
from tests import spark_cluster
from tests.cluster import core_models, kustomize
from tests.cluster.api_server import Asked, Rule
from tests.cluster.clusters import NAMESPACE, Cluster, simulated
from tests.cluster.operators import Job, Operator, now
from tests.components.common.spark_task.flavours import SPARK_FLAVOUR, runs
from tests.components.common.task.test_spark_driver import (
    DOCUMENT,
    RUN,
    artifacts,
    drive,
    executor_input,
    start,
)

ACCOUNT = f"system:serviceaccount:{NAMESPACE}:kfp-tabular-spark"
TOKEN = "driver-token"
COMPONENT = "kfp_tabular.components.data_ingestion.component:ingest_data"
OUTPUTS = ("examples", "rejected_rows", "outline", "summary")


def rules() -> list[Rule]:
    """Return the rights of the shipped Role."""
    found = kustomize.read("base/access/spark-driver.yaml")
    (role,) = (entry for entry in found if entry["kind"] == "Role")
    return [Rule.of(rule) for rule in role["rules"]]


def granted() -> set[Asked]:
    return {
        Asked(verb, group, resource)
        for rule in rules()
        for verb in rule.verbs
        for group in rule.api_groups
        for resource in rule.resources
    }


class Kubelet:
    """Runs the containers of executors' pods as processes.

    Attributes:
        pods: Every pod that it has run, by name.
        processes: Their processes.
    """

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.pods: dict[str, Mapping[str, Any]] = {}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._cluster, self._folder = cluster, folder
        self._stop = threading.Event()

    @contextmanager
    def working(self) -> "Iterator[Kubelet]":
        thread = threading.Thread(target=self._watch, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            thread.join(30)
            for process in self.processes.values():
                process.kill()
                process.wait()

    def _watch(self) -> None:
        ended: set[str] = set()
        while not self._stop.wait(0.1):
            there = {
                pod["metadata"]["name"]: pod
                for pod in self._cluster.admin.list(POD)
                if pod["metadata"]["labels"].get("spark-role") == "executor"
            }
            for name, pod in there.items():
                if name not in self.pods:
                    self.pods[name] = pod
                    self.processes[name] = self._run(pod)
                    self._status(name, {"running": {"startedAt": now()}}, "Running")
                code = self.processes[name].poll()
                if code is not None and name not in ended:
                    ended.add(name)
                    state = {"exitCode": code % 256, "reason": "Error", "finishedAt": now()}
                    self._status(name, {"terminated": state}, "Failed" if code else "Succeeded")
            for name in self.processes.keys() - there:
                self.processes[name].terminate()

    def _run(self, pod: Mapping[str, Any]) -> "subprocess.Popen[bytes]":
        (container,) = pod["spec"]["containers"]
        fields = {"status.podIP": "127.0.0.1", "metadata.name": pod["metadata"]["name"]}
        own = {
            entry["name"]: entry["value"]
            if "value" in entry
            else fields[entry["valueFrom"]["fieldRef"]["fieldPath"]]
            for entry in container["env"]
        }
        # Directories that only a pod has.
        places = {"HOME": os.environ["HOME"], "TMPDIR": str(self._folder)}
        places["SPARK_LOCAL_DIRS"] = str(self._folder / "local")
        assert container["command"][:2] == ["python3", "-m"]
        return subprocess.Popen(
            [sys.executable, *container["command"][1:], *container["args"]],
            env={**os.environ, **own, **places},
            cwd=self._folder,
            stdout=(self._folder / f"{pod['metadata']['name']}.log").open("wb"),
            stderr=subprocess.STDOUT,
        )

    def _status(self, name: str, state: Mapping[str, Any], phase: str) -> None:
        container = {
            "name": spark_application.EXECUTOR,
            "image": "i",
            "imageID": "",
            "ready": "running" in state,
            "restartCount": 0,
            "state": state,
        }
        status = {"phase": phase, "podIP": "127.0.0.1", "containerStatuses": [container]}
        self._cluster.admin.status(POD, name, status)


def submitted(job: Job, pod: str, server: str, folder: Path) -> str:
    """Return the properties that Spark writes for a driver, from what the operator submits."""
    spec = job.resource["spec"]
    template = folder / "executor.yaml"
    template.write_text(yaml.safe_dump(spec["executor"]["template"]))
    executor = spec["executor"]
    labels = {**job.resource["metadata"]["labels"], spark_application.NAME_LABEL: job.name}
    properties = {
        **spec["sparkConf"],
        # Other tests may listen on the real ones.
        **dict.fromkeys(spark_application.PORTS, "0"),
        "spark.master": f"k8s://{server}",
        "spark.app.name": job.name,
        "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": spec["driver"]["memory"],
        "spark.executor.cores": executor["cores"],
        "spark.executor.instances": executor["instances"],
        "spark.executor.memory": executor["memory"],
        "spark.executor.memoryOverhead": executor["memoryOverhead"],
        "spark.kubernetes.authenticate.oauthToken": TOKEN,
        "spark.kubernetes.namespace": NAMESPACE,
        "spark.kubernetes.driver.pod.name": pod,
        "spark.kubernetes.executor.container.image": spec["image"],
        "spark.kubernetes.executor.podTemplateFile": template,
        "spark.kubernetes.executor.podTemplateContainerName": spark_application.EXECUTOR,
        **{f"spark.kubernetes.executor.label.{key}": value for key, value in labels.items()},
    }
    return "".join(f"{key}={value}\n" for key, value in properties.items())


def ingest(
    cluster: Cluster, folder: Path, engine: str, source: Path, processing: Mapping[str, Any]
) -> Any:
    root = f"{folder}/{engine}/{RUN}"
    given = executor_input(
        folder / engine,
        {},
        artifacts(f"{root}/out", *OUTPUTS),
        data_uri=str(source),
        processing=processing,
    )
    return start(cluster, COMPONENT, given), Path(root, "out", "examples")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "taxi.csv"
    rows = (f"{number},{number % 7 * 0.5},{'ab'[number % 3 > 0]}" for number in range(3000))
    path.write_text("\n".join(["id,fare,kind", *rows, ""]))
    return path


def test_executors_are_pods_and_the_driver_needs_no_more_than_its_role(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spark_cluster.require()
    monkeypatch.setenv(installation.SPARK_HOME, str(installation.spark_home()))
    volume = {"claim": "a", "mount_path": str(tmp_path)}
    document = {
        **DOCUMENT,
        "executor_memory": "512m",
        "driver_memory": "512m",
        "kubernetes": {"executors": 1, "volumes": [volume]},
    }
    with simulated() as cluster, Kubelet(cluster, tmp_path).working() as kubelet:
        assert cluster.server is not None
        server = cluster.server
        server.user(ACCOUNT, TOKEN, rules())

        def program(job: Job, pod: str) -> int:
            text = submitted(job, pod, server.url, tmp_path)
            return drive(job, pod, tmp_path, text)

        with Operator(cluster, SPARK_FLAVOUR, runs(program)).working():
            done, made = ingest(cluster, tmp_path, "k8s", source, document)
        logs = "".join(path.read_text() for path in tmp_path.glob("*-exec-*.log"))
        assert done.returncode == 0, done.stdout + logs
        needed = set(server.asked[ACCOUNT])
        (application,) = cluster.admin.list(SPARK_APPLICATION)
        local, expected = ingest(cluster, tmp_path, "local", source, {})
    assert local.returncode == 0, local.stdout

    assert Examples(made).manifest.digest == Examples(expected).manifest.digest
    assert needed <= granted()
    # The operator would have made a Service.
    assert granted() - needed <= {Asked("delete", "", "services")}
    (pod,) = kubelet.pods.values()
    assert core_models.problems({"apiVersion": "v1", "kind": "Pod", **pod}) == []
    name = application["metadata"]["name"]
    assert pod["metadata"]["labels"][spark_application.NAME_LABEL] == name
    assert pod["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "kfp-tabular"
    assert pod["spec"]["automountServiceAccountToken"] is False
    (container,) = pod["spec"]["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["resources"]["limits"]["memory"] == f"{512 + 1024 + 512}Mi"
