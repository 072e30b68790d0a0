import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import tensorflow_transform as tft

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.feature_engineering.graph import user_function

MODULE = "my_preprocessing"


@pytest.fixture(autouse=True)
def module(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    yield
    sys.modules.pop(MODULE, None)


@pytest.fixture
def table():
    random = np.random.default_rng(5)
    fare = random.normal(10, 4, 300)
    return pa.table(
        {
            "fare": pa.array(np.where(random.random(300) < 0.2, np.nan, fare), from_pandas=True),
            "zone": pa.array(random.choice(["n", "s"], 300), mask=random.random(300) < 0.1),
            "hour": random.integers(0, 24, 300),
            "weight": [2, 4] * 150,
            "unused": random.normal(size=300),
            "constant": ["a"] * 300,
            "y": ["no", "yes"] * 150,
        }
    )


def test_a_function_replaces_what_would_be_derived(run, table):
    done = run(
        {"train": table, "eval": table.slice(0, 40)},
        preprocessing_fn=f"{MODULE}:good",
        exclude=["constant"],
    )
    fare = np.nan_to_num(table["fare"].to_numpy(zero_copy_only=False))
    np.testing.assert_allclose(
        done.column("fare"), (fare - fare.mean()) / fare.std(), rtol=1e-3, atol=1e-4
    )
    assert done.column("hour").tolist() == table["hour"].to_pylist()
    np.testing.assert_allclose(done.column("weighted"), fare - 3, rtol=1e-4, atol=1e-4)
    assert done.column("y").tolist() == [0, 1] * 150
    assert done.result.rows == {"train": 300, "eval": 40}
    sizes = {output["name"]: output["size"] for output in done.features["outputs"]}
    assert sizes == {
        "fare": None,
        "fare missing": None,
        "fare bucket": 4,
        "zone": 3,
        "zone hash": 7,
        "hour": 24,
        "weighted": None,
        "late": None,
        "powers": None,
    }
    powers = done.table()["powers"]
    assert powers.type == pa.list_(pa.float32(), 2)
    np.testing.assert_allclose(powers.to_pylist(), np.stack([fare, fare**2], 1), rtol=1e-5)
    assert "`powers` (2 numbers)" in done.summary
    assert done.features["preprocessing_fn"] == f"{MODULE}:good"
    assert f"Computed by `{MODULE}:good`" in done.summary
    # Serving does not need columns that only the analysis reads, or unused ones.
    output = tft.TFTransformOutput(str(done.graph))
    assert sorted(output.raw_feature_spec()) == ["fare", "hour", "zone"]
    assert done.dropped["weight"] == "not used by the preprocessing_fn"
    assert done.dropped["constant"] == "excluded"


def test_nothing_to_analyze(run, table):
    done = run(table, preprocessing_fn=f"{MODULE}:without_analyzers")
    assert [output["name"] for output in done.features["outputs"]] == ["fare"]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("asks_for_an_unknown_feature", "unknown feature 'fair'. Did you mean 'fare'?"),
        ("returns_text", "output 'zone': expected numbers or ids, found string"),
        ("returns_undeclared_ids", "output 'hour': whole numbers without a range of ids"),
        ("returns_sparse", "output 'zone': expected a dense tensor, found SparseTensor"),
        ("returns_two_ids_per_row", "output 'hour': expected one id per row, found shape (None, 2"),
        ("returns_a_cube", "output 'fare': expected shape [batch], or [batch, width] with a fixed"),
        ("returns_a_scalar", "output 'fare': expected shape [batch], or [batch, width]"),
        ("returns_the_label", "output 'y': this is the name of the label"),
        ("returns_nothing", "expected a non-empty dict of tensors by name"),
        ("returns_constants", "the outputs do not depend on any feature"),
        ("god", "module 'my_preprocessing' has no function 'god'. Did you mean 'good'?"),
    ],
)
def test_a_function_that_does_not_fit(run, table, function, message):
    with pytest.raises(UserError) as error:
        run(table, preprocessing_fn=f"{MODULE}:{function}")
    assert message in str(error.value)


@pytest.mark.parametrize("damage", ["end", "pages"])
def test_a_damaged_shard_is_named(run, table, monkeypatch, damage):
    analyze, shards = user_function._analyze, []

    def damaged(function, examples, *rest):
        [shard] = examples.require("train")
        content = bytearray(Path(shard.uri).read_bytes())
        if damage == "end":
            del content[-20:]
        else:
            content[4:400] = b"\xff" * 396
        Path(shard.uri).write_bytes(content)
        shards.append(shard)
        analyze(function, examples, *rest)

    monkeypatch.setattr(user_function, "_analyze", damaged)
    with pytest.raises(UserError) as error:
        run(table, preprocessing_fn=f"{MODULE}:good")
    assert str(error.value).startswith(f"{shards[0]}: ")
    assert "damaged" in str(error.value)


def test_a_module_that_is_not_there():
    with pytest.raises(UserError, match="cannot import 'no_such_module'.*PYTHONPATH"):
        user_function.load("no_such_module:function")


def test_configuration_beside_a_function(run, table):
    with pytest.raises(UserError, match="has no effect together with preprocessing_fn"):
        run(table, preprocessing_fn=f"{MODULE}:good", feature_config={"fare": {"kind": "drop"}})
