"""The graph of a compiled spec's tasks, conditions and loops unfolded."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_COMPONENT_PREFIX = "comp-"
_CHANNEL = re.compile(r"inputs\.parameter_values\['(?:pipelinechannel--)?([^']*)'\]")
_UNNAMED_CONDITION = re.compile(r"condition(-branches)?-\d+")


@dataclass(frozen=True)
class Node:
    """A task.

    Attributes:
        name: As in `spec.tasks`.
        condition: When it runs, such as `if blessed` or `for each item`; empty for always.
    """

    name: str
    condition: str = ""


@dataclass(frozen=True)
class Graph:
    """Tasks, and which task waits for which.

    Attributes:
        nodes: The tasks, each after the tasks that it waits for.
        edges: Pairs of names: the second waits for the first.
    """

    nodes: tuple[Node, ...]
    edges: tuple[tuple[str, str], ...]


def read_graph(spec: Mapping[str, Any]) -> Graph:
    """Read the graph of tasks.

    A task inside a condition, a loop or a nested pipeline waits for everything that the whole block
    waits for. A task that waits for the block waits for the block's last tasks.

    Args:
        spec: A compiled pipeline spec.

    Example:
        >>> from kfp_tabular.pipelines.spec import of
        >>> from kfp_tabular.pipelines.training.pipeline import training_pipeline
        >>> read_graph(of(training_pipeline)).nodes[-1]
        Node(name='deploy-model', condition='if blessed')
    """
    nodes: list[Node] = []
    edges: dict[tuple[str, str], None] = {}
    _read(spec, spec["root"], (), "", nodes, edges)
    return Graph(tuple(nodes), tuple(edges))


def _read(
    spec: Mapping[str, Any],
    component: Mapping[str, Any],
    waits_for: Iterable[str],
    condition: str,
    nodes: list[Node],
    edges: dict[tuple[str, str], None],
) -> tuple[str, ...]:
    """Add a block's tasks to `nodes` and `edges`; return those that no task in it waits for."""
    tasks: Mapping[str, Mapping[str, Any]] = component["dag"]["tasks"]
    last: dict[str, tuple[str, ...]] = {}
    for name in _in_order(tasks):
        task = tasks[name]
        reference = task["componentRef"]["name"]
        inner = spec["components"][reference]
        dependencies = task.get("dependentTasks", ())
        before = [node for other in dependencies for node in last[other]] or list(waits_for)
        when = ", ".join(filter(None, (condition, _condition(task))))
        if "dag" in inner:
            last[name] = _read(spec, inner, before, when, nodes, edges)
            continue
        node = Node(reference.removeprefix(_COMPONENT_PREFIX), when)
        nodes.append(node)
        edges.update(dict.fromkeys((other, node.name) for other in before))
        last[name] = (node.name,)
    waited_for = {other for task in tasks.values() for other in task.get("dependentTasks", ())}
    return tuple(node for name in last if name not in waited_for for node in last[name])


def _in_order(tasks: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield the names of a block's tasks, each after the tasks that it waits for."""
    waiting = dict(tasks)
    while waiting:
        ready = [
            name
            for name, task in waiting.items()
            if waiting.keys().isdisjoint(task.get("dependentTasks", ()))
        ]
        yield from ready
        for name in ready:
            del waiting[name]


def _condition(task: Mapping[str, Any]) -> str:
    if "parameterIterator" in task or "artifactIterator" in task:
        return "for each item"
    expression = task.get("triggerPolicy", {}).get("condition", "")
    if not expression:
        return ""
    name = task.get("taskInfo", {}).get("name", "")
    if name and not _UNNAMED_CONDITION.fullmatch(name):
        return f"if {name}"
    readable = _CHANNEL.sub(r"\1", expression)
    return f"if {readable}"
