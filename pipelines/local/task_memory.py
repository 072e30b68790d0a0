"""Which tasks of a run need not work: those that finished before, in this run or in another."""

import logging
import os
import threading
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from kfp_tabular.components.common import files
from kfp_tabular.components.common.artifacts.findings import Finding
from kfp_tabular.pipelines import spec
from kfp_tabular.pipelines.local.cache import fingerprint
from kfp_tabular.pipelines.local.cache.fingerprint import Fingerprint
from kfp_tabular.pipelines.local.cache.store import CacheStore, NotCacheableError
from kfp_tabular.pipelines.local.contents import Contents, UnreadableContentError
from kfp_tabular.pipelines.local.execution.task_launcher import TaskResult
from kfp_tabular.pipelines.local.execution.task_runner import TaskCall, TaskRunner
from kfp_tabular.pipelines.local.run_record import FinishedTask, RunRecord
from kfp_tabular.pipelines.task_definitions import of_component
from kfp_tabular.pipelines.task_findings import TaskFinding

_logger = logging.getLogger(__name__)


class TaskMemory:
    """The finished tasks of a run and of the cache. Use it as a context manager around the run.

    Args:
        compiled: The pipeline spec; it says which tasks may be cached.
        record: The run's record, which is kept up to date.
        output: The run's folder.
        runner: Knows the environments.
        cache: Where outputs are kept for other runs; None for nowhere.
        say: Is told in one line what a person should know.
    """

    def __init__(
        self,
        compiled: Mapping[str, Any],
        record: RunRecord,
        output: Path,
        runner: TaskRunner,
        cache: CacheStore | None,
        say: Callable[[str], None],
    ) -> None:
        self.notes: list[TaskFinding] = []
        self._record = record
        self._earlier = dict(record.tasks)
        self._output = output
        self._runner = runner
        self._cache = cache
        self._say = say
        self._contents = Contents()
        self._cacheable = cacheable_tasks(compiled)
        self._repeated = repeated_tasks(compiled)
        self._taken: dict[str, Fingerprint] = {}
        self._lock = threading.Lock()
        self._saving = ThreadPoolExecutor(1, "cache")
        self._saves: list[Future[None]] = []

    def __enter__(self) -> "TaskMemory":
        self._record.save(self._output)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._saving.shutdown()
        for save in self._saves:
            trouble = save.exception()
            if trouble is not None:  # a defect: the run itself is whole
                self._say(f"no cache: {type(trouble).__name__}: {trouble}; see --no-cache")
        if self._cache is not None and self._saves:
            try:
                self._cache.make_room()
            except OSError as trouble:
                self._give_up(trouble)

    def reuse(self, call: TaskCall, log: Path) -> bool:
        """Put a task's outputs into its folder, if they are known; return whether they are there.

        Args:
            call: The task that is about to start.
            log: The file for its log.
        """
        if call.name in self._repeated:
            return False
        taken = self._take(call)
        self._taken[call.name] = taken
        earlier = self._earlier.pop(call.name, None)
        if earlier is not None:
            if earlier.key == taken.key and self._is_whole(call.folder, earlier):
                return True
            self._note_change(call.name, taken.differences(earlier.fingerprint))
            self._forget(call.name)
            files.remove(call.folder)
        if self._cache is None or taken.obstacles or call.name not in self._cacheable:
            return False
        try:
            entry = self._cache.restore(taken.key, call.folder, log)
        except OSError as error:
            self._give_up(error)
            return False
        if entry is None:
            return False
        made = datetime.fromtimestamp(entry.made).astimezone()
        with log.open("a", encoding="utf-8") as stream:
            stream.write(f"cached: these outputs and this log are of {made:%Y-%m-%d %H:%M:%S %Z}\n")
        return True

    def keep(self, call: TaskCall, result: TaskResult) -> None:
        """Keep the outputs of a task that succeeded."""
        taken = self._taken.get(call.name)
        if taken is None:
            return
        try:
            outputs = self._contents.of(call.folder)
        except UnreadableContentError as error:
            _logger.info("%s is not kept: %s", call.name, error)
            return
        # What changed while the task ran may have been read before or after the change.
        if not result.cached and self._take(call).key != taken.key:
            self._note(
                call.name, "its inputs changed while it ran, so it is not kept for later runs"
            )
            return
        finished = FinishedTask(taken.key, taken.document, outputs)
        with self._lock:
            self._record = replace(self._record, tasks={**self._record.tasks, call.name: finished})
            self._record.save(self._output)
        for obstacle in taken.obstacles:
            _logger.info("%s is not cached: %s", call.name, obstacle)
        wanted = call.name in self._cacheable and not taken.obstacles and not result.cached
        if self._cache is not None and wanted:
            self._saves.append(self._saving.submit(self._save, self._cache, taken.key, result))

    def _take(self, call: TaskCall) -> Fingerprint:
        environment = self._runner.fingerprint(call.image, self._contents)
        return fingerprint.take(call, environment, os.environ, self._contents)

    def _save(self, cache: CacheStore, key: str, result: TaskResult) -> None:
        try:
            cache.save(key, result.name, result.folder, result.log, result.seconds)
        except NotCacheableError as reason:
            _logger.info("%s is not cached: %s", result.name, reason)
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        """Go on without the cache, and say so once."""
        with self._lock:
            cache, self._cache = self._cache, None
        if cache is not None:
            self._say(f"no cache: {cache.folder}: {error.strerror or error}; see --no-cache")

    def _is_whole(self, folder: Path, earlier: FinishedTask) -> bool:
        try:
            return self._contents.of(folder) == earlier.outputs
        except UnreadableContentError:
            return False

    def _note_change(self, task: str, differences: list[str]) -> None:
        words = " and ".join(differences) or "its outputs"
        self._note(task, f"{words} changed since it finished, so it runs again")

    def _note(self, task: str, text: str) -> None:
        finding = Finding("note", "changed-since", f"{text[0].upper()}{text[1:]}.")
        self.notes.append(TaskFinding.of(task, finding))
        self._say(f"{task}: {text}")

    def _forget(self, task: str) -> None:
        """Take a task off the record before its outputs go."""
        with self._lock:
            tasks = {name: kept for name, kept in self._record.tasks.items() if name != task}
            self._record = replace(self._record, tasks=tasks)
            self._record.save(self._output)


def cacheable_tasks(compiled: Mapping[str, Any]) -> Collection[str]:
    """Return the tasks whose outputs other runs may use.

    Not those that the pipeline excludes (`task.set_caching_options(False)`), nor those that act on
    something outside, such as `deploy_model`.
    """
    found = set()
    for task in spec.walk(compiled):
        asked = task.calls[-1].get("cachingOptions", {}).get("enableCache", False)
        if asked and not _acts_on_world(task.component, compiled):
            found.add(task.name)
    return found


def repeated_tasks(compiled: Mapping[str, Any]) -> Collection[str]:
    """Return the tasks in loops: KFP gives all iterations of one the same folder here."""
    return {
        task.name
        for task in spec.walk(compiled)
        if any({"parameterIterator", "artifactIterator"} & call.keys() for call in task.calls)
    }


def _acts_on_world(component: Mapping[str, Any], compiled: Mapping[str, Any]) -> bool:
    """Whether a component is one of kfp-tabular's that changes something outside the pipeline."""
    executor = compiled["deploymentSpec"]["executors"][component["executorLabel"]]
    for word in executor.get("container", {}).get("args", ()):
        module, _, function = word.partition(":")
        if module.startswith("kfp_tabular.components.") and function:
            try:
                return of_component(function).acts_on_world
            except KeyError:  # one without defaults: nothing is known of it
                return True
    return False
