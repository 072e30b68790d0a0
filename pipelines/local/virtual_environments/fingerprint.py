"""The digest of a virtual environment: its packages, and the code of kfp-tabular in it."""

import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from kfp_tabular.pipelines.local.contents import Contents

_PACKAGE = "kfp_tabular"
_OUTER_PACKAGES = re.compile(r"(?mi)^\s*include-system-site-packages\s*=\s*true")
_IMPORTED = ("components", "serving")
"""The parts of kfp-tabular that tasks import."""


class EnvironmentDigests:
    """Digests of virtual environments, for the duration of a run."""

    def __init__(self) -> None:
        self._edited: dict[Path, list[tuple[str, str]]] = {}

    def of(self, python: Path, roots: Sequence[Path], contents: Contents) -> str:
        """Return the digest of everything that an environment's tasks import, but user code.

        Installed packages count by their records, which list a hash of each file, and by the files
        that were changed after the last installation; those are looked for once. kfp-tabular, and
        what else is installed as editable, counts by its files; Python by its program.

        Args:
            python: The environment's interpreter.
            roots: The folders that tasks import from before the environment.
            contents: Reads digests.

        Returns:
            The digest; empty where packages outside the environment count, too.
        """
        home = python.parent.parent
        if not _is_closed(home):
            return ""
        whole = hashlib.sha256()
        for name, digest in self._parts(home, python, roots, contents):
            whole.update(f"{name}\0{digest}\n".encode())
        return whole.hexdigest()

    def _parts(
        self, home: Path, python: Path, roots: Sequence[Path], contents: Contents
    ) -> Iterator[tuple[str, str]]:
        yield "settings", contents.of(home / "pyvenv.cfg")
        yield "python", contents.of(python)
        for root in roots:
            yield from _package(root / _PACKAGE, contents)
        for packages in sorted(home.glob("lib/python3*/site-packages")):
            yield from _package(packages / _PACKAGE, contents)
            yield from _installed(packages, contents)
            if packages not in self._edited:
                self._edited[packages] = list(_edited(packages, contents))
            yield from self._edited[packages]


def _is_closed(home: Path) -> bool:
    """Whether a virtual environment holds all packages that its interpreter imports."""
    try:
        settings = (home / "pyvenv.cfg").read_text(encoding="utf-8")
    except OSError:
        return False
    return not _OUTER_PACKAGES.search(settings)


def _installed(packages: Path, contents: Contents) -> Iterator[tuple[str, str]]:
    for information in sorted(packages.glob("*.dist-info")):
        editable = _editable(information / "direct_url.json")
        if editable is not None:
            yield information.name, "editable"
            yield from _sources(editable, contents)
        elif (information / "RECORD").is_file():
            yield information.name, contents.of(information / "RECORD")
        else:
            yield information.name, ""


def _edited(packages: Path, contents: Contents) -> Iterator[tuple[str, str]]:
    """Yield what was changed or added by hand: files that are newer than the last record.

    Reading all files would take longer than most tasks: an environment has gigabytes.
    """
    records = packages.glob("*.dist-info/RECORD")
    latest = max((record.stat().st_mtime_ns for record in records), default=0)
    for name in sorted(_newer(str(packages), latest)):
        file = Path(name)
        yield file.relative_to(packages).as_posix(), contents.of(file)


def _newer(folder: str, latest: int) -> Iterator[str]:
    """Yield the files below a folder that are newer than a time; kfp-tabular counts anyway."""
    with os.scandir(folder) as found:
        for entry in found:
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in ("__pycache__", _PACKAGE):
                    yield from _newer(entry.path, latest)
            elif entry.is_file() and entry.stat().st_mtime_ns > latest:
                yield entry.path


def _package(folder: Path, contents: Contents) -> Iterator[tuple[str, str]]:
    for part in _IMPORTED:
        if (folder / part).is_dir():
            yield f"{_PACKAGE}.{part}", contents.of(folder / part)


def _editable(file: Path) -> Path | None:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not document.get("dir_info", {}).get("editable"):
        return None
    return Path(unquote(urlsplit(document["url"]).path))


def _sources(project: Path, contents: Contents) -> Iterator[tuple[str, str]]:
    if (project / "components" / "common" / "task").is_dir():
        for part in _IMPORTED:
            yield part, contents.of(project / part)
        return
    for file in sorted(project.rglob("*.py")):
        if ".venv" not in file.relative_to(project).as_posix():
            yield file.relative_to(project).as_posix(), contents.of(file)
