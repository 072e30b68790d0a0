import pytest

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.storage import local_copy, local_files, upload


@pytest.fixture
def folder(tmp_path):
    for name in (
        "b.csv",
        "a.csv",
        "deep/c.csv",
        "_SUCCESS",
        ".hidden",
        "_meta/d.csv",
        "odd[1].csv",
    ):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path / "data"


def names(uri):
    with local_files(uri) as found:
        return [file.path.read_text() for file in found]


def test_a_directory_stands_for_all_files_below_it_but_bookkeeping(folder):
    assert names(str(folder)) == ["a.csv", "b.csv", "deep/c.csv", "odd[1].csv"]
    assert names(f"file://{folder}") == names(str(folder))


def test_a_glob_stands_for_what_it_matches(folder):
    assert names(f"{folder}/*.csv") == ["a.csv", "b.csv", "odd[1].csv"]
    assert names(f"{folder}/**/*.csv") == ["a.csv", "b.csv", "deep/c.csv", "odd[1].csv"]
    assert names(f"{folder}/_m*/*.csv") == ["_meta/d.csv"]
    assert "_SUCCESS" not in names(f"{folder}/*")


def test_a_name_that_exists_is_not_a_pattern(folder):
    assert names(f"{folder}/odd[1].csv") == ["odd[1].csv"]


def test_bookkeeping_is_read_when_asked_for(folder):
    assert names(f"{folder}/_SUCCESS") == ["_SUCCESS"]


@pytest.mark.parametrize("name", ["b.cvs", "nope/*.csv", "empty"])
def test_what_is_not_there_is_named(folder, name):
    (folder / "empty").mkdir()
    with pytest.raises(UserError, match=name.replace("*", ".")), local_files(f"{folder}/{name}"):
        pass


def test_a_missing_file_names_the_closest(folder):
    with pytest.raises(UserError, match=r"Did you mean 'b\.csv'"), local_copy(f"{folder}/b.cvs"):
        pass


def test_local_data_is_used_where_it_lies(folder):
    with local_copy(str(folder)) as path:
        assert path == folder
    assert folder.exists()


def test_upload_replaces_a_local_directory_as_a_whole(folder, tmp_path):
    target = tmp_path / "copy"
    target.mkdir()
    (target / "old").touch()
    upload(folder, str(target))
    assert not (target / "old").exists()
    assert (target / "deep" / "c.csv").read_text() == "deep/c.csv"
    upload(folder / "a.csv", f"file://{tmp_path}/new/a.csv")
    assert (tmp_path / "new" / "a.csv").read_text() == "a.csv"
