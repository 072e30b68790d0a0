import json
import subprocess
import sys

from kfp import dsl, local

from kfp_tabular.components.data_ingestion.component import ingest_data

CSV = "x,label\n" + "".join(f"{i},{i % 2}\n" for i in range(300)) + "oops\n"


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def describe(examples: dsl.Input[dsl.Dataset], rejected: dsl.Input[dsl.Dataset]) -> str:
    import json
    import pathlib

    files = sorted(path.parent.name for path in pathlib.Path(examples.path).rglob("*.parquet"))
    return json.dumps([files, examples.metadata["rows"], rejected.metadata["rows"]])


@dsl.pipeline(name="ingest-and-describe")
def ingest_and_describe(data_uri: str) -> str:
    ingested = ingest_data(
        data_uri=data_uri, label="label", split_fractions={"train": 2.0, "test": 1.0}
    )
    return describe(
        examples=ingested.outputs["examples"], rejected=ingested.outputs["rejected_rows"]
    ).output


def test_in_a_pipeline_with_a_foreign_component(tmp_path):
    (tmp_path / "data.csv").write_text(CSV)
    local.init(
        runner=local.SubprocessRunner(use_venv=False),
        pipeline_root=str(tmp_path / "root"),
        raise_on_error=True,
    )
    done = ingest_and_describe(data_uri=str(tmp_path / "data.csv"))
    files, rows, rejected = json.loads(done.output)
    assert files == ["split=test", "split=train"]
    assert rows["train"] + rows["test"] == 300
    assert rejected == {"rejected": 1}
    (page,) = (tmp_path / "root").rglob("summary*")
    assert "1 fields, expected 2" in page.read_text()


def test_a_user_error_is_one_line_and_exit_code_2(tmp_path):
    program = """
import logging, types
logging.basicConfig(format="%(message)s")
from kfp_tabular.components.data_ingestion.component import ingest_data
at = lambda name: types.SimpleNamespace(path=f"PATH/{name}", metadata={})
outputs = [at(name) for name in ("examples", "rejected", "outline", "summary")]
ingest_data.python_func("PATH/none.csv", *outputs)
"""
    done = subprocess.run(
        [sys.executable, "-c", program.replace("PATH", str(tmp_path))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines() == [f"kfp-tabular: error: {tmp_path}/none.csv: not found."]
    assert list(tmp_path.iterdir()) == []


def test_ingesting_csv_loads_nothing_heavy(tmp_path):
    (tmp_path / "data.csv").write_text(CSV.replace("oops\n", "0.5,\n,1\nx,1\n"))
    program = f"""
import sys, pathlib
from kfp_tabular.components.data_ingestion import ingest
from kfp_tabular.components.data_ingestion.options import IngestionOptions
out = pathlib.Path({str(tmp_path)!r})
options = IngestionOptions(str(out / "data.csv"))
ingest.run(ingest.IngestionRequest(options, out / "e", out / "r", out / "s"))
print(*sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    loaded = set(done.stdout.split())
    assert "pyarrow" in loaded
    assert not loaded & {"tensorflow", "tfx_bsl", "pandas", "google.cloud.storage", "kfp"}
