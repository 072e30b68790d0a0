import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorflow_metadata.proto.v0 import schema_pb2

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.statistics import distances
from kfp_tabular.components.common.statistics.column_summary import ColumnSummary
from kfp_tabular.components.common.statistics.distance_thresholds import DistanceThresholds

RANDOM = np.random.default_rng(7)


def quantiles(values: np.ndarray, count: int = 200) -> list[float]:
    return np.quantile(values, np.linspace(0, 1, count + 1), method="inverted_cdf").tolist()


def divergence(a: np.ndarray, b: np.ndarray) -> float:
    return distances.jensen_shannon_divergence(quantiles(a), quantiles(b))


def exact(p: list[float], q: list[float]) -> float:
    """The Jensen-Shannon divergence of two discrete distributions, by its definition."""
    p, q = np.array(p), np.array(q)
    m = (p + q) / 2
    halves = [sum(x * np.log2(x / y) for x, y in zip(d, m, strict=True) if x) for d in (p, q)]
    return sum(halves) / 2


@pytest.mark.parametrize(
    "draw",
    [
        lambda n: RANDOM.lognormal(1, 2, n),  # a long tail
        lambda n: np.where(RANDOM.random(n) < 0.6, 0.0, RANDOM.gamma(2, 2, n)),  # many zeros
        lambda n: RANDOM.choice(np.linspace(-3, 7, 30) ** 3, n),  # few distinct values
        lambda n: np.concatenate([RANDOM.normal(size=n - 1), [1e12]]),  # one wild outlier
    ],
)
def test_two_samples_of_the_same_are_close(draw):
    assert divergence(draw(5000), draw(20_000)) < 0.02


def test_what_differs_is_far_apart():
    normal = RANDOM.normal(size=20_000)
    assert divergence(normal, normal + 100) == pytest.approx(1)
    assert 0.1 < divergence(normal, normal + 1) < 0.4
    assert divergence(normal, normal * 3) > 0.1
    zeros = np.where(RANDOM.random(20_000) < 0.5, 0.0, normal)
    assert divergence(normal, zeros) > 0.2
    assert divergence(zeros, normal) > 0.15


def test_the_share_of_repeated_values_is_compared_as_such():
    a, b = np.repeat([0.0, 1.0], [800, 200]), np.repeat([0.0, 1.0], [600, 400])
    assert divergence(a, b) == pytest.approx(exact([0.8, 0.2], [0.6, 0.4]), abs=0.01)
    assert divergence(np.zeros(10), np.zeros(7)) == 0
    assert divergence(np.zeros(10), np.ones(7)) == pytest.approx(1)


@given(
    st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=50),
    st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=50),
    st.integers(2, 40),
)
def test_a_divergence_is_between_nothing_and_all(a, b, count):
    left, right = quantiles(np.array(a), count), quantiles(np.array(b))
    assert 0 <= distances.jensen_shannon_divergence(left, right) <= 1
    assert distances.jensen_shannon_divergence(right, right) == 0


def test_l_infinity_is_the_largest_difference_of_shares():
    a = ColumnSummary(rows=11, missing=1, ranked=(("x", 7), ("y", 3)))
    b = ColumnSummary(rows=10, missing=0, ranked=(("x", 5), ("z", 5)))
    assert distances.l_infinity_distance(a, b) == pytest.approx(0.5)
    assert distances.l_infinity_distance(a, a) == 0


def schema() -> schema_pb2.Schema:
    made = schema_pb2.Schema()
    made.feature.add(name="text", type=schema_pb2.BYTES)
    code = made.feature.add(name="code", type=schema_pb2.INT)
    code.int_domain.is_categorical = True
    made.feature.add(name="number", type=schema_pb2.FLOAT)
    when = made.feature.add(name="when", type=schema_pb2.INT)
    when.time_domain.integer_format = schema_pb2.TimeDomain.UNIX_SECONDS
    made.feature.add(name="empty", type=schema_pb2.FLOAT)
    return made


def summaries(shift: int) -> dict[str, ColumnSummary]:
    numbers = tuple(float(value + shift) for value in range(101))
    common = {"rows": 100, "missing": 0}
    return {
        "text": ColumnSummary(**common, ranked=(("a", 50 + shift), ("b", 50 - shift)), distinct=2),
        "code": ColumnSummary(
            **common, numeric=True, ranked=(("1", 90 - shift), ("2", 10 + shift))
        ),
        "number": ColumnSummary(**common, numeric=True, quantiles=numbers),
        "when": ColumnSummary(**common, numeric=True, quantiles=numbers),
        "empty": ColumnSummary(rows=100, missing=100, numeric=True),
    }


def test_each_column_is_measured_in_its_way():
    found = distances.measure_columns(
        schema(),
        "skew",
        "eval",
        summaries(20),
        summaries(0),
        DistanceThresholds({"text": 0.3}, 0.1),
    )
    measured = {d.column: (d.measure, d.threshold, d.is_too_far) for d in found}
    assert measured == {
        "text": ("L_INFTY", 0.3, False),
        "code": ("L_INFTY", 0.1, True),
        "number": ("JENSEN_SHANNON_DIVERGENCE", 0.1, True),
        # Time moves on, so `*` does not apply.
        "when": ("JENSEN_SHANNON_DIVERGENCE", None, False),
    }
    (proto,) = distances.to_protos(found[:1])
    assert proto.skew_measurements[0].value == pytest.approx(0.2)
    assert list(proto.path.step) == ["text"]


def test_comparators_of_the_schema_count_unless_overruled():
    made = schema()
    made.feature[0].drift_comparator.infinity_norm.threshold = 0.01
    made.feature[2].drift_comparator.jensen_shannon_divergence.threshold = 0.02
    thresholds = DistanceThresholds.parse(
        {"text": 0.5, "*": 1}, "drift_thresholds", ["text", "number"]
    )
    assert thresholds.of(made.feature[0], "drift") == 0.5
    assert thresholds.of(made.feature[2], "drift") == 0.02
    assert thresholds.of(made.feature[2], "skew") == 1.0
    assert DistanceThresholds({}).of(made.feature[0], "skew") is None


@pytest.mark.parametrize(
    ("given_thresholds", "message"),
    [
        ({"fair": 0.1}, "no column 'fair'. Did you mean 'fare'"),
        ({"fare": 1.5}, "'fare': expected a number between 0 and 1, found 1.5"),
        ({"*": "0.1"}, "found '0.1'"),
        ({"*": True}, "found True"),
        ({"fare": float("nan")}, "found nan"),
    ],
)
def test_thresholds_that_make_no_sense(given_thresholds, message):
    with pytest.raises(UserError, match=message) as caught:
        DistanceThresholds.parse(given_thresholds, "skew_thresholds", ["fare"])
    assert str(caught.value).startswith("skew_thresholds: ")
