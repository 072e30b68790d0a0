import numpy as np
import pytest

from kfp_tabular.components.common.artifacts.model_document import ModelInput, ModelSpec
from kfp_tabular.components.common.artifacts.raw_features import MISSING_INT
from kfp_tabular.components.common.values.column_format import ColumnFormat, TimeFormat
from kfp_tabular.components.evaluation.explanations import feature_grid, partial_dependence
from kfp_tabular.components.evaluation.explanations.row_sample import SampledRows

FARE = ModelInput("fare", "float32", False, "fare")
ROOMS = ModelInput("rooms", "int64", False, "rooms")
KIND = ModelInput("kind", "string", False, "kind")


def test_dependence_equals_that_of_scikit_learn():
    inspection = pytest.importorskip("sklearn.inspection")
    base = pytest.importorskip("sklearn.base")
    random = np.random.default_rng(0)
    values = random.normal(size=(300, 2)).astype(np.float32)

    def answers(fare, other):
        return np.sin(fare) * other + fare**2

    class Model(base.RegressorMixin, base.BaseEstimator):
        def fit(self):
            self.fitted_ = True
            return self

        def predict(self, given):
            return answers(given[:, 0], given[:, 1])

    rows = SampledRows({"fare": values[:, 0], "other": values[:, 1]}, values[:, 0])
    grid = feature_grid.choose(values[:, 0], FARE, 20)
    assert len(grid.values) == 20
    ours = partial_dependence.measure(
        rows, lambda given: answers(given["fare"], given["other"]), FARE, grid, {"y": None}
    )
    theirs = inspection.partial_dependence(
        Model().fit(), values, [0], custom_values={0: grid.values}, kind="both", method="brute"
    )
    assert ours.means["y"] == pytest.approx(theirs["average"][0].tolist(), abs=1e-6)
    assert np.array(ours.lines) == pytest.approx(theirs["individual"][0][:30], abs=1e-6)


def test_missing_values_are_a_point_of_their_own():
    values = np.array([1, 2, 3, MISSING_INT] * 10)
    rows = SampledRows({"rooms": values}, values)
    grid = feature_grid.choose(values, ROOMS, 20)
    assert (grid.shown, grid.missing) == ([1.0, 2.0, 3.0], 0.25)

    def predict(inputs):
        return np.where(inputs["rooms"] == MISSING_INT, -1.0, inputs["rooms"])

    found = partial_dependence.measure(rows, predict, ROOMS, grid, {"y": None})
    assert found.means == {"y": [1.0, 2.0, 3.0]}
    assert found.at_missing == {"y": -1.0}


def test_values_beyond_the_data_are_not_shown():
    values = np.concatenate([np.random.default_rng(0).normal(size=1000), [1e6]]).astype(np.float32)
    grid = feature_grid.choose(values, FARE, 20)
    assert max(grid.shown) < 4
    assert set(np.float32(grid.shown).tolist()) <= set(values.tolist())
    assert sum(grid.counts) == round((1 - grid.other) * len(values))
    assert grid.other == pytest.approx(0.02, abs=0.005)


def test_categories_are_the_most_frequent_ones():
    values = np.array([b"<b>"] * 6 + [b"flat"] * 3 + ["hütte".encode()] * 2 + [b""], object)
    grid = feature_grid.choose(values, KIND, 20)
    assert grid.shown == ["<b>", "flat", "hütte"]
    assert grid.shares == [0.5, 0.25, pytest.approx(1 / 6)]
    assert grid.other == pytest.approx(0)


@pytest.mark.parametrize(
    ("values", "given"),
    [
        (np.array([b"text %d" % row for row in range(100)], object), KIND),
        (np.array([b"same"] * 10, object), KIND),
        (np.full(10, np.nan, np.float32), FARE),
        (np.full(10, 7), ROOMS),
    ],
)
def test_values_that_hardly_repeat_or_never_change_are_passed_over(values, given):
    assert feature_grid.choose(values, given, 20) is None
    rows = SampledRows({given.input: values}, np.zeros(len(values)))
    found = partial_dependence.most_important([given], rows, 8, 20)
    assert found == ([], [given.name])


def test_times_ascend():
    time = ColumnFormat("time", time=TimeFormat(canonical="%Y-%m-%d"))
    given = ModelInput("when", "string", False, "when", format=time)
    values = np.array([b"2024-03-01", b"", b"2024-01-01", b"2024-02-01"] * 5, object)
    grid = feature_grid.choose(values, given, 20)
    assert grid.kind == "time"
    assert grid.values.tolist() == [b"2024-01-01", b"2024-02-01", b"2024-03-01"]
    assert grid.shown == sorted(grid.shown)


def test_several_classes_show_the_most_frequent_ones():
    spec = ModelSpec("multiclass", "y", ("a", "b", "c", "d"), None, (), "sha256:0")
    labels = np.array([3, 3, 3, 1, 1, 2])
    assert partial_dependence.answer_columns(spec, labels) == {"d": 3, "b": 1, "c": 2}


def test_answers_that_are_not_finite_have_no_dependence():
    values = np.array([1.0, 2.0, 3.0], np.float32)
    grid = feature_grid.choose(values, FARE, 20)
    rows = SampledRows({"fare": values}, values)
    assert (
        partial_dependence.measure(rows, lambda i: i["fare"] * np.inf, FARE, grid, {"y": None})
        is None
    )
