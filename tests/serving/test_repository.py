import pytest

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.serving.repository import Found, find


@pytest.fixture
def repository(tmp_path):
    for version in ("1", "9", "10", ".11.partial-ab12", "2024-backup"):
        directory = tmp_path / "repo" / "fraud" / version
        directory.mkdir(parents=True)
        (directory / "saved_model.pb").touch()
        (directory / "model.json").touch()
    return tmp_path / "repo"


def test_the_newest_version_is_the_one_with_the_highest_number(repository):
    assert find(repository / "fraud") == Found(repository / "fraud" / "10", "fraud", "10")


def test_a_version_is_served_under_its_models_name(repository):
    assert find(repository / "fraud" / "9") == Found(repository / "fraud" / "9", "fraud", "9")


def test_a_directory_outside_of_a_repository_has_the_default_name_and_no_version(tmp_path):
    (tmp_path / "model.json").touch()
    assert find(tmp_path) == Found(tmp_path, "model", None)


def test_the_given_name_wins(repository):
    assert find(repository / "fraud", "cards-v2").name == "cards-v2"


@pytest.mark.parametrize("name", ["a/b", "a:predict", "-x", "ü", "a b", "\n"])
def test_a_name_must_fit_into_a_path(repository, name):
    with pytest.raises(UserError, match="model name"):
        find(repository / "fraud", name)


def test_a_relative_path_knows_its_models_name(repository, monkeypatch):
    monkeypatch.chdir(repository / "fraud" / "9")
    assert find(".") == Found(repository / "fraud" / "9", "fraud", "9")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere", "not found"),
        ("file", "not a directory"),
        ("empty", "no model here"),
        ("repo", "no model here.*Give one of its models: fraud"),
    ],
)
def test_where_there_is_no_model_the_error_says_what_is_there(repository, path, message):
    (repository.parent / "file").touch()
    (repository.parent / "empty").mkdir()
    with pytest.raises(UserError, match=message):
        find(repository.parent / path)
