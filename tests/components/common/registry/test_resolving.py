import shutil

import pytest

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.registry import NoChampionError, opened, promotion, resolve


def test_versions_and_aliases_are_resolved_to_verified_directories(registry, registered, tmp_path):
    first = registered("a")
    with pytest.raises(NoChampionError):
        resolve("models:/taxi@champion", registry)
    with promotion.rollout(registry, first, "", {}):
        pass
    found = resolve("models:/taxi@champion", registry)
    assert (found.name, found.version, found.digest) == ("taxi", "1", first.digest)
    assert found == resolve("models:/taxi/1", registry)
    with opened(found) as path:
        assert path == tmp_path / "model-a"
    (path / "saved_model.pb").write_text("other")
    with pytest.raises(UserError, match=f"{path}/saved_model.pb: "), opened(found):
        pass


def test_paths_and_uris_are_returned_as_they_are():
    assert resolve("/srv/models/taxi").uri == "/srv/models/taxi"
    assert resolve("gs://bucket/model").digest == ""


def test_a_model_that_was_moved_is_found_at_its_other_location(registry, registered, tmp_path):
    first = registered("a")
    shutil.copytree(tmp_path / "model-a", tmp_path / "published")
    registry.locate(first, str(tmp_path / "published"))
    found = resolve("models:/taxi/1", registry)
    assert found.uri == str(tmp_path / "published"), "the newest"
    assert found.elsewhere == (str(tmp_path / "model-a"),)
    shutil.rmtree(found.uri)
    found = resolve("models:/taxi/1", registry)
    assert found.uri == str(tmp_path / "model-a")
    shutil.rmtree(found.uri)
    with pytest.raises(
        UserError, match="its model is gone: nothing is at .*published or .*model-a"
    ):
        resolve("models:/taxi/1", registry)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("models:/taxi@chalenger", "has no alias 'chalenger'; .* Did you mean 'challenger'"),
        ("models:/taxi/9", "no such version; taxi has 1"),
        ("models:/tax/1", r"tax: not a registered model in .*Did you mean 'taxi'"),
        ("models:/taxi", "expected models:/NAME@champion"),
        ("models:taxi/1", "expected models:/NAME@champion"),
    ],
)
def test_bad_names_are_told_in_one_line(registry, registered, uri, message):
    registered("a")
    with pytest.raises(UserError, match=message) as error:
        resolve(uri, registry)
    assert "\n" not in str(error.value)


def test_without_a_registry_the_way_out_is_told():
    with pytest.raises(UserError, match="no registry is in use here.*--tracking-uri"):
        resolve("models:/taxi@champion", registry_uri="none")
