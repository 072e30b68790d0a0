"""Trials of the real training worker."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.examples import ExamplesWriter
from kfp_tabular.components.common.hyperparameters import Hyperparameters
from kfp_tabular.components.common.task import Task
from kfp_tabular.components.tuning import limits, tune

ROWS = {"train": 2000, "eval": 1000}
FEATURE = """feature {{
  name: "{name}"
  type: {type}
  {domain}
  presence {{ min_fraction: 1.0 }}
  shape {{ }}
}}
"""


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """What the transform would write for a label that one of two numbers decides, with noise."""
    root = tmp_path_factory.mktemp("artifacts")
    examples, graph = root / "transformed_examples", root / "transform_graph"
    examples.mkdir()
    random = np.random.default_rng(0)
    schema = pa.schema({"a": pa.float32(), "b": pa.float32(), "c": pa.int64(), "y": pa.int64()})
    with ExamplesWriter(examples, schema, list(ROWS)) as writer:
        for split, rows in ROWS.items():
            a, b = random.normal(size=(2, rows)).astype(np.float32)
            columns = {
                "a": a,
                "b": b,
                "c": random.integers(0, 5, rows),
                "y": (a + random.normal(size=rows) > 0).astype(np.int64),
            }
            writer.write(split, pa.record_batch(columns, schema=schema))
    metadata = graph / "transformed_metadata" / "schema.pbtxt"
    metadata.parent.mkdir(parents=True)
    domain = "int_domain {{ min: 0 max: {} is_categorical: true }}"
    metadata.write_text(
        FEATURE.format(name="a", type="FLOAT", domain="")
        + FEATURE.format(name="b", type="FLOAT", domain="")
        + FEATURE.format(name="c", type="INT", domain=domain.format(4))
        + FEATURE.format(name="y", type="INT", domain="")
    )
    Task("binary", "y", ("0", "1"), (1000, 1000)).save(graph)
    return examples, graph


def test_real_trials(artifacts, tmp_path):
    request = tune.Request(
        transformed_examples=artifacts[0],
        transform_graph=artifacts[1],
        hyperparameters=tmp_path / "hyperparameters",
        report=tmp_path / "report.html",
        base=Hyperparameters(epochs=2, batch_size=50, learning_rate=0.01),
        search_space=[
            {
                "name": "model_type",
                "parameterType": "categorical",
                "feasibleSpace": {"list": ["linear", "dcn_v2"]},
            }
        ],
        algorithm="grid",
        limits=limits.Limits(max_trials=2, parallel_trials=2),
        training_flags={"early-stopping-patience": "0", "class-weights": "balanced"},
        study_directory=tmp_path / "studies",
    )
    result = tune.run(request)
    assert result.metrics["trials_succeeded"] == 2
    # P(y | a) is known, and its AUC is 0.84.
    assert 0.8 < result.metrics["eval_auc"] < 0.88
    for trial in (tmp_path / "studies").glob("study-*/trials/*"):
        files = {path.name for path in trial.iterdir()}
        assert files == {"hyperparameters.json", "log.txt", "metrics.txt"}

    with pytest.raises(UserError, match=r"trial 0: exit code 2: .*dropout"):
        tune.run(
            replace(
                request,
                base=Hyperparameters(model_type="dnn", dropout=1.5),
                search_space=[
                    {
                        "name": "l2",
                        "parameterType": "discrete",
                        "feasibleSpace": {"list": ["0"]},
                    }
                ],
            )
        )
