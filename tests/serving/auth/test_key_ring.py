"""Keys that are added, withdrawn and broken while the server runs."""

import logging

import pytest

from kfp_tabular.serving.auth import keys
from kfp_tabular.serving.auth.key_ring import KeyRing
from tests.serving.auth.mounted_secret import KEY, NEW_KEY


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


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
    assert len(looks) <= 2


@pytest.mark.parametrize("content", ["", "nonsense", f"web: {NEW_KEY}\nbatch: short"])
def test_after_a_mistake_in_the_secret_the_previous_keys_stay_valid(tmp_path, caplog, content):
    clock = Clock()
    file = tmp_path / "keys"
    file.write_text(f"web: {KEY}", encoding="utf-8")
    ring = KeyRing(file, check_seconds=5, clock=clock)
    file.write_text(content, encoding="utf-8")
    with caplog.at_level(logging.INFO):
        for _ in range(5):
            clock.now += 6
            assert ring.owner(KEY.encode()) == "web"
            assert ring.owner(NEW_KEY.encode()) is None
        file.unlink()
        clock.now += 6
        assert ring.owner(KEY.encode()) == "web"
        file.write_text(f"web: {NEW_KEY}", encoding="utf-8")
        clock.now += 6
        assert ring.owner(NEW_KEY.encode()) == "web"
        assert ring.owner(KEY.encode()) is None
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR", "INFO"]
    assert KEY not in caplog.text
    assert NEW_KEY not in caplog.text
