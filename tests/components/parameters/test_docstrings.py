"""The examples in the docstrings of `check_parameters`."""

import doctest

import pytest

from tests import doctests


@pytest.mark.parametrize(
    "example",
    doctests.examples("kfp_tabular.components.parameters"),
    ids=lambda test: test.name,
)
def test_example(example: doctest.DocTest) -> None:
    doctests.run(example)
