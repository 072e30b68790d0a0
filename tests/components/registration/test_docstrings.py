"""The examples in the docstrings of registration."""

import doctest

import pytest

from tests import doctests


@pytest.mark.parametrize(
    "example", doctests.examples("kfp_tabular.components.registration"), ids=lambda test: test.name
)
def test_example(example: doctest.DocTest) -> None:
    doctests.run(example)
