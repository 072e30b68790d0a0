"""The files of an artifact, on this machine or in an object store, for those who only look."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.storage import Folder, is_remote
from kfp_tabular.components.common.storage.location import parse

LARGEST_TEXT = 16 << 20
"""Larger documents are not read."""


@dataclass(frozen=True)
class ArtifactFiles:
    """The files of an artifact.

    Attributes:
        location: The artifact's path or URI.
        sizes: The size of each file in bytes, by relative name.
        folder: The folder in a store; None for a local artifact.
        modified: When each file was written, in seconds since 1970; None where a store does not
            tell.
    """

    location: str
    sizes: Mapping[str, int]
    folder: Folder | None
    modified: Mapping[str, float | None]

    @classmethod
    def find(cls, location: str) -> "ArtifactFiles":
        """Look up the files of an artifact.

        Args:
            location: A directory: a local path, `file://`, `gs://`, `s3://` or `minio://`.

        Raises:
            UserError: Nothing is there, it is a file, or access is denied.
        """
        if is_remote(location):
            folder = Folder(location)
            stored = folder.list()
            if not stored:
                raise UserError(f"{folder}: not found, or it holds no files; check the path.")
            return cls(
                str(folder),
                {name: found.size for name, found in stored.items()},
                folder,
                {name: found.modified for name, found in stored.items()},
            )
        path = parse(location).path
        if not path.is_dir():
            problem = "a file; give the artifact's directory" if path.exists() else "not found"
            raise UserError(f"{path}: {problem}.")
        found = {
            file.relative_to(path).as_posix(): file.stat()
            for file in sorted(path.rglob("*"))
            if file.is_file()
        }
        if not found:
            raise UserError(f"{path}: the directory holds no files.")
        return cls(
            str(path),
            {name: of.st_size for name, of in found.items()},
            None,
            {name: of.st_mtime for name, of in found.items()},
        )

    def read_text(self, name: str) -> str | None:
        """Return the text of a file, or None if there is none.

        Raises:
            UserError: It is too large, or not UTF-8.
        """
        size = self.sizes.get(name)
        if size is None:
            return None
        if size > LARGEST_TEXT:
            raise UserError(f"{self.location}/{name}: it has {size} bytes, too many to show.")
        try:
            if self.folder is not None:
                return self.folder.read_text(name, LARGEST_TEXT)
            return Path(self.location, name).read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise UserError(f"{self.location}/{name}: not valid UTF-8.") from error
