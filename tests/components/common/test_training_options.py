"""Options shared by training and tuning: one declaration for arguments, flags and parser."""

import argparse
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.common import options
from kfp_tabular.components.common.artifacts.hyperparameters import Hyperparameters
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.training_options import (
    BaseHyperparameters,
    LearningOptions,
    WorkerLocations,
    add_flags,
    flags,
)


def parse(kind, arguments):
    parser = argparse.ArgumentParser(allow_abbrev=False)
    add_flags(parser, kind)
    return options.build(kind, vars(parser.parse_args(arguments)))


@given(
    st.builds(
        LearningOptions,
        class_weights=st.sampled_from(["none", "balanced"]),
        early_stopping_patience=st.integers(0, 100),
        model_fn=st.sampled_from(["", "package.module:function"]),
        seed=st.integers(0, 2**31),
    )
)
def test_options_survive_the_command_line(given_options):
    assert parse(LearningOptions, flags(given_options)) == given_options


def test_every_option_is_a_flag_with_its_meaning_in_the_help(capsys):
    with pytest.raises(SystemExit):
        parse(LearningOptions, ["--help"])

    shown = " ".join(capsys.readouterr().out.split())
    for option in options.describe(LearningOptions).values():
        assert f"--{option.name.replace('_', '-')}" in shown
        assert option.meaning.split(".")[0] in shown.replace("- ", "-")


def test_locations_without_an_output_export_nothing():
    locations = WorkerLocations(transformed_examples="/e", transform_graph="gs://b/g")

    assert locations.flags() == [
        "--transformed-examples=/e",
        "--transform-graph=gs://b/g",
        "--no-export",
    ]


def test_hyperparameters_by_name_override_the_arguments():
    given_options = BaseHyperparameters(
        epochs=3, learning_rate=0.5, base_hyperparameters={"epochs": 4.0, "dropout": 0.1}
    )

    assert given_options.hyperparameters() == Hyperparameters(
        epochs=4, learning_rate=0.5, dropout=0.1
    )


def test_an_unknown_hyperparameter_is_a_user_error():
    with pytest.raises(UserError, match="'dropuot' is unknown.*'dropout'"):
        BaseHyperparameters(base_hyperparameters={"dropuot": 0.1}).hyperparameters()


def test_defaults_are_those_of_the_hyperparameters():
    assert BaseHyperparameters().hyperparameters() == Hyperparameters()
    assert set(asdict(BaseHyperparameters())) - set(asdict(Hyperparameters())) == {
        "base_hyperparameters"
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"class_weights": "balance"}, "expected none or balanced, found.*'balanced'"),
        ({"early_stopping_patience": -1}, "early_stopping_patience: expected at least 0"),
        ({"seed": -1}, "seed: expected at least 0, found -1"),
    ],
)
def test_a_value_out_of_range_is_a_user_error(changes, message):
    with pytest.raises(UserError, match=message):
        options.check(LearningOptions(**changes))
