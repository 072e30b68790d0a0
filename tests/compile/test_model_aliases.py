"""A task that names a model by an alias is not taken from the cache: the alias may have moved."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from kfp_tabular.pipelines import registry, spec
from kfp_tabular.pipelines.compile import compile_pipeline, compile_text
from kfp_tabular.pipelines.configuration import PipelineConfig
from kfp_tabular.pipelines.kubeflow.submission import SubmissionRequest, compiled
from kfp_tabular.pipelines.local.task_memory import cacheable_tasks


def cached(text: str) -> set[str]:
    return set(cacheable_tasks(spec.documents(text)[0]))


@pytest.mark.parametrize(
    ("baseline", "is_cached"),
    [("", True), ("models:/taxi/3", True), ("champion", False), ("models:/taxi@champion", False)],
)
@pytest.mark.parametrize("where", ["parameters", "locked", "arguments"])
def test_evaluation_with_an_alias_is_not_cached(where: str, baseline: str, is_cached: bool) -> None:
    given: dict[str, Any] = {"baseline": baseline}
    config = PipelineConfig(**({} if where == "arguments" else {where: given}))

    text = compile_text(registry.find("training"), config, given if where == "arguments" else {})

    assert ("evaluate-model" in cached(text)) is is_cached
    assert {"train-model", "ingest-data"} <= cached(text)


def test_a_package_that_is_started_with_any_baseline_is_not_cached(tmp_path: Path) -> None:
    """Whoever starts it in the UI may name an alias, and the package cannot tell."""
    package = tmp_path / "training.yaml"
    for locked, is_cached in (
        ({}, False),
        ({"baseline": ""}, False),
        ({"baseline": "", "baseline_model_uri": ""}, True),
        ({"baseline": "models:/taxi/3", "baseline_model_uri": ""}, True),
        ({"baseline": "champion"}, False),
    ):
        compile_pipeline("training", PipelineConfig(locked=locked), package)
        found = cached(package.read_text())
        assert ("evaluate-model" in found) is is_cached, locked
        assert {"train-model", "ingest-data"} <= found


def test_batch_prediction_with_an_alias_is_not_cached() -> None:
    pipeline = registry.find("batch-prediction")
    for model, is_cached in (("models:/taxi@champion", False), ("s3://models/taxi/3", True)):
        text = compile_text(pipeline, PipelineConfig(), {"model": model})
        assert ("predict-batch" in cached(text)) is is_cached


def test_what_is_submitted_or_scheduled_with_an_alias_is_not_cached() -> None:
    arguments = {"data_uri": "s3://rows/a.csv", "label": "tip", "baseline": "champion"}
    request = SubmissionRequest(registry.find("training"), PipelineConfig(), arguments, "nightly")

    with compiled(request) as (package, given, _):
        text = package.read_text()

    assert given["baseline"] == "champion"
    assert "evaluate-model" not in cached(text)
    tasks = next(yaml.safe_load_all(text))["root"]["dag"]["tasks"]
    assert tasks["train-model"]["cachingOptions"]["enableCache"]
