"""Where the outputs of finished tasks are kept: a folder with an entry per fingerprint.

    entries/ab/abcd.../   entry.json, outputs/, log.txt
    partial/              what is being written or removed
    lock                  held while entries are removed for room

An entry appears by a rename and is never changed, so runs at the same time and runs that are killed
leave whole entries only. Outputs are copied in and out (as clones where the file system has them,
such as Btrfs and XFS), never linked: editing a run's artifact must not change the cache.
"""

import errno
import fcntl
import hashlib
import html
import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from kfp_tabular.components.common import files
from kfp_tabular.components.common.errors import UserError

VARIABLE = "KFP_TABULAR_CACHE"
"""The cache's folder; `off` for no cache."""

SIZE_VARIABLE = "KFP_TABULAR_CACHE_GB"
"""The most that it holds, in gigabytes (10^9 bytes)."""

DEFAULT_GIGABYTES = 10.0

_ENTRY, _OUTPUTS, _LOG = "entry.json", "outputs", "log.txt"
_EXECUTOR_OUTPUT = "executor_output.json"
_FORMAT = 1
_ABANDONED_SECONDS = 86_400.0
_CHUNK = 1 << 20


class NotCacheableError(Exception):
    """The outputs of a task cannot be used in another run; the message says why."""


@dataclass(frozen=True)
class Entry:
    """A finished task.

    Attributes:
        format: The version of the entry's layout.
        task: The task's name.
        folder: The folder that its outputs were written to.
        made: When, in seconds since the epoch.
        seconds: How long the task took.
        bytes: The size of its outputs.
        files: The SHA-256 of each file by its name relative to the folder.
        folders: The names of its subfolders, empty ones included.
    """

    format: int
    task: str
    folder: str
    made: float
    seconds: float
    bytes: int
    files: Mapping[str, str]
    folders: tuple[str, ...]


@dataclass(frozen=True)
class CacheSize:
    """What a cache holds.

    Attributes:
        entries: The number of finished tasks.
        bytes: The size of their outputs.
    """

    entries: int
    bytes: int


def default_folder() -> Path | None:
    """Return the folder of the cache: `$KFP_TABULAR_CACHE`, or the user's; None for `off`."""
    given = os.environ.get(VARIABLE)
    if given == "off":
        return None
    if given:
        return Path(given).expanduser().absolute()
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser() / "kfp-tabular" / "tasks"


def limit_bytes() -> int:
    """Return the most that the cache holds.

    Raises:
        UserError: If the variable is not a number above 0.
    """
    given = os.environ.get(SIZE_VARIABLE) or str(DEFAULT_GIGABYTES)
    try:
        gigabytes = float(given)
    except ValueError:
        gigabytes = 0.0
    if not 0 < gigabytes < 1e9:
        raise UserError(f"{SIZE_VARIABLE} {given!r}: give a number of gigabytes above 0.")
    return int(gigabytes * 1e9)


class CacheStore:
    """A cache of task outputs in a folder.

    Args:
        folder: The folder; made when the first entry is written.
        limit: The most bytes that it holds once `make_room` has run.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder = folder
        self._limit = limit
        self._entries = folder / "entries"
        self._partial = folder / "partial"

    def restore(self, key: str, target: Path, log: Path) -> Entry | None:
        """Put the outputs of a finished task into a folder, each file compared with its digest.

        Args:
            key: The task's fingerprint.
            target: The folder; what is there is replaced.
            log: The file for the task's log.

        Returns:
            The entry; None if there is none that is whole. A damaged one is removed.
        """
        place = self._place(key)
        entry = _load(place)
        if entry is None:
            return None
        partial = target.with_name(f".{target.name}.partial-{uuid.uuid4().hex[:8]}")
        try:
            if not _copy_checked(place / _OUTPUTS, entry, partial):
                self._remove(place)
                return None
            _relocate(partial, entry.folder, str(target))
            shutil.copyfile(place / _LOG, log)
            files.remove(target)
            partial.rename(target)
        except FileNotFoundError:  # another run has just removed it
            return None
        finally:
            files.remove(partial)
        # Not there any more, or a cache that only others may write to: the outputs are whole.
        with suppress(OSError):
            os.utime(place / _ENTRY)
        return entry

    def save(self, key: str, task: str, source: Path, log: Path, seconds: float) -> None:
        """Keep the outputs of a finished task. Does nothing if they are already kept.

        Args:
            key: Its fingerprint.
            task: Its name.
            source: The folder of its outputs.
            log: Its log.
            seconds: How long it took.

        Raises:
            NotCacheableError: If they hold the path of the run's folder, links or special files, or
                are larger than the cache.
            OSError: If the cache cannot be written.
        """
        place = self._place(key)
        if _load(place) is not None:
            return
        self._make_folder(self._partial)
        folders, found, size = _survey(source)
        if size > self._limit or size > shutil.disk_usage(self._partial).free // 2:
            raise NotCacheableError(f"{size:,} bytes are too many for the cache")
        partial = self._partial / uuid.uuid4().hex
        try:
            (partial / _OUTPUTS).mkdir(parents=True)
            for name in folders:
                (partial / _OUTPUTS / name).mkdir()
            for name in found:
                _copy(source / name, partial / _OUTPUTS / name)
            # Digests are those of the copies: what is kept is what was compared.
            digests = {name: _digest(partial / _OUTPUTS / name) for name in found}
            for name in _with_path(partial / _OUTPUTS, found, source):
                raise NotCacheableError(f"{name} holds the path of the run's folder")
            entry = Entry(
                format=_FORMAT,
                task=task,
                folder=str(source),
                made=time.time(),
                seconds=seconds,
                bytes=size,
                files=digests,
                folders=tuple(folders),
            )
            shutil.copyfile(log, partial / _LOG)
            files.write_text(partial / _ENTRY, json.dumps(asdict(entry), ensure_ascii=False))
            self._make_folder(place.parent)
            if place.exists() and _load(place) is None:
                self._remove(place)
            _rename_unless_there(partial, place)
        finally:
            files.remove(partial)

    def make_room(self) -> None:
        """Remove the entries that were not used for longest until the rest fits the limit.

        Entries that cannot be read go, too: nothing can use them.
        """
        with self._locked() as held:
            if not held:  # another run is at it
                return
            for place in self._entries.glob("*/*"):
                if _load(place) is None:
                    self._remove(place)
            entries = [(used, place, entry.bytes) for used, place, entry in self._all()]
            total = sum(size for _, _, size in entries)
            for _, place, size in sorted(entries, key=lambda found: found[0]):
                if total <= self._limit:
                    break
                self._remove(place)
                total -= size
            self._remove_abandoned()

    def size(self) -> CacheSize:
        """Return how much is kept."""
        found = [entry.bytes for _, _, entry in self._all()]
        return CacheSize(len(found), sum(found))

    def clear(self) -> CacheSize:
        """Remove all entries and return how much was kept."""
        before = self.size()
        for place in list(self._entries.glob("*/*")):
            self._remove(place)
        self._remove_abandoned()
        return before

    def _make_folder(self, folder: Path) -> None:
        """Make a folder of the cache; the cache itself is the user's only, as data are."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(parents=True, exist_ok=True)

    def _place(self, key: str) -> Path:
        return self._entries / key[:2] / key

    def _all(self) -> Iterator[tuple[float, Path, Entry]]:
        for file in self._entries.glob(f"*/*/{_ENTRY}"):
            entry = _load(file.parent)
            try:
                used = file.stat().st_mtime
            except FileNotFoundError:
                continue
            if entry is not None:
                yield used, file.parent, entry

    def _remove(self, place: Path) -> None:
        # Renamed first: an entry is whole or not there, also for a run that reads it now.
        self._make_folder(self._partial)
        gone = self._partial / uuid.uuid4().hex
        try:
            place.rename(gone)
        except FileNotFoundError:
            return
        shutil.rmtree(gone, ignore_errors=True)

    def _remove_abandoned(self) -> None:
        """Remove what killed runs left half-written."""
        oldest = time.time() - _ABANDONED_SECONDS
        for path in self._partial.glob("*") if self._partial.is_dir() else ():
            try:
                abandoned = path.stat().st_mtime < oldest
            except FileNotFoundError:
                continue
            if abandoned:
                shutil.rmtree(path, ignore_errors=True)

    @contextmanager
    def _locked(self) -> Iterator[bool]:
        self._make_folder(self.folder)
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
        finally:
            os.close(descriptor)


def _load(place: Path) -> Entry | None:
    """Return an entry; None if there is none, or it is not as `save` writes it."""
    try:
        document = json.loads((place / _ENTRY).read_text(encoding="utf-8"))
        if document["format"] != _FORMAT:
            return None
        entry = Entry(**{**document, "folders": tuple(document["folders"])})
        return entry if _is_sound(entry) else None
    except (OSError, ValueError, TypeError, LookupError, OverflowError):
        return None


def _is_sound(entry: Entry) -> bool:
    """Whether the values have the types of `Entry`, and no name leads out of a folder.

    Raises:
        TypeError, ValueError, OverflowError: If a number is none, or no time.
    """
    time.localtime(entry.made)
    texts = isinstance(entry.folder, str) and isinstance(entry.task, str)
    numbers = isinstance(entry.bytes, int) and entry.bytes >= 0
    if not texts or not numbers or not isinstance(entry.files, dict):
        return False
    return all(_is_within(name) for name in (*entry.folders, *entry.files))


def _is_within(name: Any) -> bool:
    """Whether a relative name stays in its folder.

    Example:
        >>> [_is_within(name) for name in ("model/1", "../model", "/model", "a/../../b", "")]
        [True, False, False, False, False]
    """
    if not isinstance(name, str) or not name or "\0" in name:
        return False
    return not name.startswith("/") and ".." not in name.split("/")


def _rename_unless_there(partial: Path, place: Path) -> None:
    """Rename a folder; leave it if another run has kept the same in the meantime."""
    try:
        partial.rename(place)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise


def _survey(source: Path) -> tuple[list[str], list[str], int]:
    """Return the names of the folders and files below a folder, and the bytes of the files."""
    folders: list[str] = []
    found: list[str] = []
    size = 0
    for path in sorted(source.rglob("*")):
        name = path.relative_to(source).as_posix()
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            raise NotCacheableError(f"{name} is a link or a special file")
        if path.is_dir():
            folders.append(name)
        else:
            found.append(name)
            size += path.stat().st_size
    return folders, found, size


def _copy_checked(source: Path, entry: Entry, target: Path) -> bool:
    """Copy an entry's outputs; return whether every file has its digest."""
    target.mkdir(parents=True)
    for name in entry.folders:
        (target / name).mkdir()
    for name, digest in entry.files.items():
        # A link or a pipe in its place would be read from elsewhere, or for ever.
        if (source / name).is_symlink() or not (source / name).is_file():
            return False
        _copy(source / name, target / name)
        if _digest(target / name) != digest:
            return False
    return True


def _copy(source: Path, target: Path) -> None:
    """Copy a file's content and permissions; the kernel clones it where the file system can."""
    with source.open("rb") as reader, target.open("wb") as writer:
        try:
            while os.copy_file_range(reader.fileno(), writer.fileno(), 1 << 30):
                pass
        except OSError:  # another file system, or an old kernel
            reader.seek(0)
            writer.seek(0)
            writer.truncate()
            shutil.copyfileobj(reader, writer, _CHUNK)
    shutil.copymode(source, target)


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _with_path(folder: Path, names: Iterable[str], source: Path) -> Iterator[str]:
    """Yield the files that hold the path of the run that wrote them, but for what is relocated."""
    run = str(source.parent)
    parameters: Mapping[str, Any] = {}
    if (folder / _EXECUTOR_OUTPUT).is_file():
        document = json.loads((folder / _EXECUTOR_OUTPUT).read_text(encoding="utf-8"))
        parameters = document.get("parameterValues", {})
        moved = _moved(document, lambda text: _in_folder(text, str(source), ""))
        if run in json.dumps(moved, ensure_ascii=False):
            yield _EXECUTOR_OUTPUT
    # As it is, and as JSON, links and HTML write it.
    spellings = (run, json.dumps(run)[1:-1], quote(run), html.escape(run))
    wanted = {text.encode() for text in spellings}
    for name in names:
        if name == _EXECUTOR_OUTPUT or name in parameters:
            continue
        if any(_mentions(folder / name, text) for text in wanted):
            yield name


def _mentions(path: Path, wanted: bytes) -> bool:
    """Whether a file contains a text."""
    overlap = b""
    with path.open("rb") as stream:
        while block := stream.read(_CHUNK):
            if wanted in overlap + block:
                return True
            overlap = block[-len(wanted) :]
    return False


def _relocate(folder: Path, before: str, after: str) -> None:
    """Change the task's own folder in what KFP wrote of its outputs."""
    file = folder / _EXECUTOR_OUTPUT
    if not file.is_file():
        return
    document = json.loads(file.read_text(encoding="utf-8"))
    moved = _moved(document, lambda text: _in_folder(text, before, after))
    file.write_text(json.dumps(moved), encoding="utf-8")
    for name in document.get("parameterValues", {}):
        parameter = folder / name
        if _is_within(name) and parameter.is_file():
            text = parameter.read_text(encoding="utf-8")
            parameter.write_text(_in_folder(text, before, after), encoding="utf-8")


def _moved(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {key: _moved(inner, change) for key, inner in value.items()}
    if isinstance(value, list):
        return [_moved(inner, change) for inner in value]
    return value


def _in_folder(text: str, before: str, after: str) -> str:
    """Return a path below another folder; other texts as they are.

    Example:
        >>> _in_folder("/a/train/model", "/a/train", "/b/train"), _in_folder("x", "/a", "/b")
        ('/b/train/model', 'x')
    """
    if text == before or text.startswith(f"{before}/"):
        return after + text[len(before) :]
    return text
