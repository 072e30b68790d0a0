"""The names of loaded versions."""

import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from kfp_tabular.components.common.artifacts import lineage
from kfp_tabular.serving.model.loaded_version import VersionLoader
from kfp_tabular.serving.model.model_repository import find_model_source
from kfp_tabular.serving.settings.server_settings import BatchSettings


@pytest.fixture
def load():
    with ThreadPoolExecutor(1) as executor:
        loader = VersionLoader(executor, BatchSettings(), 1, lambda rows, requests: None)

        def loaded(directory):
            (found,) = find_model_source(directory).versions()
            return loader.load(found)

        yield loaded


def test_a_version_has_the_name_of_its_directory(load, model_directory):
    assert load(model_directory("binary")).version == "7"


def test_a_directory_without_a_version_is_named_by_its_content(load, model_directory, tmp_path):
    original = model_directory("binary")
    copies = [tmp_path / "models", tmp_path / "elsewhere"]
    for copy in copies:
        shutil.copytree(original, copy)
    # Other files that a publisher or a mount leaves in the directory are not part of the model.
    (copies[0] / "_complete.json").write_text("{}")

    versions = {load(copy).version for copy in copies}

    assert versions == {lineage.content_version(lineage.digest(original))}
    assert versions.pop().isdecimal()
