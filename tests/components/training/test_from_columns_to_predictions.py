"""Columns through transform, training and export: any names, and numbers beyond the range."""

import numpy as np
import pyarrow as pa
import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from kfp_tabular.components.common.artifacts.examples import ExamplesWriter
from kfp_tabular.components.common.artifacts.hyperparameters import Hyperparameters
from kfp_tabular.components.common.prediction.column_decoder import ColumnDecoder
from kfp_tabular.components.common.prediction.saved_model import SavedModel
from kfp_tabular.components.common.prediction.tabulated import tabulated_model
from kfp_tabular.components.common.prediction.tabulated.tabulated_model import TabulatedPiece
from kfp_tabular.components.feature_engineering import transform
from kfp_tabular.components.feature_engineering.options import TransformOptions
from kfp_tabular.components.training.worker import training_process
from kfp_tabular.components.training.worker_settings import WorkerSettings

ROWS = 3_000
NAMES = (
    "class",
    "from",
    "Age",
    "age",
    "self",
    "a b.c/d",
    "",
    "été",
    "1st",
    "probabilities",
    "x" * 300,
)


@pytest.fixture
def trained(tmp_path):
    """Train on a table of numbers and return a function from columns to predictions."""

    def _trained(columns, label, **hyperparameters):
        table = pa.table({name: pa.array(values) for name, values in columns.items()})
        for name in ("examples", "schema"):
            (tmp_path / name).mkdir()
        with ExamplesWriter(tmp_path / "examples", table.schema, ["train", "eval"]) as writer:
            writer.write("train", table.slice(0, 2_500))
            writer.write("eval", table.slice(2_500))
        types = {"double": schema_pb2.FLOAT, "int64": schema_pb2.INT}
        schema = schema_pb2.Schema()
        for field in table.schema:
            schema.feature.add(name=field.name, type=types[str(field.type)])
        (tmp_path / "schema" / "schema.pbtxt").write_text(text_format.MessageToString(schema))
        graph, transformed = tmp_path / "graph", tmp_path / "transformed"
        transform.run(
            transform.TransformRequest(
                options=TransformOptions(label),
                examples=tmp_path / "examples",
                schema=tmp_path / "schema",
                transform_graph=graph,
                transformed_examples=transformed,
                summary=tmp_path / "summary",
            )
        )
        settings = WorkerSettings(
            transformed,
            graph,
            tmp_path / "model",
            tmp_path / "logs",
            hyperparameters=Hyperparameters(hidden_units="32,16", **hyperparameters),
        )
        training_process.run(settings)
        model = SavedModel(tmp_path / "model")

        def predict(**given):
            rows = len(next(iter(given.values())))
            types = {"float32": np.float32, "int64": np.int64}
            tensors = {
                entry.input: np.asarray(given.get(entry.name, np.zeros(rows)), types[entry.dtype])
                for entry in model.spec.inputs
            }
            outputs = {name: value.numpy() for name, value in model.predict(tensors).items()}
            return outputs.get("classes", outputs.get("prediction"))

        predict.names = [entry.name for entry in model.spec.inputs]
        _check_tables(model, table)
        return predict

    return _trained


def _check_tables(model, table):
    """Tables of values answer as the exported model does."""
    few = table.take(np.random.default_rng(0).integers(0, 40, 500))
    decoded = ColumnDecoder(model.spec.inputs).decode(
        {name: few[name].combine_chunks() for name in few.column_names}, len(few)
    )
    tables = tabulated_model.of(model)
    assert tables is not None
    found, wanted = TabulatedPiece(tables).answers(decoded.values), model.answers(decoded.values)
    for name, values in wanted.items():
        if name == "classes":
            assert [tables.classes[code] for code in found[name]] == values.tolist()
        elif name == "prediction":
            # float32 adds up in another order. Close to 0, only the spread of the label counts.
            spread = float(np.std(values))
            np.testing.assert_allclose(found[name], values, rtol=1e-6, atol=1e-6 * spread)
        else:
            np.testing.assert_allclose(found[name], values, atol=1e-6, rtol=0)


@pytest.mark.parametrize("model_type", ["auto", "tabm"])
def test_whatever_the_columns_are_called_and_a_number_beyond_the_range(trained, model_type):
    random = np.random.default_rng(0)
    units = random.choice([*range(11), *range(12, 24)], ROWS)
    others = {name: random.normal(size=ROWS) for name in NAMES}
    label = (units >= 23).astype(np.int64)

    predict = trained(
        {"units": units, **others, "label": label},
        "label",
        learning_rate=0.003,
        model_type=model_type,
    )

    assert sorted(predict.names) == sorted(["units", *NAMES])
    assert predict(units=[0, 11, 22, 23, 42, 200]).tolist() == [b"0"] * 3 + [b"1"] * 3


@pytest.mark.parametrize(
    ("model_type", "least"), [("tabm", 0.6), ("auto", 0.3), ("wide_and_deep", 0.5)]
)
@pytest.mark.parametrize("slope", [100.0, -0.5])
def test_a_regression_follows_the_trend(trained, slope, model_type, least):
    random = np.random.default_rng(1)
    age, skewed = random.integers(18, 90, ROWS), np.round(random.lognormal(3, 0.5, ROWS), 2)
    value = slope * (age + skewed) + random.normal(0, abs(slope), ROWS)

    columns = {"age": age, "skewed": skewed, "value": value}
    predict = trained(columns, "value", learning_rate=0.01, model_type=model_type)

    middle = float(np.median(skewed))
    by_age = predict(age=[18, 54, 89, 120, 178], skewed=[middle] * 5)
    by_skewed = predict(age=[54] * 4, skewed=skewed.max() * np.array([0.25, 1, 2, 4]))
    assert np.all(np.diff(by_age) * slope > 0)
    assert np.all(np.diff(by_skewed) * slope > 0)
    # Halfway to twice the range; a linear part goes on about as before, trees stay.
    assert least <= (by_age[3] - by_age[2]) / 31 / slope <= 1.5
