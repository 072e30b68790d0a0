import pytest

from kfp_tabular.components.common import files


def content(directory):
    return {
        str(path.relative_to(directory)): path.read_text()
        for path in directory.rglob("*")
        if path.is_file()
    }


def test_a_directory_appears_whole(tmp_path):
    final = tmp_path / "deep" / "er" / "artifact"
    with files.atomic_directory(final) as partial:
        (partial / "sub").mkdir()
        (partial / "sub" / "file").write_text("x")
        assert not final.exists()
        assert partial.parent == final.parent
    assert content(tmp_path) == {"deep/er/artifact/sub/file": "x"}


def test_what_was_there_is_replaced(tmp_path):
    final = tmp_path / "artifact"
    final.mkdir()
    (final / "old").write_text("old")
    with files.atomic_directory(final) as partial:
        (partial / "new").write_text("new")
        assert content(final) == {"old": "old"}
    assert content(tmp_path) == {"artifact/new": "new"}


def test_a_file_there_is_replaced(tmp_path):
    final = tmp_path / "artifact"
    final.write_text("old")
    with files.atomic_directory(final) as partial:
        (partial / "new").write_text("new")
    assert content(tmp_path) == {"artifact/new": "new"}


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_a_failure_leaves_what_was_there_and_nothing_else(tmp_path, error):
    final = tmp_path / "artifact"
    final.mkdir()
    (final / "old").write_text("old")
    with pytest.raises(error), files.atomic_directory(final) as partial:
        (partial / "new").write_text("new")
        raise error
    assert content(tmp_path) == {"artifact/old": "old"}
    assert [path.name for path in tmp_path.iterdir()] == ["artifact"]


def test_a_link_is_replaced_and_what_it_points_to_stays(tmp_path):
    target = tmp_path / "target"
    target.mkdir()
    (target / "kept").write_text("kept")
    link = tmp_path / "link"
    link.symlink_to(target, target_is_directory=True)
    with files.atomic_directory(link) as partial:
        (partial / "new").write_text("new")
    assert not link.is_symlink()
    assert content(target) == {"kept": "kept"}


def test_two_writers_at_once_do_not_mix(tmp_path):
    final = tmp_path / "artifact"
    with files.atomic_directory(final) as first, files.atomic_directory(final) as second:
        assert first != second
        (first / "first").write_text("1")
        (second / "second").write_text("2")
    assert content(tmp_path) == {"artifact/first": "1"}


def test_text_is_written_as_utf8_over_what_was_there(tmp_path):
    file = tmp_path / "deep" / "file.json"
    files.write_text(file, "old")
    files.write_text(file, "neü\n店")
    assert file.read_bytes() == "neü\n店".encode()
    assert [path.name for path in file.parent.iterdir()] == ["file.json"]


def test_text_that_cannot_be_written_leaves_what_was_there(tmp_path):
    file = tmp_path / "file"
    files.write_text(file, "old")
    with pytest.raises(UnicodeEncodeError):
        files.write_text(file, "\ud800")
    assert content(tmp_path) == {"file": "old"}


def test_removing_what_is_not_there_does_nothing(tmp_path):
    files.remove(tmp_path / "absent")


def test_removing_a_link_keeps_its_target(tmp_path):
    (tmp_path / "target").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "target")
    files.remove(tmp_path / "link")
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


def test_links_and_devices_stay(tmp_path):
    (tmp_path / "there").write_text("old")
    (tmp_path / "link").symlink_to("there")
    files.write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there").read_text() == "new"
    # A link to a device, so that a mistake would replace only the link.
    (tmp_path / "null").symlink_to("/dev/null")
    files.write_text(tmp_path / "null", "gone")
    assert (tmp_path / "null").is_char_device()
    with pytest.raises(NotADirectoryError), files.atomic_directory(tmp_path / "null"):
        pass
    assert (tmp_path / "null").is_char_device()
