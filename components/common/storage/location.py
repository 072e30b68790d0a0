"""A parsed URI: scheme, bucket, key, and whether it is a pattern."""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from kfp_tabular.components.common.errors import UserError, closest

LOCAL = "file"
REMOTE = ("gs", "s3", "minio")
"""The schemes of object stores; `minio` is S3 with another default endpoint."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_WILDCARD = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class Location:
    """A parsed URI.

    Attributes:
        scheme: `file`, `gs`, `s3` or `minio`.
        bucket: The bucket; empty for `file`.
        key: The key without a slash at either end; for `file` the path as given.
    """

    scheme: str
    bucket: str
    key: str

    @property
    def is_local(self) -> bool:
        """Whether this is a path on this machine."""
        return self.scheme == LOCAL

    @property
    def path(self) -> Path:
        """The path of a local location."""
        return Path(self.key)

    @property
    def is_pattern(self) -> bool:
        """Whether the key contains a wildcard (`*`, `?` or `[`)."""
        return _WILDCARD.search(self.key) is not None

    @property
    def fixed_prefix(self) -> str:
        """The part of a pattern's key before its first wildcard."""
        return _WILDCARD.split(self.key, maxsplit=1)[0]

    def uri(self, key: str) -> str:
        """Return the URI of another key in the same bucket."""
        return key if self.is_local else f"{self.scheme}://{self.bucket}/{key}"

    def __str__(self) -> str:
        return self.uri(self.key)


def parse(uri: str) -> Location:
    """Parse a path or a URI.

    Args:
        uri: A local path, `file://<path>`, or `gs://`, `s3://` or `minio://<bucket>/<key>`.

    Raises:
        UserError: It is empty, its scheme is unknown, or it has no bucket.

    Example:
        >>> parse("s3://bucket/data/*.csv")
        Location(scheme='s3', bucket='bucket', key='data/*.csv')
    """
    if not uri.strip():
        raise UserError(
            "The path or URI is empty. Use a local path, file://, gs://, s3:// or minio://."
        )
    scheme = _SCHEME.match(uri)
    if scheme is None:
        return Location(LOCAL, "", str(_expanded(uri)))
    name = scheme.group(1).lower()
    rest = uri[scheme.end() :]
    if name == LOCAL:
        return Location(LOCAL, "", unquote(urlsplit(uri).path))
    if name not in REMOTE:
        raise UserError(
            f"{uri}: {name}:// is not supported. Use a local path, file://, gs://, s3:// or "
            f"minio://.{closest(name, REMOTE)}"
        )
    bucket, _, key = rest.partition("/")
    if not bucket:
        raise UserError(f"{uri}: no bucket. Expected {name}://<bucket>/<path>.")
    return Location(name, bucket, key.strip("/"))


def _expanded(path: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        user = path.partition("/")[0]
        raise UserError(f"{path}: the home directory of {user} is not known.") from error


def matcher(pattern: str) -> re.Pattern[str]:
    """Return a regular expression for a glob, to match a whole key.

    `*` and `?` stop at a slash, `**` does not, `[ab]` and `[!ab]` are sets.

    Example:
        >>> bool(matcher("data/*.csv").fullmatch("data/a.csv"))
        True
        >>> bool(matcher("data/*.csv").fullmatch("data/2026/a.csv"))
        False
    """
    translated = []
    parts = re.findall(r"\*\*/?|\*|\?|\[!?[^\]]+\]|.", pattern, flags=re.DOTALL)
    for part in parts:
        if part == "**/":
            translated.append("(?:.*/)?")
        elif part == "**":
            translated.append(".*")
        elif part == "*":
            translated.append("[^/]*")
        elif part == "?":
            translated.append("[^/]")
        elif len(part) > 1:
            # Characters with a meaning inside a set of a regular expression.
            body = re.sub(r"([\\\[&|~])", r"\\\1", part[1:-1])
            translated.append(f"[^{body[1:]}]" if body.startswith("!") else f"[{body}]")
        else:
            translated.append(re.escape(part))
    return re.compile("".join(translated), flags=re.DOTALL)
