"""The container images that tasks run in.

The last part of an image's name is also the name of its local virtual environment.
"""

import importlib.metadata
import re

REGISTRY = "ghcr.io/kfp-tabular"
TAG = importlib.metadata.version("kfp-tabular")

_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
# Container runtimes take these two algorithms, and no digest of another length.
_DIGEST = r"(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})"
_REFERENCE = re.compile(
    # A digest, whole or cut, reads like a repository with a tag.
    r"(?!sha(?:256|512):)"
    rf"(?P<name>(?:[A-Za-z0-9.-]+(?::[0-9]+)?/)?{_COMPONENT}(?:/{_COMPONENT})*)"
    rf"(?::(?P<tag>{_TAG}))?"
    rf"(?:@(?P<digest>{_DIGEST}))?"
)
"""An image reference, as in the OCI distribution specification."""


def reference(name: str, registry: str = "", tag: str = "", digest: str = "") -> str:
    """Return the reference of one of the project's images.

    Args:
        name: `tensorflow`, `tfdv`, `launcher`, `serving` or `spark`.
        registry: The registry and path; empty for the project's own.
        tag: The tag; empty for the version of this package.
        digest: The digest, in place of a tag.

    Example:
        >>> reference("tfdv", registry="registry.example.com/team", tag="1.2.0")
        'registry.example.com/team/tfdv:1.2.0'
        >>> reference("tfdv", "registry.example.com", digest=f"sha256:{'0' * 64}")
        'registry.example.com/tfdv@sha256:0000...'
    """
    place = f"{(registry or REGISTRY).rstrip('/')}/{name}"
    return f"{place}@{digest}" if digest else f"{place}:{tag or TAG}"


def check_tag(text: str) -> None:
    """Check a tag.

    Raises:
        ValueError: Where it is not one.

    Example:
        >>> check_tag("2026-11")
        >>> check_tag("2026-11@sha256:0123")
        Traceback (most recent call last):
            ...
        ValueError: expected a tag such as 1.0; a digest belongs to one image: give it in images
    """
    if not re.fullmatch(_TAG, text):
        raise ValueError(
            "expected a tag such as 1.0; a digest belongs to one image: give it in images"
        )


def is_digest(text: str) -> bool:
    """Whether a text is the digest of an image.

    Example:
        >>> is_digest("sha256:0123"), is_digest(f"sha256:{'0' * 64}")
        (False, True)
    """
    return re.fullmatch(_DIGEST, text) is not None


def without_redundant_tag(text: str) -> str:
    """Return a reference without its tag where it has a digest, which alone counts.

    Not every container engine takes both in one reference.

    Example:
        >>> without_redundant_tag(f"registry.local:5000/tfdv:1.0@sha256:{'0' * 64}")
        'registry.local:5000/tfdv@sha256:0000...'
        >>> without_redundant_tag("tfdv:1.0")
        'tfdv:1.0'
    """
    match = _REFERENCE.fullmatch(text)
    if match is None or match["digest"] is None:
        return text
    return f"{match['name']}@{match['digest']}"


def is_reference(text: str) -> bool:
    """Whether a text is a valid image reference.

    Example:
        >>> is_reference("ghcr.io/team/train:1.0"), is_reference("ghcr.io/team/Train:1.0")
        (True, False)
        >>> is_reference("sha256:0123456789ab")
        False
    """
    return _REFERENCE.fullmatch(text) is not None


def is_pinned(text: str) -> bool:
    """Whether a reference has a digest or a tag other than `latest`.

    Example:
        >>> is_pinned("python:3.13"), is_pinned("python"), is_pinned("python:latest")
        (True, False, False)
    """
    match = _REFERENCE.fullmatch(text)
    if match is None:
        return False
    return match["digest"] is not None or match["tag"] not in (None, "latest")


def beside(text: str, name: str) -> str:
    """Return the reference of another of the project's images, from where one of them is.

    Args:
        text: The reference of the one.
        name: The name of the other.

    Returns:
        The empty string where the one has a digest, which tells nothing about the other.

    Example:
        >>> beside("registry.example.com/team/tfdv:1.2.0", "spark")
        'registry.example.com/team/spark:1.2.0'
        >>> beside(f"registry.example.com/tfdv@sha256:{'0' * 64}", "spark")
        ''
    """
    match = _REFERENCE.fullmatch(text)
    if match is None:
        return ""
    place, slash, own = match["name"].rpartition("/")
    if own == name:
        return text
    if match["digest"] is not None:
        return ""
    return f"{place}{slash}{name}" + (f":{match['tag']}" if match["tag"] else "")


TENSORFLOW = reference("tensorflow")
TFDV = reference("tfdv")
LAUNCHER = reference("launcher")
SERVING = reference("serving")
SPARK = reference("spark")
