"""Starting and stopping Spark: what is refused before any work, and what SIGTERM leaves behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.process.termination import TERMINATED_EXIT_CODE
from kfp_tabular.components.common.processing import engines, processing_settings
from kfp_tabular.components.common.processing.processing_settings import SparkSettings
from kfp_tabular.components.common.processing.spark import spark_context
from tests import spark_cluster
from tests.spark_cluster import Cluster

WAITING = """
import sys, time
from pathlib import Path
from kfp_tabular.components.common.processing import engines
from kfp_tabular.components.common.processing.pieces import Piece

folder = Path(sys.argv[1])

def wait(piece):
    (folder / "started").touch()
    time.sleep(600)

with engines.opened({"engine": "spark", "master": "local[1]"}) as opened:
    list(opened.engine.map([Piece("x", "bytes", 0, 1)], wait))
"""


def test_a_master_that_does_not_answer_is_a_user_error() -> None:
    with (
        pytest.raises(UserError, match=r"spark://127\.0\.0\.1:9: no Spark master answers"),
        engines.opened({"engine": "spark", "master": "spark://127.0.0.1:9"}),
    ):
        pass


@pytest.mark.parametrize(
    ("settings", "limits"),
    [
        ({"cores": 8, "executor_cores": 2}, ("2", "3")),
        ({"cores": 8, "executor_cores": 2, "attempts": 2}, ("1", "1")),
        ({"cores": 8, "executor_cores": 2, "attempts": 1}, None),
        ({"cores": 2, "executor_cores": 2}, None),
        ({"executor_cores": 2}, None),
        ({"master": "k8s"}, ("2", "3")),
        ({"master": "k8s", "kubernetes": {"executors": 1}}, None),
        ({"master": "k8s", "kubernetes": {"dynamic_allocation": {"max": 9}}}, None),
    ],
)
def test_a_piece_fails_at_another_executor_too_before_the_task_does(
    settings: dict[str, Any], limits: tuple[str, str] | None
) -> None:
    document = {"engine": "spark", "master": "spark://127.0.0.1:9", **settings}
    found = processing_settings.parse(document)
    assert isinstance(found, SparkSettings)
    conf = spark_context.configuration(found, "kfp-tabular")
    start = "spark.excludeOnFailure.task.maxTaskAttemptsPer"
    wanted = (None, None) if limits is None else limits
    assert (conf.get(f"{start}Executor"), conf.get(f"{start}Node")) == wanted
    assert ("spark.excludeOnFailure.enabled" in conf) == (limits is not None)


def test_a_cluster_without_room_is_a_user_error(cluster: Cluster) -> None:
    document = cluster.document(executor_memory="900g", wait_seconds=1)

    with (
        pytest.raises(UserError, match=r"no executor within 1 s.*900g free"),
        engines.opened(document),
    ):
        pass


def test_sigterm_ends_the_job_and_all_processes(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    driver = subprocess.Popen([sys.executable, "-c", WAITING, str(tmp_path)], env=environment)
    try:
        while not (tmp_path / "started").exists():
            assert driver.poll() is None
            time.sleep(0.1)
        driver.send_signal(signal.SIGTERM)

        assert driver.wait(120) == TERMINATED_EXIT_CODE
        assert spark_cluster.leftover(tmp_path) == []
    finally:
        driver.kill()
        driver.wait()
