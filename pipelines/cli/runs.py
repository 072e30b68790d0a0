"""`kfp-tabular runs`."""

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kfp_tabular.pipelines.cli.options import FILE, PathOption, write_output
from kfp_tabular.pipelines.cli.tracking_options import tracking_option

if TYPE_CHECKING:
    from kfp_tabular.pipelines.local.history.comparison import Difference
    from kfp_tabular.pipelines.local.history.run_entry import RunEntry

_folder_argument = click.argument(
    "folder", type=PathOption(file_okay=False), default=Path("runs"), metavar="[FOLDER]"
)
_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")


@click.group("runs")
def runs_command() -> None:
    """List runs, compare two, or find the best."""


@runs_command.command("list")
@_folder_argument
@_json_option
@click.option("--html", "page", type=FILE, metavar="FILE", help="Write a leaderboard as a page.")
@click.option(
    "--recorded", is_flag=True, help="List the runs that are recorded, wherever they ran."
)
@tracking_option
def list_command(
    folder: Path, as_json: bool, page: Path | None, recorded: bool, tracking_uri: str
) -> None:
    """List the runs in FOLDER (runs by default), or those in the tracking store, latest first."""
    from kfp_tabular.pipelines.local.history import leaderboard_page, run_entry

    if recorded or tracking_uri:
        from kfp_tabular.components.common.tracking import resolve
        from kfp_tabular.pipelines.local.history import recorded_runs

        address = resolve(tracking_uri, by_default=True)
        entries, folder = recorded_runs.listed(address), Path(address.shown)
    else:
        entries = run_entry.in_folder(folder)
    if page is not None:
        write_output(
            page,
            leaderboard_page.page(entries, f"Runs in {folder.absolute().name}", page),
            "--html",
        )
        click.echo(f"leaderboard: {page}", err=True)
    if as_json:
        _print_json([entry.document() for entry in entries])
    elif entries:
        _print_table(entries)
    else:
        click.echo(f"{folder}: no runs", err=True)


@runs_command.command("compare")
@click.argument("first", type=PathOption(file_okay=False), metavar="A")
@click.argument("second", type=PathOption(file_okay=False), metavar="B")
@_json_option
def compare_command(first: Path, second: Path, as_json: bool) -> None:
    """Show the parameters and metrics in which run B differs from run A."""
    from kfp_tabular.pipelines.local.history import comparison, run_entry

    one, other = run_entry.read(first), run_entry.read(second)
    given, measured = comparison.parameters(one, other), comparison.metrics(one, other)
    if as_json:
        _print_json(
            {
                "runs": [one.document(), other.document()],
                "parameters": [_pair(difference) for difference in given],
                "metrics": [
                    {**_pair(difference), "better": difference.better} for difference in measured
                ],
            }
        )
        return
    rows = [("", str(first), str(second), "")]
    rows += [(found.name, _text(found.first), _text(found.second), "") for found in given]
    rows += [
        (found.name, _text(found.first), _text(found.second), _change(found)) for found in measured
    ]
    if (one.data_uri, one.label) != (other.data_uri, other.label):
        click.echo("note: data or label differ, so the metrics are of different rows", err=True)
    if not given:
        click.echo("the same parameters", err=True)
    if not measured:
        click.echo("no metric differs", err=True)
    _print_columns(rows)


@runs_command.command("best")
@_folder_argument
@click.option("--metric", default="", metavar="NAME", help="The metric; by default that of most.")
@_json_option
def best_command(folder: Path, metric: str, as_json: bool) -> None:
    """Print the run in FOLDER with the best value of a metric."""
    from kfp_tabular.pipelines.local.history import run_entry

    entries = run_entry.in_folder(folder)
    metric = metric or run_entry.common_metric(entries)
    best = run_entry.best(entries, metric)
    compared = [entry for entry in entries if metric in entry.metrics]
    if len({(entry.data_uri, entry.label) for entry in compared}) > 1:
        click.echo(
            f"note: {folder} has runs on different data or labels; runs list --html ranks them "
            "apart",
            err=True,
        )
    if as_json:
        _print_json(best.document())
    else:
        click.echo(f"{best.folder}  {metric} {best.metrics[metric]:.4f}")


def _print_table(entries: "list[RunEntry]") -> None:
    rows = [("run", "status", "data", "label", "metric", "blessed", "took", "started")]
    for entry in entries:
        key = entry.key_metric
        began = "" if entry.started is None else datetime.fromtimestamp(entry.started)
        rows.append(
            (
                entry.name,
                entry.status,
                entry.data,
                entry.label,
                f"{key} {entry.metrics[key]:.4f}" if key else "",
                {True: "yes", False: "no", None: ""}[entry.blessed],
                "" if entry.seconds is None else f"{entry.seconds:.0f} s",
                f"{began:%Y-%m-%d %H:%M}" if began else "",
            )
        )
    _print_columns(rows)


def _print_columns(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def _pair(difference: "Difference") -> dict[str, Any]:
    return {"name": difference.name, "first": difference.first, "second": difference.second}


def _change(difference: "Difference") -> str:
    if difference.first is None or difference.second is None:
        return ""
    arrow = "▲" if difference.second > difference.first else "▼"
    word = {True: " better", False: " worse", None: ""}[difference.better]
    return f"{arrow} {difference.second - difference.first:+.4f}{word}"


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4f}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _print_json(document: Any) -> None:
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))
