import pytest

from kfp_tabular.components.common import registry
from kfp_tabular.components.common.artifacts import file_digests, lineage
from kfp_tabular.components.common.errors import UserError
from tests.components.common.registry.conftest import write_model


@pytest.mark.parametrize(
    "name",
    ["variables/variables.data-00000-of-00001", "assets/vocabulary_city", "model.json"],
)
@pytest.mark.parametrize("place", [0, -2])
def test_a_flipped_byte_is_named(tmp_path, name, place):
    model = write_model(tmp_path / "model", "a")
    digest = lineage.digest(model)
    registry.verify(model, digest)
    content = bytearray((model / name).read_bytes())
    content[place] ^= 1
    (model / name).write_bytes(content)
    with pytest.raises(UserError) as error:
        registry.verify(model, digest)
    assert str(error.value).startswith(f"{model}/{name}: ")
    assert "\n" not in str(error.value)


def test_a_list_that_was_changed_with_its_file_is_named(tmp_path):
    model = write_model(tmp_path / "model", "a")
    digest = lineage.digest(model)
    (model / "model.json").write_text("{}")
    file_digests.write(model)
    with pytest.raises(UserError, match=f"{model}/_digests.json: it lists another content"):
        registry.verify(model, digest)


def test_added_and_missing_files_are_named(tmp_path):
    model = write_model(tmp_path / "model", "a")
    digest = lineage.digest(model)
    (model / "assets" / "more").write_text("x")
    with pytest.raises(UserError, match=f"{model}/assets/more: added"):
        registry.verify(model, digest)
    (model / "assets" / "more").rename(tmp_path / "more")
    (model / "saved_model.pb").unlink()
    with pytest.raises(UserError, match=f"{model}/saved_model.pb: missing"):
        registry.verify(model, digest)


def test_a_model_without_a_list_is_verified_as_a_whole(tmp_path):
    model = write_model(tmp_path / "model", "a")
    (model / "_digests.json").unlink()
    digest = lineage.digest(model)
    registry.verify(model, digest)
    (model / "model.json").write_text("{}")
    with pytest.raises(UserError, match=f"{model}: its content is sha256:"):
        registry.verify(model, digest)
    with pytest.raises(UserError, match="not found"):
        registry.verify(tmp_path / "nothing", digest)
