"""The container images that tasks run in.

The last part of an image's name is also the name of its local virtual environment.
"""

import importlib.metadata
import re

REGISTRY = "ghcr.io/kfp-tabular"
TAG = importlib.metadata.version("kfp-tabular")

_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"(?P<name>(?:[A-Za-z0-9.-]+(?::[0-9]+)?/)?{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?"
    r"(?:@(?P<digest>[a-z0-9]+:[0-9a-fA-F]{32,}))?"
)
"""An image reference, as in the OCI distribution specification."""


def reference(name: str, registry: str = "", tag: str = "") -> str:
    """Return the reference of one of the project's images.

    Args:
        name: `tensorflow`, `tfdv`, `launcher` or `serving`.
        registry: The registry and path; empty for the project's own.
        tag: The tag; empty for the version of this package.

    Example:
        >>> reference("tfdv", registry="registry.example.com/team", tag="1.2.0")
        'registry.example.com/team/tfdv:1.2.0'
    """
    return f"{(registry or REGISTRY).rstrip('/')}/{name}:{tag or TAG}"


def is_reference(text: str) -> bool:
    """Whether a text is a valid image reference.

    Example:
        >>> is_reference("ghcr.io/team/train:1.0"), is_reference("ghcr.io/team/Train:1.0")
        (True, False)
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


TENSORFLOW = reference("tensorflow")
TFDV = reference("tfdv")
LAUNCHER = reference("launcher")
SERVING = reference("serving")
