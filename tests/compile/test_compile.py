"""Compiled specs: golden files, what must not be in them, and what compiling costs."""

import datetime
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from kfp import compiler

from kfp_tabular import components
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.pipelines import configuration
from kfp_tabular.pipelines.compile import compile_pipeline
from kfp_tabular.pipelines.registry import PIPELINES

GOLDEN = Path(__file__).parent / "golden"
EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
CONFIGURED = configuration.parse(
    yaml.safe_load((Path(__file__).parent / "configured.yaml").read_text()),
    "configured.yaml",
    PIPELINES["training"].tasks,
)
LOCKED = configuration.parse(
    yaml.safe_load((Path(__file__).parent / "locked.yaml").read_text()),
    "locked.yaml",
    PIPELINES["training"].tasks,
)
CONFIGURATIONS = {
    **{name: (name, configuration.PipelineConfig()) for name in PIPELINES},
    "training-locked": ("training", LOCKED),
    "training-configured": ("training", CONFIGURED),
}
"""By golden file, the pipeline and its configuration."""


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_golden(name: str, tmp_path: Path, write_golden: bool) -> None:
    output = tmp_path / "pipeline.yaml"
    compile_pipeline(*CONFIGURATIONS[name], output)
    golden = GOLDEN / f"{name}.yaml"
    if write_golden:
        golden.write_bytes(output.read_bytes())

    assert output.read_text() == golden.read_text(), "make golden, and review the difference"


def test_every_golden_file_belongs_to_a_configuration() -> None:
    assert {path.stem for path in GOLDEN.glob("*.yaml")} == set(CONFIGURATIONS)


@pytest.mark.parametrize("name", components.COMPONENTS)
def test_every_component_compiles_alone(name: str, tmp_path: Path) -> None:
    output = tmp_path / "component.yaml"

    compiler.Compiler().compile(getattr(components, name), str(output))

    spec = yaml.safe_load(output.read_text())
    assert spec["pipelineInfo"]["name"] == name.replace("_", "-")


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_spec_holds_nothing_of_this_machine(name: str) -> None:
    text = (GOLDEN / f"{name}.yaml").read_text()

    assert "pip install" not in text
    assert ":latest" not in text
    assert not re.search(r"(?<![\w.>])/(home|root|tmp|work|Users)/", text)
    assert len(text) < 700_000


def test_a_configuration_reaches_the_spec() -> None:
    spec, platform = yaml.safe_load_all((GOLDEN / "training-configured.yaml").read_text())

    executors = spec["deploymentSpec"]["executors"]
    assert executors["exec-validate-data"]["container"]["image"] == CONFIGURED.images["tfdv"]
    resources = executors["exec-train-model"]["container"]["resources"]
    assert resources["resourceCpuLimit"] == "4"
    assert resources["accelerator"]["resourceCount"] == "1"
    inputs = spec["root"]["inputDefinitions"]["parameters"]
    assert inputs["epochs"]["defaultValue"] == 3.0
    assert inputs["exclude"]["defaultValue"] == ["tips"]
    training = spec["root"]["dag"]["tasks"]["train-model"]
    assert training["cachingOptions"] == {}
    assert training["retryPolicy"]["backoffDuration"] == "120s"
    kubernetes = platform["platforms"]["kubernetes"]
    assert kubernetes["pipelineConfig"]["workspace"]["size"] == "50Gi"
    # Argo takes what a Workflow sets before the defaults of the controller, field by field, and the
    # seconds after success or failure before those after completion.
    kept = {key: value for key, value in kubernetes["pipelineConfig"].items() if "Ttl" in key}
    assert kept == dict.fromkeys(
        ("resourceTtlOnCompletion", "resourceTtlOnSuccess", "resourceTtlOnFailure"), 7 * 86400
    )
    pods = kubernetes["deploymentSpec"]["executors"]
    assert pods["exec-train-model"]["nodeSelector"] == {"labels": {"pool": "gpu"}}
    assert pods["exec-train-model"]["activeDeadlineSeconds"] == "28800"
    assert pods["exec-ingest-data"]["activeDeadlineSeconds"] == "3600"
    assert pods["exec-deploy-model"]["pvcMount"][0]["mountPath"] == "/models"
    secrets = [pod["secretAsEnv"][0]["secretName"] for pod in pods.values()]
    assert pods.keys() == {
        f"exec-{name}" for name in [*PIPELINES["training"].tasks, "check-destinations"]
    }
    assert secrets == ["mlpipeline-minio-artifact"] * len(pods)


def test_a_deployment_is_never_taken_from_the_cache() -> None:
    spec = next(yaml.safe_load_all((GOLDEN / "training.yaml").read_text()))

    condition = spec["components"]["comp-condition-1"]["dag"]["tasks"]
    assert not condition["deploy-model"]["cachingOptions"].get("enableCache")
    assert spec["root"]["dag"]["tasks"]["train-model"]["cachingOptions"]["enableCache"]


def test_the_same_configuration_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"

    compile_pipeline("training", CONFIGURED, first)
    compile_pipeline("training", CONFIGURED, second)

    assert first.read_bytes() == second.read_bytes()


def test_compiling_imports_no_tensorflow(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path;"
        "from kfp_tabular.pipelines.compile import compile_pipeline;"
        "from kfp_tabular.pipelines.configuration import PipelineConfig;"
        "compile_pipeline('training', PipelineConfig(), Path(sys.argv[1]));"
        "sys.exit(any(name in sys.modules for name in ('tensorflow', 'apache_beam', 'pandas')))"
    )

    subprocess.run([sys.executable, "-c", program, str(tmp_path / "p.yaml")], check=True)


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("trainning", {}, "Did you mean 'training'"),
        ("training", {"epoch": 3}, "'epoch' is unknown. Did you mean 'epochs'"),
        ("training", {"epochs": "three"}, "expected a whole number, found 'three'"),
        ("training", {"exclude": [None]}, "'exclude': a default cannot have null in it"),
        ("training", {"exclude": [datetime.date(2024, 1, 1)]}, "it has the date 2024-01-01"),
    ],
)
def test_what_cannot_be_compiled_is_said(
    name: str, parameters: dict[str, object], message: str, tmp_path: Path
) -> None:
    output = tmp_path / "pipeline.yaml"

    with pytest.raises(UserError, match=re.escape(message)):
        compile_pipeline(name, configuration.PipelineConfig(parameters=parameters), output)
    assert not output.exists()


@pytest.mark.parametrize("reference", ["ghcr.io/team/tfdv:latest", "ghcr.io/team/tfdv"])
def test_an_image_that_changes_under_its_name_is_refused(reference: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="validate-data.*not pinned"):
        compile_pipeline(
            "training",
            configuration.PipelineConfig(images={"tfdv": reference}),
            tmp_path / "p.yaml",
        )


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_examples_compile(path: Path, tmp_path: Path) -> None:
    output = tmp_path / "pipeline.yaml"

    compile_pipeline("training", PIPELINES["training"].configuration(path), output)

    spec, platform = yaml.safe_load_all(output.read_text())
    assert spec["root"]["inputDefinitions"]["parameters"]["label"]["defaultValue"] == "churned"
    assert "deploy-model" in str(platform)
