"""Named keys from a mounted secret. Only their digests are kept in memory."""

import contextlib
import hashlib
import hmac
import itertools
import json
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from kfp_tabular.components.common.errors import UserError

SHORTEST_KEY = 16
"""Characters. 16 hexadecimal digits hold 64 bits."""
LONGEST_KEY = 4096
"""Characters. Enough for JSON Web Tokens; proxies reject headers above 8 KiB."""
MOST_KEYS = 256
"""Every request is compared with every key, and every name becomes a metric label."""

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_KEY = re.compile(r"[\x21-\x7e]+")
_LARGEST_FILE = MOST_KEYS * (LONGEST_KEY + 256)
_MOUNTED = "..data"
"""The link that Kubernetes swaps to replace the content of a mounted Secret as a whole."""


@dataclass(frozen=True)
class Keys:
    """A set of named keys, kept as digests.

    Attributes:
        names: The keys' names, sorted. They are not secret.

    Example:
        >>> keys = Keys.of({"web": "s3cret-0123456789"})
        >>> keys.owner(b"s3cret-0123456789")
        'web'
        >>> keys.owner(b"another")
    """

    names: tuple[str, ...]
    _pepper: bytes
    _digests: tuple[bytes, ...]

    @classmethod
    def of(cls, keys: Mapping[str, str]) -> "Keys":
        """Return the keys with these names, as digests."""
        pepper = secrets.token_bytes(32)
        names = tuple(sorted(keys))
        return cls(names, pepper, tuple(_digest(pepper, keys[name].encode()) for name in names))

    def owner(self, presented: bytes) -> str | None:
        """Return the name of a key, or None if it is not one of these.

        Takes the same time for every key, valid or not: the digests of all keys are compared, each
        in constant time. The digests are salted with a secret of this process, so differences in
        comparison time would reveal nothing about a key.

        Args:
            presented: The key that the client sent, at most `LONGEST_KEY` bytes.
        """
        digest = _digest(self._pepper, presented)
        owner = None
        for name, known in zip(self.names, self._digests, strict=True):
            if hmac.compare_digest(digest, known):
                owner = name
        return owner


def read_keys(path: str | os.PathLike[str]) -> Keys:
    """Read the keys of a mounted secret.

    Args:
        path: Where the secret is mounted. A directory holds a file per key, named after it, as
            Kubernetes mounts a Secret; names that begin with a dot are skipped. A file holds a
            JSON object of keys by name, or a line `name: key` for each, where empty lines and
            lines that begin with `#` are skipped. White space around a key is removed.

    Raises:
        UserError: If the secret cannot be read, holds no key, more than `MOST_KEYS`, a key twice,
            an invalid name, or a key that is not `SHORTEST_KEY` to `LONGEST_KEY` visible ASCII
            characters. The message names the file and the key's name or line, never a key.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = (Path(folder) / "web").write_text("s3cret-0123456789")
        ...     read_keys(folder).names
        ('web',)
        >>> read_keys("/etc/no-such-secret")
        Traceback (most recent call last):
        kfp_tabular.components.common.errors.UserError: /etc/no-such-secret: cannot read the keys:
        No such file or directory.
    """
    return _look_once(Path(path)).accepted()


Generation = tuple[object, ...]


@dataclass(frozen=True)
class Look:
    """The secret as one look found it.

    Attributes:
        generation: What `generation` returned before and after the content was read; empty if the
            secret was changed meanwhile or cannot be read.
        content: A digest of the content, or of what is wrong with it.
        keys: The keys; None if the content is not valid.
        problem: What is wrong with the content; empty if nothing is.
    """

    generation: Generation
    content: bytes
    keys: Keys | None
    problem: str

    def accepted(self) -> Keys:
        """Return the keys.

        Raises:
            UserError: If there are none.
        """
        if self.keys is None:
            raise UserError(self.problem)
        return self.keys

    @property
    def is_mounted(self) -> bool:
        """Whether Kubernetes put the content into place."""
        return bool(self.generation and self.generation[0])

    def agrees_with(self, other: "Look | None") -> bool:
        """Return whether nothing was written between another look and this one."""
        return (
            other is not None
            and self.generation == other.generation
            and bool(self.generation or self.keys is None)
            and hmac.compare_digest(self.content, other.content)
        )

    def replaces_as_a_whole(self, before: Generation) -> bool:
        """Return whether the content came into place in one step, and so is complete.

        Kubernetes writes a Secret's files into a new directory, and then swaps a link to it.

        Args:
            before: The generation of the content that was there before.
        """
        return self.is_mounted and bool(before[0]) and self.generation[0] != before[0]


_PEPPER = secrets.token_bytes(32)


def look(path: str | os.PathLike[str]) -> Look:
    """Read the secret, whatever state it is in.

    Args:
        path: As for `read_keys`.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = (Path(folder) / "web").write_text("s3cret-0123456789")
        ...     first, second = look(folder), look(folder)
        >>> second.agrees_with(first), second.keys.names
        (True, ('web',))
    """
    before = generation(path)
    found = _look_once(Path(path))
    after = generation(path)
    return Look(after if after == before else (), found.content, found.keys, found.problem)


def _look_once(source: Path) -> Look:
    read: list[tuple[str, str, str]] = []
    try:
        read.extend(
            _from_directory(source) if source.is_dir() else _from_text(source, _text(source))
        )
        checked = _checked(source, read)
    except UserError as error:
        return _broken(read, str(error))
    except (OSError, UnicodeDecodeError) as error:
        # The message of a decoding error quotes the bytes.
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        return _broken(read, f"{source}: cannot read the keys: {reason}.")
    return Look((), _digest(_PEPPER, repr(read).encode()), Keys.of(checked), "")


def _broken(read: object, problem: str) -> Look:
    return Look((), _digest(_PEPPER, repr((read, problem)).encode()), None, problem)


def generation(path: str | os.PathLike[str]) -> Generation:
    """Return a value that changes whenever the content behind `path` may have changed.

    Args:
        path: As for `read_keys`.

    Returns:
        The directory that Kubernetes' link leads to, empty without one, and inode, size and times
        of the files; empty if they cannot be read.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = (Path(folder) / "web").write_text("s3cret-0123456789")
        ...     before = generation(folder)
        ...     _ = (Path(folder) / "batch").write_text("another-0123456789")
        ...     generation(folder) == before
        False
    """
    source = Path(path)
    try:
        content = _content(source)
        files = [content, *(_files(content) if content.is_dir() else ())]
        states = [file.stat() for file in files]
    except (OSError, UserError):
        return ()
    mounted = "" if content == source else str(content)
    return (mounted, *((s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for s in states))


def changed_seconds_ago(path: str | os.PathLike[str], now: float) -> float:
    """Return how long the secret's files have not been changed; 0 if that is not known.

    Args:
        path: As for `read_keys`.
        now: Unix time.
    """
    times = [state[3] for state in generation(path)[1:] if isinstance(state, tuple)]
    return max(0.0, now - max(times) / 1e9) if times else 0.0


def _digest(pepper: bytes, key: bytes) -> bytes:
    return hashlib.sha256(pepper + key).digest()


def _content(source: Path) -> Path:
    """Return where the content is: behind Kubernetes' link, if the secret has one.

    All files are read through one look at the link, so never a part of the old and of the new ones.
    """
    with contextlib.suppress(OSError):
        return source / (source / _MOUNTED).readlink()
    return source


def _files(directory: Path) -> list[Path]:
    visible = (file for file in directory.iterdir() if not file.name.startswith("."))
    found = list(itertools.islice(visible, MOST_KEYS + 1))
    if len(found) > MOST_KEYS:
        raise UserError(f"{directory}: more than {MOST_KEYS} files; at most {MOST_KEYS} keys fit.")
    return sorted(found)


def _from_directory(directory: Path) -> Iterable[tuple[str, str, str]]:
    files = _files(_content(directory))
    return [(str(directory / file.name), file.name, _text(file)) for file in files]


def _from_text(file: Path, text: str) -> Iterable[tuple[str, str, str]]:
    parse: Callable[[Path, str], Iterable[tuple[str, str, str]]]
    parse = _from_json if text.lstrip().startswith("{") else _from_lines
    return parse(file, text)


def _from_json(file: Path, text: str) -> Iterable[tuple[str, str, str]]:
    try:
        pairs = json.loads(text, object_pairs_hook=list)
    except (json.JSONDecodeError, RecursionError):
        raise UserError(f"{file}: starts with '{{' but is not a valid JSON object.") from None
    found = []
    for number, (name, key) in enumerate(pairs, start=1):
        # By number, not by name: if names and keys are swapped, the name is a key.
        place = f"{file}, entry {number}"
        if not isinstance(key, str):
            raise UserError(f"{place}: expected a string, the key.")
        found.append((place, name, key))
    return found


def _from_lines(file: Path, text: str) -> Iterable[tuple[str, str, str]]:
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, colon, key = line.partition(":")
        if not colon:
            raise UserError(f"{file}, line {number}: expected 'name: key', found no colon.")
        found.append((f"{file}, line {number}", name.strip(), key))
    return found


def _without_waiting(path: str, flags: int) -> int:
    """Open a file; a named pipe that took its place would wait for a writer."""
    return os.open(path, flags | os.O_NONBLOCK)


def _text(file: Path) -> str:
    if not stat.S_ISREG(file.stat().st_mode):
        raise UserError(f"{file}: not a regular file.")
    with open(file, "rb", opener=_without_waiting) as stream:
        content = stream.read(_LARGEST_FILE + 1)
    if len(content) > _LARGEST_FILE:
        raise UserError(
            f"{file}: more than {_LARGEST_FILE} bytes, which is what {MOST_KEYS} keys take at most."
        )
    return content.decode("utf-8")


def _checked(source: Path, found: Iterable[tuple[str, str, str]]) -> dict[str, str]:
    keys: dict[str, str] = {}
    for place, name, text in found:
        key = text.strip()
        if not _NAME.fullmatch(name):
            raise UserError(
                f"{place}: invalid name of a key: use up to 63 letters, digits, '.', '_' and '-', "
                "and start and end with a letter or digit."
            )
        if not SHORTEST_KEY <= len(key) <= LONGEST_KEY or not _KEY.fullmatch(key):
            raise UserError(
                f"{place}: expected a key of {SHORTEST_KEY} to {LONGEST_KEY} visible ASCII "
                f"characters without spaces, found {len(key)} characters; create one "
                "with 'openssl rand -hex 32'."
            )
        if name in keys:
            raise UserError(f"{place}: a second key of this name; names must differ.")
        if key in keys.values():
            raise UserError(f"{place}: the same key as under another name; keys must differ.")
        keys[name] = key
    if not keys:
        raise UserError(f"{source}: holds no key.")
    if len(keys) > MOST_KEYS:
        raise UserError(f"{source}: {len(keys)} keys; at most {MOST_KEYS} are allowed.")
    return keys
