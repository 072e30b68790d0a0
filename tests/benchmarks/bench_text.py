"""Routes support tickets by their text: accuracy beside scikit-learn's, time and peak memory.

    .venvs/tensorflow/bin/python tests/benchmarks/bench_text.py --rows 3000 \
        --sklearn /tmp/sklearn/bin/python

The other Python, of an environment of its own that holds scikit-learn, fits a TfidfVectorizer of
words (1 to 2) and one of characters (3 to 5) for each text column, and a LogisticRegression on both
and the other columns. Both models are tested on the same 2,000 tickets. Transform and training run
in a process of their own; with `--repeat` few tickets are made and repeated, for many rows.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

TESTED = 2_000
TEXTS = ("subject", "body")
_REPEATED = 20_000
_HERE = Path(__file__).resolve()


def main() -> None:
    """Measure and print a line for each model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=3_000, help="tickets of train and eval")
    parser.add_argument("--epochs", type=int, default=0)
    parser.add_argument("--repeat", action="store_true")
    parser.add_argument("--sklearn", type=Path, help="a Python with scikit-learn")
    parser.add_argument("--single", choices=("own", "sklearn"), help=argparse.SUPPRESS)
    parser.add_argument("--table", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.single:
        table = json.loads(arguments.table.read_text(encoding="utf-8"))
        run = _own if arguments.single == "own" else _sklearn
        print(json.dumps(run(table, arguments)))
        return
    sys.path.insert(0, str(_HERE.parents[2]))
    from tests.tickets import LABEL, tickets

    made = min(arguments.rows + TESTED, _REPEATED) if arguments.repeat else arguments.rows + TESTED
    table = tickets(made)
    whole = {
        name: (values * (1 + arguments.rows // made))[: arguments.rows + TESTED]
        for name, values in table.items()
    }
    tested = whole[LABEL][-TESTED:]
    print(f"majority: {Counter(tested).most_common(1)[0][1] / TESTED:.3f}")
    with tempfile.TemporaryDirectory() as name:
        file = Path(name, "tickets.json")
        file.write_text(json.dumps(whole), encoding="utf-8")
        for kind, python in (("own", sys.executable), ("sklearn", arguments.sklearn)):
            if python is None:
                continue
            command = [str(python), str(_HERE), "--single", kind, "--table", str(file)]
            command += ["--rows", str(arguments.rows), "--epochs", str(arguments.epochs)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            found = json.loads(done.stdout.splitlines()[-1])
            print(kind, "  ".join(f"{key}: {value:.3f}" for key, value in found.items()))


def _own(table: dict[str, list[Any]], arguments: argparse.Namespace) -> dict[str, float]:
    sys.path.insert(0, str(_HERE.parents[2]))
    import numpy as np
    import pyarrow as pa

    from kfp_tabular.components.common.artifacts.examples import ExamplesWriter
    from kfp_tabular.components.common.options import build
    from kfp_tabular.components.common.process.tensorflow import import_tensorflow
    from kfp_tabular.components.feature_engineering import transform
    from kfp_tabular.components.feature_engineering.options import TransformOptions
    from kfp_tabular.components.training import train
    from kfp_tabular.components.training.options import TrainingOptions
    from kfp_tabular.components.training.training_request import TrainingRequest

    tf = import_tensorflow()
    data = pa.table(table)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        first = arguments.rows * 8 // 9
        splits = {
            "train": data.slice(0, first),
            "eval": data.slice(first, arguments.rows - first),
        }
        (folder / "examples").mkdir()
        with ExamplesWriter(folder / "examples", data.schema, list(splits)) as writer:
            for split, rows in splits.items():
                writer.write(split, rows)
        _write_schema(folder / "schema", data.schema)
        started = time.perf_counter()
        transform.run(
            transform.TransformRequest(
                options=TransformOptions(label="queue"),
                examples=folder / "examples",
                schema=folder / "schema",
                transform_graph=folder / "graph",
                transformed_examples=folder / "transformed",
                summary=folder / "summary",
            )
        )
        transformed = time.perf_counter()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        train.run(
            TrainingRequest(
                options=build(TrainingOptions, {"epochs": arguments.epochs}),
                transformed_examples=folder / "transformed",
                transform_graph=folder / "graph",
                model=folder / "model",
                training_logs=folder / "logs",
                report=folder / "report.html",
            )
        )
        trained = time.perf_counter()
        size = sum(file.stat().st_size for file in (folder / "transformed").rglob("*.parquet"))
        signature = tf.saved_model.load(str(folder / "model")).signatures["serving_default"]
        tested = data.slice(arguments.rows)
        raw = {
            field.name: tf.constant(
                tested[field.name].to_pylist(), tf.string if field.type == pa.string() else tf.int64
            )
            for field in data.schema
            if field.name in signature.structured_input_signature[1]
        }
        answers = [value.decode() for value in signature(**raw)["classes"].numpy()]
    return {
        "accuracy": float(np.mean(np.array(answers) == np.array(tested["queue"].to_pylist()))),
        "transform, s": transformed - started,
        "transform, MB": peak,
        "training, s": trained - transformed,
        "training and transform, MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "examples, MB": size / 2**20,
    }


def _write_schema(folder: Path, table: Any) -> None:
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    schema = schema_pb2.Schema()
    for field in table:
        kind = schema_pb2.BYTES if str(field.type) == "string" else schema_pb2.INT
        schema.feature.add(name=field.name, type=kind)
    folder.mkdir()
    (folder / "schema.pbtxt").write_text(text_format.MessageToString(schema), encoding="utf-8")


def _sklearn(table: dict[str, list[Any]], arguments: argparse.Namespace) -> dict[str, float]:
    import numpy as np
    import scipy.sparse
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import OneHotEncoder

    started = time.perf_counter()
    train, test = slice(0, arguments.rows * 8 // 9), slice(arguments.rows, None)
    words = {"ngram_range": (1, 2)}
    characters = {"ngram_range": (3, 5), "analyzer": "char_wb"}
    blocks = [
        OneHotEncoder().fit_transform(np.array(table["channel"])[:, None]),
        scipy.sparse.csr_matrix(np.log1p(np.array(table["seats"], float))[:, None]),
    ]
    for name in TEXTS:
        for settings in (words, characters):
            vectorizer = TfidfVectorizer(sublinear_tf=True, min_df=2, **settings)
            vectorizer.fit(table[name][train])
            blocks.append(vectorizer.transform(table[name]))
    values = scipy.sparse.hstack(blocks).tocsr()
    labels = np.array(table["queue"])
    model = LogisticRegression(max_iter=1000).fit(values[train], labels[train])
    return {
        "accuracy": float(model.score(values[test], labels[test])),
        "all, s": time.perf_counter() - started,
        "MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


if __name__ == "__main__":
    main()
