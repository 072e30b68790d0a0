"""User modules that a task can import: from the current folder and `PYTHONPATH`."""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kfp_tabular.pipelines.local.argument_texts import texts

_VARIABLE = re.compile(r"[A-Za-z_]\w*")
_FUNCTION = re.compile(r"([A-Za-z_][\w.]*):[A-Za-z_]\w*")


_AT_START = ("sitecustomize", "usercustomize")
"""Modules that every interpreter imports, if they are there."""


def reachable(
    roots: Sequence[Path], command: Iterable[str], arguments: Mapping[str, Any]
) -> Mapping[str, Path]:
    """Return the modules that a task's code and arguments lead to, as far as they are in `roots`.

    Followed are the imports in Python source within the command, functions that the command or an
    argument names (`package.module:function`), and the imports of what is found. A package counts
    as a whole, with its data files; of a module outside a package, the file.

    Args:
        roots: Where Python searches before the installed packages, in order.
        command: The task's command.
        arguments: Its arguments, nested as they may be.

    Returns:
        The file or folder by the name of the top-level module.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     root = Path(folder)
        ...     _ = (root / "prices.py").write_text("import rates", encoding="utf-8")
        ...     _ = (root / "rates.py").write_text("import json", encoding="utf-8")
        ...     sorted(reachable([root], [], {"preprocessing_fn": "prices:preprocess"}))
        ['prices', 'rates']
    """
    found: dict[str, Path] = {}
    waiting = [*_AT_START, *(name for text in command for name in _named(text))]
    waiting += [name for text in texts(arguments) for name in _functions(text)]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        place = _find(roots, name)
        if place is None:
            continue
        found[name] = place
        for source in sources(place):
            waiting += _imports(source)
    return found


def sources(place: Path) -> Iterator[str]:
    """Yield the Python sources of a module or a package."""
    for file in [place] if place.is_file() else sorted(place.rglob("*.py")):
        yield file.read_text(encoding="utf-8", errors="replace")


def words(source: str) -> set[str]:
    """Return the texts in a source that could name a variable of the environment.

    Example:
        >>> sorted(words("rate = os.environ.get('RATE', 'no rate')"))
        ['RATE']
    """
    tree = _parsed(source)
    constants = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return {text for text in constants if isinstance(text, str) and _VARIABLE.fullmatch(text)}


def _find(roots: Sequence[Path], name: str) -> Path | None:
    for root in roots:
        if (root / name / "__init__.py").is_file():
            return root / name
        if (root / f"{name}.py").is_file():
            return root / f"{name}.py"
    # Without __init__.py, a folder is a package if no module of that name comes anywhere before.
    for root in roots:
        if (root / name).is_dir() and any((root / name).rglob("*.py")):
            return root / name
    return None


def _named(text: str) -> Iterator[str]:
    yield from _functions(text)
    if "import" in text:
        yield from _imports(text)


def _functions(text: str) -> Iterator[str]:
    function = _FUNCTION.fullmatch(text)
    if function:
        yield function[1].partition(".")[0]


def _imports(source: str) -> list[str]:
    """Return the top-level modules that a source imports; none if it is not Python."""
    found = []
    for node in ast.walk(_parsed(source)):
        if isinstance(node, ast.Import):
            found += [alias.name.partition(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.append(node.module.partition(".")[0])
    return found


def _parsed(source: str) -> ast.Module:
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return ast.Module([], [])
