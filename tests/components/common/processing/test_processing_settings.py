"""The `processing` document: what it accepts, and what it says of the rest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.processing import engines, processing_settings
from kfp_tabular.components.common.processing.processing_settings import (
    DATA_TASKS,
    BeamSettings,
    LocalSettings,
    SparkSettings,
    parse,
)


def test_nothing_means_threads_of_this_machine() -> None:
    assert parse({}) == LocalSettings()
    assert parse({"engine": "local", "threads": 3.0}) == LocalSettings(threads=3)


def test_spark_has_settings_of_its_own() -> None:
    found = parse(
        {
            "engine": "spark",
            "master": "spark://a:7077,b:7077",
            "cores": 8,
            "executor_memory": "4g",
            "conf": {"spark.local.dir": "/scratch"},
            "shards_uri": "s3://bucket/shards",
        }
    )

    assert found == SparkSettings(
        master="spark://a:7077,b:7077",
        cores=8,
        executor_memory="4g",
        conf={"spark.local.dir": "/scratch"},
        shards_uri="s3://bucket/shards",
    )
    assert not found.is_local
    assert parse({"engine": "spark"}).is_local  # type: ignore[union-attr]


def test_beam_has_settings_of_its_own() -> None:
    options = {"job_endpoint": "flink:8099", "experiments": ["a", "b"], "no_use": True}
    document = {
        "engine": "beam",
        "runner": "PortableRunner",
        "temp_location": "s3://bucket/beam",
        "options": options,
    }

    assert parse(document) == BeamSettings(
        runner="PortableRunner", temp_location="s3://bucket/beam", options=options
    )
    assert parse({"engine": "beam"}) == BeamSettings()


def test_beam_without_its_package_is_refused_before_any_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    with (
        pytest.raises(UserError, match=r"engine beam needs apache_beam.*images tensorflow, tfdv"),
        engines.opened({"engine": "beam"}),
    ):
        pass


def test_a_task_has_the_document_that_names_it() -> None:
    document = {
        "engine": "spark",
        "tasks": {"ingest-data": "local", "evaluate-model": {"engine": "spark", "cores": 2}},
    }

    assert parse(document, "ingest-data") == LocalSettings()
    assert parse(document, "evaluate-model") == SparkSettings(cores=2)
    assert parse(document, "validate-data") == SparkSettings()


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (
            {"engine": "sparc"},
            "processing.engine: expected local, spark or beam, found 'sparc'. Did you mean "
            "'spark'?",
        ),
        (
            {"master": "spark://a:7077"},
            "processing (local): unknown key 'master'. Known: shards_uri, threads.",
        ),
        (
            {"engine": "spark", "mster": "x"},
            "processing (spark): unknown key 'mster'. Did you mean",
        ),
        ({"engine": "spark", "master": "yarn"}, "processing (spark).master: expected local[*]"),
        (
            {"engine": "spark", "master": "spark://host"},
            "expected local[*], local[4], k8s or an address",
        ),
        ({"engine": "spark", "executor_memory": "4Gi"}, "such as 800m or 4g, found '4Gi'."),
        ({"engine": "spark", "conf": {"ui": "1"}}, "'ui' is not a Spark setting: those begin with"),
        (
            {"engine": "spark", "conf": {"spark.master": "x"}},
            "'spark.master' is set by the engine; use a key of processing instead",
        ),
        (
            {"engine": "beam", "runner": "SparkRunner"},
            "processing (beam).runner: expected DirectRunner, PrismRunner, PortableRunner, "
            "FlinkRunner or DataflowRunner, found 'SparkRunner'.",
        ),
        (
            {"engine": "beam", "runner": "DataflowRunner"},
            "processing (beam): DataflowRunner needs temp_location: a path or URI",
        ),
        (
            {"engine": "beam", "runner": "PortableRunner", "temp_location": "/shared"},
            "PortableRunner needs options.job_endpoint, such as host:8099.",
        ),
        (
            {"engine": "beam", "runner": "PrismRunner"},
            "PrismRunner needs options.prism_location, the path of the program prism: nothing is "
            "downloaded.",
        ),
        (
            {
                "engine": "beam",
                "runner": "PrismRunner",
                "options": {"prism_location": "/prism", "environment_type": "EXTERNAL"},
            },
            "processing (beam): PrismRunner needs temp_location: a path or URI",
        ),
        ({"engine": "beam", "temp_location": "tmp"}, "expected an absolute path or a gs://"),
        (
            {"engine": "beam", "options": {"--region": "x"}},
            "'--region' is no option of Beam; write job_endpoint, not --job-endpoint",
        ),
        ({"engine": "beam", "options": {"runner": "x"}}, "'runner' is set by the engine"),
        ({"engine": "beam", "options": {"setup_file": "x"}}, "'setup_file': nothing is staged"),
        (
            {"engine": "beam", "options": {"region": {"a": 1}}},
            "'region': expected a text, a number, true, false or a list",
        ),
        ({"engine": "beam", "master": "x"}, "processing (beam): unknown key 'master'."),
        ({"threads": -1}, "processing (local).threads: expected 0 to 256, found -1."),
        ({"shards_uri": "bucket"}, "expected an absolute path or a gs://, s3:// or minio:// URI"),
        ({"tasks": {"train-model": "local"}}, "processing.tasks: unknown key 'train-model'."),
        (
            {"tasks": {"ingest-data": {"thread": 1}}},
            "processing.tasks.ingest-data (local): unknown",
        ),
        ({"tasks": "local"}, "processing.tasks: expected keys and values, found 'local'."),
        ({"engine": 3}, "processing.engine: expected local, spark or beam, found '3'."),
    ],
)
def test_what_does_not_fit_is_named(document: dict[str, object], message: str) -> None:
    with pytest.raises(UserError) as error:
        parse(document)

    assert message in str(error.value)


@given(
    document=st.dictionaries(
        st.text(), st.one_of(st.none(), st.text(), st.floats(), st.lists(st.text()))
    )
)
def test_any_document_is_accepted_or_refused_in_one_line(document: dict[str, object]) -> None:
    try:
        parse(document)
    except UserError as error:
        assert str(error).startswith("processing")


def test_the_tasks_are_those_of_the_pipelines() -> None:
    from kfp_tabular.components import COMPONENTS

    assert {task.replace("-", "_") for task in DATA_TASKS} < set(COMPONENTS)


def test_spark_without_pyspark_is_refused_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.delenv("SPARK_HOME", raising=False)

    with (
        pytest.raises(UserError, match=r"needs pyspark.*image: spark.*kfp-tabular setup spark"),
        engines.opened({"engine": "spark"}),
    ):
        pass


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n", "is Java 11"),
        ("#!/bin/sh\nexit 1\n", "does not run"),
        (None, "there is no java on PATH"),
    ],
)
def test_spark_without_java_17_is_refused_before_any_work(
    monkeypatch: pytest.MonkeyPatch, tmp_path, program: str | None, message: str
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    if program is not None:
        (tmp_path / "java").write_text(program.replace("echo", "/bin/echo"))
        (tmp_path / "java").chmod(0o755)

    with (
        pytest.raises(UserError, match=rf"Java 17 or later, and .*{message}.*openjdk-17-jre"),
        engines.opened({"engine": "spark"}),
    ):
        pass


def test_the_engines_are_those_of_the_document() -> None:
    assert processing_settings.ENGINES == ("local", "spark", "beam")
