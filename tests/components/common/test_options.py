"""Options are declared once: described, filled and checked from their dataclass."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import pytest

from kfp_tabular.components.common import options
from kfp_tabular.components.common.documents import at_least, one_of
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.options import option


@dataclasses.dataclass(frozen=True)
class Search:
    algorithm: str = option("tpe", "The algorithm.", check=one_of("tpe", "grid"))
    settings: Mapping[str, Any] = option({}, "Its settings.")


@dataclasses.dataclass(frozen=True)
class Tuning:
    label: str = option(dataclasses.MISSING, "The column\n        to predict.")
    search: Search = dataclasses.field(default_factory=Search)
    trials: int = option(3, "How many trials.", check=at_least(1))
    folder: str = ""


def test_options_are_described_with_those_of_nested_dataclasses_in_place():
    described = options.describe(Tuning)

    assert list(described) == ["label", "algorithm", "settings", "trials"]
    assert described["label"].meaning == "The column to predict."
    assert described["label"].default is dataclasses.MISSING
    assert described["settings"].default == {}
    assert described["trials"].type is int


def test_a_dataclass_is_built_from_a_mapping_with_other_arguments_in_it():
    built = options.build(Tuning, {"label": "y", "algorithm": "grid", "backend": "local"})

    assert built == Tuning(label="y", search=Search(algorithm="grid"))


def test_a_nested_dataclass_that_is_given_is_used_as_it_is():
    given = Search(algorithm="grid")

    assert options.build(Tuning, {"label": "y", "search": given}).search is given


def test_mutable_defaults_are_not_shared():
    assert Search().settings is not Search().settings


def test_the_first_value_that_does_not_fit_is_named():
    wrong = Tuning(label="y", search=Search(algorithm="tpee"), trials=0)

    assert options.problems(wrong) == [
        "algorithm: expected tpe or grid, found 'tpee'. Did you mean 'tpe'?",
        "trials: expected at least 1, found 0.",
    ]
    with pytest.raises(UserError, match="algorithm: expected tpe or grid"):
        options.check(wrong)


def test_values_that_fit_pass():
    options.check(Tuning(label="y"))


def test_empty_text_needs_no_check_where_it_is_the_default():
    @dataclasses.dataclass(frozen=True)
    class Optional:
        goal: str = option("", "The goal.", check=one_of("maximize", "minimize"))

    options.check(Optional())
    with pytest.raises(UserError, match="goal: expected maximize or minimize"):
        options.check(Optional("most"))
