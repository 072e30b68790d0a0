"""The examples in the docstrings of components that cannot import kfp in their own environment."""

import doctest

import pytest

from tests import doctests


@pytest.mark.parametrize(
    "example",
    doctests.examples("kfp_tabular.components.data_validation.component"),
    ids=lambda test: test.name,
)
def test_example(example: doctest.DocTest) -> None:
    doctests.run(example)
