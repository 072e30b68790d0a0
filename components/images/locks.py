"""What an image holds by its lock: names, versions, hashes and reasons."""

import re
from dataclasses import dataclass
from pathlib import Path

from packaging.markers import Marker

FOLDER = Path(__file__).resolve().parent
NAMES = ("author", "launcher", "tensorflow", "tfdv", "serving", "spark", "mlflow")
VARIANTS = (*NAMES, "tensorflow-gpu")
"""The images, and the variant of one that `GPU=1` builds."""

PLATFORM = {
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "python_full_version": "3.13.0",
    "python_version": "3.13",
    "sys_platform": "linux",
}
"""The markers of the images; a lock is for several versions of Python."""

_ON_TENSORFLOW = ("tensorflow", "tfdv", "serving", "tensorflow-gpu")
_ENTRY = re.compile(
    r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;]+)(?:\s*;\s*(?P<marker>[^\\\n]+))?"
)


@dataclass(frozen=True)
class Locked:
    """A package of a lock.

    Attributes:
        name: Its normalized name.
        version: The only version that the lock allows.
        hashes: SHA-256 of each file that may be installed: wheels of all platforms and the sources.
        required_by: Names of the packages that need it.
        is_requested: Whether the image's own requirements name it.
    """

    name: str
    version: str
    hashes: tuple[str, ...]
    required_by: tuple[str, ...]
    is_requested: bool

    @property
    def pin(self) -> str:
        """`name==version`."""
        return f"{self.name}=={self.version}"


def lock_of(image: str) -> Path:
    """Return the path of an image's lock."""
    if image == "tensorflow-gpu":
        return FOLDER / "tensorflow" / "requirements-gpu.txt"
    return FOLDER / image / "requirements.txt"


def packages_of(image: str) -> list[Locked]:
    """Return what an image holds by its lock: for its Python, without what it leaves out.

    Args:
        image: One of `VARIANTS`.
    """
    if image == "spark":
        # Its lock has what it adds to another one.
        return [*packages_of("tfdv"), *read_lock(lock_of(image))]
    dropped = set()
    if image in _ON_TENSORFLOW:
        unused = (FOLDER / "tensorflow" / "unused.txt").read_text(encoding="utf-8")
        dropped = set(re.findall(r"^package\s+(\S+)", unused, re.MULTILINE))
    return [found for found in read_lock(lock_of(image)) if found.name not in dropped]


def read_lock(path: Path) -> list[Locked]:
    """Return the packages of a lock that the images' platform installs, in the lock's order.

    Raises:
        ValueError: An entry is not `name==version` with hashes.
    """
    locked = []
    text = path.read_text(encoding="utf-8")
    for entry in re.split(r"\n(?=[A-Za-z0-9])", "\n" + text)[1:]:
        head = _ENTRY.match(entry)
        hashes = tuple(re.findall(r"--hash=sha256:([0-9a-f]{64})", entry))
        if head is None or not hashes:
            raise ValueError(f"{path}: not pinned with hashes: {entry.splitlines()[0]}")
        if head["marker"] and not Marker(head["marker"].strip()).evaluate(PLATFORM):
            continue
        reasons = re.findall(r"^\s+#\s+(?:via )?([A-Za-z0-9._-]+)$", entry, re.MULTILINE)
        required_by = tuple(reason for reason in reasons if reason != "via")
        is_requested = re.search(r"^\s+#\s+(?:via )?-r ", entry, re.MULTILINE) is not None
        locked.append(Locked(head["name"], head["version"], hashes, required_by, is_requested))
    return locked
