import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.feature_engineering.features import feature_config

FEATURES = ["fare", "zip code", "started"]


def parse(**entries):
    return feature_config.parse(entries, FEATURES)


def test_numbers_that_kfp_made_floats_are_whole_again():
    parsed = feature_config.parse({"zip code": {"kind": "categorical", "top_k": 10.0}}, FEATURES)
    options = feature_config.checked("zip code", "categorical", parsed["zip code"].options)
    assert options == {"top_k": 10}
    assert isinstance(options["top_k"], int)


def test_the_kind_may_be_left_to_the_data():
    assert parse(fare={"buckets": 0})["fare"] == feature_config.FeatureOptions(None, {"buckets": 0})


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"fair": {"kind": "drop"}}, "unknown feature 'fair'. Did you mean 'fare'?"),
        ({"fare": "drop"}, "'fare': expected an object such as"),
        ({"fare": {"kind": "numerical"}}, "unknown kind 'numerical'; choose one of numeric,"),
        ({"fare": {"kind": "numerical"}}, "Did you mean 'numeric'"),
        ({"fare": {"kind": 3}}, "unknown kind 3"),
        ({"fare": {"kind": "numeric", "bucket": 3}}, "'numeric' takes log, buckets. Did you mean"),
        ({"fare": {"kind": "drop", "buckets": 3}}, "kind 'drop' takes no other key"),
        ({"fare": {"bukets": 3}}, "unknown key 'bukets'; expected one of kind, log, buckets"),
        ({"fare": {"bukets": 3}}, "Did you mean 'buckets'"),
        ({"fare": {"kind": "numeric", "buckets": 2.5}}, "expected a whole number, found 2.5"),
        ({"fare": {"kind": "numeric", "buckets": "many"}}, "expected a whole number, found 'many'"),
        ({"fare": {"kind": "numeric", "buckets": True}}, "expected a whole number, found True"),
        (
            {"fare": {"kind": "numeric", "buckets": -1}},
            "expected a number from 0 to 10000, found -1",
        ),
        ({"fare": {"kind": "hash", "buckets": float("inf")}}, "expected a whole number, found inf"),
        (
            {"fare": {"kind": "numeric", "log": "yes"}},
            "expected true, false or \"auto\", found 'yes'",
        ),
        ({"started": {"kind": "timestamp", "parts": "month"}}, "expected a list of month,"),
        ({"started": {"kind": "timestamp", "parts": []}}, "expected a list of month,"),
        ({"started": {"kind": "timestamp", "parts": ["hours"]}}, "Did you mean 'hour' or"),
        ({"started": {"kind": "timestamp", "format": 3}}, "expected a strptime format"),
    ],
)
def test_what_does_not_fit_is_named(entries, message):
    with pytest.raises(UserError) as error:
        feature_config.parse(entries, FEATURES)
    assert message in str(error.value)


def test_an_option_must_fit_the_kind_that_the_data_gave():
    with pytest.raises(UserError, match="unknown key 'top_k'; kind 'numeric' takes log, buckets"):
        feature_config.checked("fare", "numeric", {"top_k": 3})


_json = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
_keys = st.sampled_from(["kind", "log", "buckets", "top_k", "parts", "format", "oov_buckets"])


@given(st.dictionaries(st.sampled_from(["fare", "x"]), _json | st.dictionaries(_keys, _json)))
def test_any_document_is_taken_or_refused_in_one_line(entries):
    try:
        parsed = feature_config.parse(entries, FEATURES)
    except UserError as error:
        assert str(error).startswith("feature_config: ")
    else:
        assert list(parsed) == list(entries)
