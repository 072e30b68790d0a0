"""What a URI points to: a scheme, a bucket, a key, and whether it is a pattern."""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from kfp_tabular.components.common.errors import UserError, closest

LOCAL = "file"
REMOTE = ("gs", "s3", "minio")
"""The object stores; `minio` is S3 with another default endpoint."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_WILDCARD = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class Location:
    """A parsed URI.

    Attributes:
        scheme: `file`, `gs`, `s3` or `minio`.
        bucket: The bucket; empty for `file`.
        key: The object's key without a slash at either end; for `file` the path as given.
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
        """Whether the key holds a wildcard (`*`, `?` or `[`)."""
        return _WILDCARD.search(self.key) is not None

    @property
    def fixed_prefix(self) -> str:
        """The part of a pattern's key before its first wildcard."""
        return _WILDCARD.split(self.key, maxsplit=1)[0]

    def uri(self, key: str) -> str:
        """Gives the URI of another key in the same bucket."""
        return key if self.is_local else f"{self.scheme}://{self.bucket}/{key}"

    def __str__(self) -> str:
        return self.uri(self.key)


def parse(uri: str) -> Location:
    """Parses a path or a URI.

    Args:
        uri: A local path, `file://<path>`, or `gs://`, `s3://` or `minio://<bucket>/<key>`.

    Raises:
        UserError: Where it is empty, its scheme is unknown, or it has no bucket.
    """
    if not uri.strip():
        raise UserError(
            "A path or URI is empty; give a local path, file://, gs://, s3:// or minio://."
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
            f"{uri}: {name}:// is not supported; use a local path, file://, gs://, s3:// or "
            f"minio://.{closest(name, REMOTE)}"
        )
    bucket, _, key = rest.partition("/")
    if not bucket:
        raise UserError(f"{uri}: no bucket; expected {name}://<bucket>/<path>.")
    return Location(name, bucket, key.strip("/"))


def _expanded(path: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise UserError(f"{path}: the home directory that ~ stands for is not known.") from error


def matcher(pattern: str) -> re.Pattern[str]:
    """Turns a glob into a regular expression for a whole key.

    `*` and `?` stop at a slash, `**` does not, `[ab]` and `[!ab]` are sets.
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
            # What a set of a regular expression takes as more than a character.
            body = re.sub(r"([\\\[&|~])", r"\\\1", part[1:-1])
            translated.append(f"[^{body[1:]}]" if body.startswith("!") else f"[{body}]")
        else:
            translated.append(re.escape(part))
    return re.compile("".join(translated), flags=re.DOTALL)
