import pytest

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.serving.model.model_repository import ServedModelSource, find_model_source


@pytest.fixture
def repository(tmp_path):
    for version in ("1", "9", "10", ".11.partial-ab12", "2024-backup"):
        directory = tmp_path / "repo" / "fraud" / version
        directory.mkdir(parents=True)
        (directory / "saved_model.pb").touch()
        (directory / "model.json").touch()
    return tmp_path / "repo"


def versions(source):
    return [(found.directory, found.version) for found in source.versions()]


def test_the_versions_of_a_model_come_with_the_highest_number_first(repository):
    source = find_model_source(repository / "fraud")
    assert source == ServedModelSource(repository / "fraud", "fraud", has_versions=True)
    assert [found.version for found in source.versions()] == ["10", "9", "1"]
    assert source.versions()[0].directory == repository / "fraud" / "10"


def test_a_single_version_has_its_models_name_and_is_not_watched(repository):
    source = find_model_source(repository / "fraud" / "9")
    assert source == ServedModelSource(repository / "fraud" / "9", "fraud", has_versions=False)
    assert versions(source) == [(repository / "fraud" / "9", "9")]


def test_a_directory_outside_of_a_repository_has_the_default_name_and_no_version(tmp_path):
    (tmp_path / "model.json").touch()
    source = find_model_source(tmp_path)
    assert source == ServedModelSource(tmp_path, "model", has_versions=False)
    assert versions(source) == [(tmp_path, None)]


def test_a_fingerprint_changes_with_the_files(repository):
    source = find_model_source(repository / "fraud")
    before = source.versions()
    assert source.versions() == before
    (repository / "fraud" / "10" / "variables").mkdir()
    assert source.versions() == before
    (repository / "fraud" / "10" / "variables" / "index").write_bytes(b"x")
    after = source.versions()
    assert after[0] != before[0]
    assert after[1:] == before[1:]


def test_an_unreachable_repository_has_no_versions(repository):
    source = find_model_source(repository / "fraud")
    (repository / "fraud").rename(repository / "gone")
    assert source.versions() == []


def test_the_given_name_wins(repository):
    assert find_model_source(repository / "fraud", "cards-v2").name == "cards-v2"


@pytest.mark.parametrize("name", ["a/b", "a:predict", "-x", "ü", "a b", "\n"])
def test_a_name_must_fit_into_a_path(repository, name):
    with pytest.raises(UserError, match="--name"):
        find_model_source(repository / "fraud", name)


def test_a_relative_path_has_its_models_name(repository, monkeypatch):
    monkeypatch.chdir(repository / "fraud" / "9")
    assert find_model_source(".") == ServedModelSource(
        repository / "fraud" / "9", "fraud", has_versions=False
    )


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere", "not found"),
        ("file", "not a directory"),
        ("empty", "no model found"),
        ("repo", "no model found.*Choose one of its models: fraud"),
    ],
)
def test_the_error_without_a_model_names_what_was_found(repository, path, message):
    (repository.parent / "file").touch()
    (repository.parent / "empty").mkdir()
    with pytest.raises(UserError, match=message):
        find_model_source(repository.parent / path)
