"""Whether a directory holds the bytes of a registered model."""

from collections.abc import Mapping
from pathlib import Path

from kfp_tabular.components.common.artifacts import file_digests, lineage
from kfp_tabular.components.common.errors import UserError, shown


def verify(directory: Path, digest: str) -> None:
    """Check that a model's directory has the content that a digest was made of.

    The error names the file: `_digests.json` in the model lists the digest of each, and the list is
    authentic if it adds up to the digest of the whole.

    Args:
        directory: The model's directory.
        digest: What `lineage.digest` gave for it, as the registry recorded it.

    Raises:
        UserError: If a file was changed, added or removed, or this is no directory.

    Example:
        >>> import tempfile
        >>> from kfp_tabular.components.common import files
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     files.write_text(f"{folder}/model.json", "{}")
        ...     file_digests.write(folder)
        ...     recorded = lineage.digest(folder)
        ...     verify(Path(folder), recorded)
        ...     files.write_text(f"{folder}/model.json", "[]")
        ...     try:
        ...         verify(Path(folder), recorded)
        ...     except UserError as error:
        ...         print(str(error).removeprefix(folder))
        /model.json: its SHA-256 is not the one that was registered: the file was changed or damaged
        since. Restore it, or register the model anew.
    """
    if not directory.is_dir():
        raise UserError(f"{shown(directory)}: not found, or not a directory; a model was here.")
    found = lineage.digest_files(directory)
    if lineage.combine(found) != digest:
        raise UserError(f"{_difference(directory, found, digest)} {_REMEDY}")


def verify_listed(directory: Path) -> None:
    """Check that a model which no registry vouches for is as its own list of digests says.

    That shows damage, but not a change by someone who also changed the list. A directory without a
    list passes.

    Args:
        directory: The model's directory.

    Raises:
        UserError: If a file was changed, added or removed; the message names it.
    """
    listed = directory / file_digests.FILE_NAME
    if not listed.is_file():
        return
    recorded = file_digests.parse(listed.read_bytes(), shown(listed))
    found = lineage.digest_files(directory)
    if found != recorded:
        where = f"listed in {file_digests.FILE_NAME}"
        raise UserError(f"{_first_difference(directory, found, recorded, where)} Restore it.")


_REMEDY = "Restore it, or register the model anew."


def _difference(directory: Path, found: Mapping[str, str], digest: str) -> str:
    listed = directory / file_digests.FILE_NAME
    if not listed.is_file():
        return (
            f"{shown(directory)}: its content is {lineage.combine(found)}, the registry has "
            f"{digest}: a file was changed, added or removed since."
        )
    recorded = file_digests.parse(listed.read_bytes(), shown(listed))
    if lineage.combine(recorded) != digest:
        return (
            f"{shown(listed)}: it lists another content than the one that was registered "
            f"({digest}): this is another model, or the list was changed."
        )
    return _first_difference(directory, found, recorded, "registered")


def _first_difference(
    directory: Path, found: Mapping[str, str], recorded: Mapping[str, str], how: str
) -> str:
    """Return what is wrong with the first file that differs; `how` digests were recorded."""
    for name, expected in recorded.items():
        if name not in found:
            return f"{shown(directory / name)}: missing, although it was {how}."
        if found[name] != expected:
            return (
                f"{shown(directory / name)}: its SHA-256 is not the one that was {how}: the "
                "file was changed or damaged since."
            )
    added = next(name for name in sorted(found) if name not in recorded)
    return f"{shown(directory / added)}: added since the model was {how}."
