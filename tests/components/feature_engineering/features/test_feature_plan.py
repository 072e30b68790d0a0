import math
from dataclasses import replace

import numpy as np
import pytest
from tensorflow_metadata.proto.v0 import schema_pb2

from kfp_tabular.components.common.artifacts.raw_features import RawFeature
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.values.column_format import TimeFormat
from kfp_tabular.components.feature_engineering.features import (
    feature_config,
    feature_plan,
    planned_features,
)
from kfp_tabular.components.feature_engineering.features.column_facts import ColumnFacts, Moments
from kfp_tabular.components.feature_engineering.features.feature_config import FeatureOptions
from kfp_tabular.components.feature_engineering.features.planned_features import TransformedColumn
from kfp_tabular.components.feature_engineering.features.schema_columns import (
    SchemaColumn,
    schema_columns,
)
from kfp_tabular.components.feature_engineering.features.time_facts import Spread, TimeFacts


def numbers(values, *, missing=0, counted=True):
    values = np.asarray(values, np.float64)
    keys, rows = np.unique(values, return_counts=True)
    order = sorted(zip(-rows, keys.tolist(), strict=True))
    deviation = values.std()

    def moments(data):
        spread = data.std()
        skew = ((data - data.mean()) ** 3).mean() / spread**3 if spread else 0.0
        return Moments(data.mean(), spread, skew)

    del deviation
    return ColumnFacts(
        rows=len(values) + missing,
        missing=missing,
        distinct=len(keys),
        counts={key: -count for count, key in order} if counted else None,
        minimum=values.min(),
        maximum=values.max(),
        moments=moments(values),
        log_moments=None if values.min() < 0 else moments(np.log1p(values)),
        sample=np.sort(values),
        whole=bool(np.all(values == np.rint(values))),
    )


def texts(counts, *, missing=0):
    rows = sum(counts.values()) + missing
    return ColumnFacts(rows, missing, len(counts), counts, texts=tuple(counts))


DAYS = {"2020-01-01": 5, "2020-01-02": 6}
MOMENTS = {"2020-01-01 10:00:00": 5, "2020-01-02 11:00:00": 6}


def derive(facts, dtype="float32", name="x", config=None, label="y", **column):
    found = feature_plan.derive(
        [SchemaColumn(RawFeature(name, dtype, False), **column)],
        {name: facts},
        {name: config} if config else {},
        label=label,
    )
    return (found.features or found.dropped)[0]


def configured(kind=None, **options):
    return FeatureOptions(kind, options)


RANDOM = np.random.default_rng(3)


class TestNumbers:
    def test_a_fractional_number(self):
        feature = derive(numbers(RANDOM.normal(5, 2, 10_000)))
        assert isinstance(feature, planned_features.Numeric)
        assert not feature.log
        assert feature.fill == feature.moments.mean
        assert len(feature.boundaries) == feature_config.BUCKETS - 1
        assert feature.outputs == [TransformedColumn("x"), TransformedColumn("x__bucket", 32)]

    def test_missing_values_get_a_flag_and_a_bucket_of_their_own(self):
        feature = derive(numbers(RANDOM.normal(size=1000), missing=3))
        assert feature.outputs == [
            TransformedColumn("x"),
            TransformedColumn("x__bucket", 33),
            TransformedColumn("x__missing"),
        ]

    def test_buckets_hold_equally_many_rows(self):
        values = RANDOM.gamma(2, size=32_000)
        feature = derive(numbers(values))
        ids = np.searchsorted(feature.boundaries, values, side="right")
        assert np.bincount(ids).tolist() == pytest.approx([1000] * 32, rel=0.05)

    def test_boundaries_rise_and_leave_no_bucket_empty(self):
        values = [0.0] * 900 + [1.5] * 50 + [2.5] * 50
        feature = derive(numbers(values))
        ids = np.searchsorted(feature.boundaries, values, side="right")
        assert sorted(set(ids)) == list(range(len(feature.boundaries) + 1))

    def test_two_values_need_no_buckets(self):
        feature = derive(numbers([0.5, 1.5] * 50))
        assert feature.bucket is None
        assert feature.boundaries == ()

    def test_the_logarithm_of_what_is_skewed_and_never_negative(self):
        values = RANDOM.lognormal(0, 1.5, 5000)
        feature = derive(numbers(values))
        assert feature.log
        assert feature.moments.mean == pytest.approx(np.log1p(values).mean())
        assert feature.fill == pytest.approx(math.expm1(feature.moments.mean))
        assert not derive(numbers(-values)).log
        assert not derive(numbers(values), config=configured("numeric", log=False)).log
        assert derive(numbers(np.abs(values)), config=configured(log=True)).log

    def test_the_logarithm_of_a_negative_number(self):
        with pytest.raises(UserError, match=r"'x' has negative values \(down to -3\)"):
            derive(numbers([-3.0, 1.0]), config=configured("numeric", log=True))

    @pytest.mark.parametrize("buckets", [0, 1])
    def test_buckets_can_be_off(self, buckets):
        facts = numbers(RANDOM.normal(size=100))
        assert derive(facts, config=configured("numeric", buckets=buckets)).bucket is None

    def test_text_cannot_be_a_number(self):
        with pytest.raises(UserError, match="'x' is text and cannot be numeric"):
            derive(texts({"a": 5, "b": 5}), "string", config=configured("numeric"))


class TestWholeNumbers:
    @pytest.mark.parametrize("dtype", ["int64", "float32"])
    @pytest.mark.parametrize("values", [range(24), range(72), [*range(10), *range(12, 24)]])
    def test_quantities_are_numbers_with_a_bucket_for_each_value(self, values, dtype):
        feature = derive(numbers(list(values) * 20), dtype)
        assert isinstance(feature, planned_features.Numeric)
        assert feature.boundaries == tuple(values)[1:]

    def test_rare_values_share_a_bucket(self):
        feature = derive(numbers([0] * 50 + [1] * 40 + [2] * 9 + [3] * 5 + [9]), "int64")
        assert feature.boundaries == (1, 2)
        assert derive(numbers(list(range(150)) * 20)).bucket.size == feature_config.BUCKETS

    @pytest.mark.parametrize("dtype", ["int64", "float32"])
    def test_codes_by_their_name_are_categories(self, dtype):
        feature = derive(numbers(list(range(24)) * 10), dtype, "product_type")
        assert isinstance(feature, planned_features.Categorical)
        assert feature.vocabulary[:3] == ("0", "1", "2")
        assert derive(numbers(list(range(24)) * 9), dtype, "product_type").kind == "numeric"

    def test_entities_are_identifiers(self):
        values = np.repeat(RANDOM.choice(10**8, 500, replace=False), 3)
        dropped = derive(numbers(values), "float32", "customer_id")
        assert dropped.why == ("identifier with a few rows each: 500 distinct values in 1,500 rows")

    def test_codes_are_categories_however_many(self):
        facts = numbers(list(range(500)) * 2)
        assert derive(facts, "int64", categorical=True).kind == "categorical"

    def test_a_sequence_is_an_identifier(self):
        kept = RANDOM.random(2000) < 0.7
        dropped = derive(numbers(np.arange(2000)[kept] + 10**6), "int64")
        assert isinstance(dropped, planned_features.DroppedColumn)
        assert "identifier" in dropped.why

    @pytest.mark.parametrize("name", ["id", "customer_id", "OrderID", "rowId", "trip key", "uuid"])
    def test_a_name_says_identifier(self, name):
        values = RANDOM.choice(10**9, 500, replace=False)
        assert isinstance(derive(numbers(values), "int64", name), planned_features.DroppedColumn)

    @pytest.mark.parametrize("name", ["paid", "humidity", "x", "width", "keyed"])
    def test_other_names_do_not(self, name):
        values = RANDOM.choice(10**9, 500, replace=False)
        assert derive(numbers(values), "int64", name).kind == "numeric"

    def test_an_identifier_that_comes_back_is_a_category(self):
        facts = numbers(list(range(200)) * 20)
        assert derive(facts, "int64", "driver_id").kind == "categorical"
        assert derive(facts, "int64", "seconds").kind == "numeric"

    def test_too_many_to_count(self):
        dense = numbers(np.arange(30_000), counted=False)
        assert isinstance(derive(dense, "int64"), planned_features.DroppedColumn)
        spread = numbers(np.arange(30_000) * 1000, counted=False)
        assert derive(spread, "int64").kind == "numeric"
        assert isinstance(derive(spread, "int64", "account_id"), planned_features.DroppedColumn)
        repeated = numbers(np.repeat(np.arange(30_000), 20), counted=False)
        assert derive(repeated, "int64", "account_id").kind == "hash"

    def test_few_rows_prove_nothing(self):
        assert derive(numbers(range(49)), "int64").kind == "numeric"

    def test_an_identifier_can_be_kept(self):
        facts = numbers(range(1000))
        assert derive(facts, "int64", config=configured("numeric")).kind == "numeric"


class TestText:
    def test_a_vocabulary(self):
        feature = derive(texts({"b": 5, "a": 3, "rare": 1}, missing=1), "string")
        assert feature.vocabulary == ("b", "a")
        assert feature.left_out == 1
        assert feature.outputs == [TransformedColumn("x", 4)]

    def test_options_of_a_vocabulary(self):
        options = configured("categorical", top_k=2, min_frequency=1, oov_buckets=5)
        feature = derive(texts({"b": 5, "a": 3, "rare": 1}), "string", config=options)
        assert feature.vocabulary == ("b", "a")
        assert feature.outputs == [TransformedColumn("x", 7)]

    def test_line_breaks_are_part_of_a_value(self):
        feature = derive(texts({"a\nb": 5, "a\rb": 5, "a\tb": 5}), "string")
        assert feature.vocabulary == ("a\nb", "a\rb", "a\tb")

    def test_nearly_unique_text_is_dropped(self):
        counts = {f"t{number}": 1 for number in range(180)} | {
            f"d{number}": 2 for number in range(5)
        }
        dropped = derive(texts(counts), "string")
        assert "identifier: 185 distinct values in 190 rows" in dropped.why

    def test_many_values_are_hashed(self):
        feature = derive(texts({f"t{number}": 2 for number in range(10_001)}), "string")
        assert feature.outputs == [TransformedColumn("x", feature_config.HASH_BUCKETS + 1)]
        uncounted = ColumnFacts(100_000, 0, 30_000, None)
        assert derive(uncounted, "string").kind == "hash"

    def test_nothing_to_learn_from(self):
        dropped = derive(texts({f"t{number}": 1 for number in range(20)}), "string")
        assert dropped.why == "text without a repeated value"

    def test_a_vocabulary_without_values_is_dropped(self):
        options = configured("categorical", min_frequency=10)
        dropped = derive(texts({"a": 5, "b": 5}), "string", config=options)
        assert dropped.why == "no value occurs in 10 or more rows, so its vocabulary would be empty"

    def test_too_many_values_for_a_vocabulary(self):
        with pytest.raises(UserError, match="about 30000 distinct values.*Choose hash"):
            derive(
                ColumnFacts(100_000, 0, 30_000, None), "string", config=configured("categorical")
            )

    def test_fractions_are_not_categories(self):
        for kind in ("categorical", "hash"):
            with pytest.raises(UserError, match=f"fractional number and cannot be {kind}"):
                derive(numbers([0.5, 1.0] * 10), config=configured(kind))
        assert derive(numbers([0.5, 1.0] * 10), categorical=True).kind == "numeric"
        whole = numbers([1.0, 2.0, 2.0] * 10)
        assert derive(whole, config=configured("categorical")).vocabulary == ("2", "1")
        assert derive(whole, categorical=True).kind == "categorical"


class TestDropped:
    def test_empty(self):
        facts = ColumnFacts(10, 10, 0, {})
        assert derive(facts).why == "no value in the train split"

    def test_constant(self):
        assert derive(numbers([7.0] * 50)).why == "constant: always 7.0"

    def test_constant_but_for_a_missing_value_in_ten_thousand(self):
        assert "constant: always 7.0 or missing (1 of 10001 rows)" in (
            derive(numbers([7.0] * 10_000, missing=1)).why
        )

    def test_whether_there_is_a_value_may_tell_something(self):
        feature = derive(texts({"yes": 40}, missing=60), "string")
        assert feature.kind == "presence"
        assert feature.outputs == [TransformedColumn("x__missing")]

    def test_configured(self):
        assert derive(numbers([1.0, 2.0]), config=configured("drop")).why == "configured"


class TestTimestamps:
    def test_text(self):
        feature = derive(texts(MOMENTS), "string", time="%Y-%m-%d %H:%M:%S")
        cycles = [
            f"{cycle}_{half}" for cycle in ("hour", "weekday", "year") for half in ("sin", "cos")
        ]
        assert [part for part, _ in feature.parts] == ["month", "day", "weekday", "hour", *cycles]
        assert feature.outputs[0] == TransformedColumn("x__month", 13, is_ordered=True)

    def test_without_a_clock_there_is_no_hour(self):
        for dtype, time in (("string", "%Y-%m-%d"), ("int64", "days")):
            facts = texts(DAYS) if dtype == "string" else numbers([1, 2])
            feature = derive(facts, dtype, time=time)
            parts = [part for part, _ in feature.parts]
            assert parts[:3] == ["month", "day", "weekday"]
            assert not {"hour", "hour_sin", "utc_hour"} & set(parts)

    def test_chosen_parts(self):
        options = configured("timestamp", parts=("hour", "elapsed"), format="seconds")
        feature = derive(numbers([1, 2], missing=1), "int64", config=options)
        assert feature.outputs == [
            TransformedColumn("x__hour", 25, is_ordered=True),
            TransformedColumn("x__elapsed"),
            TransformedColumn("x__missing"),
        ]

    def test_a_format_that_cannot_be_read_leaves_text(self):
        for time in ("%Q %d, %Y", "%d/%m/%Y"):
            facts = texts({"May of 2020": 20, "June of 2020": 20})
            assert derive(facts, "string", time=time).kind == "categorical"

    def test_spellings_that_ingestion_found(self):
        spellings = TimeFormat(("%d/%m/%Y",), canonical="%Y-%m-%d")
        column = SchemaColumn(RawFeature("x", "string", False), spellings=spellings)
        plan = feature_plan.derive([column], {"x": texts(DAYS)}, {}, label="y")
        assert plan.features[0].time == spellings

    def test_age_counts_from_the_latest_time(self):
        day, year = 86_400.0, 365.25 * 86_400
        spread = Spread(10 * day, 10 * day + 2 * year, 10 * day + year, year)
        facts = replace(texts(DAYS, missing=1), times=TimeFacts(spread, None, False, False))
        feature = derive(facts, "string", time="%Y-%m-%d")
        age = feature.age
        assert (age.reference, age.low, age.high) == (10 * day + 2 * year, 0.0, 2.0)
        assert (age.mean, age.deviation) == (1.0, 1.0)
        assert feature.flag is not None

    def test_hours_in_utc_are_kept_where_offsets_differ(self):
        spread = Spread(0.0, 1e6, 5e5, 1e5)
        for differ in (False, True):
            facts = replace(texts(MOMENTS), times=TimeFacts(spread, None, True, differ))
            feature = derive(facts, "string", time="%Y-%m-%d %H:%M:%S")
            assert ("utc_hour" in dict(feature.parts)) == differ

    def test_an_age_needs_a_column_of_times(self):
        columns = [
            SchemaColumn(RawFeature(name, "string", False), time="%Y-%m-%d") for name in "ab"
        ]
        facts = {"a": texts(DAYS), "b": texts({"x": 1, "y": 2})}
        with pytest.raises(UserError, match="'a': reference: 'b' is not a column of times"):
            feature_plan.time_columns(columns, facts, {"a": configured(reference="b")})

    @pytest.mark.parametrize(
        ("dtype", "options", "message"),
        [
            ("string", {}, "the schema does not name the format of the time"),
            ("string", {"format": "%H:%M"}, "format '%H:%M' is not supported"),
            ("string", {"format": "%d/%m/%Y"}, "does not fit most values, such as 'May'"),
            ("int64", {"format": "%Y-%m-%d"}, "unknown unit '%Y-%m-%d'; choose one of days"),
            ("float32", {"format": "seconds"}, "a fractional number cannot be a timestamp"),
        ],
    )
    def test_configuration_that_does_not_fit(self, dtype, options, message):
        facts = texts({"May": 1, "June": 1}) if dtype == "string" else numbers([1.5, 2])
        with pytest.raises(UserError) as error:
            derive(facts, dtype, config=configured("timestamp", **options))
        assert message in str(error.value)


def test_an_option_for_another_kind_than_the_data_gives():
    with pytest.raises(UserError, match="unknown key 'top_k'; kind 'numeric' takes log, buckets"):
        derive(numbers(RANDOM.normal(size=50)), config=configured(top_k=3))


def test_derived_names_give_way_to_columns_and_to_the_label():
    facts = numbers(RANDOM.normal(size=500), missing=1)
    names = ["x", "x__missing", "x__missing_2"]
    found = feature_plan.derive(
        [SchemaColumn(RawFeature(name, "float32", False)) for name in names],
        dict.fromkeys(names, facts),
        {},
        label="x__bucket",
    )
    outputs = [output.name for output in found.outputs]
    assert len(set(outputs)) == len(outputs)
    assert "x__bucket" not in outputs
    assert {"x__bucket_2", "x__missing_3", *names} <= set(outputs)


def test_what_a_schema_says():
    schema = schema_pb2.Schema()
    code = schema.feature.add(name="code", type=schema_pb2.INT)
    code.int_domain.is_categorical = True
    written = schema.feature.add(name="written", type=schema_pb2.BYTES)
    written.time_domain.string_format = "%Y-%m-%d"
    epoch = schema.feature.add(name="epoch", type=schema_pb2.INT)
    epoch.time_domain.integer_format = schema_pb2.TimeDomain.UNIX_MILLISECONDS
    old = schema.feature.add(name="old", type=schema_pb2.FLOAT)
    old.lifecycle_stage = schema_pb2.DEPRECATED
    found = schema_columns(schema)
    assert list(found) == ["code", "written", "epoch", "old"]
    assert found["code"].categorical
    assert found["written"].time == "%Y-%m-%d"
    assert found["epoch"].time == "milliseconds"
    assert not found["old"].live
    assert found["code"].live
