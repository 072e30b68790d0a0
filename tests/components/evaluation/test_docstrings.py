"""The examples in the docstrings of evaluation."""

import doctest

import pytest

from tests import doctests


@pytest.mark.parametrize(
    "example", doctests.examples("kfp_tabular.components.evaluation"), ids=lambda test: test.name
)
def test_example(example: doctest.DocTest) -> None:
    doctests.run(example)
