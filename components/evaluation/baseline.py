"""The baseline model: where it comes from, and whether it can be compared."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.artifacts.findings import Findings
from kfp_tabular.components.common.artifacts.model_document import FILE_NAME as MODEL_FILE
from kfp_tabular.components.common.artifacts.model_document import ModelSpec
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.prediction import predicted_batches
from kfp_tabular.components.common.registry import model_uri
from kfp_tabular.components.evaluation.options import EvaluationOptions


@dataclass(frozen=True)
class NamedBaseline:
    """How the arguments name the baseline model.

    Attributes:
        uri: URI of a model, of a model's directory in a repository, or of a registered model; empty
            for the artifact, or none.
        registry: The address of the registry, for a registered model.
    """

    uri: str = ""
    registry: str = ""


def named(artifact: Path | None, options: EvaluationOptions) -> NamedBaseline:
    """Return how the arguments name the baseline model.

    Raises:
        UserError: If more than one of them does.

    Example:
        >>> named(None, EvaluationOptions(baseline="champion", model_name="taxi")).uri
        'models:/taxi@champion'
    """
    given = {
        "baseline_model": artifact is not None,
        "baseline": bool(options.baseline),
        "baseline_model_uri": bool(options.baseline_model_uri),
    }
    names = [name for name, is_given in given.items() if is_given]
    if len(names) > 1:
        raise UserError(
            f"{' and '.join(names)}: give one of the {'two' if len(names) == 2 else 'three'}."
        )
    uri = options.baseline or options.baseline_model_uri
    if options.baseline and not model_uri.is_registered(uri):
        uri = str(model_uri.parse(f"{model_uri.SCHEME}{options.model_name}@{uri}"))
    return NamedBaseline(uri, options.tracking_uri)


@contextmanager
def local_model(
    artifact: Path | None, baseline: NamedBaseline, found: Findings
) -> Iterator[Path | None]:
    """Yield the directory of the baseline model; None if there is none.

    A model on an object store is downloaded for the duration of the block, a registered one
    verified.

    Args:
        artifact: Directory of a model artifact, or None.
        baseline: How the arguments name another one.
        found: Gets a note if the model has no champion yet.

    Raises:
        UserError: If a model does not exist, or its bytes are not those that were registered.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for version in ("9", "10"):
        ...         (Path(folder) / version).mkdir()
        ...     with local_model(None, NamedBaseline(folder), Findings()) as path:
        ...         path.name
        '10'
    """
    from kfp_tabular.components.common.registry import NoChampionError, opened, resolve

    if not baseline.uri:
        yield artifact
        return
    try:
        resolved = resolve(baseline.uri, registry_uri=baseline.registry)
    except NoChampionError:
        name = model_uri.parse(baseline.uri).name
        found.note(
            "no-champion",
            f"{name} has no champion yet: compared with the trivial model alone.",
            option="baseline",
        )
        yield None
        return
    with opened(resolved) as path:
        yield path if resolved.digest else newest_version(path)


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
