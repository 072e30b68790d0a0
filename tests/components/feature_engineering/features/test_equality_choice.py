import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.common.artifacts.findings import Findings
from kfp_tabular.components.common.artifacts.raw_features import RawFeature
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.feature_engineering import plan_findings
from kfp_tabular.components.feature_engineering.features import equality_choice, feature_plan
from kfp_tabular.components.feature_engineering.features.column_facts import ColumnFacts
from kfp_tabular.components.feature_engineering.features.equality_facts import EqualityFacts
from kfp_tabular.components.feature_engineering.features.feature_config import FeatureOptions
from kfp_tabular.components.feature_engineering.features.schema_columns import SchemaColumn

COUNTRIES = {"US": 400, "PL": 300, "FR": 200, "DE": 100}


def table(columns, config=None, dtype="string"):
    """Return plan, facts and options of columns of texts, given the rows of their values."""
    facts = {
        name: ColumnFacts(sum(counts.values()), 0, len(counts), counts, texts=tuple(counts))
        for name, counts in columns.items()
    }
    schema = [SchemaColumn(RawFeature(name, dtype, False)) for name in columns]
    options = {name: FeatureOptions(None, given) for name, given in (config or {}).items()}
    plan = feature_plan.derive(schema, facts, options, label="y")
    return plan, facts, options


def names(pairs):
    return [(pair.first.name, pair.second.name) for pair in pairs]


def likely(columns, config=None):
    return names(equality_choice.candidates(*table(columns, config)))


def chosen(columns, found, config=None, taken=("y",)):
    plan, facts, options = table(columns, config)
    pairs = equality_choice.candidates(plan, facts, options)
    agreements = dict.fromkeys(pairs, found)
    return equality_choice.choose(plan, agreements, facts, options, [*taken, *columns])


class TestCandidates:
    def test_two_columns_of_one_domain(self):
        other = {"FR": 500, "US": 300, "PL": 100, "DE": 60, "JP": 40}
        assert likely({"home": COUNTRIES, "z": {"a": 9, "b": 8}, "here": other}) == [
            ("home", "here")
        ]

    def test_a_value_that_the_other_lacks_in_many_rows(self):
        assert likely({"home": COUNTRIES, "here": {**COUNTRIES, "JP": 200}}) == []
        assert likely({"home": {**COUNTRIES, "JP": 200}, "here": COUNTRIES}) == []

    def test_flags_and_grades(self):
        grades = {"low": 400, "middle": 300, "high": 300}
        assert likely({"one": grades, "two": grades}) == []

    def test_few_common_values(self):
        one = {"US": 900, "PL": 30, "A": 40, "B": 30}
        two = {"US": 900, "PL": 30, "C": 40, "D": 30}
        assert likely({"one": one, "two": two}) == []

    @pytest.mark.parametrize(("columns", "pairs"), [(2, 1), (3, 3), (4, 0), (12, 0)])
    def test_many_columns_of_one_domain_are_a_scale(self, columns, pairs):
        assert len(likely({f"q{number}": COUNTRIES for number in range(columns)})) == pairs

    @pytest.mark.parametrize("configured", ["home", "here"])
    def test_a_column_that_is_compared_with_none(self, configured):
        columns = {"home": COUNTRIES, "here": COUNTRIES}
        assert likely(columns, {configured: {"equal_to": []}}) == []


class TestConfigured:
    def test_any_two_categories(self):
        columns = {"home": {"a": 9, "b": 9}, "here": {"c": 9, "d": 9}}
        config = {"here": {"equal_to": ["home"]}, "home": {"equal_to": ["here"]}}
        plan = chosen(columns, EqualityFacts(0, 18, 0), config)
        (equality,) = plan.equalities
        assert (equality.first.name, equality.second.name) == ("here", "home")
        assert equality.why == "configured"
        found = Findings()
        plan_findings.add(plan, found)
        assert not list(found)

    @pytest.mark.parametrize(
        ("other", "message"),
        [
            ("home", "'home' is the column itself"),
            ("hre", "'hre' is not a categorical or hash feature. Did you mean 'here'?"),
        ],
    )
    def test_a_column_that_cannot_be_compared(self, other, message):
        columns = {"home": COUNTRIES, "here": COUNTRIES}
        with pytest.raises(UserError, match="feature_config: 'home': equal_to") as error:
            likely(columns, {"home": {"equal_to": [other]}})
        assert message in str(error.value)

    def test_a_column_of_another_type(self):
        plan, facts, _ = table({"home": COUNTRIES})
        number = SchemaColumn(RawFeature("code", "int64", False), categorical=True)
        codes = {"code": ColumnFacts(10, 0, 2, {1: 5, 2: 5}, whole=True)}
        more = feature_plan.derive([number], codes, {}, label="y")
        both = type(plan)(plan.features + more.features, ())
        options = {"home": FeatureOptions(None, {"equal_to": ["code"]})}
        with pytest.raises(UserError, match="'code' is int64, and 'home' is string"):
            equality_choice.candidates(both, facts | codes, options)


TWO = {"home": COUNTRIES, "here": COUNTRIES}


class TestChoice:
    def test_columns_that_agree(self):
        plan = chosen(TWO, EqualityFacts(equal=900, present=1000, missing=0))
        (equality,) = plan.equalities
        assert equality.value.name == "home__equals_here"
        assert equality.value.size == 2
        assert equality.value in plan.outputs
        assert "equal in 90.0% of the rows, agreement 0.86" in equality.why

    def test_an_id_for_missing_values(self):
        plan = chosen(TWO, EqualityFacts(equal=900, present=990, missing=10))
        assert plan.equalities[0].value.size == 3

    def test_columns_that_agree_by_chance(self):
        # 0.4 ** 2 + 0.3 ** 2 + 0.2 ** 2 + 0.1 ** 2 of the rows
        plan = chosen(TWO, EqualityFacts(equal=300, present=1000, missing=0))
        assert not plan.equalities

    @pytest.mark.parametrize("equal", [1000, 999, 0])
    def test_what_never_or_always_holds(self, equal):
        plan = chosen(TWO, EqualityFacts(equal, present=1000, missing=0))
        assert not plan.equalities

    def test_a_name_that_is_taken(self):
        facts = EqualityFacts(equal=900, present=1000, missing=0)
        plan = chosen(TWO, facts, taken=("home__equals_here",))
        assert plan.equalities[0].value.name == "home__equals_here_2"

    def test_at_most_ten_pairs_and_the_others_are_counted(self):
        columns = {
            f"{side}{number}": {f"{number}{value}": rows for value, rows in COUNTRIES.items()}
            for number, side in itertools.product(range(12), ("home", "here"))
        }
        plan = chosen(columns, EqualityFacts(equal=900, present=1000, missing=0))
        assert len(plan.equalities) == 10
        found = Findings()
        plan_findings.add(plan, found)
        (note,) = found
        assert "2 more pairs are left out" in note.message

    def test_the_note_says_how_to_turn_it_off(self):
        plan = chosen(TWO, EqualityFacts(equal=900, present=1000, missing=0))
        found = Findings()
        plan_findings.add(plan, found)
        (note,) = found
        assert note.code == "equality"
        assert "'home' and 'here'" in note.message
        assert note.option == 'feature_config={"home": {"equal_to": []}}'
        assert not chosen(TWO, None, {"home": {"equal_to": []}}).equalities


@given(
    first=st.lists(st.integers(0, 5), min_size=1, max_size=40),
    shift=st.lists(st.integers(0, 2), min_size=40, max_size=40),
)
def test_agreement_is_that_of_scikit_learn(first, shift):
    metrics = pytest.importorskip("sklearn.metrics")
    second = [(value + by) % 6 for value, by in zip(first, shift, strict=False)]
    counts = [{value: of.count(value) for value in of} for of in (first, second)]
    equal = sum(one == two for one, two in zip(first, second, strict=True))
    found = equality_choice.agreement(EqualityFacts(equal, len(first), 0), *counts)
    if len({*first, *second}) > 1:
        assert found == pytest.approx(metrics.cohen_kappa_score(first, second))
