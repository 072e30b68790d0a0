"""A directory that goes to other processes with its files, so that they need no common path."""

import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class SentDirectory:
    """A transform graph or a model, for functions that engines send to other processes.

    Here it is a path. When it is pickled, its files go along. In the other process they are
    written to a temporary directory while it is `opened`. It serves as the key of a cache, so that
    each process loads it once.

    Attributes:
        path: The directory, in the process that made this.
        digest: The SHA-256 of its files, once it was sent; empty before.

    Example:
        >>> import pickle
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "words").write_text("yes")
        ...     sent = pickle.dumps(SentDirectory(folder))
        >>> received = pickle.loads(sent)
        >>> with received.opened() as directory:
        ...     Path(directory, "words").read_text()
        'yes'
    """

    path: str
    digest: str = ""
    _content: Mapping[str, bytes] | None = field(default=None, compare=False, repr=False)

    @property
    def is_received(self) -> bool:
        """Whether this came from another process."""
        return self._content is not None

    def __getstate__(self) -> dict[str, Any]:
        content, digest = self._content, self.digest
        if content is None:
            root = Path(self.path)
            content = {
                file.relative_to(root).as_posix(): file.read_bytes()
                for file in sorted(root.rglob("*"))
                if file.is_file()
            }
            digest = _digest(content)
        return {"path": self.path, "digest": digest, "_content": content}

    @contextmanager
    def opened(self) -> Iterator[Path]:
        """Yield the directory; what was received is removed again after the block."""
        if self._content is None:
            yield Path(self.path)
            return
        with tempfile.TemporaryDirectory(prefix="kfp-tabular-") as folder:
            for name, data in self._content.items():
                path = Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            yield Path(folder)


def _digest(content: Mapping[str, bytes]) -> str:
    whole = hashlib.sha256()
    for name, data in content.items():
        whole.update(f"{name}\0{len(data)}\n".encode())
        whole.update(data)
    return f"sha256:{whole.hexdigest()}"
