"""Batch prediction from the command line, in the tensorflow environment of runs."""

import json
import os
import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kfp_tabular.components.common import files, images
from kfp_tabular.components.common.errors import UserError, find_user_error
from kfp_tabular.components.common.process.child_process import ChildProcess, last_lines, stop
from kfp_tabular.components.common.process.tensorflow import ENVIRONMENT
from kfp_tabular.components.common.processing.spark.installation import SPARK_HOME
from kfp_tabular.components.common.registry import model_uri as registered
from kfp_tabular.components.common.registry.port import ALIASES
from kfp_tabular.components.common.storage import location
from kfp_tabular.pipelines.environments.location import Environments
from kfp_tabular.pipelines.local.run_results import load_run

_MODULE = "kfp_tabular.components.batch_prediction"
_GRACE_SECONDS = 10.0


@dataclass(frozen=True)
class Outputs:
    """Where predictions go.

    Attributes:
        predictions: The directory of the predictions.
        rejected_rows: The directory of the rejected rows.
        report: The report, an HTML file; None for none.
    """

    predictions: Path
    rejected_rows: Path
    report: Path | None = None


def model_uri(given: str, tracking_uri: str = "") -> str:
    """Return the model that `--model` names: that of a run's folder, or the given one.

    Args:
        given: A path, a URI, a registered model (`models:/NAME@ALIAS`, `models:/NAME/VERSION`), or
            only an alias, where one model is registered.
        tracking_uri: The registry, as `open_registry` takes it.

    Raises:
        UserError: The run has no model, there is nothing at this path, or the alias may be of
            several models or none.
    """
    if registered.is_registered(given):
        return str(registered.parse(given))
    if not Path(given).exists():
        if "@" in given and "://" not in given and "/" not in given:
            return str(registered.parse(f"{registered.SCHEME}{given}"))
        if given in ALIASES:
            return str(registered.ModelUri(_only_name(given, tracking_uri), alias=given))
    place = location.parse(given)
    if not place.is_local:
        return given
    if (place.path / "model.json").is_file():
        return str(place.path.absolute())
    if not place.path.exists():
        raise UserError(
            f"--model {given}: not found. Give a run's folder, a model's directory, or a "
            "registered model, such as models:/NAME@champion."
        )
    return str(load_run(place.path).model_path)


def _only_name(alias: str, tracking_uri: str) -> str:
    """Return the name of the only registered model."""
    from kfp_tabular.components.common.registry import open_registry

    registry = open_registry(tracking_uri, by_default=True)
    if registry is None:
        raise UserError(f"--model {alias}: no registry is in use (tracking URI none). Name one.")
    names = registry.names()
    if len(names) == 1:
        return names[0]
    if not names:
        raise UserError(f"--model {alias}: {registry.address} has no registered models.")
    raise UserError(
        f"--model {alias}: {registry.address} has several models ({', '.join(names)}). Name one: "
        f"--model models:/{names[0]}@{alias}."
    )


def statistics_of(given: str) -> str:
    """Return the statistics of a run that `--model` names; empty where it names no run."""
    if registered.is_registered(given):
        return ""
    place = location.parse(given)
    if not place.is_local or (place.path / "model.json").is_file():
        return ""
    found = sorted(place.path.glob("artifacts/*/validate-data*/statistics"))
    return str(found[-1].absolute()) if found else ""


def predict(
    options: Mapping[str, Any], outputs: Outputs, tell: Callable[[str], None]
) -> Mapping[str, Any]:
    """Predict, and return what came of it, as `BatchPredictionResult`.

    Args:
        options: Values by name, as `BatchPredictionOptions` has them.
        outputs: Where to write.
        tell: Takes what there is to say: progress and findings.

    Raises:
        UserError: An option, the model or the data are wrong, or there is no such environment.
    """
    environments = Environments.find()
    python = environments.python(images.TENSORFLOW)
    spark = environments.spark_home()
    with tempfile.TemporaryDirectory(prefix="kfp-tabular-") as folder:
        request, result = Path(folder) / "request.json", Path(folder) / "result.json"
        errors = Path(folder) / "errors.log"
        document = {
            "options": dict(options),
            "predictions": str(outputs.predictions.absolute()),
            "rejected_rows": str(outputs.rejected_rows.absolute()),
            "report": str((outputs.report or Path(folder) / "report.html").absolute()),
        }
        request.write_text(json.dumps(document), encoding="utf-8")
        # Libraries write warnings of their own to standard error.
        script = 'exec "$@" 2>"$0"'
        child = ChildProcess(
            [
                "sh",
                "-c",
                script,
                str(errors),
                str(python),
                "-m",
                _MODULE,
                str(request),
                str(result),
            ],
            {
                **({} if spark is None else {SPARK_HOME: str(spark)}),
                **os.environ,
                **ENVIRONMENT,
                "PYTHONUNBUFFERED": "1",
            },
            death_signal=signal.SIGTERM,
        )
        try:
            message = _followed(child, tell)
        except BaseException:
            stop([child], _GRACE_SECONDS)
            raise
        if child.wait():
            if message:
                raise UserError(message)
            lines = last_lines(errors) if errors.exists() else []
            raise RuntimeError(f"predicting failed: {lines[-1] if lines else 'no output'}")
        found: Mapping[str, Any] = json.loads(result.read_text(encoding="utf-8"))
        return found


def _followed(child: ChildProcess, tell: Callable[[str], None]) -> str:
    """Pass on what a process says; return its error."""
    message = ""
    for line in child.lines():
        error = find_user_error([line])
        if error:
            message = error
        else:
            tell(line)
    return message


@contextmanager
def beside(output: Path | None, rejected: Path | None) -> Iterator[Outputs]:
    """Yield where to write what becomes a file; nothing of it is left if the block succeeds.

    Args:
        output: The file; None for standard output. An unfinished attempt is kept beside it.
        rejected: The directory of the rejected rows; None to drop them.
    """
    with tempfile.TemporaryDirectory(prefix="kfp-tabular-") as temporary:
        folder = Path(temporary)
        if output is not None and not files.is_special(output):
            folder = output.absolute().parent
        name = "predictions" if output is None else f".{output.name}.predictions"
        outputs = Outputs(folder / name, rejected or Path(temporary) / "rejected")
        yield outputs
        files.remove(outputs.predictions)
