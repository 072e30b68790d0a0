"""The nodes of a run's Argo Workflow: which pods worked for which task.

The server lists a run's nodes with the ids of their children, but without their own ids. Argo
derives an id from the node's path, so the ids of the children tell which paths exist.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Literal

Role = Literal["executor", "driver"]

_OFFSET, _PRIME, _MASK = 0x811C9DC5, 0x01000193, 0xFFFFFFFF
# Bounds on the search, far beyond what a pipeline has.
_MOST_ATTEMPTS = 32
_MOST_PATHS = 5000
_ATTEMPT = re.compile(r"\(\d+\)$")


class WorkflowNodes:
    """The nodes of one Workflow.

    Args:
        names: The display names of the nodes.
        children: The ids of the nodes that are children of others.

    Attributes:
        workflow: The Workflow's name; empty if there is no child to tell it.
        paths: The paths of the nodes that are children, parents first.

    Example:
        >>> nodes = WorkflowNodes(["ingest-data"], [node_id("churn-x7", "churn-x7.ingest-data")])
        >>> nodes.paths
        ('churn-x7', 'churn-x7.ingest-data')
    """

    def __init__(self, names: Iterable[str], children: Collection[str]) -> None:
        prefixes = {child.rpartition("-")[0] for child in children}
        self.workflow = min(prefixes, key=len) if prefixes else ""
        own = {_ATTEMPT.sub("", name) for name in names if name} - {self.workflow}
        # A node may be a child without being listed itself.
        segments = {*own, *(name.removesuffix("-driver") for name in own), "root", "executor"}
        self.paths = self._find(sorted(segments), children) if self.workflow else ()

    def _find(self, segments: Sequence[str], children: Collection[str]) -> tuple[str, ...]:
        suffixes = [
            *(f"({attempt})" for attempt in range(_MOST_ATTEMPTS)),
            *(f".{segment}" for segment in segments),
        ]
        unknown = {child.rpartition("-")[2] for child in children}
        found = [(self.workflow, _fnv1a(self.workflow))]
        for path, digest in found:
            for suffix in suffixes:
                longer = _fnv1a(suffix, digest)
                if str(longer) in unknown and len(found) < _MOST_PATHS:
                    unknown.discard(str(longer))
                    found.append((path + suffix, longer))
        return tuple(path for path, _ in found)

    @property
    def retried(self) -> bool:
        """Whether every node has attempts below it, as with Kubeflow's default retry strategy."""
        return f"{self.workflow}(0)" in self.paths

    def pods(self, task: str, role: Role = "executor") -> tuple[str, ...]:
        """Return the names of the pods that worked for a task, in the order of the attempts.

        Args:
            task: The task's name.
            role: `executor` for the task's own pods, `driver` for its driver's.
        """
        return tuple(node_id(self.workflow, path) for path, _ in self._pods(task, role))

    def last_pods(self, task: str, role: Role = "executor") -> tuple[str, ...]:
        """Return the names of the last pods of a task, one for each iteration of a loop.

        Args:
            task: The task's name.
            role: `executor` for the task's own pods, `driver` for its driver's.
        """
        last = {node: path for path, node in self._pods(task, role)}
        return tuple(node_id(self.workflow, path) for path in last.values())

    def _pods(self, task: str, role: Role) -> list[tuple[str, str]]:
        """Return the paths of a task's pods, and of the nodes that they are attempts of."""
        node = r"-driver" if role == "driver" else r"(?:\(\d+\))?\.executor"
        pattern = re.compile(rf"\.{re.escape(task)}{node}(\(\d+\))?$")
        matches = [match for match in map(pattern.search, self.paths) if match]
        attempts = [match for match in matches if match.group(1)]
        # A node with attempts is not a pod; its attempts are.
        found = attempts if attempts or self.retried else matches
        return [(match.string, _ATTEMPT.sub("", match.string)) for match in found]

    def expected_pods(
        self, groups: Sequence[str], task: str, role: Role = "executor"
    ) -> tuple[str, ...]:
        """Return the names that the pods of a task have, whether or not its nodes are listed.

        Args:
            groups: The conditions and loops around the task, the outermost first.
            task: The task's name.
            role: `executor` for the task's own pods, `driver` for its driver's.
        """
        if not self.workflow:
            return ()
        attempt = "(0)" if self.retried else ""
        within = [self.workflow, "root", *groups, *([task] if role == "executor" else [])]
        node = "executor" if role == "executor" else f"{task}-driver"
        path = f"{'.'.join(part + attempt for part in within)}.{node}"
        attempts = [f"{path}({number})" for number in range(_MOST_ATTEMPTS)]
        paths = attempts if self.retried else [path, *attempts]
        return tuple(node_id(self.workflow, each) for each in paths)


def node_id(workflow: str, path: str) -> str:
    """Return the id that Argo gives a node, which is also the name of its pod.

    Args:
        workflow: The Workflow's name.
        path: The node's path, which begins with the Workflow's name.

    Example:
        >>> node_id("churn-x7", "churn-x7(0).root(0).ingest-data(0).executor(0)")
        'churn-x7-3925809025'
    """
    return workflow if path == workflow else f"{workflow}-{_fnv1a(path)}"


def _fnv1a(text: str, digest: int = _OFFSET) -> int:
    """FNV-1a with 32 bits, as in Argo's `Workflow.NodeID`."""
    for byte in text.encode():
        digest = ((digest ^ byte) * _PRIME) & _MASK
    return digest
