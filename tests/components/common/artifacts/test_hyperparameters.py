import json
from dataclasses import asdict, fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.common.artifacts.hyperparameters import MODEL_TYPES, Hyperparameters
from kfp_tabular.components.common.errors import UserError

DEFAULTS = Hyperparameters()
TYPES = {field.name: type(getattr(DEFAULTS, field.name)) for field in fields(Hyperparameters)}
BY_TYPE = {
    int: st.integers(-(2**53), 2**53),
    float: st.floats(allow_nan=False, allow_infinity=False),
    str: st.text(st.characters(exclude_categories=["Cs"])),
}
documents = st.fixed_dictionaries({}, optional={n: BY_TYPE[t] for n, t in TYPES.items()})


def test_the_default_model_is_one_that_exists():
    assert DEFAULTS.model_type in MODEL_TYPES


@given(documents)
def test_a_saved_document_is_loaded_as_it_was(tmp_path_factory, values):
    file = tmp_path_factory.getbasetemp() / "hyperparameters.json"
    changed = DEFAULTS.updated(values)
    changed.save(file)
    assert Hyperparameters.load(file) == changed
    assert asdict(changed) == asdict(DEFAULTS) | values


@given(documents)
def test_text_and_floats_mean_the_same_as_numbers(values):
    as_text = {name: str(value) for name, value in values.items()}
    as_floats = {
        name: float(value) if isinstance(value, int) else value for name, value in values.items()
    }
    assert DEFAULTS.updated(as_text) == DEFAULTS.updated(as_floats) == DEFAULTS.updated(values)


def test_types_are_kept():
    changed = DEFAULTS.updated({"epochs": 3.0, "learning_rate": 1, "batch_size": "64"})
    assert [type(value) for value in asdict(changed).values()] == list(TYPES.values())


def test_what_a_document_leaves_out_has_its_default(tmp_path):
    file = tmp_path / "h.json"
    file.write_text('{"epochs": 3}')
    assert Hyperparameters.load(file) == Hyperparameters(epochs=3)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"learning_rat": 1}, "'learning_rat' is unknown.*'learning_rate'"),
        ({"epochs": 1.5}, "epochs: expected a whole number, found 1.5"),
        ({"epochs": "many"}, "hyperparameter epochs: "),
        ({"epochs": None}, "hyperparameter epochs: "),
        ({"epochs": float("nan")}, "hyperparameter epochs: "),
        ({"epochs": float("inf")}, "hyperparameter epochs: "),
        ({"epochs": "inf"}, "hyperparameter epochs: "),
        ({"epochs": 10**400}, "hyperparameter epochs: "),
        ({"learning_rate": 10**400}, "hyperparameter learning_rate: "),
        ({"learning_rate": [1]}, "hyperparameter learning_rate: "),
        ({"learning_rate": "fast"}, "hyperparameter learning_rate: "),
    ],
)
def test_a_value_that_does_not_fit_is_an_error_of_the_user(values, message):
    with pytest.raises(UserError, match=message):
        DEFAULTS.updated(values)


@pytest.mark.parametrize("content", [b"[1]", b"{", b"", b"\xff\xfe", b'{"x": 1}', b"null"])
def test_a_file_that_is_not_a_document_is_a_user_error(tmp_path, content):
    file = tmp_path / "h.json"
    file.write_bytes(content)
    with pytest.raises(UserError):
        Hyperparameters.load(file)


@pytest.mark.parametrize(
    ("name", "reason"), [("absent.json", "No such file or directory"), (".", "Is a directory")]
)
def test_a_document_that_cannot_be_read_is_an_error_of_the_user(tmp_path, name, reason):
    with pytest.raises(UserError, match=f"cannot be read: {reason}"):
        Hyperparameters.load(tmp_path / name)


def test_the_file_is_a_plain_json_object(tmp_path):
    DEFAULTS.save(tmp_path / "h.json")
    assert json.loads((tmp_path / "h.json").read_text()) == asdict(DEFAULTS)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"model_type": "dcn"},
            "model_type: expected auto, blend, trees, linear, .* or tabm, found 'dcn'.*dcn_v2",
        ),
        (
            {"learning_rate_schedule": "linear"},
            "learning_rate_schedule: expected constant, cosine or exponential",
        ),
        ({"learning_rate": -1}, "learning_rate: expected a number above 0, or 0 to choose"),
        ({"learning_rate": float("nan")}, "learning_rate: expected a number above 0"),
        ({"dropout": 1}, "dropout: expected a number from 0 to below 1"),
        ({"dropout": float("nan")}, "dropout"),
        ({"l2": float("nan")}, "l2: expected at least 0"),
        ({"batch_size": 0}, "batch_size: expected at least 1, found 0"),
        ({"epochs": -1}, "epochs: expected at least 0"),
        ({"hidden_units": "128,x"}, "hidden_units: expected layer widths .*'128,x'"),
        ({"hidden_units": ","}, "hidden_units: expected layer widths"),
        ({"members": 0}, "members: "),
        ({"tree_count": -1}, "tree_count: expected at least 0"),
        ({"tree_depth": 0}, "tree_depth: expected a whole number from 1 to 10, found 0"),
        ({"tree_depth": 11}, "tree_depth"),
        ({"tree_learning_rate": 1.5}, "tree_learning_rate: expected a number from 0 to 1"),
        ({"tree_learning_rate": float("nan")}, "tree_learning_rate"),
        ({"tree_l2": -1}, "tree_l2: expected at least 0"),
        ({"tree_rows": -1}, "tree_rows: expected at least 0"),
    ],
)
def test_hyperparameters_out_of_range(changes, message):
    with pytest.raises(UserError, match=f"hyperparameter {message}"):
        DEFAULTS.updated(changes).check()


def test_the_defaults_are_in_range():
    DEFAULTS.check()
