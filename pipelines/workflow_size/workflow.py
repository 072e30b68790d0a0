"""The Workflow of a run, as far as its size goes: what KFP makes of a spec and what Argo adds.

KFP's API server (backend/src/v2/compiler/argocompiler) turns each component into parameters of the
Workflow, and each task into a driver, which is a pod, and an executor, which is a DAG with one pod.
While the run lasts, Argo adds a node to `status.nodes` for each of them, with the values of its
inputs and outputs. The driver's output `pod-spec-patch` holds the component's specification, the
container's command and the executor's input; it is also the input of the executor's nodes.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kfp_tabular.pipelines.workflow_size import go_json, runtime_values

FIXED = "the Workflow itself"
"""The owner of what belongs to no task."""

_TEMPLATE_BYTES = {
    "system-container-driver": 2700,
    "system-dag-driver": 2500,
    "system-container-executor": 500,
    "system-container-impl": 2200,
    "system-importer": 1600,
    "retry-system-container-executor": 1000,
    "retry-system-container-impl": 2500,
}
"""Templates that tasks share, as KFP 2.17.0 compiles them."""

_METADATA_TEMPLATE_BYTES = 4000
"""The two templates for tasks with annotations or labels of their own on the pod."""

_FRAME_BYTES = 2500
"""Metadata, conditions and settings of a Workflow."""

_HASH = "0" * 64
_WORKFLOW = "{name}-abcde"
_POD = "{name}-abcde-1234567890"
_OUTPUT = "/tmp/outputs/"  # noqa: S108 - in a container


@dataclass(frozen=True)
class _Scope:
    """Where a DAG runs.

    Attributes:
        path: The name of its node.
        owner: The task that its own bytes are counted for.
        values: The values of its parameters.
        copies: How often it runs, more than once inside loops.
    """

    path: str
    owner: str
    values: Mapping[str, Any]
    copies: int = 1


@dataclass
class WorkflowBytes:
    """The bytes of a Workflow.

    Attributes:
        by_task: Bytes for each task, and for `FIXED`.
        open_loops: Loops over a list that is known only during the run, or whose default is empty;
            counted as one iteration.
    """

    by_task: Counter[str] = field(default_factory=Counter)
    open_loops: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """The bytes of all."""
        return sum(self.by_task.values())


def measure(
    spec: Mapping[str, Any],
    platform: Mapping[str, Any],
    arguments: Mapping[str, Any],
    *,
    retried: bool = False,
    metadata: Mapping[str, Any] = runtime_values.METADATA,
) -> WorkflowBytes:
    """Return the bytes of the Workflow of a run that succeeded.

    Args:
        spec: The pipeline spec.
        platform: The platform document after it; empty without one.
        arguments: Values of the pipeline's parameters; the others have their defaults.
        retried: Whether every task needed the last of its attempts; else, the first one.
        metadata: The metadata of each artifact that a task reads.
    """
    return _Measure(spec, platform, retried, metadata).run(arguments)


class _Measure:
    def __init__(
        self,
        spec: Mapping[str, Any],
        platform: Mapping[str, Any],
        retried: bool,
        metadata: Mapping[str, Any],
    ) -> None:
        self._spec = spec
        self._retried = retried
        self._metadata = metadata
        self._name = spec["pipelineInfo"]["name"]
        self._executors = spec.get("deploymentSpec", {}).get("executors", {})
        kubernetes = platform.get("platforms", {}).get("kubernetes", {})
        self._kubernetes = kubernetes.get("deploymentSpec", {}).get("executors", {})
        self._found = WorkflowBytes()
        self._templates: set[str] = set()
        self._stored: set[str] = set()

    def run(self, arguments: Mapping[str, Any]) -> WorkflowBytes:
        root = self._spec["root"]
        declared = root.get("inputDefinitions", {}).get("parameters", {})
        values = {name: runtime_values.default(entry) for name, entry in declared.items()}
        values.update(arguments)
        entry = self._name + "-abcde"
        self._add(FIXED, _FRAME_BYTES)
        self._store(FIXED, "root", go_json.text(root))
        runtime = go_json.text({"parameterValues": values})
        self._dag_driver(
            "root",
            _Scope(entry, FIXED, values),
            {"component": go_json.text(root), "runtime-config": runtime},
        )
        self._node(FIXED, entry, "DAG", {}, {})
        self._node(FIXED, f"{entry}(0).root", "DAG", {"parent-dag-id": "1"}, {})
        self._dag(root, _Scope(f"{entry}(0).root(0)", FIXED, values))
        self._add(FIXED, sum(_TEMPLATE_BYTES[name] for name in self._templates))
        return self._found

    def _add(self, owner: str, count: int) -> None:
        self._found.by_task[owner] += count

    def _store(self, owner: str, name: str, text: str) -> None:
        """Count a parameter of the Workflow, which tasks with the same container share."""
        if name not in self._stored:
            self._stored.add(name)
            self._add(owner, go_json.size({"name": f"components-{_HASH}", "value": text}) + 1)

    def _dag(self, component: Mapping[str, Any], scope: _Scope) -> None:
        for name, task in component["dag"]["tasks"].items():
            called = self._spec["components"][task["componentRef"]["name"]]
            iterator = task.get("parameterIterator") or task.get("artifactIterator")
            if iterator:
                count = self._iterations(name, task, iterator, scope)
                self._loop(name, task, called, scope, count)
            elif "dag" in called:
                self._sub_dag(name, task, called, scope)
            else:
                self._leaf(name, task, called, scope)

    def _iterations(
        self, name: str, task: Mapping[str, Any], iterator: Mapping[str, Any], scope: _Scope
    ) -> int:
        items = iterator.get("items", {})
        raw = items.get("raw")
        if raw is not None:
            return max(len(json.loads(raw)), 1)
        # A parameter: the run's value, a locked one, or the default that the run may not change.
        value = runtime_values.passed(task, str(items.get("inputParameter", "")), scope.values)
        if isinstance(value, list) and value:
            return len(value)
        self._found.open_loops.append(name)
        return 1

    def _loop(
        self,
        name: str,
        task: Mapping[str, Any],
        called: Mapping[str, Any],
        scope: _Scope,
        iterations: int,
    ) -> None:
        """Count a loop: its driver, and for each iteration a driver and what it runs."""
        component, written = go_json.text(called), go_json.text(task)
        inputs = {"component": component, "task": written}
        outer = _Scope(f"{scope.path}.{name}", name, scope.values, scope.copies)
        self._node(name, outer.path, "DAG", {"parent-dag-id": "1"}, {}, scope.copies)
        self._dag_driver(f"{name}.iteration", outer, inputs)
        self._store(name, task["componentRef"]["name"], component)
        path = f"{scope.path}.{name}(0).iteration-iterations(0:1)(0)"
        each = _Scope(path, name, scope.values, scope.copies * iterations)
        self._node(
            name, path, "DAG", {"parent-dag-id": "1", "iteration-index": "0"}, {}, each.copies
        )
        self._sub_dag("iteration-item", task, called, each, name)

    def _sub_dag(
        self,
        name: str,
        task: Mapping[str, Any],
        called: Mapping[str, Any],
        scope: _Scope,
        owner: str = "",
    ) -> None:
        """Count a condition, an iteration or a nested pipeline, with what it runs."""
        owner = owner or name
        if "dag" not in called:
            self._leaf(name, task, called, scope, owner)
            return
        values = runtime_values.parameters(called, task, scope.values)
        component, written = go_json.text(called), go_json.text(task)
        self._store(owner, task["componentRef"]["name"], component)
        within = _Scope(f"{scope.path}.{name}", owner, values, scope.copies)
        inputs = {"component": component, "task": written, "task-name": owner}
        self._dag_driver(name, _Scope(scope.path, owner, values, scope.copies), inputs)
        self._node(owner, within.path, "DAG", {"parent-dag-id": "1"}, {}, scope.copies)
        self._dag(called, _Scope(f"{within.path}(0)", owner, values, scope.copies))

    def _dag_driver(self, name: str, scope: _Scope, inputs: Mapping[str, str]) -> None:
        self._templates.add("system-dag-driver")
        given = {"parent-dag-id": "0", "iteration-index": "-1", "driver-type": "DAG", **inputs}
        outputs = {"execution-id": "1", "iteration-count": "0", "condition": "true"}
        path = f"{scope.path}.{name}-driver"
        self._node(scope.owner, path, "Pod", given, outputs, scope.copies)
        self._task(scope.owner, inputs)

    def _task(self, owner: str, inputs: Mapping[str, str]) -> None:
        """Count a driver's and its executor's entries in the template of their DAG.

        A component is a reference there, and the task's specification is written out.
        """
        written = {"name": "task", "value": inputs.get("task", inputs.get("runtime-config", ""))}
        self._add(owner, go_json.size(written) + 1400)

    def _leaf(
        self,
        name: str,
        task: Mapping[str, Any],
        called: Mapping[str, Any],
        scope: _Scope,
        owner: str = "",
    ) -> None:
        owner = owner or name
        executor = self._executors[called["executorLabel"]]
        if "container" in executor:
            self._container(name, task, called, executor["container"], scope, owner)
            return
        ((_, written),) = executor.items()
        component, text = go_json.text(called), go_json.text(written)
        self._store(owner, task["componentRef"]["name"], component)
        self._store(owner, f"implementation of {task['componentRef']['name']}", text)
        inputs = {"task": go_json.text(task), "component": component, "importer": text}
        self._templates.add("system-importer")
        self._node(owner, f"{scope.path}.{name}", "Pod", inputs, {}, scope.copies)
        self._task(owner, inputs)

    def _container(
        self,
        name: str,
        task: Mapping[str, Any],
        called: Mapping[str, Any],
        container: Mapping[str, Any],
        scope: _Scope,
        owner: str,
    ) -> None:
        kubernetes = self._kubernetes.get(called["executorLabel"], {})
        component, text = go_json.text(called), go_json.text(container)
        self._store(owner, f"component of {text}", component)
        self._store(owner, f"implementation of {text}", text)
        inputs = {
            "component": component,
            "task": go_json.text(task),
            "container": text,
            "task-name": owner,
            "parent-dag-id": "12",
            "iteration-index": "-1",
            "kubernetes-config": go_json.text(kubernetes) if kubernetes else "",
        }
        if kubernetes:
            self._store(
                owner, f"kubernetes of {called['executorLabel']}", inputs["kubernetes-config"]
            )
        place = f"{self._name}/{owner}"
        given = runtime_values.executor_input(called, task, scope.values, place, self._metadata)
        patch = _pod_spec_patch(container, called, given, kubernetes)
        outputs = {"pod-spec-patch": patch, "cached-decision": "false", "condition": "true"}
        path, copies = f"{scope.path}.{name}", scope.copies
        self._templates.add("system-container-driver")
        self._node(owner, f"{path}-driver", "Pod", inputs, outputs, copies)
        self._task(owner, inputs)
        passed = {"pod-spec-patch": patch, **self._executor_inputs(task, kubernetes)}
        self._node(owner, path, "DAG", {**passed, "cached-decision": "false"}, {}, copies)
        retries = int(task.get("retryPolicy", {}).get("maxRetryCount", 0))
        attempts = 1 + retries if self._retried else 1
        self._node(owner, f"{path}(0).executor", "Pod", passed, {}, copies, attempts)

    def _executor_inputs(
        self, task: Mapping[str, Any], kubernetes: Mapping[str, Any]
    ) -> dict[str, str]:
        prefix = "retry-" if "retryPolicy" in task else ""
        self._templates |= {f"{prefix}system-container-{part}" for part in ("executor", "impl")}
        found = {f"retry-{key}": str(value) for key, value in task.get("retryPolicy", {}).items()}
        metadata = kubernetes.get("podMetadata", {})
        if metadata and json.dumps(metadata) not in self._stored:
            self._stored.add(json.dumps(metadata))
            self._add(FIXED, _METADATA_TEMPLATE_BYTES)
        for kind in ("annotations", "labels"):
            for number, (key, value) in enumerate(metadata.get(kind, {}).items()):
                found[f"pod-metadata-{kind}-key-{number}"] = key
                found[f"pod-metadata-{kind}-val-{number}"] = value
        return found

    def _node(
        self,
        owner: str,
        path: str,
        kind: str,
        inputs: Mapping[str, str],
        outputs: Mapping[str, str],
        copies: int = 1,
        attempts: int = 1,
    ) -> None:
        """Count the nodes of a template's invocation: one for retries and one for each attempt.

        KFP's installation gives every template a retry strategy (`templateDefaults` in Argo's
        `workflowDefaults`), so each invocation has a node of type Retry above it.
        """
        pod = _POD.format(name=self._name)
        for suffix in ("", *(f"({attempt})" for attempt in range(attempts))):
            node: dict[str, Any] = {
                "id": pod,
                "name": path + suffix,
                "displayName": path.rpartition(".")[2] + suffix,
                "type": kind if suffix else "Retry",
                "templateName": "system-container-executor",
                "templateScope": f"local/{_WORKFLOW.format(name=self._name)}",
                "phase": "Succeeded",
                "boundaryID": pod,
                "startedAt": "2026-01-01T12:00:00Z",
                "finishedAt": "2026-01-01T12:00:00Z",
                "estimatedDuration": 10,
                "progress": "10/10",
                "resourcesDuration": {"cpu": 10, "memory": 1000},
                "children": [pod, pod],
            }
            if suffix:
                node["nodeFlag"] = {"retried": True}
            if inputs:
                node["inputs"] = {"parameters": list(_parameters(inputs))}
            if kind == "DAG":
                node["outboundNodes"] = [pod]
            else:
                node["outputs"] = self._outputs(outputs)
                if suffix:
                    node |= {
                        "hostNodeName": "a-node-of-the-cluster-1234567",
                        "taskResultSynced": True,
                    }
            self._add(owner, (go_json.size({pod: node}) - 1) * copies)
            if kind == "Pod" and suffix:
                self._add(owner, len(pod) + 8)  # status.taskResultsCompletionStatus

    def _outputs(self, values: Mapping[str, str]) -> dict[str, Any]:
        workflow, pod = _WORKFLOW.format(name=self._name), _POD.format(name=self._name)
        key = f"private-artifacts/kubeflow/{workflow}/2026/01/01/{pod}/main.log"
        found: dict[str, Any] = {
            "artifacts": [{"name": "main-logs", "s3": {"key": key}}],
            "exitCode": "0",
        }
        if values:
            found["parameters"] = [
                {
                    "name": name,
                    "value": value,
                    "valueFrom": {"path": f"{_OUTPUT}{name}", "default": "false"},
                }
                for name, value in values.items()
            ]
        return found


def _parameters(values: Mapping[str, str]) -> Iterator[dict[str, str]]:
    for name, value in values.items():
        defaults = {"cached-decision", "iteration-index", "kubernetes-config", "driver-type"}
        yield {"name": name, "value": value, **({"default": "-1"} if name in defaults else {})}


def _pod_spec_patch(
    container: Mapping[str, Any],
    component: Mapping[str, Any],
    executor_input: Mapping[str, Any],
    kubernetes: Mapping[str, Any],
) -> str:
    """Return what the driver sets on the executor's pod (`initPodSpecPatch`)."""
    command = [*container.get("command", ()), *container.get("args", ())]
    flags = {
        "executor_type": "container",
        "pipeline_name": "x" * 20,
        "run_id": "0" * 36,
        "execution_id": "123",
        "executor_input": go_json.proto_text(executor_input),
        "component_spec": go_json.proto_text(component),
        "pod_name": "$(KFP_POD_NAME)",
        "pod_uid": "$(KFP_POD_UID)",
        "ml_pipeline_server_address": "ml-pipeline.kubeflow.svc.cluster.local",
        "ml_pipeline_server_port": "8887",
        "mlmd_server_address": "metadata-grpc-service.kubeflow.svc.cluster.local",
        "mlmd_server_port": "8080",
        "publish_logs": "true",
        "ca_cert_path": "",
        "log_level": "1",
    }
    launcher = ["/kfp-launcher/launch"]
    for name, value in flags.items():
        launcher += [f"--{name}", value]
    launcher += ["--ml_pipeline_tls_enabled=false", "--metadata_tls_enabled=false"]
    main = {
        "name": "main",
        "image": container["image"],
        "command": [*launcher, "--cache_disabled=false", "--"],
        "args": command,
        "env": container.get("env", []),
        "resources": container.get("resources", {}),
    }
    # Volumes, tolerations and the like are about as long in the pod as in the platform document.
    return go_json.text({"containers": [main], **kubernetes})
