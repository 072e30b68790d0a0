"""The demo: sample data, the training pipeline, a served model, one request and its answer."""

import contextlib
import csv
import json
import logging
import shlex
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kfp_tabular.components.common.artifacts.model_document import ModelSpec
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.process.child_process import ChildProcess, stop
from kfp_tabular.pipelines.local import run_folder
from kfp_tabular.pipelines.local.run_record import RunRecord

NAME = "transactions"
LABEL = "is_fraud"
SEED = 7

_START_SECONDS = 120.0
_STOP_SECONDS = 30.0
_logger = logging.getLogger(__name__)


def run(output: Path, rows: int) -> int:
    """Run the demo and log each step.

    Args:
        output: Where everything goes; made where it does not exist.
        rows: Rows of sample data.

    Returns:
        0, or the exit code of the step that failed.

    Raises:
        UserError: If the folder holds a run that is not of a demo.
    """
    data = output / f"{NAME}.csv"
    again = _replaced(output, data)
    output.mkdir(parents=True, exist_ok=True)
    try:
        _command("sample-data", "--rows", str(rows), "--seed", str(SEED), "--output", data)
        _command(
            *("run", "--data", data, "--label", LABEL, "--output", output),
            *("--param", f"model_name={NAME}", "--param", f"seed={SEED}"),
            *again,
        )
    except subprocess.CalledProcessError as error:
        return error.returncode
    model = Path(json.loads((output / "summary.json").read_text(encoding="utf-8"))["model"])
    request = {"instances": [_first_instance(data, model)]}
    with _served(model, output / "serve.log") as address:
        _logger.info("\nPOST %s\n%s", address, json.dumps(request, ensure_ascii=False, indent=2))
        answer = _post(address, request)
    _logger.info("\n%s\n", json.dumps(answer, ensure_ascii=False, indent=2))
    _logger.info("report: %s", output / "report.html")
    _logger.info("serve it yourself: %s", shlex.join(_serve_command(model, 8080)))
    return 0


def _replaced(output: Path, data: Path) -> list[str]:
    """Return the option to replace an earlier demo, if there is one."""
    if not run_folder.is_run(output):
        return []
    try:
        given = RunRecord.load(output).arguments
    except UserError:  # of an earlier version, without a record: told by its data
        given = {"data_uri": str(data.absolute())} if data.exists() else {}
    ours = {"data_uri": str(data.absolute()), "label": LABEL, "model_name": NAME, "seed": SEED}
    own = {**given}
    own.pop("model_repository", None)
    if own.get("data_uri") != ours["data_uri"] or not own.items() <= ours.items():
        raise UserError(
            f"--output {output}: it holds a run that is not of a demo. Choose another folder."
        )
    return ["--overwrite"]


def _command(*arguments: str | Path) -> None:
    program = Path(sys.executable).with_name("kfp-tabular")
    words = [str(argument) for argument in arguments]
    _logger.info("$ kfp-tabular %s", shlex.join(words))
    subprocess.run([str(program), *words], check=True)


def _serve_command(model: Path, port: int) -> Sequence[str]:
    program = Path(sys.executable).with_name("kfp-tabular")
    return [str(program), "serve", "--model", str(model), "--name", NAME, "--port", str(port)]


def _first_instance(data: Path, model: Path) -> dict[str, Any]:
    """Return the first row of the data as an instance of a request: the model's features.

    Each text of the CSV is converted to its feature's JSON type; missing values are left out.
    """
    with data.open(newline="", encoding="utf-8") as stream:
        row = next(csv.DictReader(stream))
    types: dict[str, Callable[[str], Any]] = {"float32": float, "int64": _whole, "string": str}
    return {
        entry.name: types[entry.dtype](row[entry.name])
        for entry in ModelSpec.load(model).inputs
        if row[entry.name] != ""
    }


def _whole(text: str) -> int | bool:
    if text in ("true", "false"):
        return text == "true"
    return int(text)


@contextlib.contextmanager
def _served(model: Path, log: Path) -> Iterator[str]:
    """Serve the model on a free port while the block lasts; yield the URL for predictions."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = _serve_command(model, port)
    _logger.info("\n$ %s", shlex.join(["kfp-tabular", *command[1:]]))
    server = ChildProcess(command, log=log)
    try:
        _wait_until_ready(f"http://127.0.0.1:{port}/v2/models/{NAME}/ready", server, log)
        yield f"http://127.0.0.1:{port}/v1/models/{NAME}:predict"
    finally:
        stop([server], _STOP_SECONDS)


def _wait_until_ready(address: str, server: ChildProcess, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise RuntimeError(f"the server ended with code {server.exit_code}; see {log}")
        with (
            contextlib.suppress(urllib.error.URLError, ConnectionError),
            urllib.request.urlopen(address, timeout=5),  # noqa: S310 - a loopback address
        ):
            return
        time.sleep(0.2)
    raise TimeoutError(f"the server is not ready after {_START_SECONDS:.0f} s; see {log}")


def _post(address: str, body: Mapping[str, Any]) -> Any:
    request = urllib.request.Request(  # noqa: S310 - a loopback address
        address, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
        return json.load(response)
