import numpy as np
from kfp import dsl

from kfp_tabular.components.evaluation.report import kfp_metrics


def test_of_many_classes_the_largest_are_shown_and_no_row_is_lost():
    random = np.random.default_rng(0)
    counts = random.integers(0, 5, (80, 80))
    counts[7] += 100
    classes = [f"class {i}" for i in range(80)]
    document = {"confusion_matrix": {"classes": classes, "counts": counts.tolist()}}
    shown, merged = kfp_metrics.confusion_matrix(document)
    assert len(shown) == len(merged) == 50
    assert shown[-1] == "(other)"
    assert "class 7" in shown
    assert np.sum(merged) == counts.sum()
    assert sum(merged[shown.index("class 7")]) == counts[7].sum()
    dsl.ClassificationMetrics(uri="/nowhere").log_confusion_matrix(shown, merged)


def test_few_classes_are_shown_as_they_are():
    matrix = {"classes": ["a", "b"], "counts": [[1, 2], [3, 4]]}
    assert kfp_metrics.confusion_matrix({"confusion_matrix": matrix}) == (
        ["a", "b"],
        [[1, 2], [3, 4]],
    )


def test_regression_has_neither_curve_nor_matrix():
    document = {"metrics": {"rmse": {"value": 1, "interval": None}}}
    assert kfp_metrics.roc_curve(document) is None
    assert kfp_metrics.confusion_matrix(document) is None
    assert kfp_metrics.scalars(document) == {"rmse": 1.0}
