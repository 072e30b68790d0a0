"""The results that are kept: a file of JSON lines, appended to as they come."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

Key = tuple[str, int, str, str]


@dataclass(frozen=True)
class Result:
    """A model on a table.

    Attributes:
        table: The table.
        seed: The seed of the split and of the model.
        model: `lightgbm`, `catboost`, `hist-gradient-boosting`, or `kfp-tabular` with its type.
        code: What it depends on: a digest of settings or of code.
        error: Why there are no values; empty if there are.
        values: `score` and other measures; times of training and of predictions.
        made_with: The library's version, or kfp-tabular's commit.
    """

    table: str
    seed: int
    model: str
    code: str
    error: str = ""
    values: dict[str, float] = field(default_factory=dict)
    made_with: str = ""

    @property
    def key(self) -> Key:
        """What is done once."""
        return self.table, self.seed, self.model, self.code


def read(path: Path) -> list[Result]:
    """Return the results of a file, in order; a line cut off by an interruption is left out."""
    if not path.exists():
        return []
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            found.append(Result(**json.loads(line)))
        except json.JSONDecodeError:
            continue
    return found


def append(path: Path, result: Result) -> None:
    """Add a result to a file."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(result)) + "\n")


def missing(wanted: Iterable[Key], kept: Iterable[Result]) -> list[Key]:
    """Return the keys that no result has; one that failed is tried again."""
    done = {result.key for result in kept if not result.error}
    return [key for key in wanted if key not in done]


def digest_of(*paths: Path) -> str:
    """Return a short digest of files and of the Python files below folders."""
    total = hashlib.sha256()
    for path in paths:
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            total.update(file.name.encode())
            total.update(file.read_bytes())
    return total.hexdigest()[:12]
