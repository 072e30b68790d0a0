"""Examples in an object store, read in place."""

import dataclasses
from pathlib import Path

from kfp_tabular.components.common.artifacts import manifest
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.storage import Folder


def stage(folder: Folder, into: Path) -> None:
    """Bring the manifest of examples here; their shards stay in the store and are streamed.

    Examples without a manifest, of an earlier release or another program, are downloaded.

    Args:
        folder: The artifact.
        into: The directory that stands for it here; made if there is none.

    Raises:
        UserError: Nothing is there, access is denied, or the manifest is damaged.
    """
    found = read_manifest(folder)
    if found is not None:
        into.mkdir(parents=True, exist_ok=True)
        manifest.write(dataclasses.replace(found, shards_uri=found.shards_uri or str(folder)), into)
        return
    stored = folder.list()
    if not stored:
        raise UserError(f"{folder}: not found, or it holds no files; check the path.")
    folder.download(stored, into)


def read_manifest(folder: Folder) -> manifest.Manifest | None:
    """Return the manifest of examples in a store; None where they have none.

    Raises:
        UserError: It is damaged.
    """
    text = folder.read_text(manifest.FILE_NAME, manifest.LARGEST_BYTES)
    return None if text is None else manifest.parse(text, f"{folder}/{manifest.FILE_NAME}")
