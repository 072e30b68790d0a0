import pyarrow as pa
import pytest

from kfp_tabular.components.common.artifacts.model_document import ModelSpec
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.prediction.label_encoding import decode


def spec(task="binary", classes=("0", "1")):
    return ModelSpec(task, "y", classes, None, (), "sha256:0")


@pytest.mark.parametrize(
    ("column", "classes"),
    [
        (pa.array([1, 0, None, 1, 7]), ("0", "1")),
        (pa.array([1.0, 0.0, None, 1.0, 0.5]), ("0", "1")),
        (pa.array([2.5, 0.5, None, 2.5, 0.0]), ("0.5", "2.5")),
        (pa.array(["1", "0", None, "1", "01"]), ("0", "1")),
        (pa.array(["já", "não", None, "já", ""]), ("não", "já")),
    ],
)
def test_classes_become_indices(column, classes):
    labels = decode(column, spec(classes=classes))
    assert labels.values.tolist() == [1, 0, 1]
    assert labels.usable.tolist() == [True, True, False, True, False]
    assert (labels.missing, labels.unknown) == (1, 1)


def test_text_classes_do_not_fit_a_column_of_numbers():
    with pytest.raises(UserError, match="the examples hold int64 values.*'no', 'yes'"):
        decode(pa.array([0, 1]), spec(classes=("no", "yes")))


@pytest.mark.parametrize("kind", [pa.int64(), pa.float64()])
def test_numbers_are_taken_as_they_are(kind):
    labels = decode(pa.array([3, None, -1], kind), spec("regression", ()))
    assert labels.values.tolist() == [3.0, -1.0]
    assert (labels.missing, labels.unknown) == (1, 0)


def test_infinite_and_nan_labels_are_missing_labels():
    labels = decode(pa.array([1.0, float("nan"), float("inf")]), spec("regression", ()))
    assert labels.values.tolist() == [1.0]
    assert labels.missing == 2


def test_a_regression_rejects_a_text_label():
    with pytest.raises(UserError, match="label 'y': a regression model needs numbers"):
        decode(pa.array(["1.5"]), spec("regression", ()))
