"""The fingerprint of a task: everything that its outputs depend on, by content.

Two tasks with equal fingerprints have equal outputs. The names of folders that differ from run to
run are not part of it: input artifacts and data files count by their content.
"""

import glob
import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.storage import local_listing, location
from kfp_tabular.components.common.storage.location import Location
from kfp_tabular.pipelines import destinations, model_aliases
from kfp_tabular.pipelines.local.argument_texts import named_texts
from kfp_tabular.pipelines.local.cache import user_code
from kfp_tabular.pipelines.local.contents import Contents, UnreadableContentError
from kfp_tabular.pipelines.local.execution.task_runner import EXECUTOR_INPUT, TaskCall

FORMAT = 1

PARTS: Mapping[str, str] = {
    "command": "the component",
    "parameters": "its arguments",
    "files": "the data that its arguments name",
    "artifacts": "its inputs",
    "code": "your own functions",
    "environment": "kfp-tabular or its environment",
    "variables": "environment variables",
}
"""The parts of a fingerprint, and what to call them where they differ."""

_LOCATION = re.compile(r"(?:.*_)?(?:uri|path|file|dir|directory|directorie|folder|glob|pattern)s?")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_LONGEST_PATH = 4096
_WRITTEN = frozenset(destinations.ARGUMENTS.values())
_VARIABLES = re.compile(
    r"TF_\w+|XLA_\w+|CUDA_VISIBLE_DEVICES|PYTHONHASHSEED|PYTHONOPTIMIZE|TZ|LANG|LC_\w+"
    r"|(?:OMP|MKL|OPENBLAS|NUMEXPR|LOKY)_\w+"
    r"|KFP_TABULAR_(?!CACHE|VENVS|ENGINE|TOKEN|COOKIES|COMPLETE|HOME)\w+"
)
_LOCAL = ("", "local")
_OURS = "kfp_tabular.components."


@dataclass(frozen=True)
class Fingerprint:
    """What a task's outputs depend on.

    Attributes:
        document: All of it, JSON-serializable, by the names in `PARTS` and a few more.
        obstacles: Why the outputs are not reused in another run; empty if they may be.
    """

    document: Mapping[str, Any]
    obstacles: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The digest of the document."""
        text = json.dumps(self.document, sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def differences(self, other: Mapping[str, Any]) -> list[str]:
        """Return the names of the parts that differ from another fingerprint's document.

        Example:
            >>> Fingerprint({"files": {"data_uri": "b"}}).differences({"files": {"data_uri": "a"}})
            ['the data that its arguments name']
        """
        return [
            words for part, words in PARTS.items() if self.document.get(part) != other.get(part)
        ]


def take(
    call: TaskCall, environment: str, variables: Mapping[str, str], contents: Contents
) -> Fingerprint:
    """Take the fingerprint of a task that is about to start.

    Args:
        call: The task.
        environment: A digest of what is installed where it runs; empty if that is not known.
        variables: The variables of its process.
        contents: Reads digests.
    """
    obstacles: list[str] = []
    if not environment:
        obstacles.append("what its image holds is not known")
    given = call.executor_input
    inputs = given.get("inputs", {})
    parameters = inputs.get("parameterValues", {})
    if parameters.get("backend", "") not in _LOCAL:
        obstacles.append("it starts a job elsewhere")
    alias = model_aliases.argument_with_alias(parameters)
    if alias:
        obstacles.append(f"{alias} {parameters[alias]} is an alias, which moves")
    code = _code(call, parameters)
    named = _variable_names(call, code)
    is_ours = any(word.startswith(_OURS) for word in call.command)
    document = {
        "format": FORMAT,
        "command": [call.image, *_without_input(call.command), sorted(call.environment.items())],
        "parameters": parameters,
        "files": _files(parameters, contents, obstacles, is_ours=is_ours),
        "artifacts": _artifacts(inputs.get("artifacts", {}), contents, obstacles),
        "outputs": _outputs(given.get("outputs", {})),
        "code": _code_digests(code, contents, obstacles),
        "environment": environment,
        "variables": {
            name: value
            for name, value in sorted(variables.items())
            if _VARIABLES.fullmatch(name) or name in named
        },
    }
    return Fingerprint(document, tuple(obstacles))


def _without_input(command: Sequence[str]) -> list[str]:
    words = list(command)
    words[words.index(EXECUTOR_INPUT) + 1] = ""
    return words


def _files(
    parameters: Mapping[str, Any], contents: Contents, obstacles: list[str], *, is_ours: bool
) -> dict[str, Any]:
    """Return the digests of what parameters name, by the parameter's name.

    Args:
        parameters: The parameters.
        contents: Reads digests.
        obstacles: Gets what cannot be read.
        is_ours: Whether the component is of kfp-tabular. Its parameters that name places are known
            by their names; those of others may have any name.
    """
    found: dict[str, Any] = {}
    for name, value in named_texts(parameters):
        if not value or len(value) > _LONGEST_PATH or "\0" in value:
            continue
        if name.partition(".")[0] in _WRITTEN:
            obstacles.append(f"it writes to {name} {value}")
            continue
        has_scheme = _SCHEME.match(value) is not None
        named = has_scheme or any(map(_LOCATION.fullmatch, name.split(".")))
        try:
            place = location.parse(value)
        except UserError:
            place = None
        if place is None or not place.is_local:
            if has_scheme:
                obstacles.append(f"{name} {value} is not on this machine")
            continue
        try:
            # Else a name such as 'data', or a pattern of columns, would read what is not meant.
            digests = _digests(place, contents, is_place=named or "/" in value or not is_ours)
        except UnreadableContentError as error:
            obstacles.append(str(error))
            continue
        if digests:
            found[name] = digests
    return found


def _digests(place: Location, contents: Contents, *, is_place: bool) -> dict[str, str]:
    path = place.path
    try:
        if path.is_dir() and not is_place:
            return {}
        if path.exists():
            return {"": contents.of(path)}
        if not is_place or not glob.has_magic(str(path)):
            return {}
        matches = {*glob.glob(str(path), recursive=True, include_hidden=True)}  # noqa: PTH207 - hidden
        # As ingestion reads it: '**' need not be a whole part there.
        with suppress(UserError):
            matches.update(map(str, local_listing.find(place)))
    except OSError as error:
        raise UnreadableContentError(f"{path}: {error}") from error
    return {match: contents.of(Path(match)) for match in sorted(matches)}


def _artifacts(
    inputs: Mapping[str, Any], contents: Contents, obstacles: list[str]
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, entry in inputs.items():
        found[name] = []
        for artifact in entry.get("artifacts", ()):
            uri = artifact.get("uri", "")
            digest = ""
            if _SCHEME.match(uri):
                obstacles.append(f"its input {name} {uri} is not on this machine")
            elif Path(uri).exists():
                try:
                    digest = contents.of(Path(uri))
                except UnreadableContentError as error:
                    obstacles.append(str(error))
            facts = {key: artifact.get(key) for key in ("name", "type", "metadata")}
            found[name].append({**facts, "content": digest})
    return found


def _outputs(outputs: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "parameters": sorted(outputs.get("parameters", {})),
        "artifacts": {
            name: [artifact.get("type") for artifact in entry.get("artifacts", ())]
            for name, entry in outputs.get("artifacts", {}).items()
        },
    }


def _code(call: TaskCall, parameters: Mapping[str, Any]) -> Mapping[str, Path]:
    return user_code.reachable(search_path(), _without_input(call.command), parameters)


def _variable_names(call: TaskCall, code: Mapping[str, Path]) -> set[str]:
    """Return the texts in user code that may be names of variables."""
    sources = [*_without_input(call.command)]
    for place in code.values():
        sources += user_code.sources(place)
    return {word for source in sources for word in user_code.words(source)}


def _code_digests(
    code: Mapping[str, Path], contents: Contents, obstacles: list[str]
) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, path in sorted(code.items()):
        try:
            found[name] = contents.of(path)
        except UnreadableContentError as error:
            obstacles.append(str(error))
    return found


def search_path() -> list[Path]:
    """Return the folders that a task imports from before its installed packages."""
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    return [Path.cwd(), *(Path(path).absolute() for path in paths)]
