"""The images that tasks run in.

Locally, the last part of an image's name is also the name of its virtual environment.
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
"""An image reference, as the OCI distribution specification has it."""


def reference(name: str, registry: str = "", tag: str = "") -> str:
    """Gives the reference of one of the project's images.

    Args:
        name: `tensorflow`, `tfdv`, `launcher` or `serving`.
        registry: Where it is; empty for the project's own registry.
        tag: Its tag; empty for this version's.
    """
    return f"{(registry or REGISTRY).rstrip('/')}/{name}:{tag or TAG}"


def is_reference(text: str) -> bool:
    """Whether a text is an image reference."""
    return _REFERENCE.fullmatch(text) is not None


def is_pinned(text: str) -> bool:
    """Whether a reference names a version: it has a digest, or a tag other than `latest`."""
    match = _REFERENCE.fullmatch(text)
    if match is None:
        return False
    return match["digest"] is not None or match["tag"] not in (None, "latest")


TENSORFLOW = reference("tensorflow")
TFDV = reference("tfdv")
LAUNCHER = reference("launcher")
SERVING = reference("serving")
