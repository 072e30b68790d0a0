import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.common.artifacts.model_document import ModelInput, ModelSpec
from kfp_tabular.components.common.errors import UserError

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
CLASSES = {"binary": (2, 2), "multiclass": (2, 4), "regression": (0, 0)}


def classes_of(task):
    fewest, most = CLASSES[task]
    return st.lists(text, min_size=fewest, max_size=most).map(tuple)


specs = st.sampled_from(sorted(CLASSES)).flatmap(
    lambda task: st.builds(
        ModelSpec,
        task=st.just(task),
        label=text,
        classes=classes_of(task),
        decision_threshold=st.none() | st.floats(0, 1),
        inputs=st.lists(
            st.builds(
                ModelInput,
                name=text,
                dtype=st.sampled_from(["float32", "int64", "string"]),
                required=st.booleans(),
                input=text,
            ),
            max_size=3,
        ).map(tuple),
        schema_digest=st.text("0123456789abcdef").map("sha256:{}".format),
        versions=st.dictionaries(text, text, max_size=2),
        hyperparameters=st.dictionaries(text, text | st.integers() | st.booleans(), max_size=2),
    )
)
SPEC = ModelSpec(
    task="binary",
    label="y",
    classes=("0", "1"),
    decision_threshold=0.5,
    inputs=(ModelInput(name="a b", dtype="int64", required=True, input="a_b"),),
    schema_digest="sha256:0",
)


@given(specs)
def test_a_spec_is_loaded_as_it_was_saved(tmp_path_factory, spec):
    spec.save(tmp_path_factory.getbasetemp())
    assert ModelSpec.load(tmp_path_factory.getbasetemp()) == spec


def test_a_model_that_is_not_there_is_an_error_of_the_user(tmp_path):
    with pytest.raises(UserError, match=r"model\.json: not found.*train_model"):
        ModelSpec.load(tmp_path)


# Models of earlier versions have no typical row.
@pytest.mark.parametrize(
    "field",
    [field.name for field in dataclasses.fields(ModelSpec) if field.name != "typical_row"],
)
def test_a_field_that_is_not_there_is_named(tmp_path, field):
    SPEC.save(tmp_path)
    file = tmp_path / "model.json"
    document = json.loads(file.read_text())
    del document[field]
    file.write_text(json.dumps(document))
    with pytest.raises(UserError, match=field):
        ModelSpec.load(tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"null", b"\xff", b"{", json.dumps({"task": "binary"}).encode()]
)
def test_a_file_that_is_not_a_description_is_a_user_error(tmp_path, content):
    (tmp_path / "model.json").write_bytes(content)
    with pytest.raises(UserError, match="not a model description"):
        ModelSpec.load(tmp_path)


def test_a_file_in_the_models_place_is_an_error_of_the_user(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be read"):
        ModelSpec.load(tmp_path / "file")


def test_a_directory_in_the_descriptions_place_is_an_error_of_the_user(tmp_path):
    (tmp_path / "model.json").mkdir()
    with pytest.raises(UserError, match="cannot be read"):
        ModelSpec.load(tmp_path)
