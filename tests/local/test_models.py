"""From an empty folder: two runs, their versions, a rollback, and the endpoint that follows."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

PROGRAM = Path(sys.executable).with_name("kfp-tabular")
NAME = "tx"


class Folder:
    """An empty folder, and the command line in it.

    Args:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.environment = {**os.environ, "KFP_TABULAR_HOME": str(path / ".kfp-tabular")}
        self.environment.pop("MLFLOW_TRACKING_URI", None)

    def call(self, *arguments: object, code: int = 0) -> str:
        done = subprocess.run(
            [str(PROGRAM), *map(str, arguments)],
            cwd=self.path,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == code, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout if code == 0 else done.stderr

    def json(self, *arguments: object):
        return json.loads(self.call(*arguments, "--json"))

    def aliases(self) -> dict[str, list[str]]:
        return {it["version"]: it["aliases"] for it in self.json("models", "list")}

    def train(self, number: int, seed: int, *more: str) -> None:
        data = f"data-{number}.csv"
        self.call("sample-data", "--rows", 2000, "--seed", seed, "--output", data)
        parameters = (
            f"model_name={NAME}",
            f"model_repository={self.path / 'models'}",
            "model_type=linear",
            "epochs=1",
            "explanations=false",
            'thresholds={"auc": {"min": 0.1}}',
            "baseline=champion",
            *more,
        )
        given = [part for text in parameters for part in ("--param", text)]
        self.call("run", "--data", data, "--label", "is_fraud", "--output", f"run-{number}", *given)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """Two runs on data that drift, each compared with the champion."""
    found = Folder(tmp_path_factory.mktemp("models"))
    found.train(1, 1)
    assert found.aliases() == {"1": ["champion"]}
    found.train(2, 2)
    return found


@contextlib.contextmanager
def served(folder: Folder) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    model = folder.path / "models" / NAME
    server = subprocess.Popen(
        [str(PROGRAM), "serve", "--model", str(model), "--name", NAME, "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        address = f"http://127.0.0.1:{port}/v2/models/{NAME}"
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            assert server.poll() is None
            with contextlib.suppress(urllib.error.URLError, ConnectionError):
                urllib.request.urlopen(f"{address}/ready", timeout=30).close()
                break
            time.sleep(0.2)
        yield address
    finally:
        server.terminate()
        server.wait(60)


def digest(address: str) -> str:
    with urllib.request.urlopen(address, timeout=60) as response:
        return json.load(response)["parameters"]["digest"]


@pytest.mark.timeout(1800)
def test_two_runs_a_rollback_and_the_endpoint(folder: Folder) -> None:
    versions = {it["version"]: it for it in folder.json("models", "list")}
    assert {number: it["aliases"] for number, it in versions.items()} == {
        "1": ["previous"],
        "2": ["champion"],
    }
    history = folder.json("models", "history", NAME)
    assert [event["what"] for event in history] == [
        "version 2 is champion, instead of version 1",
        "version 1 is champion",
    ]

    compared = folder.json("models", "compare", f"{NAME}/1", f"{NAME}@champion")
    assert compared["paired"]
    by_metric = {it["metric"]: it for it in compared["metrics"]}
    assert by_metric["auc"]["interval"][0] < by_metric["auc"]["interval"][1]
    assert by_metric["auc"]["verdict"] in ("better", "worse", "may be chance")

    folder.call("models", "rollback", NAME)
    assert folder.aliases() == {"1": ["champion"], "2": ["previous"]}
    with served(folder) as address:
        assert digest(address) == versions["1"]["digest"]

    folder.call("predict", "--model", "champion", "--data", "data-2.csv", "--output", "scored")
    predicted = pq.read_table(folder.path / "scored" / "predictions").to_pylist()
    made_by = {(row["model_name"], row["model_version"], row["model_digest"]) for row in predicted}
    assert made_by == {(NAME, "1", versions["1"]["digest"])}

    refused = folder.call("models", "show", f"{NAME}@chalenger", code=2)
    assert "has no alias 'chalenger'" in refused
    assert refused.count("\n") == 1
    assert "not a registered model" in folder.call("models", "history", "taxi", code=2)

    damaged = sorted((folder.path / "models" / NAME / "2" / "variables").iterdir())[0]
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    refused = folder.call("models", "verify", f"{NAME}/2", code=2)
    assert f"{damaged}: its SHA-256 is not the one that was registered" in refused
    refused = folder.call("models", "promote", NAME, "2", code=2)
    assert str(damaged) in refused
    assert folder.aliases()["1"] == ["champion"]
    named = ("--model", f"models:/{NAME}/2", "--data", "data-2.csv")
    refused = folder.call("predict", *named, "--output", "refused", code=2)
    assert f"{damaged}: its SHA-256 is not the one that was registered" in refused
    assert not (folder.path / "refused" / "predictions").exists()
