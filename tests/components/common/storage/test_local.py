import os
from pathlib import Path

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


def test_a_partition_is_data_whatever_its_column_is_called(folder):
    (folder / "_of=EU").mkdir()
    (folder / "_of=EU" / "0.csv").write_text("_of=EU/0.csv")
    assert "_of=EU/0.csv" in names(str(folder))


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


def listed(uri):
    with local_files(str(uri)) as found:
        return [str(file.path.relative_to(Path(uri).parent)) for file in found]


def test_links_are_followed_once(tmp_path):
    folder = tmp_path / "data"
    (folder / "2024").mkdir(parents=True)
    (folder / "2024" / "a.csv").write_text("a")
    (folder / "2024" / "up").symlink_to(folder)
    (folder / "2024" / "_hidden").symlink_to(folder)
    (folder / "again").symlink_to("2024")
    (folder / "latest.csv").symlink_to("2024/a.csv")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "b.csv").write_text("b")
    (folder / "more").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "link").symlink_to(folder)
    assert listed(folder) == ["data/2024/a.csv", "data/more/b.csv"]
    assert listed(tmp_path / "link") == ["link/2024/a.csv", "link/more/b.csv"]
    with local_files(f"{tmp_path}/link/**") as found:
        assert [file.path.name for file in found] == ["a.csv", "b.csv"]
    (folder / "gone.csv").symlink_to("nowhere.csv")
    with pytest.raises(UserError, match=r"gone.csv: this is a link to nowhere.csv, which does not"):
        listed(folder)


def test_names_that_are_not_text(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / os.fsdecode(b"caf\xe9.csv")).write_text("a")
    with local_files(str(tmp_path / "data")) as found:
        assert [file.uri for file in found] == [f"{tmp_path}/data/caf\\xe9.csv"]
        assert found[0].path.read_text() == "a"


def test_what_is_not_a_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / ".a.csv").write_text("a")
    for uri, words in {
        tmp_path / "pipe": "pipe: this is a named pipe. Write the data to a file",
        "/dev/null": "/dev/null: this is a device",
        tmp_path / "circle": "circle: cannot be read: symbolic links in a circle",
        tmp_path / ("x" * 300): "cannot be read: File name too long",
        f"{tmp_path}/a\0b": "cannot be read: embedded null",
        tmp_path / "hidden": "no files, except those whose names start with",
        tmp_path / "hidden" / ".a.csv" / "b": "not found",
    }.items():
        with pytest.raises(UserError, match=words), local_files(str(uri)):
            pass


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become someone else")
def test_what_may_not_be_read(tmp_path):
    folder = tmp_path / "data"
    (folder / "closed").mkdir(parents=True)
    (folder / "a.csv").write_text("a")
    for parent in (tmp_path, *tmp_path.parents[:2]):
        parent.chmod(0o755)
    os.seteuid(65534)
    try:
        for path in (folder / "a.csv", folder / "closed", folder):
            os.seteuid(0)
            path.chmod(0o000)
            os.seteuid(65534)
            with pytest.raises(
                UserError, match=f"{path}: cannot be read: permission denied to uid"
            ):
                listed(path if path.is_file() else folder)
            os.seteuid(0)
            path.chmod(0o755)
            os.seteuid(65534)
    finally:
        os.seteuid(0)
