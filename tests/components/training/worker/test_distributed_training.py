"""Jobs of several processes without a shared disk: everything is in an object store."""

import shutil
import signal
import time

import numpy as np
import pytest

from kfp_tabular.components.common.artifacts import lineage
from kfp_tabular.components.common.prediction.saved_model import SavedModel
from kfp_tabular.components.common.storage import Folder, local_copy, upload
from kfp_tabular.components.training.training_record import TrainingRecord
from kfp_tabular.components.training.worker import program, training_process, workspace
from tests.components.training.processes import job
from tests.servers.stores import s3  # noqa: F401 - a fixture

# Primes: neither workers nor batches divide them.
ROWS = {"train": 1511, "eval": 601}


@pytest.fixture(scope="module")
def stored(made, inputs, s3, tmp_path_factory):  # noqa: F811
    """Examples in one file and in three, and the graph, in a bucket."""
    folder = tmp_path_factory.mktemp("stored")
    source = inputs["binary"]
    columns = made.read_columns(source.examples, "train")
    again = made.read_columns(source.examples, "eval")
    order = np.arange(ROWS["train"]) % len(next(iter(columns.values())))
    splits = {
        "train": {name: values[order] for name, values in columns.items()},
        "eval": {
            name: values[np.arange(ROWS["eval"]) % len(values)] for name, values in again.items()
        },
    }
    for files, group in ((1, 1600), (3, 200)):
        made.write_examples(folder / f"examples-{files}", splits, group)
        upload(folder / f"examples-{files}", f"{s3}/examples-{files}")
    shutil.copytree(source.graph, folder / "graph")
    lineage.record(folder / "graph", inputs={})
    upload(folder / "graph", f"{s3}/graph")
    return s3


def flags(root, name, files=3, **changes):
    given = {
        "transformed-examples": f"{root}/examples-{files}",
        "transform-graph": f"{root}/graph",
        "output": f"{root}/{name}/model",
        "logs": f"{root}/{name}/logs",
        "checkpoint-seconds": 0,
        "early-stopping-patience": 0,
        "batch-size": 64,
        "learning-rate": 0.01,
        "hidden-units": "32,16",
        "dropout": 0.3,
        **changes,
    }
    return [f"--{flag}={value}" for flag, value in given.items()]


def record_of(root, name):
    return TrainingRecord.parse(Folder(f"{root}/{name}/logs").read_text("training.json"))


def test_workers_resume_after_sigterm_and_after_one_is_killed(stored, tmp_path):
    """After a restart, the workers end with the same result."""
    arguments = flags(stored, "killed", **{"train-steps": 900})
    with job(tmp_path, arguments, chief=1, worker=1) as running:
        running.start()
        running.until("checkpoint at step", "chief")
        running.signal(signal.SIGTERM)
        assert running.wait(seconds=150) == [143, 143]
        assert "SIGTERM: stopped at step" in running.log("worker")
        running.start()
        running.until("resumed at step", "chief")
        running.until("step=", "chief")
        running.signal(signal.SIGKILL, ("worker", 0))
        began = time.monotonic()
        assert running.wait(("chief", 0), seconds=150) == [138]
        assert time.monotonic() - began < 120
        assert "another process of the job was lost" in running.log("chief")
        running.start()
        assert running.wait() == [0, 0]
        assert "resumed at step" in running.log("chief")
        # A job controller that missed the end starts them once more: nothing is left to do.
        before = Folder(f"{stored}/killed/model").list()
        running.start()
        assert running.wait() == [0, 0]
        assert "already written everything" in running.log("worker")
        assert Folder(f"{stored}/killed/model").list() == before
    assert not Folder(f"{stored}/killed/logs/checkpoints").list()
    resumed = record_of(stored, "killed")
    steps = [entry["step"] for entry in resumed.history]
    assert steps == sorted(set(steps))
    assert steps[-1] == resumed.metrics["steps"] == 900
    with workspace.opened(program.parse(flags(stored, "whole", **{"train-steps": 900}))) as one:
        whole = training_process.run(one.settings, outputs=one.outputs)
    # The row order differs: two shares instead of one.
    assert resumed.metrics["eval_auc"] == pytest.approx(whole.metrics["eval_auc"], abs=0.01)
    assert resumed.metrics["eval_log_loss"] == pytest.approx(
        whole.metrics["eval_log_loss"], abs=0.05
    )
    with local_copy(f"{stored}/killed/model") as path:
        assert SavedModel(path).spec.task == "binary"
        assert lineage.read(path)["rows"] == ROWS


def test_parameter_servers_and_an_evaluator(stored, tmp_path):
    """The job waits for a killed worker; all processes end when the chief is done."""
    arguments = flags(stored, "servers", files=1, **{"train-steps": 600})
    with job(tmp_path, arguments, chief=1, worker=2, ps=1, evaluator=1) as running:
        running.start()
        running.until("checkpoint at step", "chief")
        running.signal(signal.SIGKILL, ("worker", 1))
        time.sleep(1.0)
        running.start(("worker", 1))
        codes = running.wait()
        assert codes == [0] * 5, [running.log(*task)[-2000:] for task in running.tasks]
        assert "the chief is done" in running.log("ps")
    found = record_of(stored, "servers")
    assert found.metrics["eval_auc"] > 0.85
    assert found.metrics["steps"] == 600
    assert not Folder(f"{stored}/servers/logs/checkpoints").list()
    logs = Folder(f"{stored}/servers/logs")
    assert any(name.startswith("evaluator/events.") for name in logs.list())
    reports = logs.read_text("evaluator/metrics.txt").splitlines()
    assert reports and all("eval_auc=" in line for line in reports)
    with local_copy(f"{stored}/servers/model") as path:
        assert SavedModel(path).spec.task == "binary"


@pytest.mark.parametrize("roles", [{"worker": 1}, {"worker": 1, "ps": 1}])
def test_members_train_on_workers_and_with_parameter_servers(stored, tmp_path, roles):
    """An evaluator measures the averaged weights of workers; servers keep no averages."""
    name = "-".join(["tabm", *roles])
    changes = {"model-type": "tabm", "train-steps": 300}
    with job(
        tmp_path, flags(stored, name, files=1, **changes), chief=1, evaluator=1, **roles
    ) as running:
        # So short a training may end before an evaluator has started.
        running.start(("evaluator", 0))
        running.until("evaluating on", "evaluator")
        running.start(*(task for task in running.tasks if task[0] != "evaluator"))
        codes = running.wait()
        assert set(codes) == {0}, [running.log(*task)[-2000:] for task in running.tasks]
        assert ("[not-averaged]" in running.log("chief")) == ("ps" in roles)
    found = record_of(stored, name)
    assert found.metrics["eval_auc"] > 0.8
    assert found.metrics["steps"] == 300
    reports = Folder(f"{stored}/{name}/logs").read_text("evaluator/metrics.txt")
    assert "eval_log_loss=" in reports
