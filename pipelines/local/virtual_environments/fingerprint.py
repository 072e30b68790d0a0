"""The digest of a virtual environment: its packages, and the code of kfp-tabular in it."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from kfp_tabular.pipelines.local.contents import Contents

_PACKAGE = "kfp_tabular"
_IMPORTED = ("components", "serving")
"""The parts of kfp-tabular that tasks import."""


def environment_digest(python: Path, roots: Sequence[Path], contents: Contents) -> str:
    """Return the digest of everything that tasks of an environment import, but their user's code.

    Installed packages count by their records, which list a hash of each file. kfp-tabular, and what
    else is installed as editable, counts by its files.

    Args:
        python: The environment's interpreter.
        roots: The folders that tasks import from before the environment.
        contents: Reads digests.
    """
    whole = hashlib.sha256()
    home = python.parent.parent
    for name, digest in _parts(home, roots, contents):
        whole.update(f"{name}\0{digest}\n".encode())
    return whole.hexdigest()


def _parts(home: Path, roots: Sequence[Path], contents: Contents) -> Iterator[tuple[str, str]]:
    settings = home / "pyvenv.cfg"
    if settings.is_file():
        yield "python", contents.of(settings)
    for root in roots:
        yield from _package(root / _PACKAGE, contents)
    for packages in sorted(home.glob("lib/python3*/site-packages")):
        yield from _package(packages / _PACKAGE, contents)
        for information in sorted(packages.glob("*.dist-info")):
            editable = _editable(information / "direct_url.json")
            if editable is not None:
                yield information.name, "editable"
                yield from _sources(editable, contents)
            elif (information / "RECORD").is_file():
                yield information.name, contents.of(information / "RECORD")
            else:
                yield information.name, ""


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
