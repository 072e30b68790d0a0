import math
from decimal import Decimal

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kfp_tabular.components.common.artifacts.hyperparameters import MODEL_TYPES, Hyperparameters
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.tuning.local import distributions
from kfp_tabular.components.tuning.search import search_space, trial_models
from kfp_tabular.components.tuning.search.search_space import Choice, Number


def entry(name="learning_rate", kind="double", **feasible):
    return {"name": name, "parameterType": kind, "feasibleSpace": feasible}


def test_katib_vocabulary():
    space = search_space.parse(
        [
            entry(min="0.0001", max="0.1", distribution="logUniform"),
            entry("epochs", "int", min=1.0, max="10", step="3"),
            entry("dropout", "discrete", list=["0.5", 0, "0.25"]),
            entry("model_type", "categorical", list=["dnn", "linear"]),
            entry("hidden_units", "categorical", list=["64,32", 128.0]),
            entry("batch_size", "categorical", list=[64.0, "128"]),
        ]
    )
    assert space == (
        Number(
            "learning_rate",
            "double",
            Decimal("0.0001"),
            Decimal("0.1"),
            distribution="logUniform",
        ),
        Number("epochs", "int", Decimal("1"), Decimal("10"), Decimal("3")),
        Choice("dropout", "discrete", (0.0, 0.25, 0.5)),
        Choice("model_type", "categorical", ("dnn", "linear")),
        Choice("hidden_units", "categorical", ("64,32", "128")),
        Choice("batch_size", "categorical", (64, 128)),
    )
    assert [space[1].at(i) for i in range(space[1].size)] == [1, 4, 7, 10]
    assert search_space.parse(search_space.to_katib(space)) == space


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_the_default_space_fits_the_model_type_and_holds_the_defaults(model_type):
    space = search_space.parse(search_space.default(model_type))
    base = Hyperparameters(model_type=model_type)
    names = {parameter.name for parameter in space}
    assert ("dropout" in names) == (model_type not in ("linear", "trees"))
    assert ("cross_layers" in names) == (model_type == "dcn_v2")
    for parameter in space:
        default = getattr(trial_models.trial_base(base, space), parameter.name)
        assert distributions.raw(parameter, default) is not None


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (["learning_rate"], r"search_space\[0\]: expected an object .*found str"),
        ([{"parameterType": "int"}], "'name' is missing"),
        ([entry("learning_rat")], "'learning_rat' is unknown. Did you mean 'learning_rate'"),
        ([entry(kind="float")], r"search_space\[0\] \(learning_rate\): parameterType 'float'"),
        ([{"name": "l2", "parameterType": "double"}], "'feasibleSpace' is missing"),
        ([{**entry(min=0, max=1), "feasible": {}}], "unknown field 'feasible'. Did you mean"),
        ([entry(min="0", max="1", lst=[])], "unknown field 'lst' of a double"),
        ([entry(list=["0.1"])], "unknown field 'list' of a double"),
        ([entry("batch_size", "discrete", min=1, max=2)], "unknown field 'min' of a discrete"),
        ([entry(min="0.1")], "'max' is missing"),
        ([entry(min="2", max="1")], "min 2 is larger than max 1"),
        ([entry(min="x", max="1")], "feasibleSpace.min: expected a finite number, found 'x'"),
        ([entry(min="nan", max="1")], "finite number, found 'nan'"),
        ([entry(min=0, max=float("inf"))], "finite number, found inf"),
        ([entry(min=0, max="1e999")], "finite number, found '1e999'"),
        ([entry(min=True, max=2)], "finite number, found True"),
        ([entry(min=[1], max=2)], "finite number"),
        ([entry(min=0, max=1, distribution="logUniform")], "needs a min above 0, found 0"),
        ([entry(min=-1, max=1, distribution="logNormal")], "needs a min above 0, found -1"),
        ([entry(min=1, max=2, distribution="loguniform")], "Did you mean 'logUniform'"),
        ([entry(min=1, max=2, distribution=3)], "must be text, found 3"),
        ([entry(min=1, max=2, step=0)], "step must be above 0"),
        ([entry(min=1, max=2, step=3)], "step 3 is larger than the range"),
        ([entry("epochs", "int", min=1, max=2.5)], "whole numbers, found 2.5"),
        ([entry("epochs", "double", min=1, max=2)], "use parameterType int"),
        ([entry("hidden_units", "int", min=1, max=2)], "use parameterType categorical"),
        ([entry("hidden_units", "discrete", list=[1])], "use parameterType categorical"),
        ([entry("batch_size", "discrete", list=[])], "at least one value, found"),
        ([entry("batch_size", "discrete", list="64")], "must be a list"),
        ([entry("batch_size", "discrete", list=["64", 64.0])], "holds 64 twice"),
        ([entry("batch_size", "discrete", list=["64", "x"])], "finite number, found 'x'"),
        ([entry("batch_size", "categorical", list=[64.5])], "whole numbers, found 64.5"),
        ([entry("model_type", "categorical", list=["dcn"])], "model type 'dcn' is unknown"),
        ([entry("model_type", "categorical", list=[None])], "expected text or a number"),
        ([entry(min=1, max=2), entry(min=1, max=2)], r"search_space\[1\]: .* is listed twice"),
    ],
)
def test_what_cannot_be_searched_is_said(parameters, message):
    with pytest.raises(UserError, match=message) as raised:
        search_space.parse(parameters)
    assert "\n" not in str(raised.value)


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["name", "parameterType", "feasibleSpace", "min", "max", "step", "list", "x"]
            ),
            inner
            | st.sampled_from(["learning_rate", "epochs", "model_type", "double", "int", "0.1"]),
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(st.lists(json_like, max_size=3))
def test_anything_else_is_a_user_error_too(parameters):
    try:
        parsed = search_space.parse(parameters)
    except UserError:
        return
    assert len(parsed) == len(parameters)


@st.composite
def numbers(draw: st.DrawFn) -> Number:
    kind = draw(st.sampled_from(["double", "int"]))
    distribution = draw(st.sampled_from(search_space.DISTRIBUTIONS))
    least = 1 if distribution.startswith("log") else -1000
    places = 0 if kind == "int" else 3
    low, high = sorted(draw(st.decimals(least, 1000, places=places)) for _ in range(2))
    assume(not distribution.startswith("log") or low > 0)
    step = Decimal(1) if kind == "int" else None
    if draw(st.booleans()):
        step = draw(st.decimals(1, 50, places=places))
    assume(step is None or step <= high - low or low == high)
    return Number("l2", kind, low, high, step, distribution)


@settings(deadline=None)
@given(numbers(), st.floats(0, 1))
def test_a_sampled_number_lies_in_the_space_and_on_its_grid(number, share):
    sampled = distributions.value(number, _raw_at(number, share))
    assert isinstance(sampled, int if number.kind == "int" else float)
    exact = Decimal(str(sampled))
    assert number.low <= exact <= number.high
    if number.step is not None:
        assert (exact - number.low) % number.step == 0
    back = distributions.raw(number, sampled)
    assert back is not None
    assert math.isclose(distributions.value(number, back), sampled, rel_tol=1e-6, abs_tol=1e-6)


def _raw_at(number, share):
    """Return the raw value at a share of Optuna's distribution."""
    distribution = distributions.distribution(number)
    low, high = distribution.low, distribution.high
    if isinstance(low, int):
        return low + round(share * (high - low))
    return low + share * (high - low)


def test_a_normal_distribution_is_katibs():
    number = Number("l2", "double", Decimal(1), Decimal(7), None, "normal")
    assert distributions.value(number, 0.5) == pytest.approx(4.0)
    assert distributions.value(number, 0.0) == pytest.approx(1.0)
    assert distributions.value(number, 1.0) == pytest.approx(7.0)
    # One standard deviation, a sixth of the range, holds 68% of the mass.
    assert distributions.value(number, 0.8417) == pytest.approx(5.0, abs=0.01)
    log = Number("l2", "double", Decimal("0.001"), Decimal("1000"), None, "logNormal")
    assert distributions.value(log, 0.5) == pytest.approx(1.0)


def test_what_the_space_does_not_hold_has_no_raw_value():
    (rate,) = search_space.parse([entry(min="0.1", max="0.5", step="0.2")])
    assert distributions.raw(rate, 0.3) == 1
    assert distributions.raw(rate, 0.4) is None
    assert distributions.raw(rate, 0.7) is None
    (units,) = search_space.parse([entry("hidden_units", "categorical", list=["64", "32"])])
    assert distributions.raw(units, "32") == 1
    assert distributions.raw(units, "16") is None
