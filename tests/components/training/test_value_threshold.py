"""`decision_threshold: value`: chosen on raw eval rows, written into the model, and told."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_tabular.components.common.artifacts import file_digests, findings, lineage
from kfp_tabular.components.common.artifacts.dense_columns import dense_numpy
from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.outcome_value.outcome_values import OutcomeValues
from kfp_tabular.components.common.outcome_value.profit import edges
from kfp_tabular.components.common.prediction.predicted_batches import PredictedBatch
from kfp_tabular.components.common.prediction.saved_model import SavedModel
from kfp_tabular.components.training import train
from kfp_tabular.components.training.model import decision_threshold
from kfp_tabular.components.training.training_record import TrainingRecord
from kfp_tabular.components.training.value_threshold import ValueFold, parse
from tests import accumulator_laws

WORTH = {"true_positive": "amount - 1", "false_positive": -1.5, "false_negative": "-0.1 * amount"}


@pytest.fixture(scope="module")
def raw(made, tmp_path_factory):
    """Raw examples of the rows that are transformed, with an amount that is no feature."""
    splits = {}
    for seed, (split, rows) in enumerate(made.ROWS.items()):
        columns = made.raw_rows(rows, seed)
        amount = np.random.default_rng(seed).gamma(2, 2, rows)
        amount[:5] = np.nan
        sold = np.array(["no", "yes"], object)[columns["sold"]]
        splits[split] = {**columns, "sold": sold, "amount": amount}
    path = tmp_path_factory.mktemp("raw") / "examples"
    made.write_examples(path, splits)
    return path


@pytest.fixture(scope="module")
def request_of(inputs, raw):
    def make(folder, kind="binary", examples=raw, **options):
        given = {"decision_threshold": "value", "outcome_values": WORTH, "epochs": 2, **options}
        return dataclasses.replace(inputs[kind].request(folder, **given), examples=examples)

    return make


def answers(model, examples, split):
    table = pa.Table.from_batches(list(Examples(examples).batches(split)))
    tensors = {
        entry.input: dense_numpy(table[entry.name].combine_chunks(), entry)
        for entry in model.spec.inputs
    }
    return table, model.predict(tensors)


def test_the_threshold_of_highest_value_becomes_part_of_the_model(request_of, raw, tmp_path):
    request = request_of(tmp_path)
    result = train.run(request)

    model = SavedModel(request.model)
    table, outputs = answers(model, raw, "eval")
    scores = outputs["probabilities"].numpy()[:, 1]
    amount = table["amount"].to_numpy()
    positive = table["sold"].to_numpy() == "yes"
    known = np.isfinite(amount) | ~positive
    found = np.where(positive, amount - 1, -1.5)
    missed = np.where(positive, -0.1 * amount, 0)

    def worth(threshold):
        answered = scores >= np.float32(threshold)
        return np.where(answered, found, missed)[known].mean()

    chosen = model.spec.decision_threshold
    best = max(worth(threshold) for threshold in edges(0.5))
    assert worth(chosen) == pytest.approx(best, abs=1e-9)
    assert chosen != 0.5
    # The graph answers by it, in both signatures.
    np.testing.assert_array_equal(
        outputs["classes"].numpy() == b"yes", scores >= np.float32(chosen)
    )
    choice = model.spec.hyperparameters["threshold_choice"]
    assert choice["threshold"] == chosen
    assert choice["value"] == pytest.approx(best, abs=1e-9)
    assert choice["gain"] == pytest.approx(best - worth(0.5), abs=1e-9)
    assert (choice["split"], choice["rows"]) == ("eval", known.sum())
    assert choice["as_good"][0] <= chosen <= choice["as_good"][1]

    # It is told, and the artifact is whole.
    told = {each.code: str(each) for each in findings.read(request.training_logs)}
    assert f"threshold {chosen:.4g} is worth most" in told["value-threshold"]
    assert "5 rows" not in told["value-threshold"]
    assert "undefined" in told["no-value"]
    assert f"Decision threshold {chosen:.4g}" in request.report.read_text()
    assert TrainingRecord.load(request.training_logs).facts["threshold_choice"] == choice
    digests = file_digests.parse((request.model / "_digests.json").read_bytes(), "digests")
    assert digests == lineage.digest_files(request.model)
    assert result.lineage["model"]["digest"] == lineage.digest(request.model)
    assert "examples" in result.lineage["model"]["inputs"]

    # Another number fits in, and nothing else changes.
    decision_threshold.write(request.model, 0.9)
    again = SavedModel(request.model)
    _, changed = answers(again, raw, "eval")
    np.testing.assert_array_equal(changed["probabilities"].numpy()[:, 1], scores)
    np.testing.assert_array_equal(changed["classes"].numpy() == b"yes", scores >= np.float32(0.9))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"outcome_values": {}}, "decision_threshold: 'value' needs outcome_values"),
        ({"examples": None}, "decision_threshold: 'value' needs the raw examples"),
        (
            {"outcome_values": {"true_positive": "amonut"}},
            "outcome_values: .* no column 'amonut'. Did you mean 'amount'.*keep names it",
        ),
        ({"outcome_values": {"true_positive": "città"}}, "outcome_values: column 'città' has"),
        ({"kind": "regression"}, "this is a regression task; only a binary model"),
        ({"decision_threshold": "valeu"}, "expected a number between 0 and 1, or value"),
    ],
)
def test_what_cannot_be_chosen_is_refused_before_training(request_of, tmp_path, changes, message):
    with pytest.raises(UserError, match=message) as refused:
        train.run(request_of(tmp_path, **changes))
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "logs").exists()


def test_an_eval_split_is_needed(request_of, made, raw, tmp_path):
    made.rewrite(raw, tmp_path / "without", eval=None)
    with pytest.raises(UserError, match="chosen on the eval split, which has no rows"):
        train.run(request_of(tmp_path, examples=tmp_path / "without"))


def test_a_number_needs_no_values(inputs):
    options = inputs["binary"].request(inputs["binary"].graph, decision_threshold=0.25).options
    assert parse(options, "regression") is None
    assert options.threshold == 0.25


def test_a_model_of_an_earlier_version_has_no_such_constant(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"")
    with pytest.raises(ValueError, match="no constant"):
        decision_threshold.write(tmp_path, 0.5)


@settings(max_examples=25, deadline=None)
@given(data=st.data(), rows=st.integers(0, 60), seed=st.integers(0, 2**32))
def test_any_cut_gives_the_same_value(data, rows, seed):
    random = np.random.default_rng(seed)
    labels, scores = random.integers(0, 2, rows), random.random(rows).astype(np.float32)
    amount = random.normal(size=rows)
    usable = random.random(rows) < 0.9
    values = OutcomeValues.parse(WORTH, "binary")

    def batch(start, stop):
        kept = np.flatnonzero(usable[start:stop])
        part = scores[start:stop][kept]
        return PredictedBatch(
            labels=labels[start:stop][kept],
            predictions=(np.stack([1 - part, part], axis=1),),
            columns=pa.RecordBatch.from_pydict({"amount": amount[start:stop][kept]}),
            inputs={},
            outputs={},
            usable=kept,
            missing=stop - start - len(kept),
            unknown=0,
            first=start,
        )

    accumulator_laws.check(
        data,
        lambda: ValueFold(values, 3),
        rows,
        batch,
        lambda found: [found.left_out, found.gains.sum(0), found.gains.sum(1), found.base],
        absolute=1e-9,
    )
