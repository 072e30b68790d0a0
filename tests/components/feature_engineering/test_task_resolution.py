import math

import pyarrow as pa
import pytest

from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.artifacts.findings import Findings
from kfp_tabular.components.common.artifacts.supervised_task import Task
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.feature_engineering import task_resolution

from .conftest import write_examples


@pytest.fixture
def resolve(tmp_path):
    def _resolve(train, kind=None, task="auto", label="y", positive="", found=None, **others):
        splits = {"train": train, **others}
        tables = {
            split: pa.table({"y": pa.array(values, kind), "amount": [1] * len(values)})
            for split, values in splits.items()
        }
        return task_resolution.resolve(
            Examples(write_examples(tmp_path / "e", tables)), label, task, positive, found
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
        ([1.0, 2.0, 3.0, None], "multiclass", ("1", "2", "3"), (1, 1, 1)),
        ([1.0, 2.0, 3.5], "regression", (), ()),
        ([float(number) for number in range(21)], "regression", (), ()),
        (["churned"] + ["retained"] * 2, "binary", ("retained", "churned"), (2, 1)),
        (["good", "bad", "bad"], "binary", ("bad", "good"), (2, 1)),
        (["TRUE", "False", "TRUE"], "binary", ("False", "TRUE"), (1, 2)),
        (["no churn", "churn", "churn"], "binary", ("no churn", "churn"), (1, 2)),
        (["nonspam", "spam", "spam"], "binary", ("nonspam", "spam"), (1, 2)),
        (["unpaid", "paid", "paid"], "binary", ("unpaid", "paid"), (1, 2)),
        (["b", "a"], "binary", ("a", "b"), (1, 1)),
        ([2, 1, 1], "binary", ("1", "2"), (2, 1)),
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
        (["1", "2", "n/d"], "regression", "needs numbers, found text such as 'n/d'"),
        ([1, 1, None], "auto", "always 1 in the train split"),
        ([None, None], "auto", "the train split has no value"),
        ([f"t{number}" for number in range(1001)], "auto", "identifier or free text?"),
        (
            [*map(str, range(1001)), "n/d"],
            "auto",
            "Most are numbers, but 'n/d' are not. For regression, ingest them as missing",
        ),
        ([float(number) for number in range(1001)], "multiclass", "choose task=regression"),
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


def test_the_positive_class_can_be_chosen(resolve):
    assert resolve(["bad", "good"], positive="bad").classes == ("good", "bad")


def test_a_number_can_be_the_positive_class(resolve):
    assert resolve([0.0, 1.0], positive="0").classes == ("1", "0")


@pytest.mark.parametrize(
    ("values", "positive", "message"),
    [
        (["bad", "good"], "godo", "no class 'godo', only 'bad', 'good'. Did you mean 'good'"),
        (["a", "b", "c"], "a", "makes a multiclass task; only a binary one has a positive class"),
    ],
)
def test_a_positive_class_that_does_not_fit(resolve, values, positive, message):
    with pytest.raises(UserError) as error:
        resolve(values, positive=positive)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["churned"] * 20 + ["retained"] * 80, "'churned', the rarer one: 20 of 100 rows"),
        ([1] * 20 + [2] * 80, "'2', the larger one: 80 of 100 rows"),
        ([0, 1] * 20, None),
        (["Yes", "no"] * 20, None),
        ([1.0, 2.0, 3.0] * 20, "3 whole numbers, 1 to 3: they are classes without an order"),
        ([*range(25)] * 20, "25 whole numbers, 0 to 24: they are a quantity"),
        ([0.5, 1.0, 3.0] * 20, None),
        (["a"] * 50 + ["b"] * 50 + ["c"] * 3, "a class with fewer than 10 rows in train"),
    ],
)
def test_a_decision_that_is_not_obvious_is_found(resolve, values, expected):
    found = Findings()
    resolve(values, found=found)
    assert bool(expected) == len(found)
    assert expected is None or expected in str(next(iter(found)))


def test_classes_that_a_split_lacks_are_found(resolve):
    found = Findings()
    resolve(["a", "b", "c"] * 20, found=found, eval=["a", "b", "c", "d"], test=["a"])
    (finding,) = found
    assert finding.severity == "warning"
    assert finding.message.startswith(
        "Label 'y' has 3 classes with fewer than 10 rows in train or none in another split: "
        "'b' (20 train, 1 eval, 0 test), 'c' (20 train, 1 eval, 0 test), 'd' (0 train, 1 eval, 0 "
        "test)."
    )
