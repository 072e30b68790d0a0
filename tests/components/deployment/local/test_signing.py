"""A model is signed when it is published, and verified when it is loaded."""

import math

import pytest

from kfp_tabular.components.common.artifacts import model_signature
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.deployment.local import model_repository
from kfp_tabular.serving.model.version_check import VersionCheck
from tests.components.deployment.signing_keys import make_keys


@pytest.fixture
def signed(tmp_path, export):
    model, _ = export("binary")
    private, public = make_keys(tmp_path, "own")
    published = model_repository.publish(model, tmp_path / "models", "taxi", str(private))
    return published.path, public


def test_the_endpoint_loads_what_is_signed_with_the_key(tmp_path, signed):
    version, public = signed
    model_signature.verify(version, public)
    VersionCheck(4096, "check", str(public)).check(version, math.inf)
    _, other = make_keys(tmp_path, "other")
    with pytest.raises(UserError, match="_signature.json: signed with another key"):
        VersionCheck(4096, "check", str(other)).check(version, math.inf)


@pytest.mark.parametrize("digests", ["check", "off"])
def test_a_changed_file_is_named(signed, digests):
    version, public = signed
    file = version / "model.json"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(UserError, match=f"{file}: it was changed after it was signed"):
        VersionCheck(4096, digests, str(public)).check(version, math.inf)


def test_an_added_or_missing_file_is_named(signed):
    version, public = signed
    (version / "_more").write_text("x")
    with pytest.raises(UserError, match=f"{version}/_more: added after"):
        model_signature.verify(version, public)
    (version / "_more").unlink()
    (version / "model.json").unlink()
    with pytest.raises(UserError, match=f"{version}/model.json: missing"):
        model_signature.verify(version, public)


def test_what_is_not_signed_is_refused_and_signing_makes_a_version(tmp_path, export):
    model, _ = export("binary")
    private, public = make_keys(tmp_path, "own")
    plain = model_repository.publish(model, tmp_path / "models", "taxi")
    with pytest.raises(UserError, match="_signature.json: missing: the model is not signed"):
        model_signature.verify(plain.path, public)
    signed = model_repository.publish(model, tmp_path / "models", "taxi", str(private))
    again = model_repository.publish(model, tmp_path / "models", "taxi", str(private))
    assert (signed.version, signed.is_new, again.version, again.is_new) == (2, True, 2, False)


@pytest.mark.parametrize("text", ["", "{}", "[]", "no signature"])
def test_a_damaged_signature_is_refused_in_one_line(signed, text):
    version, public = signed
    (version / "_signature.json").write_text(text)
    with pytest.raises(UserError, match="_signature.json: not a signature") as error:
        model_signature.verify(version, public)
    assert "\n" not in str(error.value)


def test_a_wrong_key_file_is_told(tmp_path, signed):
    version, public = signed
    with pytest.raises(UserError, match="not a private key in PEM"):
        model_signature.sign(version, public)
    with pytest.raises(UserError, match="not found; expected a key in PEM"):
        model_signature.sign(version, tmp_path / "nothing.pem")
