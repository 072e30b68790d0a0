import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_tabular.components.common.artifacts import lineage


@pytest.fixture
def artifact(tmp_path):
    path = tmp_path / "artifact"
    (path / "split=train").mkdir(parents=True)
    (path / "split=train" / "part-00000.parquet").write_bytes(b"rows")
    (path / "task.json").write_text("{}")
    return path


def changed(path, change):
    before = lineage.digest(path)
    change(path)
    return lineage.digest(path) != before


def test_a_files_digest_is_that_of_its_content(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"abc")
    # As in FIPS 180-2, appendix B.1.
    expected = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert lineage.digest(file) == lineage.digest_file(file) == expected


@pytest.mark.parametrize(
    "change",
    [
        lambda path: (path / "task.json").write_text("[]"),
        lambda path: (path / "task.json").rename(path / "other.json"),
        lambda path: (path / "task.json").rename(path / "split=train" / "task.json"),
        lambda path: (path / "task.json").unlink(),
        lambda path: (path / "split=train" / "part-00001.parquet").touch(),
        # A vocabulary is named after its column, which may begin with anything.
        lambda path: (path / "split=train" / "_id").touch(),
        lambda path: (path / "split=train" / ".hidden").touch(),
    ],
)
def test_content_and_names_count(artifact, change):
    assert changed(artifact, change)


@pytest.mark.parametrize(
    "change",
    [
        lambda path: (path / "_lineage.json").touch(),
        lambda path: (path / ".partial").touch(),
        lambda path: (path / "_logs").mkdir(),
        lambda path: (path / "empty").mkdir(),
        lambda path: path.chmod(0o700),
    ],
)
def test_bookkeeping_does_not_count(artifact, change):
    assert not changed(artifact, change)


def test_a_directorys_digest_does_not_depend_on_where_it_is(artifact, tmp_path):
    before = lineage.digest(artifact)
    assert lineage.digest(artifact.rename(tmp_path / "elsewhere")) == before


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.dictionaries(
            st.text("ab", min_size=1, max_size=3), st.binary(max_size=3), min_size=1, max_size=3
        ),
        min_size=2,
        max_size=2,
        unique_by=lambda files: tuple(sorted(files.items())),
    )
)
def test_different_directories_have_different_digests(tmp_path_factory, contents):
    digests = set()
    for files in contents:
        path = tmp_path_factory.mktemp("artifact")
        for name, content in files.items():
            (path / name).write_bytes(content)
        digests.add(lineage.digest(path))
    assert len(digests) == 2


def test_what_is_not_there_has_no_digest(tmp_path):
    with pytest.raises(FileNotFoundError):
        lineage.digest(tmp_path / "absent")


def test_lineage_goes_back_through_all_inputs(artifact, tmp_path):
    source = tmp_path / "data.csv"
    source.write_text("a,b\n")
    first = lineage.record(artifact, inputs={"data": source}, rows={"train": 3}, seed=7)
    later = tmp_path / "later"
    later.mkdir()
    (later / "file").touch()
    second = lineage.record(
        later, inputs={"examples": artifact}, libraries=["pyarrow"], extra={"label": "ü"}
    )

    assert first["inputs"] == {"data": lineage.digest(source)}
    assert second["inputs"] == {"examples": first["digest"]}
    assert set(second["ancestors"]) == {first["digest"], lineage.digest(source)}
    ancestor = second["ancestors"][first["digest"]]
    assert (ancestor["rows"], ancestor["seed"]) == ({"train": 3}, 7)
    assert ancestor["inputs"] == first["inputs"]
    assert (first["rows"], first["seed"]) == ({"train": 3}, 7)
    assert first["digest"] == lineage.digest(artifact)
    assert set(second["versions"]) == {"python", "kfp-tabular", "pyarrow"}
    assert not {"rows", "seed"} & set(second)
    assert lineage.read(later) == second
    assert json.loads(json.dumps(second)) == second


def test_recording_again_gives_the_same(artifact):
    first = lineage.record(artifact, inputs={})
    text = (artifact / "_lineage.json").read_bytes()
    assert lineage.record(artifact, inputs={}) == first
    assert (artifact / "_lineage.json").read_bytes() == text


def test_a_foreign_artifacts_lineage_is_its_digest(artifact):
    assert lineage.read(artifact) == {"digest": lineage.digest(artifact)}


def test_lineage_does_not_grow_with_the_ways_to_an_ancestor(artifact, tmp_path):
    """Each artifact has the facts of an ancestor once, however many paths lead to it."""
    lineage.record(artifact, inputs={}, extra={"sources": "x" * 1000})
    previous = [artifact]
    for number in range(6):
        later = tmp_path / f"later{number}"
        later.mkdir()
        (later / "file").write_text(str(number))
        made = lineage.record(later, inputs={path.name: path for path in previous})
        previous.append(later)

    assert json.dumps(made).count("x" * 1000) == 1
    assert len(made["ancestors"]) == len(previous) - 1


def test_metadata_stays_short(artifact, tmp_path):
    """A Workflow holds it six times for each task that reads the artifact."""
    many = {f"split-{number}": 2 for number in range(100)}
    sources = {"sources": [{"uri": f"gs://bucket/{number}.csv"} for number in range(1000)]}
    lineage.record(artifact, inputs={}, rows=many, extra=sources)
    later = tmp_path / "later"
    later.mkdir()
    made = lineage.record(later, inputs={"examples": artifact}, rows=many, seed=7)

    metadata = lineage.metadata(made)

    assert metadata["inputs"] == {"examples": lineage.read(artifact)["digest"]}
    assert (metadata["rows"], metadata["seed"]) == ({"all splits": 200}, 7)
    assert metadata["kfp-tabular"] == made["versions"]["kfp-tabular"]
    assert len(json.dumps(metadata)) < 400
    assert lineage.metadata({"digest": "sha256:00"}) == {"digest": "sha256:00"}
