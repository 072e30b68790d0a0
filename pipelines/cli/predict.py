"""`kfp-tabular predict`."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.pipelines.cli.options import (
    PathOption,
    not_empty,
    processing_document,
    processing_option,
)
from kfp_tabular.pipelines.cli.tracking_options import store_option

_KFP_TYPES = {
    "str": "STRING",
    "float": "NUMBER_DOUBLE",
    "int": "NUMBER_INTEGER",
    "bool": "BOOLEAN",
    "list": "LIST",
    "dict": "STRUCT",
}


def _settings(
    _context: click.Context, _option: click.Parameter, pairs: tuple[str, ...]
) -> dict[str, Any]:
    """Return the options that `--param` sets, in their types."""
    from kfp_tabular.components.batch_prediction.options import BatchPredictionOptions
    from kfp_tabular.components.common.options import describe
    from kfp_tabular.pipelines import parameters

    known = describe(BatchPredictionOptions)
    types = {name: _KFP_TYPES[_name(option.type)] for name, option in known.items()}
    given = parameters.key_values(pairs)
    for name in given:
        if name not in types:
            raise UserError(f"--param {name}: predict has no such option.{closest(name, types)}")
    return parameters.convert(given, types, "--param: ")


def _name(kind: Any) -> str:
    return str(getattr(kind, "__origin__", kind).__name__)


@click.command("predict")
@click.option(
    "--model",
    required=True,
    metavar="RUN|DIR|URI|ALIAS",
    callback=not_empty,
    help="A run's folder, a model's directory or URI, or a registered model: models:/NAME/3, "
    "models:/NAME@champion, or champion where one model is registered.",
)
@click.option(
    "--data",
    required=True,
    metavar="PATH_OR_URI",
    callback=not_empty,
    help="File, directory, glob or URI: CSV, Parquet or TFRecord.",
)
@click.option(
    "--output",
    type=PathOption(),
    metavar="FILE.csv|DIR",
    help="A CSV file (a name with an ending), or a folder for Parquet. By default, print CSV.",
)
@click.option(
    "--rejected",
    type=PathOption(),
    metavar="DIR",
    help="Where rows go that cannot be predicted; by default rejected_rows in the folder.",
)
@click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="COLUMN",
    help="A column to write beside the predictions. Repeatable.",
)
@processing_option
@click.option(
    "--param",
    "settings",
    multiple=True,
    callback=_settings,
    metavar="KEY=VALUE",
    help="Set an option of predict_batch, such as csv_delimiter. Repeatable.",
)
@store_option
@click.option("--overwrite", is_flag=True, help="Replace the predictions in the folder --output.")
def predict_command(
    model: str,
    data: str,
    output: Path | None,
    rejected: Path | None,
    keys: tuple[str, ...],
    processing: str | None,
    settings: dict[str, Any],
    tracking_uri: str,
    overwrite: bool,
) -> None:
    """Predict for the rows of a data set, with the checks of the endpoint.

    A CSV file gets the columns of the data and the predictions, and no row may be rejected unless
    --rejected names a folder for them. A folder gets Parquet: the columns that the model does not
    take, the predictions, and the model's version. Stopped halfway, the same command goes on.
    """
    from kfp_tabular.components.common.process.termination import interrupt_on_termination
    from kfp_tabular.components.common.tracking.address import HOME_VARIABLE, home
    from kfp_tabular.pipelines.local import batch_prediction
    from kfp_tabular.pipelines.local.batch_prediction import Outputs

    interrupt_on_termination()
    # The environment that predicts has the same embedded store as this command.
    os.environ.setdefault(HOME_VARIABLE, str(home()))
    is_folder = output is not None and _is_folder(output)
    options: dict[str, Any] = {
        "model": batch_prediction.model_uri(model, tracking_uri),
        "data_uri": data if urlsplit(data).scheme else str(Path(data).absolute()),
        "processing": processing_document(processing) or {},
        "tracking_uri": tracking_uri,
        "key_columns": list(keys),
        "statistics_uri": batch_prediction.statistics_of(model),
        **settings,
    }
    if output is not None and is_folder:
        if (output / "predictions").exists() and not overwrite:
            raise UserError(
                f"--output {output}: it holds predictions. Add --overwrite to replace them, or "
                "choose another folder."
            )
        outputs = Outputs(
            output / "predictions", rejected or output / "rejected_rows", output / "report.html"
        )
        found = batch_prediction.predict(options, outputs, _tell)
        click.echo(f"{outputs.predictions}: {_rows(found)}", err=True)
        click.echo(f"report: {outputs.report}", err=True)
        return
    defaults = {
        "key_columns": list(keys) or ["*"],
        "model_columns": False,
        # A row that is left out of a file shifts those below it.
        "max_rejected_fraction": 0.0 if rejected is None else 1.0,
    }
    options = {**options, **defaults, **settings, "write_csv": True}
    with batch_prediction.beside(output, rejected) as outputs:
        found = batch_prediction.predict(options, outputs, _tell)
        _write(outputs.predictions, output)
    click.echo(f"{output or 'standard output'}: {_rows(found)}", err=True)


def _is_folder(output: Path) -> bool:
    return output.is_dir() or not (output.suffix or output.exists())


def _tell(line: str) -> None:
    click.echo(line, err=True)


def _rows(found: Mapping[str, Any]) -> str:
    facts = found["facts"]
    rejected = facts["rows"] - facts["predicted"]
    return f"{facts['predicted']} rows" + (f", {rejected} rejected" if rejected else "")


def _write(predictions: Path, output: Path | None) -> None:
    """Write predictions as one CSV file, whole or not at all, or to standard output."""
    from kfp_tabular.components.batch_prediction import csv_text
    from kfp_tabular.components.common import files

    if output is None:
        for chunk in csv_text.joined(predictions):
            sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()
        return
    try:
        if files.is_special(output):
            with output.open("wb") as stream:
                stream.writelines(csv_text.joined(predictions))
            return
        final = output.resolve() if output.is_symlink() else output
        partial = final.with_name(f".{final.name}.partial-{os.getpid()}")
        try:
            with partial.open("wb") as stream:
                stream.writelines(csv_text.joined(predictions))
            partial.replace(final)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"--output {output}: cannot be written: {error.strerror}.") from error
