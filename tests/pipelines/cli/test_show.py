"""`kfp-tabular show`: what is in an artifact."""

import json
import shutil

import pyarrow as pa
import pytest
from click.testing import CliRunner

from kfp_tabular.components.common.artifacts import lineage
from kfp_tabular.components.common.artifacts.examples import Examples, ExamplesWriter, record
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.storage import Folder, upload
from kfp_tabular.pipelines.cli.command import cli
from tests.servers.stores import s3  # noqa: F401 - a fixture

TABLE = pa.table({"fare": [1.5, 2.5, None], "tip": [0, 1, 1], "tags": [["a"], [], None]})


@pytest.fixture
def examples(tmp_path):
    path = tmp_path / "examples"
    path.mkdir()
    with ExamplesWriter(path, TABLE.schema, ["train", "eval"], rows_per_shard=3) as writer:
        for _ in range(4):
            writer.write("train", TABLE)
        writer.write("eval", TABLE.slice(0, 1))
    source = {"uri": "data/taxi.csv", "digest": "sha256:" + "ab" * 32, "bytes": 9}
    record(path, writer.schema, writer.shards, inputs={}, extra={"sources": [source]})
    return path


def show(*arguments):
    done = CliRunner().invoke(cli, ["show", *map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def facts(*arguments):
    return json.loads(show(*arguments, "--json"))


def test_examples(examples):
    found = show(examples).splitlines()
    assert found[0] == f"examples  {examples}"
    assert f"digest  {lineage.read(examples)['digest']}" in found
    rows = [line.split() for line in found]
    assert ["split", "rows", "bytes", "shards"] in rows
    assert [row[:2] + row[4:] for row in rows if row[:1] in (["train"], ["eval"])] == [
        ["train", "12", "4"],
        ["eval", "1", "1"],
    ]
    assert ["schema", "(3)", "type"] in rows
    assert any(row[0] == "tags" and row[1].startswith("list<") for row in rows if len(row) > 1)
    assert "  from data/taxi.csv  sha256:abababababab" in found


def test_json_holds_all_of_it(examples):
    found = facts(examples)
    assert (found["kind"], found["splits"]["train"]["rows"]) == ("examples", 12)
    assert found["schema"][0] == {"name": "fare", "type": "double"}
    assert found["lineage"]["sources"][0]["uri"] == "data/taxi.csv"
    assert found["missing"] == found["abandoned"] == []


def test_examples_in_a_store(examples, s3, monkeypatch):  # noqa: F811
    upload(examples, f"{s3}/show/examples")
    read = Folder.read_text
    asked = []
    monkeypatch.setattr(Folder, "read", None)
    monkeypatch.setattr(Folder, "download", None)
    monkeypatch.setattr(
        Folder, "read_text", lambda self, name, *most: asked.append(name) or read(self, name, *most)
    )
    found = facts(f"{s3}/show/examples")
    assert set(asked) == {"_manifest.json"}
    here = facts(examples)
    assert found.pop("artifact") == f"{s3}/show/examples"
    assert found == {name: value for name, value in here.items() if name != "artifact"}


def test_examples_of_earlier_releases(examples, s3):  # noqa: F811
    (examples / "_manifest.json").unlink()
    lineage.record(examples, inputs={}, rows={"train": 12, "eval": 1})
    upload(examples, f"{s3}/show/older")
    for place in (examples, f"{s3}/show/older"):
        found = facts(place)
        assert found["splits"]["train"]["rows"] == 12
        assert found["schema"][2]["type"].startswith("list<")
        assert found["digest"] == lineage.read(examples)["digest"]


def test_shards_that_are_missing_or_not_named(examples):
    shard = examples / "split=train" / "part-00001.parquet"
    shutil.copy(shard, examples / "split=train" / "part-00001-5f0c.parquet")
    shard.unlink()
    found = show(examples)
    assert "warning: split=train/part-00001.parquet is missing or has another size" in found
    assert "note: 1 files of other attempts" in found


def test_a_lineage_over_tasks(examples, tmp_path):
    later = tmp_path / "later"
    later.mkdir()
    (later / "schema.pbtxt").write_text(
        'feature {\n  name: "fare"\n  type: FLOAT\n}\nfeature {\n  name: "tip"\n  type: INT\n}\n'
    )
    lineage.record(later, inputs={"examples": examples}, libraries=["pyarrow"])
    found = show(later)
    assert found.startswith(f"schema  {later}\n")
    assert "schema (2)  type\nfare        FLOAT\n" in found
    digest = lineage.read(examples)["digest"][:19]
    assert f"  from examples  {digest}  eval 1, train 12\n    from data/taxi.csv" in found
    assert f"pyarrow {pa.__version__}" in found


def test_a_model(tmp_path):
    document = {
        "task": "binary",
        "label": "tip",
        "classes": ["0", "1"],
        "decision_threshold": 0.5,
        "inputs": [{"name": "fare", "dtype": "float32", "required": True, "input": "fare"}],
    }
    (tmp_path / "model.json").write_text(json.dumps(document))
    (tmp_path / "saved_model.pb").write_bytes(bytes(1500))
    found = show(tmp_path)
    assert found.startswith(f"model  {tmp_path}\n")
    assert "label               tip" in found
    assert "inputs (1)  type\nfare        float32" in found
    assert facts(tmp_path)["inputs"] == [{"name": "fare", "dtype": "float32", "required": True}]


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        ({"train.binpb": "", "eval.binpb": ""}, "statistics"),
        ({"anomalies.pbtxt": "anomaly_info {\n}\n"}, "anomalies"),
        (
            {"task.json": '{"kind": "binary", "label": "tip"}', "schema.pbtxt": ""},
            "transform graph",
        ),
        ({"notes.txt": "x"}, "files"),
    ],
)
def test_other_artifacts(tmp_path, files, kind):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert show(tmp_path).startswith(f"{kind}  {tmp_path}\n")


def test_names_do_not_steer_the_terminal(tmp_path):
    (tmp_path / "schema.pbtxt").write_text('feature {\n  name: "a\x1b]0;title\x07"\n}\n')
    found = show(tmp_path)
    assert "\x1b" not in found and "a\\x1b]0;title\\x07" in found


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "the directory holds no files"),
        ({"_manifest.json": "{"}, "_manifest.json: not a manifest"),
        ({"_manifest.json": '{"version": 9}'}, "version 9 of the manifest"),
        ({"model.json": "[]"}, "model.json: not a JSON object"),
        ({"model.json": "{}"}, "not a model description"),
        ({"split=train/a.parquet": "x"}, "a.parquet: not a Parquet file"),
    ],
)
def test_what_is_damaged_is_named(tmp_path, files, words):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=words) as failure:
        show(tmp_path)
    assert "\n" not in str(failure.value)


def test_nothing_there(tmp_path, s3):  # noqa: F811
    for place in (tmp_path / "absent", f"{s3}/absent"):
        with pytest.raises(UserError, match=r"absent: not found"):
            show(place)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="a file; give the artifact's directory"):
        show(tmp_path / "file")


def test_a_lineage_with_many_ways_to_an_ancestor_is_short(tmp_path, examples):
    """One that doubles in each step would never end."""
    previous = examples
    for number in range(40):
        later = tmp_path / f"step-{number}"
        later.mkdir()
        (later / "file").write_text(str(number))
        lineage.record(later, inputs={"one": previous, "other": previous})
        previous = later
    assert len(show(previous).splitlines()) < 150
    assert Examples(examples).rows()["train"] == 12
