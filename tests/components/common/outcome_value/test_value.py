"""Values of outcomes, and the profit by threshold."""

import ast

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.outcome_value import expressions, profit
from kfp_tabular.components.common.outcome_value.outcome_values import OutcomeValues
from kfp_tabular.components.common.outcome_value.profit import ProfitSums
from kfp_tabular.components.common.statistics import bootstrap
from kfp_tabular.components.evaluation import value_findings
from tests import accumulator_laws

numbers = st.integers(-20, 20).map(str) | st.floats(0, 9, width=16).map(str)
columns = st.sampled_from(["amount", "fee", 'column("fee")'])


def larger(inner):
    return st.one_of(
        st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda p: f"({p[0]} {p[1]} {p[2]})"),
        inner.map(lambda each: f"-{each}"),
        st.tuples(st.sampled_from(["min", "max"]), inner, inner).map(
            lambda p: f"{p[0]}({p[1]}, {p[2]})"
        ),
        inner.map(lambda each: f"abs({each})"),
    )


@given(text=st.recursive(numbers | columns, larger, max_leaves=8))
def test_an_expression_means_what_it_means_in_python(text):
    given_columns = {"amount": np.array([2.0, -3.5]), "fee": np.array([0.5, 4.0])}
    found = np.broadcast_to(expressions.parse(text, "x").values(given_columns), 2)
    for row in range(2):
        names = {name: float(values[row]) for name, values in given_columns.items()}
        scope = {**names, "min": min, "max": max, "abs": abs, "column": names.get}
        try:
            expected = eval(compile(ast.parse(text, mode="eval"), "x", "eval"), scope)
        except ZeroDivisionError:
            continue
        assert np.isnan(found[row]) or found[row] == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "amount.__class__",
        "amount ** 9999999",
        "[x for x in amount]",
        "lambda: 0",
        "amount if fee else 0",
        "'text'",
        "True",
        "max(amount, key=abs)",
        "open('x')",
        "abs(amount, fee)",
        "column(amount)",
        "amount +",
        "amount\nfee",
        "(" * 900 + "1" + ")" * 90,
        "1" * 1001,
        "\x00",
        "a[0]",
        "amount := 3",
        "1j",
    ],
)
def test_nothing_else_is_an_expression(text):
    with pytest.raises(UserError, match="outcome_values: true_positive: "):
        OutcomeValues.parse({"true_positive": text}, "binary")


@given(text=st.text(max_size=40))
def test_any_text_is_an_expression_or_refused(text):
    try:
        expressions.parse(text, "x")
    except UserError as error:
        assert "\n" not in str(error).replace(repr(text), "")


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"true_positiv": 1}, "'true_positiv' is not an outcome.*'true_positive'"),
        ({"true_positive": None}, "must be a number or an expression, found None"),
        ({"true_positive": True}, "must be a number or an expression, found True"),
        ({"false_positive": "amonut"}, "no column 'amonut'.*Did you mean 'amount'"),
        ({"false_positive": "kind"}, "column 'kind' has string, not numbers"),
    ],
)
def test_bad_values_are_refused(document, message):
    schema = pa.schema([("amount", pa.float32()), ("kind", pa.string())])
    with pytest.raises(UserError, match=f"outcome_values: .*{message}"):
        OutcomeValues.parse(document, "binary").check(schema)


def test_only_a_binary_model_has_outcomes():
    assert OutcomeValues.parse({}, "regression") is None
    with pytest.raises(UserError, match="only a binary model"):
        OutcomeValues.parse({"true_positive": 1}, "regression")


class Rows:
    """Random rows with amounts, a few of them missing."""

    def __init__(self, rows, seed, gaps=0.1):
        random = np.random.default_rng(seed)
        self.positive = random.random(rows) < 0.3
        self.scores = np.clip(random.normal(0.3 + 0.3 * self.positive, 0.2, rows), 0, 1).astype(
            np.float32
        )
        self.groups = random.integers(0, bootstrap.GROUPS, rows)
        self.amounts = np.where(random.random(rows) < gaps, np.nan, random.gamma(2, 20, rows))
        self.worth = OutcomeValues.parse(
            {"true_positive": "0.5 * amount - 5", "false_positive": "-5"}, "binary"
        )

    def part(self, start, stop):
        part = slice(start, stop)
        column = pa.array(self.amounts[part], mask=np.isnan(self.amounts[part]))
        batch = pa.RecordBatch.from_pydict({"amount": column})
        values = self.worth.of(batch, self.positive[part])
        return self.groups[part], self.scores[part], *values


class Sums(ProfitSums):
    def add(self, part):
        super().add(*part)


@settings(max_examples=40)
@given(data=st.data(), rows=st.integers(0, 100), seed=st.integers(0, 2**32))
def test_any_cut_gives_the_same_profit(data, rows, seed):
    made = Rows(rows, seed)
    accumulator_laws.check(
        data,
        lambda: Sums(0.37),
        rows,
        made.part,
        lambda found: [found.left_out, found.gains.sum(0), found.gains.sum(1), found.base],
        absolute=1e-9,
    )
    assert ProfitSums(0.37).result().left_out == 0


@given(rows=st.integers(1, 200), seed=st.integers(0, 2**32))
def test_the_profit_is_the_sum_over_rows(rows, seed):
    made = Rows(rows, seed)
    sums = Sums(0.37)
    sums.add(made.part(0, rows))
    found = sums.result()
    known = ~np.isnan(made.amounts) | ~made.positive
    assert found.left_out == (~known).sum()
    for place in range(0, len(found.thresholds), 37):
        threshold = found.thresholds[place]
        answered = made.scores >= np.float32(threshold)
        gained = np.where(made.positive, 0.5 * made.amounts - 5, -5.0)
        total = gained[answered & known].sum()
        if known.any():
            assert found.curve()[place] == pytest.approx(total / known.sum(), abs=1e-9)


def test_the_interval_of_the_best_threshold_and_of_the_change():
    made = Rows(20_000, 0, gaps=0)
    sums, other = ProfitSums(0.5), ProfitSums(0.5)
    groups, scores, *worth = made.part(0, 20_000)
    sums.add(groups, scores, *worth)
    random = np.random.default_rng(1)
    worse = np.clip(scores + random.normal(0, 0.2, len(scores)), 0, 1).astype(np.float32)
    other.add(groups, worse, *worth)
    found = profit.describe(sums.result(), bootstrap.weights(500, 0), other.result())
    best = found["best"]
    assert 0.2 < best["threshold"] < 0.5
    assert found["as_good"][0] <= best["threshold"] <= found["as_good"][1]
    assert best["interval"][0] < best["value"] < best["interval"][1]
    # The spread of a mean over rows.
    answered = scores >= np.float32(best["threshold"])
    per_row = np.where(answered, worth[0], worth[1])
    width = 2 * 1.96 * per_row.std() / np.sqrt(len(per_row))
    assert best["interval"][1] - best["interval"][0] == pytest.approx(width, rel=0.2)
    assert found["gain"]["value"] >= 0
    assert found["change"]["interval"][0] > 0
    assert found["none"] == 0
    (finding,) = value_findings.find(found)
    assert finding.code == "better-threshold"
    assert finding.option == f"decision_threshold={best['threshold']:.4g}"


def test_no_rows_have_no_profit():
    found = ProfitSums(0.5).result()
    assert np.isnan(found.curve()).all()


@pytest.mark.parametrize("groups", [1, 3])
def test_a_few_entities_leave_resamples_without_rows(groups):
    made = Rows(500, 0, gaps=0)
    _, scores, *worth = made.part(0, 500)
    sums = ProfitSums(0.5)
    sums.add(np.arange(500) % groups, scores, *worth)
    found = profit.describe(sums.result(), bootstrap.weights(300, 0), sums.result())
    assert found["as_good"][0] <= found["best"]["threshold"] <= found["as_good"][1]
    assert np.isfinite(found["curve"]["low"]).all()
