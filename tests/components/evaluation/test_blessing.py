import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.evaluation.blessing import (
    Bounds,
    Quality,
    judge,
    parse_bounds,
    parse_claims,
)
from kfp_tabular.components.evaluation.comparison.differences import Studentized
from kfp_tabular.components.evaluation.conditions import SliceEstimates
from kfp_tabular.components.evaluation.metrics.estimates import Estimate
from kfp_tabular.components.evaluation.options import EvaluationOptions


def estimates(**values):
    return {name: Estimate(value, (value - 0.02, value + 0.02)) for name, value in values.items()}


GOOD = Quality(Estimate(0.3, (0.25, 0.35)), {"no": 900, "yes": 100}, {"no": 880, "yes": 40})


def verdict(
    metrics,
    thresholds=None,
    *,
    changes=None,
    change_thresholds=None,
    slices=(),
    quality=GOOD,
    accept=(),
):
    options = EvaluationOptions(
        thresholds=thresholds or {}, change_thresholds=change_thresholds or {}, accept=accept
    )
    bounds = Bounds.of(options, "binary", ["company"])
    checks = judge("binary", metrics, changes, slices, bounds, quality)
    return all(check.passed for check in checks), checks


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_a_bound_holds_where_the_value_is_within(value, least, most):
    blessed, (check,) = verdict(estimates(auc=value), {"auc": {"min": least, "max": most}})
    assert blessed == (least <= value <= most)
    assert check.value == value


def quality(value, low, rows=None, found=None):
    return Quality(
        Estimate(value, (low, 2 * value - low)),
        rows or {"no": 900, "yes": 100},
        found or {"no": 880, "yes": 40},
    )


@pytest.mark.parametrize(
    ("value", "low", "blessed"),
    [
        (0.3, 0.25, True),
        (0.01, 0.001, True),
        (0.02, -0.001, False),  # chance
        (0.009, 0.008, False),  # millions of rows prove it, but it is of no use
        (-0.2, -0.3, False),
    ],
)
def test_without_thresholds_the_improvement_must_be_meaningful(value, low, blessed):
    # Always answering "no" is right in 98 of 100 rows, and ranking alone is not enough.
    metrics = estimates(auc=0.8, accuracy=0.98)
    assert verdict(metrics, quality=quality(value, low))[0] == blessed


@pytest.mark.parametrize(
    ("rows", "found", "accept", "blessed"),
    [
        ({"no": 700, "yes": 300}, {"no": 700, "yes": 0}, (), False),
        ({"no": 700, "yes": 300}, {"no": 700, "yes": 0}, ("yes",), True),
        ({"no": 700, "yes": 300}, {"no": 700, "yes": 0}, ("no",), False),
        ({"no": 700, "yes": 300}, {"no": 700, "yes": 0}, ("no-recall",), True),
        ({"no": 900, "yes": 100}, {"no": 900, "yes": 0}, (), True),  # a matter of the threshold
        ({"no": 900, "yes": 100}, {"no": 0, "yes": 100}, (), False),
        ({"no": 900, "yes": 100}, {"no": 900, "yes": 1}, (), True),
        ({"no": 900, "yes": 4}, {"no": 900, "yes": 4}, (), False),  # too few to say anything
        ({"no": 900, "yes": 5}, {"no": 900, "yes": 5}, (), True),
    ],
)
def test_without_thresholds_every_class_must_be_found(rows, found, accept, blessed):
    given = quality(0.3, 0.25, rows, found)
    assert verdict(estimates(auc=0.9), quality=given, accept=accept)[0] == blessed


def test_of_several_classes_the_rare_ones_are_not_judged():
    rows = {"a": 450, "b": 430, "c": 40, "d": 4, "e": 0}
    some = {"a": 400, "b": 400, "c": 9, "d": 0, "e": 0}
    for found, blessed in ((some, True), ({**some, "c": 0}, False)):
        given = quality(0.3, 0.25, rows, found)
        checks = judge("multiclass", estimates(auc=0.9), None, (), Bounds(), given)
        assert all(check.passed for check in checks) == blessed
        assert given.never_found() == ([] if blessed else ["c"])


def test_thresholds_replace_the_default():
    worthless = quality(-0.5, -0.9, {"no": 900, "yes": 100}, {"no": 900, "yes": 0})
    assert verdict(estimates(auc=0.8), {"auc": {"min": 0.7}}, quality=worthless)[0]


def test_regression_must_beat_the_mean():
    for value, blessed in ((0.1, True), (0.01, False)):
        given = Quality(estimates(r2=value)["r2"])
        checks = judge("regression", {}, None, (), Bounds(), given)
        assert [check.metric for check in checks] == ["r2"]
        assert all(check.passed for check in checks) == blessed


def test_an_undefined_metric_blesses_nothing():
    undefined = Quality(None, {"no": 900, "yes": 0}, {"no": 900, "yes": 0})
    blessed, checks = verdict({}, quality=undefined)
    assert not blessed
    assert checks[0].value is None
    assert "log_loss_skill is undefined" in str(checks[0])
    assert not verdict(estimates(accuracy=1.0), {"auc": {"min": 0.5}})[0]


def test_a_skill_without_interval_does_not_bless():
    given = Quality(Estimate(0.9, None), {"no": 900, "yes": 100}, {"no": 880, "yes": 40})
    assert not verdict(estimates(auc=0.9), quality=given)[0]


def test_several_bounds_for_one_metric():
    thresholds = {"auc": [{"min": 0.8}, {"max": 0.9}], "log_loss": {"max": 0.4}}
    assert verdict(estimates(auc=0.85, log_loss=0.3), thresholds)[0]
    assert not verdict(estimates(auc=0.95, log_loss=0.3), thresholds)[0]
    assert not verdict(estimates(auc=0.85, log_loss=0.5), thresholds)[0]


def part(name, rows, metrics, changes=None):
    return SliceEstimates("company", f"company={name}", rows, metrics, changes or {})


def test_a_bound_on_slices_holds_for_each_with_enough_rows():
    slices = [
        part("good", 500, estimates(auc=0.9)),
        part("one class only", 500, {}),
        part("small", 99, estimates(auc=0.1)),
    ]
    thresholds = {"auc": {"min": 0.8, "slice": "company"}}
    blessed, checks = verdict(estimates(auc=0.9), thresholds, slices=slices)
    assert blessed
    assert [check.slice for check in checks] == ["company=good"]

    blessed, checks = verdict(
        estimates(auc=0.9),
        {"auc": {"min": 0.8, "slice": "company", "min_rows": 50}},
        slices=slices,
    )
    assert not blessed
    assert "auc of company=small is 0.1" in str(checks[1])


def test_slices_that_cannot_be_judged_leave_the_rule_for_no_thresholds():
    thresholds = {"auc": {"min": 0.8, "slice": "company"}}
    small = [part("small", 5, estimates(auc=0.9))]
    worthless = quality(0.0, -0.1)
    assert not verdict(estimates(auc=0.5), thresholds, slices=small, quality=worthless)[0]
    assert verdict(estimates(auc=0.9), thresholds, slices=small)[0]


@pytest.mark.parametrize(("change", "blessed"), [(0.0, True), (-0.01, True), (-0.011, False)])
def test_changes_are_bound_too(change, blessed):
    changes = {"auc": Estimate(change, (change - 0.1, change + 0.1))}
    bound = {"auc": {"min_change": -0.01}}
    assert (
        verdict(
            estimates(auc=0.9), {"auc": {"min": 0.5}}, changes=changes, change_thresholds=bound
        )[0]
        == blessed
    )


@pytest.mark.parametrize(("change", "blessed"), [(0.05, True), (-0.01, True), (-0.03, False)])
def test_a_baseline_without_bounds_must_not_be_clearly_better(change, blessed):
    assert verdict(estimates(auc=0.9), changes=estimates(auc=change))[0] == blessed


def test_change_thresholds_without_a_baseline_are_not_judged():
    assert verdict(estimates(auc=0.9), change_thresholds={"auc": {"min_change": 0.1}})[0]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"acu": {"min": 0.9}}, "'acu' is not a metric of a binary model.*Did you mean 'auc'"),
        ({"rmse": {"max": 1}}, "'rmse' is not a metric of a binary model"),
        ({"auc": {"mim": 0.9}}, "key 'mim' is unknown.*Did you mean 'min'"),
        ({"auc": {"min_change": 0.9}}, "key 'min_change' is unknown"),
        ({"auc": {"min": "0.9"}}, "'min' must be a number, found '0.9'"),
        ({"auc": {"min": True}}, "'min' must be a number"),
        ({"auc": {"min": math.nan}}, "'min' must be a number"),
        ({"auc": {}}, "give 'min', 'max' or both"),
        ({"auc": {"slice": "company"}}, "give 'min', 'max' or both"),
        ({"ece": {"max": 0.1, "slice": "company"}}, "measured on all rows only"),
        ({"auc": 0.9}, "expected a bound such as"),
        ({"auc": {"min": 0.9, "slice": "compny"}}, "'compny' is not among slice_columns. Did you"),
    ],
)
def test_a_bad_document_is_refused(document, message):
    with pytest.raises(UserError, match=message):
        parse_bounds(document, "binary", ["company"])


def change(value, error=0.01):
    return Studentized("DeLong", value, error, math.inf)


def claimed(claim, metric="auc", correction="holm", slices=(), **differences):
    """Whether each test passes that `change_thresholds` asks for."""
    options = EvaluationOptions(change_thresholds={metric: claim}, slice_correction=correction)
    bounds = Bounds.of(options, "binary", ["company"])
    checks = judge("binary", {}, {}, slices, bounds, GOOD, differences)
    return [check.passed for check in checks if check.kind == "test"]


@pytest.mark.parametrize(
    ("claim", "least"),
    [
        ({"superior": 0}, 0.0196),
        ({"superior": 0.01}, 0.0296),
        ({"non_inferior": 0.01}, 0.0096),
        ({"not_worse": 0}, -0.0196),
        ({"not_worse": 0.01}, -0.0296),
    ],
)
def test_a_test_passes_from_a_change_on(claim, least):
    assert claimed(claim, auc=change(least + 1e-4)) == [True]
    assert claimed(claim, auc=change(least - 1e-4)) == [False]
    # Of a loss, a fall is an improvement.
    assert claimed(claim, "log_loss", log_loss=change(-least - 1e-4)) == [True]
    assert claimed(claim, "log_loss", log_loss=change(-least + 1e-4)) == [False]


def test_a_claim_about_a_metric_that_is_undefined_fails():
    assert claimed({"superior": 0}) == [False]
    assert claimed({"not_worse": 0}) == [False]


def test_only_harm_in_slices_is_adjusted_for_their_number():
    def parts(*values, rows=1000):
        return [
            SliceEstimates("company", f"company={at}", rows, {}, {}, {"auc": change(value)})
            for at, value in enumerate(values)
        ]

    harm = {"not_worse": 0, "slice": "company"}
    # A z of 2.2 is significant alone, and of ten it is chance.
    assert claimed(harm, slices=parts(-0.022)) == [False]
    assert claimed(harm, slices=parts(-0.022, *[0.0] * 9)) == [True] * 10
    assert claimed(harm, slices=parts(-0.04, *[0.0] * 9)) == [False] + [True] * 9
    # Benjamini and Hochberg: among many false ones, the largest p-value may be that of one test.
    half = parts(*[-0.022] * 10)
    assert claimed(harm, slices=half, correction="benjamini-hochberg") == [False] * 10
    assert claimed(harm, slices=half) == [True] * 10
    better = {"superior": 0, "slice": "company"}
    assert claimed(better, slices=parts(*[0.022] * 10)) == [True] * 10
    assert claimed(better, slices=parts(0.022, 0.01)) == [True, False]
    small = [replace(part, rows=99) for part in parts(0.0)]
    assert claimed(better, slices=small) == []
    assert claimed({**better, "min_rows": 50}, slices=small) == [False]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"auc": {"superior": -0.1}}, "'superior' is a margin from 0, found -0.1"),
        ({"auc": {"superior": "yes"}}, "'superior' must be a number, found 'yes'"),
        ({"auc": {"superior": 0, "slice": "city"}}, "'city' is not among slice_columns"),
        ({"ece": {"superior": 0}}, "there is no test of this metric; leave out 'superior'"),
        ({"auc": {"superiour": 0}}, "key 'superiour' is unknown.*'superior'"),
        ({"auc": {"slice": "company"}}, "give 'min_change', 'max_change' or both, or a test"),
    ],
)
def test_bad_claims_are_refused(document, message):
    options = EvaluationOptions(change_thresholds=document)
    with pytest.raises(UserError, match=f"change_thresholds: .*{message}"):
        Bounds.of(options, "binary", ["company"])


def test_a_claim_and_a_bound_in_one_entry():
    document = {"auc": {"min_change": -0.01, "non_inferior": 0.005}}
    (bound,) = parse_bounds(document, "binary", [], argument="change_thresholds")
    (claim,) = parse_claims(document, "binary", [])
    assert (bound.least, claim.margin) == (-0.01, 0.005)


def test_there_is_no_test_of_the_bias():
    with pytest.raises(UserError, match="there is no test of this metric"):
        parse_claims({"bias": {"superior": 0}}, "regression", [])
