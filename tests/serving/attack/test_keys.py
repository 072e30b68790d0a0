"""Key files that are rewritten while clients guess: no part of a key is ever a key."""

import json
import os
import random
import threading
import time
import urllib.error
import urllib.request

from kfp_tabular.serving.auth.key_ring import SETTLE_SECONDS, KeyRing
from tests.serving.attack.served import READY

KEYS = [f"{letter * 8}-geheim-{letter * 24}" for letter in "abcd"]


def in_place(file, text, pause):
    with file.open("w", encoding="utf-8") as stream:
        for start in range(0, len(text), 3):
            stream.write(text[start : start + 3])
            stream.flush()
            time.sleep(pause())


def over_the_old(file, text, pause):
    """Write without cutting the file off first: its size stays, and it mixes two keys."""
    with file.open("r+", encoding="utf-8") as stream:
        for start in range(0, len(text), 3):
            stream.write(text[start : start + 3])
            stream.flush()
            time.sleep(pause())


def removed_first(file, text, pause):
    file.unlink()
    time.sleep(pause())
    in_place(file, text, pause)


def renamed(file, text, pause):
    """Write the pieces elsewhere, and put each into place by a rename."""
    other = file.with_name("other")
    for end in range(16, len(text) + 8, 8):
        other.write_text(text[:end], encoding="utf-8")
        other.replace(file)
        time.sleep(pause())


class Rewritten:
    """A key file that is written again and again, and the key ring that follows it."""

    def __init__(self, directory, write, form):
        directory.mkdir()
        self.file = directory / "web"
        self.write = write
        self.form = form
        self.file.write_text(self.text(KEYS[0]), encoding="utf-8")
        old = time.time() - 60
        os.utime(self.file, (old, old))
        path = directory if form == "directory" else self.file
        self.ring = KeyRing(path, check_seconds=0.05, sleep=lambda _: None)
        self.ended = threading.Event()
        self.writer = threading.Thread(target=self.rewrite)

    def text(self, key):
        if self.form == "json":
            return json.dumps({"web": key})
        return key if self.form == "directory" else f"web: {key}\n"

    def rewrite(self):
        chance = random.Random(7)
        number = 0
        while not self.ended.is_set():
            number += 1
            text = self.text(KEYS[number % len(KEYS)])
            self.write(self.file, text, lambda: chance.uniform(0, 0.1))


def test_no_part_of_a_key_is_accepted_while_it_is_written(tmp_path):
    cases = [
        Rewritten(tmp_path / f"{write.__name__} {form}", write, form)
        for write in (in_place, over_the_old, removed_first, renamed)
        for form in ("lines", "json", "directory")
    ]
    for case in cases:
        case.writer.start()
    mixed = [KEYS[0][:cut] + KEYS[-1][cut:] for cut in range(1, 8, 2)]
    guesses = mixed + [key[:end] for key in KEYS for end in range(16, len(key), 3)]
    accepted, guessed = [], 0
    end = time.monotonic() + 2 * SETTLE_SECONDS
    while time.monotonic() < end:
        for case in cases:
            for guess in guesses:
                guessed += 1
                if case.ring.owner(guess.encode()) is not None:
                    accepted.append((case.write.__name__, case.form, guess))
    for case in cases:
        case.ended.set()
        case.writer.join()
    assert accepted == []
    assert guessed > 1000
    for case in cases:
        case.file.write_text(case.text(KEYS[3]), encoding="utf-8")
    end = time.monotonic() + 30
    while None in [case.ring.owner(KEYS[3].encode()) for case in cases]:
        assert time.monotonic() < end, "the finished key is not accepted"
        time.sleep(0.1)
    assert not any(case.ring.owner(KEYS[0].encode()) for case in cases)


def status(server, key):
    request = urllib.request.Request(f"{server.url}/v1/models", headers={"x-api-key": key})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_a_server_keeps_its_keys_whatever_happens_to_the_file(attacked, tmp_path):
    file = tmp_path / "keys"
    file.write_text(f"web: {KEYS[0]}\n", encoding="utf-8")
    server = attacked("--auth-keys", file, "--grpc-port", "off")

    def binary():
        file.write_bytes(os.urandom(4096))

    def huge():
        with file.open("wb") as stream:
            stream.truncate(2**40)

    def pipe():
        file.unlink(missing_ok=True)
        os.mkfifo(file)

    def loop():
        file.unlink(missing_ok=True)
        file.symlink_to(file)

    def device():
        file.unlink(missing_ok=True)
        file.symlink_to("/dev/zero")

    def empty():
        file.unlink(missing_ok=True)
        file.touch()

    with server.probing(READY) as prober:
        for mistake in (binary, huge, pipe, loop, device, empty):
            mistake()
            for _ in range(2):
                assert status(server, KEYS[0]) == 200
                assert status(server, KEYS[1]) == 401
                time.sleep(0.5)
        file.write_text(f"web: {KEYS[1]}", encoding="utf-8")
        end = time.monotonic() + 30
        while status(server, KEYS[1]) != 200:
            assert time.monotonic() < end, server.log
            time.sleep(0.2)
        assert status(server, KEYS[0]) == 401
    assert prober.failures == []
    assert prober.longest < 10
    assert not any(key[:12] in server.log for key in KEYS)
