"""`kfp-tabular predict`."""

import csv
import io
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.pipelines.cli.options import FILE, PathOption, write_output


@click.command("predict")
@click.option(
    "--model",
    type=PathOption(file_okay=False),
    required=True,
    metavar="DIR",
    help="The folder of a run, or a model's directory.",
)
@click.option("--data", type=FILE, required=True, metavar="FILE", help="CSV with a header, UTF-8.")
@click.option("--output", type=FILE, metavar="FILE", help="The CSV to write; by default, print it.")
def predict_command(model: Path, data: Path, output: Path | None) -> None:
    """Predict for the rows of a CSV file: the columns of the data, and the predictions.

    Values are read as the model's features need them. For many rows, or other formats, see
    kfp_tabular.load_run.
    """
    from kfp_tabular.pipelines.local import row_prediction
    from kfp_tabular.pipelines.local.run_results import load_run

    directory = model if (model / "model.json").is_file() else load_run(model).model_path
    rows, names = _read(data)
    table = row_prediction.as_table({name: [row[name] for row in rows] for name in names})
    for name in row_prediction.absent_features(directory, table):
        click.echo(f"note: {data.name} has no column {name!r}, so it counts as missing", err=True)
    predicted = row_prediction.predict(directory, table)
    for name in predicted.column_names:
        if name in names:
            raise UserError(
                f"--data {data}: column {name!r} has the name of a prediction. Rename it."
            )
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*names, *predicted.column_names])
    columns = [predicted[name].to_pylist() for name in predicted.column_names]
    for row, *values in zip(rows, *columns, strict=True):
        writer.writerow([*(row[name] for name in names), *values])
    if output is None:
        sys.stdout.write(text.getvalue())
    else:
        write_output(output, text.getvalue())
        click.echo(f"{output}: {len(rows)} rows", err=True)


def _read(data: Path) -> tuple[list[dict[str, str | None]], list[str]]:
    try:
        with data.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            names = list(reader.fieldnames or ())
            rows = []
            for row in reader:
                _check_length(row, f"--data {data} line {reader.line_num}")
                rows.append(dict(row))
    except UnicodeDecodeError as error:
        raise UserError(f"--data {data}: not valid UTF-8; convert it to UTF-8.") from error
    except (OSError, csv.Error) as error:
        raise UserError(f"--data {data}: cannot be read: {error}.") from error
    if not rows:
        raise UserError(f"--data {data}: no rows below a header.")
    if len(set(names)) < len(names):
        raise UserError(f"--data {data}: two columns have the same name.")
    return rows, names


def _check_length(row: Mapping[str | None, object], where: str) -> None:
    if None in row:
        raise UserError(f"{where}: more fields than the header has columns.")
    if None in row.values():
        raise UserError(f"{where}: fewer fields than the header has columns.")
