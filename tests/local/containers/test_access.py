"""What a container can see."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.pipelines.local.containers import access
from kfp_tabular.pipelines.local.containers.engine import Mount


def seen(arguments: dict[str, Any], output: Path, *user_code: Path) -> list[Mount]:
    return access.mounts(arguments, output, user_code)


def test_a_run_sees_its_folder_and_the_data(tmp_path: Path) -> None:
    data, output = tmp_path / "data.csv", tmp_path / "out"
    data.write_text("a\n1\n")
    output.mkdir()

    found = seen({"data_uri": str(data), "label": "a", "csv_delimiter": "/"}, output)

    assert found == [Mount(output, output, writable=True), Mount(data, data)]


@pytest.mark.parametrize("form", ["{}", "file://{}", "{}/*.csv", "{}/**/part-[0-9].csv", "{}/./"])
def test_a_folder_is_seen_in_whatever_form_it_is_named(tmp_path: Path, form: str) -> None:
    folder, output = tmp_path / "many", tmp_path / "out"
    folder.mkdir()

    found = seen({"data_uri": form.format(folder)}, output)

    assert found[1:] == [Mount(folder, folder)]


def test_what_lies_in_another_folder_is_not_mounted_twice(tmp_path: Path) -> None:
    output = tmp_path / "out"
    (output / "models").mkdir(parents=True)
    (tmp_path / "data").mkdir()
    (tmp_path / "data/more").mkdir()

    found = seen(
        {
            "model_repository": str(output / "models"),
            "data_uri": str(tmp_path / "data/more"),
            "schema_uri": str(tmp_path / "data"),
        },
        output,
    )

    assert [mount.source for mount in found] == [output, tmp_path / "data"]


def test_what_tasks_write_elsewhere_is_made_and_writable(tmp_path: Path) -> None:
    output, models = tmp_path / "out", tmp_path / "elsewhere/models"

    found = seen({"model_repository": f"file://{models}", "checkpoint_uri": "gs://b/c"}, output)

    assert models.is_dir()
    assert Mount(models, models, writable=True) in found
    assert len(found) == 2


def test_what_is_not_there_is_left_to_the_task_to_complain_of(tmp_path: Path) -> None:
    assert seen({"data_uri": str(tmp_path / "nowhere.csv")}, tmp_path / "out")[1:] == []


def test_the_whole_file_system_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="whole file system"):
        seen({"data_uri": "/*.csv"}, tmp_path / "out")


def test_code_of_ones_own_is_seen_where_a_function_is_named(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    for folder in (first, second):
        folder.mkdir()
    output = tmp_path / "out"

    assert access.search_path(seen({"model_fn": ""}, output, first)) == ""
    found = seen({"model_fn": "m:f"}, output, first, second, first, tmp_path / "nowhere")
    assert access.search_path(found) == "/mnt/user-code/0:/mnt/user-code/1"
    assert not any(mount.writable for mount in found[1:])


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"data_uri": "/data/x.csv", "seed": 3, "backend": "local"}, "none"),
        ({"data_uri": "file:///data/x.csv", "split_keys": ["a"]}, "none"),
        ({"data_uri": "gs://bucket/x.csv"}, "bridge"),
        ({"data_uri": "minio://bucket/x.csv"}, "bridge"),
        ({"nested": {"list": ["s3://bucket"]}}, "bridge"),
        ({"backend": "tfjob"}, "bridge"),
        ({}, "none"),
    ],
)
def test_only_what_is_elsewhere_needs_a_network(
    parameters: dict[str, Any], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(access.NETWORK, raising=False)
    assert access.network(parameters) == expected


def test_the_network_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(access.NETWORK, "host")
    assert access.network({"data_uri": "s3://b/c"}) == "host"
    assert access.network({"data_uri": "/b/c"}) == "none"


def test_credentials_are_those_of_object_stores(tmp_path: Path) -> None:
    key = tmp_path / "key.json"
    key.write_text("{}")
    environment = {
        "AWS_SECRET_ACCESS_KEY": "x",
        "GOOGLE_APPLICATION_CREDENTIALS": str(key),
        "https_proxy": "http://proxy:3128",
        "HOME": "/root",
        "DATABASE_PASSWORD": "x",
        "MY_AWS_KEY": "x",
    }

    assert access.forwarded(environment) == [
        "AWS_SECRET_ACCESS_KEY",
        "GOOGLE_APPLICATION_CREDENTIALS",
        "https_proxy",
    ]
    assert access.credential_mounts(environment) == [Mount(key, key)]


@given(
    st.recursive(
        st.text() | st.integers() | st.none() | st.booleans(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_argument_can_be_looked_at(value: Any) -> None:
    if isinstance(value, str) and "://" in value:
        return
    output = Path("/nowhere/out")
    try:
        found = access.mounts({"value": value}, output, [])
    except UserError:
        return
    assert found[0] == Mount(output, output, writable=True)
