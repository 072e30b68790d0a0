"""What is decided when the training pipeline is compiled: images, resources, parameter defaults.

What a person changes from run to run is a parameter of the pipeline instead.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from kfp_tabular.components.common import images
from kfp_tabular.components.common.errors import UserError, closest

IMAGES = {
    "tensorflow": images.TENSORFLOW,
    "tfdv": images.TFDV,
    "serving": images.SERVING,
}

TASKS = {
    "ingest-data": "tensorflow",
    "validate-data": "tfdv",
    "transform-features": "tensorflow",
    "tune-hyperparameters": "tensorflow",
    "train-model": "tensorflow",
    "evaluate-model": "tensorflow",
    "deploy-model": "serving",
}
"""The pipeline's tasks, in order, and the image of each."""


@dataclass(frozen=True)
class Resources:
    """What a task's pod asks for.

    Attributes:
        cpu: Cores, as Kubernetes writes them: `2` or `500m`. Empty for the cluster's default.
        memory: Memory with its unit, such as `4G` or `512Mi`. Empty for the cluster's default.
        gpus: Number of NVIDIA GPUs.
        retries: How often a failed task is tried again.
        caching: Whether an earlier result for the same inputs may stand in.
    """

    cpu: str = ""
    memory: str = ""
    gpus: int = 0
    retries: int = 0
    caching: bool = True


@dataclass(frozen=True)
class PipelineConfig:
    """The compile-time configuration of the training pipeline.

    Attributes:
        images: Replaces image references, by the image's name: `tensorflow`, `tfdv`, `serving`.
        resources: What each task's pod asks for, by the task's name.
        parameters: Defaults for the pipeline's run-time parameters.
    """

    images: Mapping[str, str] = field(default_factory=dict)
    resources: Mapping[str, Resources] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def image(self, task: str) -> str:
        """Gives the image reference that a task runs in."""
        name = TASKS[task]
        return self.images.get(name, IMAGES[name])


def load(path: Path) -> PipelineConfig:
    """Reads a configuration from a YAML file.

    Args:
        path: A file with the sections `images`, `resources` and `parameters`, all optional.

    Raises:
        UserError: Where the file cannot be read or a key is unknown; the message names the
            closest known ones.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not YAML: {error}") from error
    return parse(document or {}, str(path))


def parse(document: Any, source: str) -> PipelineConfig:
    """Checks a configuration document.

    Args:
        document: What the YAML file holds.
        source: How to name it in an error.

    Raises:
        UserError: As for `load`.
    """
    sections = _mapping(document, source, [entry.name for entry in fields(PipelineConfig)])
    given_images = _mapping(sections.get("images", {}), f"{source}: images", IMAGES)
    for name, reference in given_images.items():
        if not isinstance(reference, str) or not reference:
            raise UserError(f"{source}: images.{name}: expected an image reference.")
    resources = _mapping(sections.get("resources", {}), f"{source}: resources", TASKS)
    return PipelineConfig(
        images=given_images,
        resources={
            task: _resources(wanted, f"{source}: resources.{task}")
            for task, wanted in resources.items()
        },
        parameters=_mapping(sections.get("parameters", {}), f"{source}: parameters", None),
    )


def _resources(document: Any, source: str) -> Resources:
    types = {entry.name: entry.type for entry in fields(Resources)}
    wanted = _mapping(document, source, types)
    for name, value in wanted.items():
        if types[name] is str and isinstance(value, int) and not isinstance(value, bool):
            wanted[name] = str(value)
        elif type(value) is not types[name]:
            expected = getattr(types[name], "__name__", types[name])
            raise UserError(f"{source}.{name}: expected {expected}, found {value!r}.")
    return Resources(**wanted)


def _mapping(document: Any, source: str, known: Any) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise UserError(f"{source}: expected keys and values, found {type(document).__name__}.")
    if known is not None:
        for key in document:
            if key not in known:
                raise UserError(
                    f"{source}: unknown key {key!r}.{closest(str(key), known)} "
                    f"Known: {', '.join(known)}."
                )
    return dict(document)
