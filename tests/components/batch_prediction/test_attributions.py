"""Attributions beside predictions."""

import json
import shutil

import numpy as np
import pytest

from kfp_tabular.components.common.artifacts import findings
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.processing import engines
from tests.components.batch_prediction.conftest import predicted
from tests.components.batch_prediction.test_predict import as_csv, some_rows

TEXT = """id,amount,kind,rooms,sold on
a,50,flat,3,31/12/2023
b,,house,,
c,free,house,2,
d,-20,boat,7,01/02/2024
"""
FEATURES = ("amount", "kind", "rooms", "sold on")
BASELINE = {"amount": 10, "kind": "flat", "rooms": 1, "sold on": "01/01/2024"}


@pytest.fixture
def data(tmp_path):
    file = tmp_path / "data.csv"
    file.write_text(TEXT)
    return file


def explained(data, model, folder, **given):
    return predicted(data, model, folder, attributions=True, **given)


def shares(row):
    return np.array([row[f"attribution_{name}"] for name in FEATURES])


def test_attributions_stand_beside_predictions_and_add_up(data, model, tmp_path):
    found = explained(data, model, tmp_path, attribution_baseline=BASELINE)
    assert [row["id"] for row in found["rows"]] == ["a", "b", "d"]
    for row in found["rows"]:
        change = row["probability_yes"] - row["attribution_baseline"]
        assert shares(row).sum() == pytest.approx(change, abs=1e-3)
        assert row["attribution_method"] == "integrated_gradients"
        assert row["attribution_error"] == 0
        assert row["model_digest"].startswith("sha256:")


def test_a_sum_gives_its_terms(data, regression, tmp_path):
    found = explained(data, regression, tmp_path, attribution_baseline=BASELINE)
    # 10 per unit of the amount, 1000 for a house, 100 per room, 250 without a date.
    expected = [[400, 0, 200, 0], [-100, 1000, -100, 250], [-300, 0, 600, 0]]
    np.testing.assert_allclose([shares(row) for row in found["rows"]], expected, atol=0.5)


def test_what_is_not_named_is_missing_in_the_baseline(data, regression, tmp_path):
    found = explained(data, regression, tmp_path)
    assert [row["attribution_baseline"] for row in found["rows"]] == [250, 250, 250]
    expected = [[500, 0, 300, -250], [0, 1000, 0, 0], [-200, 0, 700, -250]]
    np.testing.assert_allclose([shares(row) for row in found["rows"]], expected, atol=0.5)


def test_attributions_on_beam_are_those_of_threads(small_pieces, model, tmp_path):
    small_pieces(2_000, 4_000)
    data = tmp_path / "rows.csv"
    data.write_text(as_csv(some_rows(300)))
    here = explained(data, model, tmp_path / "here", attribution_baseline=BASELINE)
    with engines.opened({"engine": "beam"}) as beam:
        there = explained(
            data, model, tmp_path / "there", engine=beam.engine, attribution_baseline=BASELINE
        )
    assert there["result"].pieces > 1
    assert there["rows"] == here["rows"]
    assert any(row["attribution_amount"] for row in here["rows"])


def test_without_the_option_nothing_changes(data, model, tmp_path):
    (row, *_) = predicted(data, model, tmp_path)["rows"]
    assert not [name for name in row if name.startswith("attribution")]


def test_a_baseline_without_attributions_is_told(data, model, tmp_path):
    with pytest.raises(UserError, match="attribution_baseline: it is what attributions are "):
        predicted(data, model, tmp_path, attribution_baseline=BASELINE)


def test_no_row_at_all_has_the_same_columns(data, model, tmp_path):
    data.write_text("id,amount,kind,rooms,sold on\na,free,flat,1,\n")
    explained(data, model, tmp_path)
    manifest = json.loads((tmp_path / "predictions" / "_manifest.json").read_text())
    assert "attribution_kind" in json.dumps(manifest)


@pytest.mark.parametrize(
    ("baseline", "said"),
    [
        ({"speed": 3}, "attribution_baseline: "),
        ({"amount": "free"}, "attribution_baseline: feature 'amount'"),
        ({"kind": "huge"}, "attribution_baseline: the model's prediction for it is not a finite"),
    ],
)
def test_a_bad_baseline_is_one_line(data, model, tmp_path, baseline, said):
    with pytest.raises(UserError) as error:
        explained(data, model, tmp_path, attribution_baseline=baseline)
    assert str(error.value).startswith(said)
    assert "\n" not in str(error.value)


def test_the_models_typical_row_is_the_default_baseline_and_a_finding_names_it(
    data, regression, tmp_path
):
    file = regression / "model.json"
    document = json.loads(file.read_text())
    document["typical_row"] = {"amount": 10, "kind": "flat", "rooms": 1}
    copy = tmp_path / "model"
    shutil.copytree(regression, copy)
    (copy / "model.json").write_text(json.dumps(document))
    found = explained(data, copy, tmp_path / "typical", attribution_baseline={"rooms": 3})
    given = {"amount": 10, "kind": "flat", "rooms": 3}
    same = explained(data, regression, tmp_path / "given", attribution_baseline=given)
    for row, expected in zip(found["rows"], same["rows"], strict=True):
        np.testing.assert_array_equal(shares(row), shares(expected))
    notes = findings.read(tmp_path / "typical" / "predictions")
    (note,) = [note for note in notes if note.code == "attribution-baseline"]
    assert note.option == "attribution_baseline"
    assert note.message.endswith(
        "baseline: given: 'rooms'; from the model's typical row: 'amount', 'kind'; "
        "missing: 'sold on'."
    )
