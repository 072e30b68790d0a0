"""What the pages' commands work on, made once: the demo, small data sets, a small model."""

import csv
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kfp_tabular.pipelines.environments.location import VARIABLE
from tests import shared_interpreters
from tests.docs.sandbox import VENVS, FinishedRun

_TRIPS = """
trip_id company payment_type trip_start_hour trip_miles fare zip text ordered row tips big_tipper
"""


def _kfp_tabular(folder: Path, venvs: Path, *arguments: str) -> str:
    program = Path(sys.executable).with_name("kfp-tabular")
    done = subprocess.run(
        [str(program), *arguments],
        cwd=folder,
        env={**os.environ, VARIABLE: str(venvs)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="session")
def venvs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The environments of all pages' runs, which load their interpreters once."""
    with shared_interpreters.environments(VENVS, tmp_path_factory.mktemp("interpreters")) as found:
        yield found


@pytest.fixture(scope="session")
def assets(tmp_path_factory: pytest.TempPathFactory, venvs: Path) -> Path:
    """A folder of what guides refer to: `make demo`'s results, data, runs and a model."""
    folder = tmp_path_factory.mktemp("docs") / "assets"
    folder.mkdir()
    _write_trips(folder / "trips.csv")
    _write_customers(folder / "customers.csv")
    (folder / "demo.log").write_text(_kfp_tabular(folder, venvs, "demo", "--output", "demo"))
    _kfp_tabular(folder, venvs, "sample-data", "--rows", "3000", "--output", "transactions.csv")
    _write_payments(folder / "transactions.csv", folder / "payments.csv")
    _kfp_tabular(
        folder,
        venvs,
        *("run", "--data", "payments.csv", "--label", "is_fraud", "--output", "runs/payments"),
        *("--param", "model_name=fraud", "--param", "epochs=2"),
    )
    model = Path(json.loads((folder / "runs/payments/summary.json").read_text())["model"])
    shutil.copytree(model, folder / "models/fraud/3")
    return folder


@pytest.fixture(scope="session")
def finished() -> dict[str, FinishedRun]:
    """Runs that several pages show, by their command."""
    return {}


def _write_trips(path: Path) -> None:
    """Taxi trips; whether the tip was large follows from fare and payment."""
    draw = random.Random(5)
    with path.open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(_TRIPS.split())
        for row in range(1500):
            miles = round(draw.expovariate(0.3) + 0.1, 1)
            fare = round(3.25 + 2.3 * miles + draw.random(), 2)
            payment = draw.choice(["Cash", "Credit Card", "Mobile"])
            big = payment != "Cash" and draw.random() < (0.9 if fare > 10 else 0.1)
            rows.writerow(
                [
                    f"trip-{row:06}",
                    draw.choice(["Blue Cab", "Flash", "City Service"]),
                    payment,
                    draw.randrange(24),
                    miles,
                    fare,
                    draw.choice(["60601", "60605", "60611"]),
                    f"note {draw.randrange(900)}",
                    f"{draw.randrange(1, 28):02}/06/2024 1{draw.randrange(10)}:30",
                    row,
                    round(fare * (0.25 if big else 0.05), 2),
                    int(big),
                ]
            )


def _write_customers(path: Path) -> None:
    draw = random.Random(6)
    with path.open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["customer_id", "plan", "months", "calls", "monthly_fee", "churned"])
        for row in range(1500):
            months, calls = draw.randrange(1, 60), draw.randrange(9)
            churned = draw.random() < (0.8 if calls > 5 and months < 24 else 0.15)
            plan = draw.choice(["basic", "plus", "family"])
            fee = round(draw.uniform(9, 60), 2)
            rows.writerow([f"C{row:06}", plan, months, calls, fee, int(churned)])


def _write_payments(source: Path, path: Path) -> None:
    """Three columns and a label of the sample data: a model whose requests fit on a page."""
    with source.open(newline="") as stream, path.open("w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(["amount", "merchant", "hour", "is_fraud"])
        for number, row in enumerate(csv.DictReader(stream)):
            hour = "" if number % 50 == 0 else int(row["timestamp"][11:13])
            rows.writerow([row["amount"], row["merchant"], hour, row["is_fraud"]])
