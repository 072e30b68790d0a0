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
from dataclasses import dataclass, field, replace
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
        values: The values of its parameters.
        copies: How often it runs, more than once inside loops.
    """

    path: str
    values: Mapping[str, Any]
    copies: int = 1


@dataclass(frozen=True)
class _Call:
    """A task in the scope that it runs in.

    Attributes:
        name: The last part of its node's name.
        owner: The task that its bytes are counted for.
        task: Its specification in its DAG.
        called: Its component.
        scope: Where its DAG runs.
    """

    name: str
    owner: str
    task: Mapping[str, Any]
    called: Mapping[str, Any]
    scope: _Scope

    @property
    def path(self) -> str:
        """The name of its node."""
        return f"{self.scope.path}.{self.name}"

    @property
    def component_name(self) -> str:
        """The name of its component."""
        return str(self.task["componentRef"]["name"])

    def inputs(self) -> dict[str, str]:
        """Return the inputs that all drivers and importers have."""
        return {"component": go_json.text(self.called), "task": go_json.text(self.task)}


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
        inputs = {"component": go_json.text(root), "runtime-config": runtime}
        self._dag_driver(FIXED, f"{entry}.root", inputs)
        self._node(FIXED, entry, "DAG", {}, {})
        self._node(FIXED, f"{entry}(0).root", "DAG", {"parent-dag-id": "1"}, {})
        self._dag(root, _Scope(f"{entry}(0).root(0)", values))
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
            call = _Call(name, name, task, called, scope)
            iterator = task.get("parameterIterator") or task.get("artifactIterator")
            if iterator:
                self._loop(call, self._iterations(call, iterator))
            else:
                self._run_task(call)

    def _run_task(self, call: _Call) -> None:
        if "dag" in call.called:
            self._sub_dag(call)
            return
        executor = self._executors[call.called["executorLabel"]]
        if "container" in executor:
            self._container(call, executor["container"])
        else:
            ((_, importer),) = executor.items()
            self._importer(call, importer)

    def _iterations(self, call: _Call, iterator: Mapping[str, Any]) -> int:
        items = iterator.get("items", {})
        raw = items.get("raw")
        if raw is not None:
            return max(len(json.loads(raw)), 1)
        # A parameter: the run's value, a locked one, or the default that the run may not change.
        name = str(items.get("inputParameter", ""))
        value = runtime_values.passed(call.task, name, call.scope.values)
        if isinstance(value, list) and value:
            return len(value)
        self._found.open_loops.append(call.name)
        return 1

    def _loop(self, loop: _Call, iterations: int) -> None:
        """Count a loop: its driver, and for each iteration a driver and what it runs."""
        name, inputs, copies = loop.owner, loop.inputs(), loop.scope.copies
        parent = {"parent-dag-id": "1"}
        self._node(name, loop.path, "DAG", parent, {}, copies)
        self._dag_driver(name, f"{loop.path}.{name}.iteration", inputs, copies)
        self._store(name, loop.component_name, inputs["component"])
        path = f"{loop.path}(0).iteration-iterations(0:1)(0)"
        each = _Scope(path, loop.scope.values, copies * iterations)
        self._node(name, path, "DAG", {**parent, "iteration-index": "0"}, {}, each.copies)
        self._run_task(replace(loop, name="iteration-item", scope=each))

    def _sub_dag(self, call: _Call) -> None:
        """Count a condition, an iteration or a nested pipeline, with what it runs."""
        owner, inputs, copies = call.owner, call.inputs(), call.scope.copies
        values = runtime_values.parameters(call.called, call.task, call.scope.values)
        self._store(owner, call.component_name, inputs["component"])
        self._dag_driver(owner, call.path, {**inputs, "task-name": owner}, copies)
        self._node(owner, call.path, "DAG", {"parent-dag-id": "1"}, {}, copies)
        self._dag(call.called, _Scope(f"{call.path}(0)", values, copies))

    def _dag_driver(
        self, owner: str, path: str, inputs: Mapping[str, str], copies: int = 1
    ) -> None:
        """Count the driver of the DAG whose node has a path."""
        self._templates.add("system-dag-driver")
        given = {"parent-dag-id": "0", "iteration-index": "-1", "driver-type": "DAG", **inputs}
        outputs = {"execution-id": "1", "iteration-count": "0", "condition": "true"}
        self._node(owner, f"{path}-driver", "Pod", given, outputs, copies)
        self._task(owner, inputs)

    def _task(self, owner: str, inputs: Mapping[str, str]) -> None:
        """Count a driver's and its executor's entries in the template of their DAG.

        A component is a reference there, and the task's specification is written out.
        """
        written = {"name": "task", "value": inputs.get("task", inputs.get("runtime-config", ""))}
        self._add(owner, go_json.size(written) + 1400)

    def _importer(self, call: _Call, importer: Mapping[str, Any]) -> None:
        owner, name = call.owner, call.component_name
        inputs = {**call.inputs(), "importer": go_json.text(importer)}
        self._store(owner, name, inputs["component"])
        self._store(owner, f"implementation of {name}", inputs["importer"])
        self._templates.add("system-importer")
        self._node(owner, call.path, "Pod", inputs, {}, call.scope.copies)
        self._task(owner, inputs)

    def _container(self, call: _Call, container: Mapping[str, Any]) -> None:
        owner, path, copies = call.owner, call.path, call.scope.copies
        label = call.called["executorLabel"]
        kubernetes = self._kubernetes.get(label, {})
        text = go_json.text(container)
        inputs = {
            **call.inputs(),
            "container": text,
            "task-name": owner,
            "parent-dag-id": "12",
            "iteration-index": "-1",
            "kubernetes-config": go_json.text(kubernetes) if kubernetes else "",
        }
        self._store(owner, f"component of {text}", inputs["component"])
        self._store(owner, f"implementation of {text}", text)
        if kubernetes:
            self._store(owner, f"kubernetes of {label}", inputs["kubernetes-config"])
        given = runtime_values.executor_input(
            call.called, call.task, call.scope.values, f"{self._name}/{owner}", self._metadata
        )
        patch = _pod_spec_patch(container, call.called, given, kubernetes)
        outputs = {"pod-spec-patch": patch, "cached-decision": "false", "condition": "true"}
        self._templates.add("system-container-driver")
        self._node(owner, f"{path}-driver", "Pod", inputs, outputs, copies)
        self._task(owner, inputs)
        passed = {"pod-spec-patch": patch, **self._executor_inputs(call.task, kubernetes)}
        self._node(owner, path, "DAG", {**passed, "cached-decision": "false"}, {}, copies)
        retries = int(call.task.get("retryPolicy", {}).get("maxRetryCount", 0))
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
