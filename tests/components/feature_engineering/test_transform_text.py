"""The whole transform of tables with free text, and a model that is trained on them."""

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from kfp_tabular.components.common.errors import UserError
from tests.tickets import tickets

from .conftest import transformer

ROWS = 600


def table(rows=ROWS, seed=0):
    made = tickets(rows, seed)
    random = np.random.default_rng(seed)
    missing = random.random(rows) < 0.05
    made["body"] = [
        None if gone else text for gone, text in zip(missing, made["body"], strict=True)
    ]
    made["body"][7] = "   "
    made["subject"][3] = "long text " * 10_000
    made["code"] = [f"{random.choice(['AB', 'QZ'])}-{number}" for number in range(rows)]
    made["uuid"] = [random.bytes(16).hex() for _ in range(rows)]
    return pa.table(made)


@pytest.fixture(scope="module")
def splits():
    return {"train": table(), "test": table(50, 1)}


@pytest.fixture(scope="module")
def done(splits, tmp_path_factory):
    return transformer(tmp_path_factory.mktemp("text"))(splits, label="queue")


def test_text_becomes_vectors(done, splits):
    assert done.kinds == {
        "subject": "text",
        "body": "text",
        "channel": "categorical",
        "seats": "numeric",
        "code": "text",
    }
    assert done.dropped["uuid"].startswith("identifier")
    train = done.table()
    for column, width in (("body__words", 512), ("body__characters", 512)):
        assert train[column].type == pa.list_(pa.float16(), width)
        vectors = np.array(train[column].to_pylist(), np.float32)
        assert np.isfinite(vectors).all()
        # Where there is a text, and it is not blank, its vector has the same length everywhere.
        norms = np.linalg.norm(vectors, axis=1)
        present = np.array(
            [bool(text and text.strip()) for text in splits["train"]["body"].to_pylist()]
        )
        own = norms[present & (norms > 0)]
        np.testing.assert_allclose(own, own[0], rtol=5e-3)
        assert len(own) > 0.95 * present.sum()  # Others have none of the n-grams that are kept.
        assert not norms[~present].any()
    assert train["body__statistics"].type.list_size == 12
    assert train["body__missing"].to_numpy().sum() == splits["train"]["body"].null_count
    # Codes have parts, not characters.
    assert "code__words" in train.column_names
    assert "code__characters" not in train.column_names
    # The words of the classes are among those kept.
    assert "`body__words` (512 numbers)" in done.summary
    note = (done.graph / "_findings.json").read_text()
    assert "Text becomes features of its words and characters: 'subject': free text: " in note


def test_the_graph_computes_the_same_for_any_batch(done, splits):
    import tensorflow_transform as tft

    layer = tft.TFTransformOutput(str(done.graph)).transform_features_layer()
    test = splits["test"]
    raw = {
        name: [value or "" for value in test[name].to_pylist()]
        for name in ("subject", "body", "channel", "code")
    } | {"seats": np.array(test["seats"].to_pylist(), np.int64)}
    whole = layer({name: tf.constant(values) for name, values in raw.items()})
    written = done.table("test")
    for name in ("body__words", "subject__characters", "code__words", "body__statistics"):
        np.testing.assert_allclose(
            whole[name].numpy(), np.array(written[name].to_pylist(), np.float32), atol=5e-3
        )
        for row in (0, 17):
            alone = layer({key: tf.constant(values[row : row + 1]) for key, values in raw.items()})
            np.testing.assert_allclose(alone[name][0], whole[name][row], atol=1e-5)


def test_options(run, splits):
    done = run(
        table(150),
        label="queue",
        feature_config={
            "subject": {"kind": "text", "words": 32, "characters": 0, "ngrams": 1},
            "body": {"kind": "text", "words": 0, "characters": 16.0, "character_ngrams": [2, 3]},
            "code": {"kind": "drop"},
        },
    )
    widths = {output["name"]: output.get("width") for output in done.features["outputs"]}
    assert widths["subject__words"] == 32
    assert widths["body__characters"] == 16
    assert "subject__characters" not in widths
    assert "body__words" not in widths


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"body": {"kind": "text", "wrods": 3}}, "unknown key 'wrods'.*Did you mean 'words'"),
        ({"body": {"kind": "text", "words": -1}}, "words: expected a number from 0 to 16384"),
        ({"body": {"kind": "text", "ngrams": 4}}, "ngrams: expected a number from 1 to 3"),
        (
            {"body": {"kind": "text", "character_ngrams": [5, 3]}},
            "character_ngrams: expected the smaller number first",
        ),
        (
            {"body": {"kind": "text", "character_ngrams": 3}},
            r"character_ngrams: expected two numbers such as \[3, 5\]",
        ),
        ({"seats": {"kind": "text"}}, "'seats' is a number and cannot be text"),
    ],
)
def test_options_that_do_not_fit(run, config, message):
    with pytest.raises(UserError, match=message):
        run(table(120), label="queue", feature_config=config)


def test_a_number_to_predict(run):
    random = np.random.default_rng(2)
    made = tickets(300)
    price = [len(text) + 500.0 * ("refund" in text) for text in made["body"]]
    done = run(
        pa.table({"body": made["body"], "x": random.normal(size=300), "y": price}),
        task="regression",
    )
    assert done.kinds["body"] == "text"
