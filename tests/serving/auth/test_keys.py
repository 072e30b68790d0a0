"""Keys from secrets as Kubernetes mounts them."""

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.serving.auth import keys
from kfp_tabular.serving.auth.key_ring import KeyRing
from tests.serving.auth.mounted_secret import KEY, NEW_KEY, OTHER_KEY


def test_a_mounted_secret_holds_a_key_per_file(secret):
    secret.write(batch=f"{KEY}\n", web=OTHER_KEY)
    found = keys.read_keys(secret.mount)
    assert found.names == ("batch", "web")
    assert found.owner(KEY.encode()) == "batch"
    assert found.owner(OTHER_KEY.encode()) == "web"
    assert found.owner(NEW_KEY.encode()) is None
    assert KEY not in repr(found)
    assert KEY not in str(vars(found))


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"web": OTHER_KEY, "batch": KEY}),
        f"# who\n\nbatch: {KEY}\nweb:{OTHER_KEY}  \r\n",
    ],
)
def test_a_file_holds_several_keys(tmp_path, text):
    file = tmp_path / "keys"
    file.write_text(text, encoding="utf-8", newline="")
    found = keys.read_keys(file)
    assert found.names == ("batch", "web")
    assert found.owner(KEY.encode()) == "batch"


def test_a_key_may_hold_a_colon(tmp_path):
    (tmp_path / "keys").write_text(f"web: user:{KEY}", encoding="utf-8")
    assert keys.read_keys(tmp_path / "keys").owner(f"user:{KEY}".encode()) == "web"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["holds no key"]),
        ("# nothing\n\n", ["holds no key"]),
        ("{}", ["holds no key"]),
        (f"web: {KEY}\nweb: {OTHER_KEY}", ["line 2", "this name"]),
        (f'{{"web": "{KEY}", "web": "{OTHER_KEY}"}}', ["entry 2", "this name"]),
        (f"web: {KEY}\nbatch: {KEY}", ["line 2", "same key"]),
        (KEY, ["line 1", "no colon"]),
        (f"web: {KEY[:15]}", ["line 1", "15 characters", "openssl"]),
        (f"web: {KEY} {KEY}", ["line 1", "without spaces"]),
        (f"web: {KEY}ü", ["line 1", "ASCII"]),
        (f"web: {'k' * 4097}", ["line 1", "4097 characters"]),
        (f"{'w' * 64}: {KEY}", ["line 1", "63 letters"]),
        (f"a b: {KEY}", ["line 1", "letters"]),
        (f": {KEY}", ["line 1", "letters"]),
        (f"{KEY}: web", ["line 1", "3 characters"]),
        (f'{{"{KEY}": "web"}}', ["entry 1", "3 characters"]),
        (f'{{"web": ["{KEY}"]}}', ["entry 1", "expected a string"]),
        (f'{{"web": "{KEY}"', ["JSON object"]),
        ("{" * 5000, ["JSON object"]),
        ("\n".join(f"k{n}: {KEY}{n}" for n in range(257)), ["257 keys", "at most 256"]),
    ],
)
def test_an_invalid_file_is_rejected_without_quoting_its_keys(tmp_path, text, words):
    file = tmp_path / "keys"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as error:
        KeyRing(file)
    for word in [*words, str(file)]:
        assert word in str(error.value)
    assert KEY[:10] not in str(error.value)
    assert "\n" not in str(error.value)


def test_an_unreadable_secret_is_rejected(tmp_path):
    with pytest.raises(UserError, match="No such file"):
        KeyRing(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no key"):
        KeyRing(tmp_path / "empty")
    (tmp_path / "nested" / "inner").mkdir(parents=True)
    with pytest.raises(UserError, match="not a regular file"):
        KeyRing(tmp_path / "nested")
    (tmp_path / "binary").write_bytes(b"web: \xff\xfe" + KEY.encode())
    with pytest.raises(UserError, match="not UTF-8"):
        KeyRing(tmp_path / "binary")
    (tmp_path / "huge").write_bytes(b" " * 2_000_000)
    with pytest.raises(UserError, match="more than 1114112 bytes"):
        KeyRing(tmp_path / "huge")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="not a regular file"):
        KeyRing(tmp_path / "pipe")


def test_every_lookup_compares_all_keys(monkeypatch):
    many = keys.Keys.of({f"key-{n}": f"{KEY}-{n}" for n in range(50)})
    compared = []
    compare = keys.hmac.compare_digest
    monkeypatch.setattr(
        keys.hmac, "compare_digest", lambda a, b: compared.append(len(a) == len(b)) or compare(a, b)
    )
    for presented in (f"{KEY}-0", f"{KEY}-49", "no such key", ""):
        compared.clear()
        many.owner(presented.encode())
        assert compared == [True] * 50


texts = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=16, max_size=40)


@given(st.dictionaries(st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True), texts, min_size=1), texts)
def test_exactly_the_written_keys_are_valid(tmp_path_factory, written, guess):
    if len(set(written.values())) < len(written):
        return
    file = tmp_path_factory.mktemp("keys") / "keys"
    file.write_text(json.dumps(written), encoding="utf-8")
    found = keys.read_keys(file)
    for name, key in written.items():
        assert found.owner(key.encode()) == name
    owners = {key: name for name, key in written.items()}
    assert found.owner(guess.encode()) == owners.get(guess)
