"""The model card, of a document that is written by hand."""

import re

import pytest

from kfp_tabular.components.common import html
from kfp_tabular.components.common.artifacts.hyperparameters import Hyperparameters
from kfp_tabular.components.common.artifacts.model_document import ModelInput, ModelSpec
from kfp_tabular.components.common.values.column_format import ColumnFormat, TimeFormat
from kfp_tabular.components.evaluation.report import model_card

FARE = ModelInput("fare", "float32", required=True, input="fare")
AREA = ModelInput("area", "int64", required=False, input="area")
WHEN = ModelInput(
    "when",
    "int64",
    required=True,
    input="when",
    format=ColumnFormat("time", None, TimeFormat(unit="seconds")),
)
SPEC = ModelSpec(
    "binary",
    "tipped",
    ("no", "yes"),
    0.5,
    (FARE, AREA, WHEN),
    "sha256:1",
    {"tensorflow": "2"},
    {"tree_count": 0, "l2": 0.0, "hidden_units": "", "own": 0, "calibration": {"method": "none"}},
)


def entry(name, value, baseline, attribution, error=0.0):
    return {
        "name": name,
        "value": value,
        "baseline": baseline,
        "attribution": attribution,
        "error": error,
    }


EXAMPLE = {
    "class": "yes",
    "label": "no",
    "value": 0.8,
    "baseline_value": 0.3,
    "method": "shapley_values",
    "gap": 0.0,
    "features": [
        entry("fare", 12.25, 9.5, 0.7, 0.01),
        entry("when", 1385000000, 1385086400, -0.2, 0.02),
        entry("area", None, 12345, 0.0),
    ],
}


def document(**changes):
    return {
        "label": "tipped",
        "task": "binary",
        "split": "test",
        "rows": 1000,
        "rows_left_out": {"without_label": 0},
        "model": {"digest": "sha256:0"},
        "metrics": {"auc": {"value": 0.9, "interval": [0.88, 0.92]}},
        "baseline": None,
        "slices": [],
        "fairness": [],
        "findings": [],
        "why": "Blessed: better than chance.",
        "explained": {"score": "log_loss"},
        "importance": [
            {"name": "fare", "mean": 0.2, "interval": [0.1, 0.3]},
            {"name": "a|b", "mean": 0.1, "interval": None},
        ],
        "example": EXAMPLE,
        **changes,
    }


def built(**changes):
    return model_card.build(
        document(**changes), SPEC, rows={"train": 5000}, model_name="taxi", intended_use=""
    )


def row(markdown, first):
    line = re.findall(rf"^\| {first} \|.*$", markdown, re.MULTILINE)[-1]
    return [cell.strip() for cell in line.strip("|").split(" | ")]


def test_the_card_has_the_name_of_the_model():
    card = built()
    assert card.title == "Model card: taxi"
    assert "<title>Model card: taxi</title>" in card.page()
    assert card.markdown().startswith("# Model card: taxi\n\npredicts tipped, binary\n")


def test_options_that_training_chooses_are_not_shown_as_0():
    markdown = built().markdown()
    assert row(markdown, r"tree\\_count")[1] == "automatic"
    assert row(markdown, r"hidden\\_units")[1] == "automatic"
    assert row(markdown, "l2")[1] == "0.0"
    assert row(markdown, "own")[1] == "0"
    shown = Hyperparameters(tree_count=0, learning_rate=0.1).described()
    assert (shown["tree_count"], shown["learning_rate"]) == ("automatic", 0.1)


def test_a_prediction_is_explained_with_its_values_and_bars():
    card = built()
    markdown = card.markdown()
    text = "A row of split test: the probability of tipped = yes is 0.8; for a typical row"
    assert text in markdown
    assert "The label of the row is no." in markdown
    assert row(markdown, "fare")[1:] == ["12.25", "9.5", "+0.7", "0.01", "█" * 12]
    assert row(markdown, "when")[1:4] == ["2013-11-21 02:13:20", "2013-11-22 02:13:20", "-0.2"]
    assert row(markdown, "when")[-1] == "░" * 3
    assert row(markdown, "area")[1:4] == ["missing", "12345", "0"]
    baseline = '{"fare": 9.5, "when": 1385086400, "area": 12345}'
    assert f"\n```\n{baseline}\n```\n" in markdown
    page = card.page()
    assert html.escape(baseline) in page
    assert page.count("<rect") >= 5
    assert "fare = 12.25: +0.7" in page
    assert "this row" in page


def test_columns_that_do_not_fit_are_counted():
    features = [entry("fare", 1.0, 2.0, 0.3 / n) for n in range(1, 41)]
    card = built(example={**EXAMPLE, "features": features})
    assert "28 others" in card.page()
    assert "Not listed: 10 columns with smaller attributions." in card.markdown()


@pytest.mark.parametrize("example", [None, "absent"])
def test_without_an_example_or_importance_their_sections_are_left_out(example):
    given = document(importance=[], example=None)
    if example == "absent":
        del given["importance"], given["example"], given["explained"]
    card = model_card.build(given, SPEC, rows={}, model_name="m", intended_use="For trips.")
    titles = [section.title for section in card.sections]
    assert "One prediction explained" not in titles
    assert "What the model relies on" not in titles
    assert "For trips." in card.page()


def test_names_of_columns_are_escaped():
    card = built()
    assert r"| a\|b |" in card.markdown()
    names = built(
        importance=[{"name": "<script>", "mean": 0.2, "interval": None}],
    ).page()
    assert "<script>" not in names
