"""What is checked of a version before TensorFlow opens it: its files, their sizes and digests."""

import hashlib
import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from kfp_tabular.components.common.artifacts import (
    file_digests,
    lineage,
    model_document,
    model_signature,
)
from kfp_tabular.components.common.artifacts.raw_features import SCHEMA_FILE
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.serving.model.version_files import (
    SAVED_MODEL,
    VersionFile,
    list_files,
    open_file,
    read_whole,
)
from kfp_tabular.serving.settings.server_settings import DigestPolicy

_logger = logging.getLogger(__name__)

LARGEST_BYTES: Mapping[str, int] = {
    model_document.FILE_NAME: model_document.LARGEST_BYTES,
    SCHEMA_FILE: 64 * 2**20,
    # Parsing takes a few times as much memory; weights are in other files.
    SAVED_MODEL: 512 * 2**20,
}
_LARGEST_LINEAGE_BYTES = 64 * 2**20
_PIECE_BYTES = 2**20


@dataclass(frozen=True)
class VersionCheck:
    """Checks versions.

    Attributes:
        max_model_mib: The size of all files together.
        digests: What to do about digests.
        public_key: File of the key that versions must be signed with; empty for none.
    """

    max_model_mib: int
    digests: DigestPolicy
    public_key: str = ""

    def check(self, directory: Path, until: float) -> str:
        """Check a version.

        Args:
            directory: The version's directory.
            until: When to give up, in monotonic seconds.

        Returns:
            The digest of its content, as `lineage.digest` gives it; empty if digests are off.

        Raises:
            UserError: If it must not be loaded.
        """
        found = list_files(directory)
        if found.problem:
            raise UserError(f"{found.problem}.")
        if found.total_bytes > self.max_model_mib * 2**20:
            raise UserError(
                f"{directory}: {-(-found.total_bytes // 2**20)} MiB; --max-model-mib allows "
                f"{self.max_model_mib}."
            )
        by_name = {file.name: file for file in found.files}
        for name in (model_document.FILE_NAME, SAVED_MODEL):
            if name not in by_name:
                raise UserError(
                    f"{directory}/{name}: not found. A model directory holds {SAVED_MODEL} and "
                    f"{model_document.FILE_NAME}; train_model writes both."
                )
        for name, most in LARGEST_BYTES.items():
            if name in by_name and by_name[name].size > most:
                raise UserError(
                    f"{by_name[name].path}: {-(-by_name[name].size // 2**20)} MiB; at most "
                    f"{most // 2**20} are read."
                )
        if self.public_key:
            # Before anything of it is parsed, and whatever is decided about digests.
            model_signature.verify(directory, Path(self.public_key))
        _check_assets(by_name[SAVED_MODEL])
        return "" if self.digests == "off" else self._verify(directory, by_name, until)

    def _verify(self, directory: Path, by_name: Mapping[str, VersionFile], until: float) -> str:
        hashed = {
            name: _hash(file, until)
            for name, file in by_name.items()
            if not lineage.is_bookkeeping(name)
        }
        whole = lineage.combine(hashed)
        if file_digests.FILE_NAME in by_name:
            _compare(directory, _recorded_files(by_name[file_digests.FILE_NAME]), hashed)
            return whole
        recorded = _recorded_lineage(by_name.get(lineage.FILE_NAME))
        if recorded and recorded != whole:
            raise UserError(
                f"{directory}: its content is {whole}, {lineage.FILE_NAME} records {recorded}: a "
                "file was changed, added or removed; publish it again, or set --digests off."
            )
        if not recorded and self.digests == "require":
            raise UserError(
                f"{directory}: holds no digests of its files, and --digests is require; "
                f"train_model writes {file_digests.FILE_NAME}."
            )
        if not recorded:
            _logger.warning(
                "%s: not verified, since it holds no digests; train_model writes %s, and --digests "
                "require refuses such versions",
                directory,
                file_digests.FILE_NAME,
            )
        return whole


def _recorded_files(file: VersionFile) -> Mapping[str, str]:
    return file_digests.parse(read_whole(file, file_digests.LARGEST_BYTES), file.path)


def _recorded_lineage(file: VersionFile | None) -> str:
    if file is None:
        return ""
    try:
        document: Any = json.loads(read_whole(file, _LARGEST_LINEAGE_BYTES))
        return str(document.get("digest") or "")
    except (ValueError, AttributeError, RecursionError) as error:
        raise UserError(f"{file.path}: not a lineage: {error!r}.") from error


def _compare(directory: Path, recorded: Mapping[str, str], hashed: Mapping[str, str]) -> None:
    for name, digest in recorded.items():
        if name not in hashed:
            raise UserError(
                f"{directory}/{name}: missing; {file_digests.FILE_NAME} lists it. Publish the "
                "version again."
            )
        if hashed[name] != digest:
            raise UserError(
                f"{directory}/{name}: its SHA-256 is not the one in {file_digests.FILE_NAME}: it "
                "was changed or damaged after training. Publish the version again, or set "
                "--digests off."
            )
    # TensorFlow reads what the graph names, so other files do no harm, except in these places.
    more = [name for name in sorted(hashed.keys() - recorded.keys()) if _is_read(name)]
    if more:
        raise UserError(
            f"{directory}/{more[0]}: not in {file_digests.FILE_NAME}. Publish the version again, "
            "or set --digests off."
        )


def _is_read(name: str) -> bool:
    top = PurePosixPath(name).parts[0]
    return name in LARGEST_BYTES or top.startswith(("saved_model", "variables", "assets"))


def _hash(file: VersionFile, until: float) -> str:
    """Return what `lineage.digest_file` gives for a file, unless reading takes too long."""
    digest = hashlib.sha256()
    with open_file(file) as stream:
        while piece := stream.read(_PIECE_BYTES):
            digest.update(piece)
            if time.monotonic() > until:
                raise UserError(f"{file.path}: reading it took too long.")
    return f"sha256:{digest.hexdigest()}"


def _check_assets(file: VersionFile) -> None:
    """Check that the graph's assets are below the version: TensorFlow takes any path."""
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    document = saved_model_pb2.SavedModel()
    try:
        document.ParseFromString(read_whole(file, LARGEST_BYTES[SAVED_MODEL]))
    except DecodeError as error:
        raise UserError(f"{file.path}: not a SavedModel: {error}.") from error
    for graph in document.meta_graphs:
        for asset in graph.asset_file_def:
            path = PurePosixPath(asset.filename)
            if path.is_absolute() or ".." in path.parts:
                raise UserError(
                    f"{file.path}: its asset {asset.filename[:200]!r} is not below the version."
                )
