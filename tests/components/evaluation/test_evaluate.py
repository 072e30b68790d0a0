import dataclasses
import json
import os
import pickle
import shutil

import numpy as np
import pytest

from kfp_tabular.components.common.artifacts import example_pieces, findings
from kfp_tabular.components.common.artifacts.dense_columns import dense_numpy
from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.prediction import predicted_batches, saved_model
from kfp_tabular.components.common.prediction.instances import tensors
from kfp_tabular.components.common.prediction.saved_model import SavedModel
from kfp_tabular.components.common.processing.local_engine import LocalEngine
from kfp_tabular.components.evaluation import evaluate
from kfp_tabular.components.evaluation.comparison import mcnemar
from kfp_tabular.components.evaluation.comparison.mcnemar import Discordance
from kfp_tabular.components.evaluation.evaluate import EvaluationRequest, run
from kfp_tabular.components.evaluation.options import EvaluationOptions
from tests import accumulator_laws

ROWS = 3000


@pytest.fixture(scope="module")
def examples(data, tmp_path_factory):
    rows = data.binary_rows(ROWS)
    for row in (5, 700):
        rows["y"][row] = None
    rows["excluded"] = [f"group {row % 3}" for row in range(ROWS)]
    return data.write(
        tmp_path_factory.mktemp("binary") / "examples",
        train={**data.binary_rows(10, seed=9), "excluded": ["group 0"] * 10},
        test=rows,
    )


@pytest.fixture
def evaluated(tmp_path, examples):
    """Run an evaluation; keywords are fields of the request or options."""

    def run_with(**changes):
        paths = {
            "examples": examples,
            "evaluation": tmp_path / "out" / "evaluation",
            "golden_examples": tmp_path / "out" / "golden",
            "report": tmp_path / "out" / "report.html",
        }
        names = {field.name for field in dataclasses.fields(EvaluationRequest)}
        paths |= {name: changes.pop(name) for name in names & changes.keys()}
        options = EvaluationOptions(**{"bootstrap_samples": 200, **changes})
        return run(EvaluationRequest(**paths, options=options))

    return run_with


def predicted(model, examples, split="test"):
    loaded = SavedModel(model)
    answers, columns = [], []
    for batch in Examples(examples).batches(split):
        inputs = {e.input: dense_numpy(batch.column(e.name), e) for e in loaded.spec.inputs}
        answers.append(loaded.predict(inputs)["probabilities"].numpy())
        columns.extend(batch.to_pylist())
    return np.concatenate(answers), columns


def test_a_binary_model_end_to_end(evaluated, export, examples, tmp_path):
    model = export()
    result = evaluated(model=model, slice_columns=["excluded", "kind,excluded"])
    document = json.loads((tmp_path / "out" / "evaluation" / "evaluation.json").read_text())
    assert document == json.loads(json.dumps(result.document))
    assert document["blessed"] is result.is_blessed is True
    assert (document["split"], document["rows"]) == ("test", ROWS - 2)
    assert document["rows_left_out"] == {"without_label": 2, "unknown_class": 0}

    probabilities, rows = predicted(model, examples)
    kept = np.array([row["y"] is not None for row in rows])
    labels = np.array([row["y"] for row in rows if row["y"] is not None])
    answered = probabilities[kept, 1] >= 0.5
    metrics = {name: entry["value"] for name, entry in document["metrics"].items()}
    assert set(metrics) == {
        *("accuracy", "auc", "pr_auc", "log_loss", "brier", "ece", "precision", "recall", "f1")
    }
    assert metrics["accuracy"] == pytest.approx((answered == labels).mean())
    # The labels were drawn with the probabilities that the model gives.
    assert metrics["ece"] < 0.03
    assert 0.7 < metrics["auc"] < 0.95
    for name, entry in document["metrics"].items():
        if name != "ece":
            assert entry["interval"][0] < entry["value"] < entry["interval"][1], name

    assert sum(map(sum, document["confusion_matrix"]["counts"])) == ROWS - 2
    assert sum(part["rows"] for part in document["calibration"]) == ROWS - 2
    groups = [part for part in document["slices"] if part["slicing"] == "excluded"]
    assert {part["name"] for part in groups} == {f"excluded=group {i}" for i in range(3)}
    assert sum(part["rows"] for part in groups) == ROWS - 2
    group = np.array([row["excluded"] for row in rows])[kept]
    for part in groups:
        mine = "excluded=" + group == part["name"]
        assert part["metrics"]["accuracy"]["value"] == pytest.approx(
            (answered == labels)[mine].mean()
        )
    assert len([part for part in document["slices"] if part["slicing"] == "kind,excluded"]) == 9

    assert result.lineage["evaluation"]["rows"] == {"test": ROWS - 2}
    assert set(result.lineage["evaluation"]["inputs"]) == {"examples", "model"}
    page = (tmp_path / "out" / "report.html").read_text()
    for text in ("blessed", "ROC curve", "Calibration", "kind=house, big, excluded=group 1"):
        assert text in page


def test_the_result_depends_on_seed_and_data_alone(evaluated, export):
    first, again = (evaluated(model=export(), seed=3).document for _ in range(2))
    assert first == again
    other = evaluated(model=export(), seed=4).document
    assert other["metrics"]["auc"]["value"] == first["metrics"]["auc"]["value"]
    assert other["metrics"]["auc"]["interval"] != first["metrics"]["auc"]["interval"]


def measured(document):
    """All that was measured, without what depends on the model's path."""
    return {name: value for name, value in document.items() if name != "baseline"}


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_pieces_and_batches_change_nothing(task, data, evaluated, export, tmp_path, monkeypatch):
    rows = data.binary_rows(2500)
    model = {"model": export(task=task), "slice_columns": ["kind", "Größe (m)"]}
    if task == "multiclass":
        model["model"] = export(task=task, classes=("0", "1", "2"))
    examples = data.write(tmp_path / "examples", train=data.binary_rows(700, seed=4), test=rows)
    found = []
    for rows_per_piece in (1, 1500, 10**6):
        monkeypatch.setattr(example_pieces, "ROWS_PER_PIECE", rows_per_piece)
        found.append(measured(evaluated(examples=examples, **model).document))
    assert len(example_pieces.pieces(Examples(examples), "test", rows=1)) == 5
    accumulator_laws.assert_same(found[1], found[0], 1e-9, 1e-15)
    accumulator_laws.assert_same(found[2], found[0], 1e-9, 1e-15)
    monkeypatch.setattr(predicted_batches, "_MOST_ROWS", 300)
    metrics = evaluated(examples=examples, **model).document["metrics"]
    for name, entry in found[0]["metrics"].items():
        # Answers may differ in their last bit if other rows are predicted with them.
        assert metrics[name]["value"] == pytest.approx(entry["value"], abs=1e-6)


def test_the_engine_runs_everything_that_reads_the_split(evaluated, export, examples, tmp_path):
    class Sent(LocalEngine):
        """Sends what is run, and the states, to where nothing else is known."""

        def fold(self, pieces, factory, read, what=""):
            factory, read = pickle.loads(pickle.dumps((factory, read)))
            total = factory()
            for piece in reversed(pieces):
                part = factory()
                for batch in read(piece):
                    part.add(batch)
                total.merge(factory().from_state(part.state()))
                folded.append(type(total).__name__)
            return total.result()

    folded = []
    options = EvaluationOptions(bootstrap_samples=200, slice_columns=["kind", "Größe (m)"])
    request = EvaluationRequest(
        examples=examples,
        model=export(),
        evaluation=tmp_path / "sent" / "evaluation",
        golden_examples=tmp_path / "sent" / "golden",
        report=tmp_path / "sent" / "report.html",
        options=options,
    )
    sent = run(request, engine=Sent()).document
    here = evaluated(model=export(), slice_columns=["kind", "Größe (m)"]).document
    accumulator_laws.assert_same(measured(sent), measured(here), 1e-9, 1e-15)
    assert set(folded) == {"CutFold", "SliceFold", "EvaluationFold"}
    assert (tmp_path / "sent" / "golden" / "golden.json").read_bytes() == (
        tmp_path / "out" / "golden" / "golden.json"
    ).read_bytes()


def test_threads_change_not_a_bit(evaluated, export, examples, monkeypatch):
    monkeypatch.setattr(example_pieces, "ROWS_PER_PIECE", 1)
    found = [run_with_threads(evaluated, export, monkeypatch, threads) for threads in (1, 3)]
    assert found[0] == found[1]


def run_with_threads(evaluated, export, monkeypatch, threads):
    monkeypatch.setattr(evaluate, "LocalEngine", lambda: LocalEngine(threads))
    return evaluated(model=export(), slice_columns=["kind"]).document


def test_golden_examples_come_back_to_the_same_answers(evaluated, export, tmp_path):
    model = export()
    evaluated(model=model)
    golden = json.loads((tmp_path / "out" / "golden" / "golden.json").read_text())
    instances, predictions = golden["instances"], golden["predictions"]
    assert len(instances) == len(predictions) == 32
    assert any("rooms" not in instance for instance in instances)
    assert any("rooms" in instance for instance in instances)
    assert {prediction["class"] for prediction in predictions} == {"0", "1"}
    loaded = SavedModel(model)
    outputs = loaded.predict(tensors(instances, loaded.spec.inputs))
    expected = [prediction["probabilities"] for prediction in predictions]
    assert outputs["probabilities"].numpy() == pytest.approx(np.array(expected), abs=1e-6)
    assert [name.decode() for name in outputs["classes"].numpy()] == [
        prediction["class"] for prediction in predictions
    ]


def test_rows_that_no_client_could_send_are_not_golden(data, evaluated, export, tmp_path):
    size, *others = data.inputs
    needed = dataclasses.replace(size, required=True)
    rows = data.binary_rows(100)
    rows["Größe (m)"] = [None if row % 2 else 1.5 for row in range(100)]
    rows["kind"] = [None if row % 4 == 0 else "flat" for row in range(100)]
    examples = data.write(tmp_path / "examples", test=rows)
    evaluated(model=export(inputs=(needed, *others)), examples=examples)
    golden = json.loads((tmp_path / "out" / "golden" / "golden.json").read_text())
    assert {instance["Größe (m)"] for instance in golden["instances"]} == {1.5}
    assert {instance["kind"] for instance in golden["instances"]} == {"", "flat"}


def test_a_worse_baseline_and_a_better_one(evaluated, export, tmp_path):
    good, bad = export(), export(noise=1.0)
    better = evaluated(model=good, baseline_model=bad, slice_columns=["kind"]).document
    worse = evaluated(model=bad, baseline_model_uri=str(good)).document
    change = better["baseline"]["changes"]["auc"]
    assert change["interval"][0] > 0
    assert change["value"] == pytest.approx(-worse["baseline"]["changes"]["auc"]["value"])
    assert better["baseline"]["metrics"]["auc"]["value"] == pytest.approx(
        worse["metrics"]["auc"]["value"]
    )
    assert better["blessed"]
    assert all(part["changes"]["auc"]["value"] > 0 for part in better["slices"])
    # It beats the trivial model, but not the baseline.
    assert worse["skill"]["interval"][0] > 0
    assert not worse["blessed"]
    assert "not worse than the baseline" in worse["reasons"][0]
    allowed = evaluated(
        model=bad, baseline_model=good, change_thresholds={"auc": {"min_change": -0.5}}
    )
    assert allowed.is_blessed
    assert "Baseline" in (tmp_path / "out" / "report.html").read_text()


def test_the_change_of_the_area_is_tested_by_delong(evaluated, export, examples):
    models = [export(), export(noise=0.3)]
    document = evaluated(model=models[0], baseline_model=models[1]).document
    rows = {row["metric"]: row for row in document["comparison"]["metrics"]}
    answers = [predicted(model, examples) for model in models]
    labels = np.array([np.nan if row["y"] is None else row["y"] for row in answers[0][1]])
    scores = np.stack([given[:, 1] for given, _ in answers], axis=1)
    above = scores[labels == 1][:, None, :] - scores[labels == 0][None, :, :]
    won = (above > 0) + 0.5 * (above == 0)
    gap = won[:, :, 0] - won[:, :, 1]
    variances = [gap.mean(axis).var(ddof=1) / gap.shape[1 - axis] for axis in (0, 1)]
    change, error = gap.mean(), np.sqrt(sum(variances))
    assert rows["auc"]["method"] == "DeLong"
    # Predicted in other batches, a score may be rounded in another way, and pass its neighbor.
    assert rows["auc"]["change"] == pytest.approx(change, abs=1e-5)
    ends = [change - 1.959963984540054 * error, change + 1.959963984540054 * error]
    assert rows["auc"]["interval"] == pytest.approx(ends, abs=1e-5)
    assert document["baseline"]["changes"]["auc"]["interval"] == tuple(rows["auc"]["interval"])
    right = [(given[:, 1] >= 0.5) == labels for given, _ in answers]
    known = ~np.isnan(labels)
    found = Discordance(
        int((known & right[0] & ~right[1]).sum()),
        int((known & right[1] & ~right[0]).sum()),
        int(known.sum()),
    )
    assert rows["accuracy"]["method"] == "McNemar"
    assert rows["accuracy"]["p_value"] == pytest.approx(mcnemar.mid_p(found), abs=0.05)
    assert rows["brier"]["method"] == "paired bootstrap"
    assert {row["verdict"] for row in rows.values()} <= {"better", "worse", "unclear"}


def test_a_claim_must_be_shown(evaluated, export, tmp_path):
    good, bad = export(), export(noise=1.0)
    claim = {"auc": [{"superior": 0}, {"non_inferior": 0.001, "slice": "kind"}]}
    sliced = {"slice_columns": ["kind"], "change_thresholds": claim}
    better = evaluated(model=good, baseline_model=bad, **sliced)
    assert better.is_blessed
    tests = [check for check in better.document["checks"] if check["kind"] == "test"]
    assert [check["slice"] == "" for check in tests] == [True, False, False, False]
    assert all(check["p_value"] < 0.025 for check in tests)
    same = evaluated(model=good, baseline_model=good, change_thresholds={"auc": {"superior": 0}})
    assert not same.is_blessed
    assert "change of auc is 0 (better, shown at 2.5%; p 1)" in same.document["why"]
    assert evaluated(
        model=good, baseline_model=good, change_thresholds={"auc": {"non_inferior": 0.001}}
    ).is_blessed
    worse = evaluated(
        model=bad,
        baseline_model=good,
        slice_columns=["kind"],
        change_thresholds={"auc": {"not_worse": 0, "slice": "kind"}},
    )
    assert not worse.is_blessed
    (finding,) = [each for each in worse.document["findings"] if each["code"] == "worse-slices"]
    assert "in 3 of 3 slices: kind=" in finding["message"]
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Compared with the baseline" in page
    assert "p-values adjusted for their number (Holm)" in page


def test_value_and_fairness(data, evaluated, export, tmp_path):
    rows = data.binary_rows(3000)
    random = np.random.default_rng(0)
    rows["amount"] = random.gamma(2, 50, 3000).tolist()
    rows["amount"][3] = None
    examples = data.write(tmp_path / "valued", test=rows)
    options = {
        "examples": examples,
        "model": export(),
        "baseline_model": export(noise=1.0),
        "outcome_values": {"true_positive": "0.2 * amount", "false_positive": -1},
        "fairness_columns": ["kind"],
        "intended_use": "For *tests* only.",
    }
    found = evaluated(**options, fairness_thresholds={"selection_rate": {"max_gap": 0.9}})
    worth = found.document["value"]
    assert worth["outcomes"]["true_positive"] == "0.2 * amount"
    assert worth["rows_left_out"] == (rows["y"][3] == 1 or rows["y"][3] == "1")
    assert worth["best"]["threshold"] < 0.3
    assert worth["best"]["value"] > worth["own"]["value"]
    low, high = worth["change"]["interval"]
    assert low < worth["change"]["value"] < high
    assert "better-threshold" in [each["code"] for each in found.document["findings"]]
    (part,) = found.document["fairness"]
    assert [group["name"] for group in part["groups"]] == [
        each["name"] for each in found.document["slices"]
    ]
    assert part["gaps"]["selection_rate"]["highest"] == "kind=house, big"
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Profit by threshold" in page
    assert "Gaps between groups of kind" in page
    card = (tmp_path / "out" / "evaluation" / "model_card.md").read_text()
    titles = ("Intended use", "Model", "Inputs", "Metrics", "Weakest slices", "Limits")
    for title in (*titles, "What the model relies on", "One prediction explained"):
        assert f"\n## {title}\n" in card
    assert "For \\*tests\\* only." in card
    assert "kind=house, big" in card
    assert "Change from the baseline" in card
    html = (tmp_path / "out" / "evaluation" / "model_card.html").read_text()
    assert "For *tests* only." in html
    assert "Gaps between groups" in html
    refused = evaluated(**options, fairness_thresholds={"selection_rate": {"max_gap": 0.01}})
    assert not refused.is_blessed
    assert "selection_rate of kind is" in refused.document["why"]
    with pytest.raises(UserError, match="no column 'amuont'.*Did you mean 'amount'"):
        evaluated(**options | {"outcome_values": {"true_positive": "amuont"}})


def test_rows_of_an_entity_are_resampled_together(data, evaluated, export, tmp_path):
    rows = data.binary_rows(100)
    once = {**rows, "owner": list(range(100))}
    often = {name: values * 30 for name, values in once.items()}
    options = {"model": export(), "baseline_model": export(noise=1.0)}
    examples = [
        data.write(tmp_path / name, test=columns)
        for name, columns in (("once", once), ("often", often))
    ]
    single = evaluated(examples=examples[0], entity_columns=["owner"], **options).document
    fooled = evaluated(examples=examples[1], **options).document
    careful = evaluated(examples=examples[1], entity_columns=["owner"], **options).document

    def width(document, name="log_loss"):
        low, high = document["metrics"][name]["interval"]
        return high - low

    assert width(fooled) < 0.3 * width(single)
    assert width(careful) == pytest.approx(width(single), rel=0.4)
    assert single["entities"] == {"count": 100, "repeat": False}
    assert careful["entities"] == {"count": 100, "repeat": True}
    methods = {row["metric"]: row["method"] for row in careful["comparison"]["metrics"]}
    assert methods.pop("auc") == "clustered DeLong"
    assert set(methods.values()) == {"cluster bootstrap"}
    # Each row thirty times says no more than each row once.
    auc = [
        next(row for row in found["comparison"]["metrics"] if row["metric"] == "auc")
        for found in (single, careful)
    ]
    widths = [np.diff(row["interval"])[0] for row in auc]
    assert widths[1] == pytest.approx(widths[0], rel=0.05)
    bins = [found["calibration"] for found in (fooled, careful)]
    narrow, wide = (np.mean([np.ptp(part["interval"]) for part in each]) for each in bins)
    assert wide > 3 * narrow
    assert careful["metrics"]["ece"]["interval"][1] > careful["metrics"]["ece"]["value"]
    assert [each["code"] for each in single["findings"]].count("entities-once") == 1


def test_a_model_with_the_classes_the_other_way_round_is_the_same_baseline(evaluated, export):
    turned = export(classes=("1", "0"), slope=-1.0)
    changes = evaluated(model=export(), baseline_model=turned).document["baseline"]["changes"]
    assert changes["auc"]["value"] == pytest.approx(0, abs=1e-4)
    assert changes["log_loss"]["value"] == pytest.approx(0, abs=1e-6)


def test_the_newest_version_in_a_repository_is_the_baseline(evaluated, export, tmp_path):
    for version, model in (("9", export()), ("10", export(noise=3.0))):
        shutil.copytree(model, tmp_path / "r" / "taxi" / version)
    document = evaluated(model=export(), baseline_model_uri=str(tmp_path / "r" / "taxi")).document
    assert document["baseline"]["path"] == str(tmp_path / "r" / "taxi" / "10")
    assert document["baseline"]["changes"]["auc"]["value"] > 0.01


def test_thresholds_decide(evaluated, export):
    passed = evaluated(
        model=export(),
        thresholds={"auc": {"min": 0.6}, "log_loss": {"max": 0.9}, "ece": {"max": 0.1}},
    )
    assert passed.is_blessed
    assert passed.document["why"].startswith("Blessed: auc is 0.79")
    assert " (at least 0.6), log_loss is 0." in passed.document["why"]
    failed = evaluated(
        model=export(),
        thresholds={"auc": {"min": 0.5}, "accuracy": {"min": 0.999, "slice": "excluded"}},
        slice_columns=["excluded"],
    )
    assert not failed.is_blessed
    assert len(failed.document["checks"]) == 4
    assert "accuracy of excluded=group" in failed.document["reasons"][0]


def test_guessing_is_not_blessed(data, evaluated, export, tmp_path):
    rows = data.binary_rows(2000)
    rows["y"] = (np.random.default_rng(8).random(2000) < 0.02).astype(int).tolist()
    examples = data.write(tmp_path / "examples", test=rows)
    document = evaluated(model=export(threshold=1.0), examples=examples).document
    assert document["metrics"]["accuracy"]["value"] > 0.97
    assert not document["blessed"]
    assert any("the probabilities are not calibrated" in note for note in document["notes"])
    assert any("never predicts the positive class" in note for note in document["notes"])
    assert document["why"].startswith("Not blessed: the log loss is 14.7% above that of always")
    assert document["why"].endswith("which is no meaningful improvement (at least 1%).")
    found = {finding["code"]: finding["severity"] for finding in document["findings"]}
    assert found == {"no-skill": "error", "constant-answers": "error"}
    written = findings.read(tmp_path / "out" / "evaluation")
    assert [finding.code for finding in written] == ["no-skill", "constant-answers"]
    assert "for all 2,000 rows" in (tmp_path / "out" / "report.html").read_text()


def test_one_class_is_said_and_not_blessed(data, evaluated, export, tmp_path):
    rows = {**data.binary_rows(200), "y": [1] * 200}
    examples = data.write(tmp_path / "examples", test=rows)
    document = evaluated(model=export(), examples=examples).document
    assert not document["blessed"]
    assert "auc" not in document["metrics"]
    assert document["curves"] is None
    assert document["notes"] == ["auc: undefined here. Every row of split 'test' has class '1'."]
    assert "accuracy" in document["metrics"]
    assert "split 'test' has 0 rows of class '0', too few to measure the model" in document["why"]
    assert [finding["code"] for finding in document["findings"]] == ["few-rows"]


def test_a_multiclass_model(data, evaluated, export, tmp_path):
    classes = ("low", "middle", "high", "unseen")
    model = export(task="multiclass", classes=classes)
    rows = data.features(1500)
    place = np.clip(np.round((data.score(rows) + 2) / 4 * 3), 0, 2).astype(int)
    rows["y"] = [classes[index] for index in place]
    rows["y"][0] = "other"
    examples = data.write(tmp_path / "examples", test=rows)
    document = evaluated(model=model, examples=examples, slice_columns=["rooms"]).document
    assert document["rows_left_out"] == {"without_label": 0, "unknown_class": 1}
    assert document["blessed"]
    assert document["metrics"]["accuracy"]["value"] > 0.7
    assert [part["class"] for part in document["per_class"]] == list(classes)
    assert document["per_class"][3]["recall"] is None
    assert len(document["slices"]) == 10
    golden = json.loads((tmp_path / "out" / "golden" / "golden.json").read_text())
    assert len(golden["predictions"][0]["probabilities"]) == 4
    assert "unseen" in (tmp_path / "out" / "report.html").read_text()


def test_a_regression_model(data, evaluated, export, tmp_path):
    rows = data.features(1500)
    noise = np.random.default_rng(2).normal(0, 0.5, 1500)
    rows["y"] = (data.score(rows) + noise).tolist()
    examples = data.write(tmp_path / "examples", test=rows)
    good = evaluated(
        model=export(task="regression"), examples=examples, slice_columns=["kind"]
    ).document
    assert good["blessed"]
    assert good["metrics"]["rmse"]["value"] == pytest.approx(noise.std(), rel=0.01)
    assert good["metrics"]["r2"]["value"] > 0.8
    assert sum(map(sum, good["predicted_actual"]["counts"])) == 1500
    assert "Residuals" in (tmp_path / "out" / "report.html").read_text()
    bad = evaluated(model=export(task="regression", slope=-1.0), examples=examples).document
    assert not bad["blessed"]
    compared = evaluated(
        model=export(task="regression"),
        examples=examples,
        baseline_model=export(task="regression", noise=1.0),
        change_thresholds={"rmse": {"max_change": -0.1}},
    ).document
    assert compared["blessed"]


def test_the_split_with_rows_is_chosen(data, evaluated, export, tmp_path):
    rows = data.binary_rows(50)
    empty = {name: [] for name in rows}
    examples = data.write(tmp_path / "examples", eval=rows, test=empty, other=rows)
    assert evaluated(model=export(), examples=examples).document["split"] == "eval"
    assert evaluated(model=export(), examples=examples, split="other").document["split"] == "other"
    with pytest.raises(UserError, match="split 'test' has no rows"):
        evaluated(model=export(), examples=examples, split="test")
    with pytest.raises(UserError, match="no split 'tests'.* Did you mean 'test'"):
        evaluated(model=export(), examples=examples, split="tests")
    alone = data.write(tmp_path / "alone", train=rows)
    with pytest.raises(UserError, match=r"'eval' has rows; the splits are: train \(50 rows\)"):
        evaluated(model=export(), examples=alone)


def test_what_examples_lack_is_named(data, evaluated, export, tmp_path):
    rows = data.binary_rows(50)
    rows["Groesse (m)"] = rows.pop("Größe (m)")
    examples = data.write(tmp_path / "examples", test=rows)
    with pytest.raises(UserError, match=r"no column 'Größe \(m\)'.*Did you mean 'Groesse \(m\)'"):
        evaluated(model=export(), examples=examples)
    with pytest.raises(UserError, match="no column 'answer', the label"):
        evaluated(model=export(label="answer"))


def test_rows_without_a_known_class_cannot_be_evaluated(data, evaluated, export, tmp_path):
    rows = {**data.binary_rows(50), "y": [None, 7] * 25}
    examples = data.write(tmp_path / "examples", test=rows)
    with pytest.raises(UserError, match="25 have none in column 'y', 25 have a class other than"):
        evaluated(model=export(), examples=examples)


def test_predictions_that_are_not_finite_are_refused(evaluated, export, tmp_path):
    with pytest.raises(UserError, match="not finite for .* first for row .* of split 'test'"):
        evaluated(model=export(broken=True))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bootstrap_samples": 50}, "bootstrap_samples: expected 100 to 100000, found 50"),
        ({"max_slices": 0}, "max_slices: expected 1 to 1000, found 0"),
        ({"thresholds": {"aucc": {"min": 1}}}, "Did you mean 'auc'"),
        ({"change_thresholds": {"auc": {"min": 1}}}, "known keys: min_change, max_change"),
        ({"slice_columns": ["kinf"]}, "Did you mean 'kind'"),
        ({"baseline_model_uri": "/does/not/exist"}, "/does/not/exist"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_written(
    evaluated, export, tmp_path, changes, message
):
    with pytest.raises(UserError, match=message):
        evaluated(model=export(), **changes)
    assert not (tmp_path / "out").exists()


def test_models_of_another_task_cannot_be_the_baseline(evaluated, export):
    with pytest.raises(UserError, match="its task is 'regression', the model's is 'binary'"):
        evaluated(model=export(), baseline_model=export(task="regression"))
    with pytest.raises(UserError, match="its classes are a, b"):
        evaluated(model=export(), baseline_model=export(classes=("a", "b")))
    with pytest.raises(UserError, match="give one of the two"):
        evaluated(model=export(), baseline_model=export(), baseline_model_uri="/x")


def test_predictions_do_not_depend_on_the_number_of_processors(evaluated, export, monkeypatch):
    """Products of matrices end in other bits with other threads: each operation has one."""
    # In a new process, TensorFlow reads it when it runs its first operation.
    name = "TF_NUM_INTRAOP_THREADS"
    monkeypatch.setenv(name, "")
    monkeypatch.delenv(name)
    set_when_loaded = []
    loaded = saved_model.loaded

    def noted(path):
        set_when_loaded.append(os.environ.get(name))
        return loaded(path)

    monkeypatch.setattr(saved_model, "loaded", noted)
    evaluated(model=export(), explanations=False)
    assert set_when_loaded
    assert set(set_when_loaded) == {"1"}
