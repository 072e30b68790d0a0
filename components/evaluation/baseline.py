"""The baseline model: where it comes from, and whether it can be compared."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.artifacts.model_document import FILE_NAME as MODEL_FILE
from kfp_tabular.components.common.artifacts.model_document import ModelSpec
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.prediction import predicted_batches


@contextmanager
def local_model(artifact: Path | None, uri: str) -> Iterator[Path | None]:
    """Yield the directory of the baseline model; None if there is none.

    A model on an object store is downloaded for the duration of the block.

    Args:
        artifact: Directory of a model artifact, or None.
        uri: URI of a model, or of a model's directory in a repository; empty for the artifact.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for version in ("9", "10"):
        ...         (Path(folder) / version).mkdir()
        ...     with local_model(None, folder) as path:
        ...         path.name
        '10'
    """
    from kfp_tabular.components.common.storage import local_copy

    if not uri:
        yield artifact
        return
    with local_copy(uri) as path:
        yield newest_version(path)


def newest_version(path: Path) -> Path:
    """Return the newest version of a model's directory in a repository; other paths unchanged.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for version in ("9", "10"):
        ...         (Path(folder) / version).mkdir()
        ...     newest_version(Path(folder)).name
        '10'
    """
    if (path / MODEL_FILE).is_file() or not path.is_dir():
        return path
    versions = [entry for entry in path.glob("[0-9]*") if entry.name.isdecimal()]
    return max(versions, key=lambda entry: int(entry.name), default=path)


def check(path: Path, examples: Examples, spec: ModelSpec) -> None:
    """Check that a baseline model can be compared with a model on the same rows.

    Args:
        path: Directory of the baseline model.
        examples: The examples.
        spec: The description of the model that is evaluated.

    Raises:
        UserError: If it has another task, label or classes, or the examples lack one of its
            inputs.
    """
    baseline = ModelSpec.load(path)
    predicted_batches.check_columns(path, examples, baseline)
    for what, ours, theirs in (
        ("task", spec.task, baseline.task),
        ("label", spec.label, baseline.label),
    ):
        if ours != theirs:
            raise UserError(
                f"baseline model {path}: its {what} is {theirs!r}, the model's is {ours!r}; "
                "such models cannot be compared."
            )
    if spec.task == "binary" and set(spec.classes) != set(baseline.classes):
        raise UserError(
            f"baseline model {path}: its classes are {', '.join(baseline.classes)}, the model's "
            f"are {', '.join(spec.classes)}; such models cannot be compared."
        )
