"""The examples in the docstrings of batch_prediction."""

import doctest

import pytest

from tests import doctests


@pytest.mark.parametrize(
    "example",
    doctests.examples("kfp_tabular.components.batch_prediction"),
    ids=lambda test: test.name,
)
def test_example(example: doctest.DocTest) -> None:
    doctests.run(example)
