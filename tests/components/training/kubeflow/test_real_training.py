"""A training task whose job's containers are real processes of the worker program."""

import dataclasses
import json
import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from kfp_tabular.components.training import train
from kfp_tabular.components.training.training_request import ArtifactUris
from tests.cluster.api_server import ApiServer
from tests.components.training.kubeflow.operators import Container, Operator

SECONDS = 240


def local_hosts(count: int) -> list[str]:
    """Free ports of this machine in place of the pods' addresses."""
    with ExitStack() as stack:
        listeners = [stack.enter_context(socket.socket()) for _ in range(count)]
        for listener in listeners:
            listener.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{listener.getsockname()[1]}" for listener in listeners]


def runs_the_command(container: Container) -> int:
    """Run the container's command and arguments, with its variables."""
    own = container.environment({})
    # The image's Python, and directories that only a pod has.
    command = [sys.executable, *container.spec["command"][1:], *container.arguments]
    environment = {**os.environ, **own, "HOME": os.environ["HOME"], "TMPDIR": "/tmp"}
    with subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            container.write(line.rstrip("\n"))
        return process.wait(SECONDS)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    with ApiServer(namespaces=["team"]).running() as running:
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": {"server": running.url}}],
            "users": [{"name": "test", "user": {"token": "test"}}],
            "contexts": [
                {
                    "name": "test",
                    "context": {"cluster": "test", "user": "test", "namespace": "team"},
                }
            ],
            "current-context": "test",
        }
        file = tmp_path / "kubeconfig"
        file.write_text(yaml.safe_dump(config))
        monkeypatch.setenv("KUBECONFIG", str(file))
        yield running


@pytest.fixture(scope="module")
def local(inputs, tmp_path_factory) -> SimpleNamespace:
    folder = tmp_path_factory.mktemp("local")
    request = inputs["binary"].request(folder, epochs=3)
    return SimpleNamespace(result=train.run(request), folder=folder)


def files(folder: Path) -> set[str]:
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return {
        name for name in found if not name.startswith(("logs/workers/", "logs/train", "logs/ev"))
    }


@pytest.mark.parametrize("kind", ["tfjob", "trainjob"])
def test_a_job_of_two_gives_what_a_local_run_gives(
    server, inputs, local, tmp_path, tmp_path_factory, monkeypatch, kind
) -> None:
    hosts = local_hosts(2)

    def program(container: Container) -> int:
        if kind == "trainjob":
            # Names of pods mean nothing here; what the program would build from them is tested
            # with it.
            index = int(container.environment({})["JOB_COMPLETION_INDEX"])
            task = {"cluster": {"worker": hosts}, "task": {"type": "worker", "index": index}}
            container.spec["env"].append({"name": "TF_CONFIG", "value": json.dumps(task)})
        return runs_the_command(container)

    task = tmp_path / "task"
    made = inputs["binary"]
    root = str(tmp_path_factory.getbasetemp())
    request = made.request(
        task,
        epochs=3,
        workers=2,
        backend=kind,
        job={"volumes": [{"claim": "artifacts", "mount_path": root}], "deadline_seconds": SECONDS},
        run_id="run",
    )
    model = str(tmp_path / "store" / "model")
    request = dataclasses.replace(
        request, uris=ArtifactUris(str(made.examples), str(made.graph), model)
    )
    with Operator(server, program, hosts=lambda count: list(hosts)).running() as operator:
        result = train.run(request)

    assert len(operator.jobs) == 1
    assert set(result.metrics) == set(local.result.metrics)
    assert result.metrics["eval_auc"] == pytest.approx(local.result.metrics["eval_auc"], abs=0.03)
    assert {name: set(entry) for name, entry in result.lineage.items()} == {
        name: set(entry) for name, entry in local.result.lineage.items()
    }
    mine, theirs = result.lineage["model"], local.result.lineage["model"]
    assert mine["inputs"] == theirs["inputs"]
    assert mine["rows"] == theirs["rows"]
    assert (task / "report.html").read_text().startswith("<!")
    assert files(task / "model") == files(local.folder / "model")
    assert (task / "logs" / "training.json").is_file()
    assert not (
        tmp_path / "store" / "kfp-tabular-jobs" / operator.jobs[0]["metadata"]["name"]
    ).exists()
