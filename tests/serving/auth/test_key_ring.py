"""Keys that are added, withdrawn and broken while the server runs."""

import logging

import pytest

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.serving.auth import keys
from kfp_tabular.serving.auth.key_ring import KeyRing
from tests.serving.auth.mounted_secret import KEY, NEW_KEY, OTHER_KEY


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def ring_of(path, clock, **options):
    return KeyRing(path, clock=clock, sleep=clock.sleep, **options)


def test_a_new_key_works_at_once_and_a_withdrawn_one_for_a_limited_time(secret):
    clock = Clock()
    secret.write(old=KEY)
    ring = KeyRing(secret.mount, check_seconds=5, clock=clock)
    secret.write(old=KEY, new=NEW_KEY)
    clock.now += 1
    assert ring.owner(NEW_KEY.encode()) == "new"
    secret.write(new=NEW_KEY)
    clock.now += 4.9
    assert ring.owner(KEY.encode()) == "old"
    clock.now += 0.1
    assert ring.owner(KEY.encode()) is None
    assert ring.names == ("new",)


def test_unknown_keys_do_not_reload_the_secret_each_time(secret, monkeypatch):
    clock = Clock()
    secret.write(web=KEY)
    ring = KeyRing(secret.mount, clock=clock)
    looks = []
    monkeypatch.setattr(keys, "generation", lambda path: looks.append(path) or ())
    for _ in range(100):
        clock.now += 0.02
        ring.owner(b"guess")
    assert len(looks) <= 3  # before and after reading, and one second later


@pytest.mark.parametrize("content", ["", "nonsense", f"web: {NEW_KEY}\nbatch: short"])
def test_after_a_mistake_in_the_secret_the_previous_keys_stay_valid(tmp_path, caplog, content):
    clock = Clock()
    file = tmp_path / "keys"
    file.write_text(f"web: {KEY}", encoding="utf-8")
    ring = ring_of(file, clock, check_seconds=5)
    file.write_text(content, encoding="utf-8")
    with caplog.at_level(logging.INFO):
        for _ in range(5):
            clock.now += 3
            assert ring.owner(KEY.encode()) == "web"
            assert ring.owner(NEW_KEY.encode()) is None
        file.unlink()
        for _ in range(3):
            clock.now += 3
            assert ring.owner(KEY.encode()) == "web"
            assert ring.owner(NEW_KEY.encode()) is None
        file.write_text(f"web: {NEW_KEY}", encoding="utf-8")
        clock.now += 1
        assert ring.owner(NEW_KEY.encode()) is None
        clock.now += 2
        assert ring.owner(NEW_KEY.encode()) == "web"
        assert ring.owner(KEY.encode()) is None
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR", "INFO"]
    assert KEY not in caplog.text
    assert NEW_KEY not in caplog.text


@pytest.mark.parametrize("replaced", ["in place", "by a rename"])
def test_a_file_is_taken_when_two_looks_find_the_same(tmp_path, replaced):
    clock = Clock()
    file = tmp_path / "keys"
    file.write_text(f"web: {KEY}", encoding="utf-8")
    ring = ring_of(file, clock)
    for text in (f"web: {NEW_KEY[:18]}", f"web: {NEW_KEY[:20]}", f"web: {NEW_KEY}"):
        if replaced == "in place":
            file.write_text(text, encoding="utf-8")
        else:
            (tmp_path / "next").write_text(text, encoding="utf-8")
            (tmp_path / "next").replace(file)
        for _ in range(2):
            clock.now += 1
            assert ring.owner(text[5:].encode()) is None
            assert ring.owner(KEY.encode()) == "web"
    clock.now += 1
    assert ring.owner(NEW_KEY.encode()) == "web"


def test_content_of_the_same_size_and_times_is_compared(tmp_path, monkeypatch):
    clock = Clock()
    file = tmp_path / "keys"
    file.write_text(f"web: {KEY}", encoding="utf-8")
    ring = ring_of(file, clock)
    # As within one tick of the file system's clock.
    monkeypatch.setattr(keys, "generation", lambda _: ("", 1))
    for text in ("a" * 20, "b" * 20, "c" * 20):
        file.write_text(f"web: {text}", encoding="utf-8")
        clock.now += 3
        assert ring.owner(text.encode()) is None
    clock.now += 3
    assert ring.owner(b"c" * 20) == "web"


def test_half_of_a_swapped_secret_is_never_read(secret, monkeypatch):
    """Kubernetes swaps the link after the directory was listed and before a file is read."""
    secret.write(web=KEY, batch=OTHER_KEY)
    clock = Clock()
    ring = KeyRing(secret.mount, clock=clock)
    read = keys._text

    def swap(file):
        monkeypatch.undo()
        secret.write(web="x" * 20, batch="y" * 20)
        return read(file)

    secret.write(web=NEW_KEY, batch=OTHER_KEY + "-2")
    monkeypatch.setattr(keys, "_text", swap)
    clock.now += 1
    ring.owner(b"guess")
    assert ring.owner(KEY.encode()) == "web"
    clock.now += 1
    assert ring.owner(b"x" * 20) == "web"
    assert ring.owner(b"y" * 20) == "batch"


def test_a_server_does_not_start_with_a_part_of_its_keys(tmp_path):
    clock = Clock()
    file = tmp_path / "keys"
    file.write_text(f"web: {KEY[:18]}", encoding="utf-8")

    def finish(seconds):
        if clock.now == 100:
            file.write_text(f"web: {KEY}", encoding="utf-8")
        clock.now += seconds

    ring = KeyRing(file, clock=clock, sleep=finish)
    assert ring.owner(KEY.encode()) == "web"
    assert ring.owner(KEY[:18].encode()) is None


def test_keys_that_are_written_again_and_again_are_refused_at_the_start(tmp_path):
    clock = Clock()
    file = tmp_path / "keys"
    file.write_text(f"web: {KEY}", encoding="utf-8")

    def write_again(seconds):
        clock.now += seconds
        file.write_text(f"web: {KEY}-{clock.now}", encoding="utf-8")

    with pytest.raises(UserError, match="by a rename"):
        KeyRing(file, clock=clock, sleep=write_again)


def test_a_directory_of_too_many_files_is_not_read(tmp_path):
    for number in range(keys.MOST_KEYS + 1):
        (tmp_path / f"k{number}").write_text(f"{KEY}-{number}", encoding="utf-8")
    with pytest.raises(UserError, match="more than 256 files"):
        KeyRing(tmp_path)
