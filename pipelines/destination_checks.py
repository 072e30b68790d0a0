"""Adds the task that checks, at the start of a run, the places that late tasks write to.

Without it a volume that belongs to root ends a run after its long tasks. It is added where a place
may be on a mounted volume or in an object store, and nowhere else: a pod costs seconds. It runs
beside the first task, and the tasks after that one wait for it.
"""

import copy
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from kfp import dsl, kubernetes
from kfp.dsl.constants import WORKSPACE_MOUNT_PATH
from kfp.dsl.graph_component import GraphComponent
from kfp.dsl.pipeline_channel import PipelineChannel, PipelineParameterChannel

from kfp_tabular import components
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.storage.location import parse
from kfp_tabular.components.destinations.places import MODEL_NAME
from kfp_tabular.pipelines.configuration import ALWAYS, NEVER, PipelineConfig
from kfp_tabular.pipelines.destinations import ARGUMENTS, CHECK_TASK
from kfp_tabular.pipelines.task_definitions import component_of

_KUBERNETES = "kubernetes"
_MOUNTS = "pvcMount"
_MERGED = (_MOUNTS, "secretAsEnv", "secretAsVolume", "configMapAsEnv", "configMapAsVolume")
# What a task has for its work, not for the places that it writes to.
_LEFT_OUT = (
    "activeDeadlineSeconds",
    "emptyDirMounts",
    "enabledSharedMemory",
    "genericEphemeralVolume",
)
# KFP writes a channel in a text this way; one with a task is known only when that task has run.
_CHANNEL = re.compile(r"\{\{channel:task=(?P<task>[^;]*);")


@dataclass
class _Check:
    """A check task before it is made: for one or more tasks that write.

    Attributes:
        arguments: Its arguments.
        settings: The Kubernetes settings of its pod, as KFP's platform document has them.
        env: Its environment variables.
        prepare: Mount paths of volumes to make writable.
    """

    arguments: dict[str, Any]
    settings: dict[str, Any]
    env: dict[str, str] = field(default_factory=dict)
    prepare: list[str] = field(default_factory=list)

    def join(self, other: "_Check") -> bool:
        """Take over another check if one pod can do both; return whether it can."""
        if self.arguments.keys() & other.arguments.keys():
            return False
        if any(self.env.get(name, value) != value for name, value in other.env.items()):
            return False
        rest = [
            {key: value for key, value in settings.items() if key not in _MERGED}
            for settings in (self.settings, other.settings)
        ]
        mounts = {entry["mountPath"]: entry for entry in self.settings.get(_MOUNTS, ())}
        differs = any(
            mounts.get(entry["mountPath"], entry) != entry
            for entry in other.settings.get(_MOUNTS, ())
        )
        if rest[0] != rest[1] or differs:
            return False
        self.arguments |= other.arguments
        self.env |= other.env
        self.prepare += [path for path in other.prepare if path not in self.prepare]
        for key in _MERGED:
            own = self.settings.setdefault(key, [])
            own += [entry for entry in other.settings.get(key, ()) if entry not in own]
        return True


def add(
    tasks: Mapping[str, dsl.PipelineTask], config: PipelineConfig, pipeline: GraphComponent
) -> list[dsl.PipelineTask]:
    """Add the check tasks that a pipeline needs. Call it while KFP records the pipeline.

    Args:
        tasks: The pipeline's tasks by name, with their settings.
        config: The configuration.
        pipeline: The pipeline, for the defaults of its parameters.

    Returns:
        The new tasks, without an image and time-out of the configuration.
    """
    # As a list: new tasks join the mapping.
    before = list(tasks.values())
    unprepared = {_key(mount) for task in before for mount in _to_prepare(task, config)}
    names = {component_of(name) for name in tasks}
    if config.check_destinations == NEVER or CHECK_TASK in names:
        if unprepared:
            why = "the pipeline has a task check-destinations of its own"
            if config.check_destinations == NEVER:
                why = "check_destinations is never"
            path = min(unprepared)[1]
            raise UserError(f"volumes: prepare: true for {path} has no effect, because {why}.")
        return []
    checks: list[_Check] = []
    for task in before:
        wanted = _wanted(task, config, pipeline) if _upstream(task) else None
        if wanted is not None and not any(check.join(wanted) for check in checks):
            checks.append(wanted)
    for check in checks:
        unprepared -= {_key(mount) for mount in check.settings.get(_MOUNTS, ())}
    for task in before:
        mounts = [mount for mount in _to_prepare(task, config) if _key(mount) in unprepared]
        unprepared -= {_key(mount) for mount in mounts}
        if mounts:
            paths = [mount["mountPath"] for mount in mounts]
            alone = _Check({}, {**_settings(task), _MOUNTS: mounts}, {}, paths)
            if not any(check.join(alone) for check in checks):
                checks.append(alone)
    return [_made(check, before) for check in checks]


def _key(mount: Mapping[str, Any]) -> tuple[str, str]:
    """Return what tells a mount from others: the claim and the path."""
    return str(mount.get("constant", "")), str(mount["mountPath"])


def _settings(task: dsl.PipelineTask) -> dict[str, Any]:
    """Return the Kubernetes settings of a task's pod that a check of its places needs."""
    given = task.platform_config.get(_KUBERNETES, {})
    return {key: copy.deepcopy(value) for key, value in given.items() if key not in _LEFT_OUT}


def _to_prepare(task: dsl.PipelineTask, config: PipelineConfig) -> list[dict[str, Any]]:
    """Return the mounts of a task that are to be prepared."""
    paths = {each.mount_path for each in config.task(task.name).volumes if each.prepare}
    return [mount for mount in _settings(task).get(_MOUNTS, ()) if mount["mountPath"] in paths]


def _wanted(
    task: dsl.PipelineTask, config: PipelineConfig, pipeline: GraphComponent
) -> _Check | None:
    """Return the check for a task; None where it writes to no place, or none known in advance."""
    argument = ARGUMENTS.get(component_of(task.name), "")
    given = task.inputs.get(argument)
    if not argument or given is None or not _is_known_in_advance(given):
        return None
    settings = _settings(task)
    value, is_fixed = _value(given, config, pipeline)
    mounts = _mounts_for(value, settings.pop(_MOUNTS, []))
    if mounts:
        settings[_MOUNTS] = mounts
    # Names of claims and Secrets that are parameters would have to be passed on.
    if re.search(r"componentInputParameter|taskOutputParameter", json.dumps(settings)):
        return None
    reaches_out = mounts or _is_remote(value) or _is_on_workspace(value)
    if config.check_destinations != ALWAYS and not reaches_out:
        return None
    if is_fixed and not value:
        return None
    arguments = {argument: given}
    name = task.inputs.get(MODEL_NAME)
    if name is not None and _is_known_in_advance(name):
        arguments[MODEL_NAME] = name
    prepare = [mount["mountPath"] for mount in _to_prepare(task, config) if mount in mounts]
    return _Check(arguments, settings, dict(task.container_spec.env or {}), prepare)


def _is_known_in_advance(given: Any) -> bool:
    """Whether a value is a constant or follows from the pipeline's parameters."""
    if isinstance(given, PipelineChannel):
        # Items of a loop are of other classes.
        return type(given) is PipelineParameterChannel and not given.task_name
    return not any(match["task"] for match in _CHANNEL.finditer(str(given)))


def _value(given: Any, config: PipelineConfig, pipeline: GraphComponent) -> tuple[str, bool]:
    """Return a value as far as it is known when compiling, and whether no run can change it."""
    if not isinstance(given, PipelineChannel):
        text = str(given)
        return ("", False) if _CHANNEL.search(text) else (text, True)
    if given.name in config.locked:
        return str(config.locked[given.name]), True
    if given.name in config.parameters:
        return str(config.parameters[given.name]), False
    declared = (pipeline.component_spec.inputs or {})[given.name]
    return str(declared.default or ""), False


def _mounts_for(value: str, mounts: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the mounts that a place may be on: all of them where it is not known yet."""
    if not value:
        return list(mounts)
    if _is_remote(value):
        return []
    path = PurePosixPath(parse(value).key)
    return [entry for entry in mounts if path.is_relative_to(entry["mountPath"])]


def _is_on_workspace(value: str) -> bool:
    """Whether a place is on the volume that KFP makes for a run and mounts where it is named."""
    return dsl.WORKSPACE_PATH_PLACEHOLDER in value or value.startswith(WORKSPACE_MOUNT_PATH)


def _is_remote(value: str) -> bool:
    try:
        return bool(value) and not parse(value).is_local
    except UserError:
        # The task says what is wrong with it.
        return True


def _upstream(task: dsl.PipelineTask) -> set[str]:
    """Return the names of the tasks that a task waits for."""
    return {
        *(channel.task_name for channel in task.channel_inputs if channel.task_name),
        *task.dependent_tasks,
    }


def _made(check: _Check, tasks: Iterable[dsl.PipelineTask]) -> dsl.PipelineTask:
    upstream = {task.name: _upstream(task) for task in tasks}
    made = components.check_destinations(**check.arguments, prepare=check.prepare)
    made.platform_config[_KUBERNETES] = check.settings
    for name, value in check.env.items():
        made.set_env_variable(name, value)
    if check.prepare:
        # Root owns what it is to open to the group; it gets no capabilities.
        made.platform_config[_KUBERNETES].get("securityContext", {}).pop("runAsNonRoot", None)
        kubernetes.set_security_context(made, run_as_user=0)
    prepared = {_key(mount) for mount in check.settings.get(_MOUNTS, ()) if check.prepare}
    for task in tasks:
        if not upstream[task.name] and prepared & {
            _key(mount) for mount in _settings(task).get(_MOUNTS, ())
        }:
            # Also a first task does not start on a volume that is being opened to it.
            task.after(made)
            continue
        # Other first tasks do not wait: the check's pod starts beside theirs.
        if upstream[task.name] and not any(upstream.get(name) for name in upstream[task.name]):
            task.after(made)
    return made
