"""Trainings on the logarithm or the rank of a regression label."""

import numpy as np
import pytest

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.prediction.saved_model import SavedModel
from kfp_tabular.components.training import training_report
from kfp_tabular.components.training.worker import training_process


@pytest.mark.parametrize("model_type", ["auto", "linear"])
@pytest.mark.parametrize("transform", ["log", "rank"])
def test_the_exported_model_predicts_in_the_unit_of_the_label(
    made, inputs, tmp_path, transform, model_type
):
    settings = inputs["regression"].settings(
        tmp_path, model_type=model_type, label_transform=transform, epochs=3, tree_count=60
    )
    record = training_process.run(settings)
    model, rows = SavedModel(tmp_path / "model"), made.raw_rows(made.ROWS["eval"], 1)
    given = {entry.input: rows[entry.name] for entry in model.spec.inputs}
    found = model.predict(given)["prediction"].numpy().astype(float)
    errors = found - rows["price"]
    assert record.metrics["eval_rmse"] == pytest.approx(np.sqrt((errors**2).mean()), rel=1e-4)
    assert record.metrics["eval_r2"] > 0.5
    assert model.spec.hyperparameters["label_transform"] == transform
    assert training_report.page(record)


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_classes_are_not_transformed(inputs, tmp_path, kind):
    settings = inputs[kind].settings(tmp_path, label_transform="log")
    with pytest.raises(UserError, match=f"label_transform: this is a {kind} task"):
        training_process.run(settings)
