"""What an artifact is: its kind, splits, rows, columns and lineage."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from kfp_tabular.components.common.artifacts import lineage, manifest
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.pipelines.artifacts.artifact_files import ArtifactFiles

_SHARD = re.compile(r"split=(?P<split>[^/]+)/[^/]+\.parquet")
_STATISTICS = re.compile(r"(?P<split>[^/]+)\.binpb")
_SCHEMA_FILE = "schema.pbtxt"
_ANOMALIES_FILE = "anomalies.pbtxt"
_MODEL_FILE = "model.json"
_TASK_FILE = "task.json"


def describe(location: str) -> dict[str, Any]:
    """Return what an artifact is, as JSON values.

    Args:
        location: The artifact's directory: a local path, `file://`, `gs://`, `s3://`, `minio://`.

    Returns:
        `artifact` and `kind`; of examples `splits` (rows, bytes and shards of each) and `schema`;
        of a model `task`, `label`, `classes` and `inputs`; `files` and `bytes`; `lineage`, if the
        artifact holds it.

    Raises:
        UserError: Nothing is there, or a document in it is damaged.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "schema.pbtxt").write_text('feature { name: "fare" type: FLOAT }')
        ...     found = describe(folder)
        >>> found["kind"], found["schema"]
        ('schema', [{'name': 'fare', 'type': 'FLOAT'}])
    """
    files = ArtifactFiles.find(location)
    found: dict[str, Any] = {"artifact": files.location}
    found.update(_content(files))
    found["files"] = len(files.sizes)
    found["bytes"] = sum(files.sizes.values())
    recorded = lineage.recorded(files.read_text, files.location)
    if recorded is not None:
        found["digest"] = recorded.pop("digest", "")
        recorded.pop("rows", None)
        found["lineage"] = recorded
    return found


def _content(files: ArtifactFiles) -> dict[str, Any]:
    names = files.sizes
    if manifest.FILE_NAME in names:
        return _examples(files)
    shards = [name for name in names if _SHARD.fullmatch(name)]
    if shards:
        return _older_examples(files, shards)
    if _MODEL_FILE in names:
        return {"kind": "model", **_model(files)}
    statistics = {
        match["split"]: {"bytes": size}
        for name, size in names.items()
        if (match := _STATISTICS.fullmatch(name))
    }
    if statistics:
        return {"kind": "statistics", "splits": statistics}
    return _document_facts(files)


def _document_facts(files: ArtifactFiles) -> dict[str, Any]:
    names = files.sizes
    if _ANOMALIES_FILE in names:
        return {"kind": "anomalies", "anomalies": _blocks(files, _ANOMALIES_FILE, "anomaly_info")}
    if _TASK_FILE in names:
        task = _document(files, _TASK_FILE)
        facts = {name: task[name] for name in ("kind", "label", "classes") if name in task}
        return {"kind": "transform graph", "task": facts}
    if _SCHEMA_FILE in names:
        return {"kind": "schema", "schema": list(_features(files))}
    return {"kind": "files"}


def _examples(files: ArtifactFiles) -> dict[str, Any]:
    text = files.read_text(manifest.FILE_NAME) or ""
    found = manifest.parse(text, f"{files.location}/{manifest.FILE_NAME}")
    facts: dict[str, Any] = {
        "kind": "examples",
        "splits": {
            split: {
                "rows": sum(shard.rows for shard in shards),
                "bytes": sum(shard.bytes for shard in shards),
                "shards": len(shards),
            }
            for split, shards in found.splits.items()
        },
        "schema": [{"name": column.name, "type": column.type} for column in found.columns],
    }
    if found.shards_uri:
        facts["shards_uri"] = found.shards_uri
        return facts
    named = {shard.path: shard.bytes for shards in found.splits.values() for shard in shards}
    facts["missing"] = [name for name, size in named.items() if files.sizes.get(name) != size]
    facts["abandoned"] = [
        name for name in files.sizes if _SHARD.fullmatch(name) and name not in named
    ]
    return facts


def _older_examples(files: ArtifactFiles, shards: list[str]) -> dict[str, Any]:
    """Read what a manifest would record from the footers."""
    from kfp_tabular.components.common.artifacts.examples import arrow_schema
    from kfp_tabular.components.common.artifacts.examples.shard_file import open_parquet

    splits: dict[str, dict[str, int]] = {}
    columns: list[dict[str, str]] = []
    for name in shards:
        split = name.partition("/")[0].removeprefix("split=")
        of = splits.setdefault(split, {"rows": 0, "bytes": 0, "shards": 0})
        with open_parquet(f"{files.location}/{name}") as parquet:
            of["rows"] += parquet.metadata.num_rows
            if not columns:
                columns = [
                    {"name": column.name, "type": column.type}
                    for column in arrow_schema.columns_of(parquet.schema_arrow)
                ]
        of["bytes"] += files.sizes[name]
        of["shards"] += 1
    return {"kind": "examples", "splits": splits, "schema": columns}


def _model(files: ArtifactFiles) -> dict[str, Any]:
    document = _document(files, _MODEL_FILE)
    names = ("task", "label", "classes", "decision_threshold", "versions", "hyperparameters")
    facts = {name: document[name] for name in names if name in document}
    inputs = document.get("inputs")
    if not isinstance(inputs, list) or not all(isinstance(entry, dict) for entry in inputs):
        raise UserError(f"{files.location}/{_MODEL_FILE}: not a model description: no inputs.")
    facts["inputs"] = [
        {name: entry[name] for name in ("name", "dtype", "required") if name in entry}
        for entry in inputs
    ]
    return facts


def _document(files: ArtifactFiles, name: str) -> Mapping[str, Any]:
    try:
        found = json.loads(files.read_text(name) or "")
    except (ValueError, RecursionError) as error:
        raise UserError(f"{files.location}/{name}: not JSON: {error}.") from error
    if not isinstance(found, dict):
        raise UserError(f"{files.location}/{name}: not a JSON object.")
    return found


def _features(files: ArtifactFiles) -> Iterator[dict[str, str]]:
    # Not through the proto: the author's environment has no TensorFlow Metadata.
    text = files.read_text(_SCHEMA_FILE) or ""
    for block in re.split(r"^feature\s*\{", text, flags=re.MULTILINE)[1:]:
        name = re.search(r'\bname:\s*"((?:[^"\\]|\\.)*)"', block)
        kind = re.search(r"\btype:\s*(\w+)", block)
        if name:
            yield {"name": name[1], "type": kind[1] if kind else ""}


def _blocks(files: ArtifactFiles, name: str, block: str) -> int:
    text = files.read_text(name) or ""
    return len(re.findall(rf"^{block}\s*\{{", text, flags=re.MULTILINE))
