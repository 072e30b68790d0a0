"""The examples in the docstrings of data validation and of the statistics that it shares."""

import doctest

import pytest

from tests import doctests

COMPONENT = "kfp_tabular.components.data_validation.component"


@pytest.mark.parametrize(
    "example",
    # kfp does not import beside the older protobuf of this environment.
    doctests.examples(
        "kfp_tabular.components.data_validation",
        "kfp_tabular.components.common.statistics",
        without=[COMPONENT],
    ),
    ids=lambda test: test.name,
)
def test_example(example: doctest.DocTest) -> None:
    doctests.run(example)
