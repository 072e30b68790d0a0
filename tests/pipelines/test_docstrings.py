"""The examples in the docstrings of the pipelines and the command line."""

import doctest

import pytest

from tests import doctests


@pytest.mark.parametrize(
    "example", doctests.examples("kfp_tabular.pipelines"), ids=lambda test: test.name
)
def test_example(example: doctest.DocTest) -> None:
    doctests.run(example)
