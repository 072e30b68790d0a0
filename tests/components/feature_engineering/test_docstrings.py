"""The examples in the docstrings of feature engineering."""

import doctest

import pytest

from tests import doctests


@pytest.mark.parametrize(
    "example",
    doctests.examples("kfp_tabular.components.feature_engineering"),
    ids=lambda test: test.name,
)
def test_example(example: doctest.DocTest) -> None:
    doctests.run(example)
