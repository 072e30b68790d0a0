"""Real models, real serving processes, and a cluster with KServe to deploy them to."""

import dataclasses
import http.client
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from kfp_tabular.components.deployment.deployment_request import Deployment, DeploymentRequest
from kfp_tabular.components.deployment.kserve import backend
from kfp_tabular.components.deployment.kserve.rollout import rollout_driver
from kfp_tabular.components.deployment.options import DeploymentOptions
from tests.cluster import kustomize
from tests.cluster.api_server import Rule
from tests.cluster.clusters import NAMESPACE, Cluster, simulated
from tests.components.deployment.kserve import bad_server, kserve_controller
from tests.components.deployment.kserve.kserve_controller import FAILED, KServe
from tests.components.deployment.kserve.task import PATHS, QUICK_TIMING
from tests.components.deployment.tiny_model import INSTANCES, answers, write_golden

ROOT = Path(__file__).parents[4]
SERVING = ROOT / ".venvs" / "serving" / "bin" / "python"
NAME = "taxi"
HEALTHY = ("first", "second", "third")

# Directories of models: which exported one each is a copy of, and whose answers it should give.
MODELS = {
    "first": (1, 1),
    "second": (2, 2),
    "third": (1, 1),
    "wrong": (1, 2),
    "slow": (2, 2),
    "errors": (2, 2),
    "broken": (2, 2),
}


@dataclass(frozen=True)
class Models:
    """Models on disk, and the processes that serve them.

    Attributes:
        folder: Holds a directory per model, and one with golden examples for each.
        ports: Where each model is served.
    """

    folder: Path
    ports: dict[str, int]

    def golden(self, model: str) -> Path:
        """Return the golden examples that belong to a model."""
        return self.folder / f"golden-{model}"


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Models]:
    """Two exported models, each in a serving process, and what is derived of them."""
    if not SERVING.exists():
        pytest.skip("the environment of the serving image is missing: make setup")
    folder = tmp_path_factory.mktemp("models")
    exported = [folder / "exported-1", folder / "exported-2"]
    program = ["-m", "tests.components.deployment.tiny_model", *map(str, exported)]
    subprocess.run([SERVING, *program], cwd=ROOT, check=True, timeout=120, capture_output=True)
    for name, (copy_of, answers_of) in MODELS.items():
        shutil.copytree(folder / f"exported-{copy_of}", folder / name)
        (folder / name / "assets").mkdir(exist_ok=True)
        (folder / name / "assets" / "name.txt").write_text(name)
        write_golden(folder / f"golden-{name}", answers("binary", float(answers_of)))
    with ExitStack() as stack:
        logs = [stack.enter_context((folder / f"log-{number}").open("w")) for number in (1, 2)]
        started = [
            stack.enter_context(_process([SERVING, *_serve(path)], stderr=log))
            for path, log in zip(exported, logs, strict=True)
        ]
        served = [_listening(process, folder / f"log-{n}") for n, process in enumerate(started, 1)]
        ports = {name: served[copy_of - 1] for name, (copy_of, _) in MODELS.items()}
        for name in ("slow", "errors"):
            program = [bad_server.__file__, str(ports[name]), name]
            bad = stack.enter_context(_process([sys.executable, *program], stdout=subprocess.PIPE))
            ports[name] = int(bad.stdout.readline())
        yield Models(folder, {**ports, "broken": FAILED})


def _serve(path: Path) -> list[str]:
    flags = [f"--model={path}", f"--name={NAME}", "--port=0", "--reload-seconds=0"]
    return ["-m", "kfp_tabular.serving", *flags]


@contextmanager
def _process(command: list[Any], **options: Any) -> Iterator[Any]:
    process = subprocess.Popen(command, cwd=ROOT, text=True, **options)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _listening(process: Any, log: Path) -> int:
    """Wait until a serving process reports where it listens."""
    end = time.monotonic() + 300
    while time.monotonic() < end:
        for line in log.read_text().splitlines():
            _, found, address = line.partition("http://127.0.0.1:")
            if found:
                port = int("".join(_digits(address)))
                if _answers(port):
                    return port
        assert process.poll() is None, log.read_text()
        time.sleep(0.1)
    raise TimeoutError(log.read_text())


def _digits(text: str) -> Iterator[str]:
    for character in text:
        if not character.isdigit():
            return
        yield character


def _answers(port: int) -> bool:
    url = f"http://127.0.0.1:{port}/v2/models/{NAME}/ready"
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def shipped_rules() -> list[Rule]:
    """The rights of the shipped Role."""
    (role,) = kustomize.read("base/access/launcher-role.yaml")
    return [Rule.of(rule) for rule in role["rules"]]


@dataclass
class Client:
    """Sends requests to an endpoint again and again, as its clients do.

    Attributes:
        failed: Requests that a healthy revision, or nothing at all, answered with an error.
        seen: The models that answered.
    """

    kserve: KServe
    host: str
    failed: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    count: int = 0

    @contextmanager
    def asking(self) -> "Iterator[Client]":
        """Ask for the duration of the block."""
        over = threading.Event()
        thread = threading.Thread(target=self._ask, args=(over,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            over.set()
            thread.join(30)

    def _ask(self, over: threading.Event) -> None:
        address = self.kserve.url.removeprefix("http://")
        connection = http.client.HTTPConnection(address, timeout=30)
        body = json.dumps({"instances": INSTANCES[:1]}).encode()
        while not over.wait(0.03):
            headers = {"Host": self.host, "Content-Type": "application/json"}
            connection.request("POST", f"/v1/models/{NAME}:predict", body, headers)
            answer = connection.getresponse()
            content, model = answer.read(), answer.headers["X-Model"]
            self.count += 1
            self.seen.add(model)
            if answer.status != 200 and (model in HEALTHY or not model):
                self.failed.append(f"{model}: {answer.status} {content!r}")


@dataclass
class KServeSetup:
    """A cluster with KServe, and models to deploy to it."""

    cluster: Cluster
    kserve: KServe
    models: Models
    folder: Path

    def request(self, model: str, **changes: Any) -> DeploymentRequest:
        """Return a request for a model; `service` is merged into what makes tests quick."""
        service = {
            "strategy": "canary",
            "steps": [25, 100],
            "soak_seconds": 0.2,
            "keep_previous_seconds": 0.2,
            "ready_seconds": 15,
            "volumes": [{"claim": "models", "mount_path": str(self.models.folder)}],
            "access": {"via": "gateway", "gateway": self.kserve.url},
            **changes.pop("service", {}),
        }
        service["verification"] = {
            "requests": 10,
            "requests_per_second": 100,
            "startup_seconds": 5,
            **service.get("verification", {}),
        }
        names = {field.name for field in dataclasses.fields(DeploymentOptions)}
        options = {name: changes.pop(name) for name in names & changes.keys()}
        request = DeploymentRequest(
            model=self.models.folder / model,
            model_uri=str(self.models.folder / model),
            golden_examples=self.models.golden(model),
            summary=self.folder / "summary.md",
            options=DeploymentOptions(**{"model_name": NAME, "service": service, **options}),
        )
        return dataclasses.replace(request, **changes)

    def deploy(self, model: str, **changes: Any) -> Deployment:
        """Deploy in this process."""
        request = self.request(model, **changes)
        return backend.run(request, self.cluster.connect(), QUICK_TIMING)

    @contextmanager
    def task(self, model: str, **changes: Any) -> Iterator[Any]:
        """Deploy in a process of its own."""
        fields = dataclasses.asdict(self.request(model, **changes))
        fields |= {name: str(fields[name]) for name in PATHS}
        environment = {**os.environ, "KUBECONFIG": str(self.cluster.kubeconfig)}
        command = [sys.executable, "-m", "tests.components.deployment.kserve.task"]
        with _process(
            [*command, json.dumps(fields)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            yield process

    def client(self, *, entry: bool = False) -> Client:
        """Return a client of the endpoint."""
        domain = "svc.cluster.local" if entry else "example.com"
        return Client(self.kserve, f"{NAME}.{NAMESPACE}.{domain}")

    def lease(self) -> dict[str, Any]:
        """Return the lock."""
        from kfp_tabular.components.common.kubernetes.client.resource_kinds import LEASE

        return self.cluster.admin.get(LEASE, rollout_driver.lease_name(NAME)) or {}

    def journal(self) -> dict[str, Any]:
        """Return the journal of an unfinished rollout."""
        annotations = (self.lease().get("metadata") or {}).get("annotations") or {}
        return json.loads(annotations.get("kfp-tabular.dev/rollout") or "{}")


@pytest.fixture
def setup(models: Models, tmp_path: Path) -> Iterator[KServeSetup]:
    """A cluster with KServe that enforces the shipped Role."""
    with (
        simulated(shipped_rules()) as cluster,
        kserve_controller.KServe(cluster, models.ports.__getitem__).running() as kserve,
    ):
        yield KServeSetup(cluster, kserve, models, tmp_path)
