import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as oracle

from kfp_tabular.components.evaluation.metrics import constant_answer

RARE = st.lists(st.integers(1, 60), min_size=2, max_size=2)


@given(rows=RARE, threshold=st.floats(0.01, 0.99))
def test_of_two_classes_as_scikit_learn_measures_it(rows, threshold):
    labels = np.repeat([0, 1], rows)
    share = labels.mean()
    answers = np.full(len(labels), share)
    predicted = answers >= threshold
    found = constant_answer.of_classes(rows, threshold)
    assert found["accuracy"] == pytest.approx(oracle.accuracy_score(labels, predicted))
    assert found["auc"] == pytest.approx(oracle.roc_auc_score(labels, answers))
    assert found["pr_auc"] == pytest.approx(oracle.average_precision_score(labels, answers))
    assert found["log_loss"] == pytest.approx(oracle.log_loss(labels, answers))
    assert found["brier"] == pytest.approx(oracle.brier_score_loss(labels, answers))
    assert found["recall"] == pytest.approx(oracle.recall_score(labels, predicted))
    assert found["f1"] == pytest.approx(oracle.f1_score(labels, predicted))
    if predicted.any():
        assert found["precision"] == pytest.approx(oracle.precision_score(labels, predicted))
    else:
        assert "precision" not in found


@given(rows=st.lists(st.integers(1, 40), min_size=3, max_size=6))
def test_of_several_classes_as_scikit_learn_measures_it(rows):
    labels = np.repeat(np.arange(len(rows)), rows)
    predicted = np.full(len(labels), int(np.argmax(rows)))
    shares = np.tile(np.array(rows) / sum(rows), (len(labels), 1))
    found = constant_answer.of_classes(rows, None)
    assert found["accuracy"] == pytest.approx(oracle.accuracy_score(labels, predicted))
    assert found["log_loss"] == pytest.approx(oracle.log_loss(labels, shares))
    for suffix, average in (("", "macro"), ("_weighted", "weighted")):
        expected = oracle.precision_recall_fscore_support(
            labels, predicted, average=average, zero_division=0
        )
        names = (f"precision{suffix}", f"recall{suffix}", f"f1{suffix}")
        assert [found[name] for name in names] == pytest.approx(list(expected[:3]))


def test_of_numbers():
    labels = np.array([1.0, 2.0, 3.0, 6.0])
    predictions = np.array([1.0, 2.5, 3.0, 5.0])
    metrics = {
        "rmse": float(np.sqrt(((predictions - labels) ** 2).mean())),
        "r2": oracle.r2_score(labels, predictions),
    }
    found = constant_answer.of_numbers(metrics, labels)
    assert found["rmse"] == pytest.approx(labels.std())
    assert found["mae"] == pytest.approx(np.abs(labels - 3).mean())


def test_nothing_is_said_where_nothing_is_known():
    assert constant_answer.of_classes([0, 0], 0.5) == {}
    assert constant_answer.of_numbers({"rmse": 1.0}, np.array([1.0])) == {}
    assert "auc" not in constant_answer.of_classes([10, 0], 0.5)
