"""What the Spark engine uses of pyspark beyond its documented interface."""

import importlib

from kfp_tabular.components.common.processing import engines
from kfp_tabular.components.common.processing.pieces import Piece
from tests.private_seams import seam

CONTEXT = "components/common/processing/spark/spark_context.py"
DAEMON = "components/common/processing/spark/python_daemon.py"


def test_the_driver_can_be_stopped_and_asked_for_executors() -> None:
    with (
        engines.opened({"engine": "spark", "master": "local[1]"}) as opened,
        seam("pyspark", "`SparkContext._jsc`, `_gateway`, `_jvm`", user=CONTEXT),
    ):
        context = opened.engine._context  # type: ignore[attr-defined]
        assert context._jsc.sc().getExecutorMemoryStatus().size() == 1
        assert type(context)._jvm is not None
        process = type(context)._gateway.proc
        assert process.poll() is None

        (result,) = opened.engine.map([Piece("x", "bytes", 0, 1)], _daemon)
    assert process.poll() is not None
    with seam("pyspark", "`spark.python.daemon.module`, `pyspark.daemon.manager`", user=DAEMON):
        assert callable(importlib.import_module("pyspark.daemon").manager)
        assert "python_daemon" in result[1]


def _daemon(piece: Piece) -> str:
    import os
    from pathlib import Path

    return Path(f"/proc/{os.getppid()}/cmdline").read_text()
