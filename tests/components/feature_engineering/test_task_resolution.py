import math

import pyarrow as pa
import pytest

from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.artifacts.supervised_task import Task
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.feature_engineering import task_resolution

from .conftest import write_examples


@pytest.fixture
def resolve(tmp_path):
    def _resolve(train, kind=None, task="auto", label="y", **others):
        splits = {"train": train, **others}
        tables = {
            split: pa.table({"y": pa.array(values, kind), "amount": [1] * len(values)})
            for split, values in splits.items()
        }
        return task_resolution.resolve(
            Examples(write_examples(tmp_path / "e", tables)), label, task
        )

    return _resolve


@pytest.mark.parametrize(
    ("values", "kind", "classes", "counts"),
    [
        ([0, 1, 1, None], "binary", ("0", "1"), (1, 2)),
        ([0.0, 1.0, math.nan, math.inf], "binary", ("0", "1"), (1, 1)),
        ([-1, 10, 2, 2], "multiclass", ("-1", "2", "10"), (1, 2, 1)),
        (["no", "yes", "", "no"], "binary", ("no", "yes"), (2, 1)),
        (["b", "é", "B", "a"], "multiclass", ("B", "a", "b", "é"), (1, 1, 1, 1)),
        ([0.5, 1.5], "binary", ("0.5", "1.5"), (1, 1)),
        ([1.0, 2.0, 3.0], "regression", (), ()),
        (list(range(20)), "multiclass", tuple(map(str, range(20))), (1,) * 20),
        (list(range(21)), "regression", (), ()),
    ],
)
def test_the_task_follows_from_the_label(resolve, values, kind, classes, counts):
    assert resolve(values) == Task(kind, "y", classes, counts)


@pytest.mark.parametrize(
    ("values", "task", "message"),
    [
        ([1, 2, 3], "binary", "needs 2 distinct values, found 1, 2, 3"),
        (["a", "b"], "regression", "task=regression needs numbers, found text"),
        ([1, 1, None], "auto", "always 1 in the train split"),
        ([None, None], "auto", "the train split has no value"),
        ([str(number) for number in range(1001)], "auto", "more than 1000 distinct values"),
        ([float(number) for number in range(1001)], "multiclass", "or task=regression"),
    ],
)
def test_a_label_that_does_not_fit(resolve, values, task, message):
    kind = pa.int64() if values[0] is None else None
    with pytest.raises(UserError) as error:
        resolve(values, kind, task)
    assert message in str(error.value)


def test_a_given_task_is_kept(resolve):
    assert resolve([1, 2, 3], task="regression").kind == "regression"


def test_floats_can_be_classes(resolve):
    assert resolve([1.0, 2.5, 2.5], task="multiclass").classes == ("1", "2.5")


def test_an_absent_label_names_the_closest(resolve):
    with pytest.raises(UserError, match="the data have no column 'amonut'. Did you mean 'amount'"):
        resolve([0, 1], label="amonut")


def test_a_class_that_only_another_split_has_is_a_class(resolve):
    task = resolve(["a", "b"], eval=["a", "c", "c", "b"])
    assert task.kind == "multiclass"
    assert (task.classes, task.class_counts) == (("a", "b", "c"), (1, 1, 0))


def test_regression_knows_no_unknown_values(resolve):
    assert resolve([0.1, 0.2, 0.3], eval=[9.0]).kind == "regression"
