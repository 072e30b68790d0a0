"""Shards that attempts left behind which failed or were killed, and which no reader takes."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from kfp_tabular.components.batch_prediction.attempts import is_attempt as is_prediction
from kfp_tabular.components.common import files
from kfp_tabular.components.common.artifacts import manifest
from kfp_tabular.components.common.artifacts.examples.shard_destination import attempt_time
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.storage.object_store import UnfinishedUpload
from kfp_tabular.pipelines.artifacts.artifact_files import ArtifactFiles

_SHARD = re.compile(
    r"split=[^/]+/[^/]+\.parquet|_(?:rejected|row_numbers)/[^/]+\.parquet"
    r"|(?:.*/)?\.shard-[0-9a-f]+\.partial"
)
_OF_PREDICTIONS = re.compile(r"_csv/[^/]+\.csv|_pieces/[^/]+\.arrow")


@dataclass(frozen=True)
class Abandoned:
    """What can be removed below a location.

    Attributes:
        files: The artifact or the folder of attempts.
        names: Files in it that can be removed: shards of attempts that left no manifest.
        directories: Local directories beside it that can be removed: attempts that were killed.
        shards_uri: Where the shards of the artifact are, if not in it.
        uploads: Uploads that were not completed, whose parts the store keeps.
    """

    files: ArtifactFiles
    names: Sequence[str]
    directories: Sequence[Path]
    shards_uri: str = ""
    uploads: Mapping[str, UnfinishedUpload] = field(default_factory=dict)

    @property
    def sizes(self) -> Mapping[str, int]:
        """The bytes of each attempt, by its folder; of an artifact itself by `.`."""
        found: dict[str, int] = {}
        for name in self.names:
            head = name.partition("/")[0]
            attempt = head if _is_attempt(head) else "."
            found[attempt] = found.get(attempt, 0) + self.files.sizes[name]
        for name in self.uploads:
            # The store does not tell how large their parts are.
            found.setdefault(name.partition("/")[0], 0)
        for directory in self.directories:
            found[f"../{directory.name}"] = sum(size for _, size in _sizes(directory))
        return found

    def remove(self) -> None:
        """Remove it."""
        if self.files.folder is not None:
            self.files.folder.remove(self.names)
            self.files.folder.abort(self.uploads)
            return
        root = Path(self.files.location)
        for name in self.names:
            (root / name).unlink(missing_ok=True)
        folders = {folder for name in self.names for folder in (root / name).parents}
        for folder in sorted(folders, key=lambda each: len(each.parts), reverse=True):
            if root in folder.parents and folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        for directory in self.directories:
            files.remove(directory)


def find(location: str, age: timedelta) -> Abandoned:
    """Return the shards of attempts that failed.

    Args:
        location: Examples, or a folder in which attempts have folders of their own (a
            `shards_uri`): a local path, `file://`, `gs://`, `s3://` or `minio://`.
        age: Attempts that began more recently may still run, and are left.

    Raises:
        UserError: Nothing is there, or it is neither, or a manifest is damaged.
    """
    found = ArtifactFiles.find(location)
    latest = datetime.now(UTC) - age
    text = found.read_text(manifest.FILE_NAME)
    if text is not None:
        made = manifest.parse(text, f"{found.location}/{manifest.FILE_NAME}")
        named = {shard.path for shards in made.splits.values() for shard in shards}
        named = set() if made.shards_uri else named
        names = [name for name in found.sizes if _SHARD.fullmatch(name) and name not in named]
        return Abandoned(found, names, list(_killed(found, latest)), made.shards_uri)
    uploads = found.folder.unfinished_uploads() if found.folder is not None else {}
    heads = {name.partition("/")[0] for name in (*found.sizes, *uploads)}
    heads = {head for head in heads if _is_attempt(head)}
    if not heads:
        raise UserError(
            f"{found.location}: neither examples with a manifest nor folders of attempts. Give an "
            "output of ingest_data or transform_features, or the shards_uri of a run."
        )
    failed = {
        head
        for head in heads
        if f"{head}/{manifest.FILE_NAME}" not in found.sizes
        and (attempt_time(head) or _last_written(found, uploads, head)) < latest
    }
    names = [
        name
        for name in found.sizes
        if (parts := name.partition("/"))[0] in failed
        and (
            _SHARD.fullmatch(parts[2])
            or (is_prediction(parts[0]) and _OF_PREDICTIONS.fullmatch(parts[2]))
        )
    ]
    uploads = {name: each for name, each in uploads.items() if name.partition("/")[0] in failed}
    return Abandoned(found, names, [], uploads=uploads)


def _is_attempt(name: str) -> bool:
    return attempt_time(name) is not None or is_prediction(name)


def _last_written(
    found: ArtifactFiles, uploads: Mapping[str, UnfinishedUpload], head: str
) -> datetime:
    """Return when the last file of a folder of predictions was written.

    A later attempt goes on with the folder, so its name has no time.
    """
    times = [time for name, time in found.modified.items() if name.startswith(f"{head}/")]
    times += [each.started for name, each in uploads.items() if name.startswith(f"{head}/")]
    known = [time for time in times if time is not None]
    # What may have been written just now stays.
    return (
        datetime.fromtimestamp(max(known), UTC) if len(known) == len(times) else datetime.now(UTC)
    )


def _killed(found: ArtifactFiles, latest: datetime) -> Iterator[Path]:
    """Yield what `files.atomic_directory` leaves of an artifact if the task is killed."""
    if found.folder is not None:
        return
    path = Path(found.location).absolute()
    pattern = re.compile(re.escape(f".{path.name}.partial-") + "[0-9a-f]{8}")
    for directory in sorted(path.parent.iterdir()):
        if pattern.fullmatch(directory.name) and directory.is_dir():
            times = [
                directory.stat().st_mtime,
                *(file.stat().st_mtime for file, _ in _sizes(directory)),
            ]
            if max(times) < latest.timestamp():
                yield directory


def _sizes(directory: Path) -> list[tuple[Path, int]]:
    return [(file, file.stat().st_size) for file in directory.rglob("*") if file.is_file()]
