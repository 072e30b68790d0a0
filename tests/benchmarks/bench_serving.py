"""Throughput and latency of the serving process on loopback.

Run it in the serving environment:

    python tests/benchmarks/bench_serving.py [--seconds 3] [--model DIR]

It starts the server as a process of its own and calls it from this one, so both share the
machine's CPUs. Without `--model` it exports one: 12 features, embeddings and two dense layers of
random weights, which costs about what a trained wide-and-deep model does.
"""

import argparse
import asyncio
import itertools
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kfp_tabular.components.common.model import SERVING_SIGNATURE, ModelInput, ModelSpec
from kfp_tabular.components.common.tensorflow import import_tensorflow

NUMBERS = [f"number_{place}" for place in range(5)]
INTEGERS = [f"integer_{place}" for place in range(3)]
TEXTS = [f"text_{place}" for place in range(4)]
WARM_UP_SECONDS = 0.5


def export(directory: Path) -> None:
    """Writes a binary classifier that follows the export contract."""
    tf = import_tensorflow()
    generator = tf.random.Generator.from_seed(7)
    buckets, width, hidden = 1000, 16, 128
    module = tf.Module()
    module.tables = [
        tf.Variable(generator.normal([buckets, width])) for _ in range(len(TEXTS) + len(INTEGERS))
    ]
    sizes = [len(NUMBERS) + len(module.tables) * width, hidden, hidden // 2, 1]
    module.kernels = [
        tf.Variable(generator.normal([i, o], stddev=i**-0.5)) for i, o in itertools.pairwise(sizes)
    ]

    @tf.function(
        input_signature=[
            {name: tf.TensorSpec([None], tf.float32, name=name) for name in NUMBERS}
            | {name: tf.TensorSpec([None], tf.int64, name=name) for name in INTEGERS}
            | {name: tf.TensorSpec([None], tf.string, name=name) for name in TEXTS}
        ]
    )
    def predict(raw: dict[str, Any]) -> dict[str, Any]:
        ids = [tf.strings.to_hash_bucket_fast(raw[name], buckets) for name in TEXTS]
        ids += [tf.math.floormod(raw[name], buckets) for name in INTEGERS]
        numbers = [tf.where(tf.math.is_nan(raw[name]), 0.0, raw[name]) for name in NUMBERS]
        layer = tf.concat(
            [tf.gather(table, i) for table, i in zip(module.tables, ids, strict=True)]
            + [tf.stack(numbers, axis=1)],
            axis=1,
        )
        for kernel in module.kernels[:-1]:
            layer = tf.nn.relu(layer @ kernel)
        positive = tf.sigmoid(tf.squeeze(layer @ module.kernels[-1], axis=1))
        return {
            "probabilities": tf.stack([1 - positive, positive], axis=1),
            "classes": tf.where(positive >= 0.5, "1", "0"),
        }

    module.predict = predict
    tf.saved_model.save(module, str(directory), signatures={SERVING_SIGNATURE: predict})
    inputs = [
        ModelInput(name=name, dtype=dtype, required=False, input=name)
        for dtype, names in (("float32", NUMBERS), ("int64", INTEGERS), ("string", TEXTS))
        for name in names
    ]
    ModelSpec(
        task="binary",
        label="label",
        classes=("0", "1"),
        decision_threshold=0.5,
        inputs=tuple(inputs),
        schema_digest="sha256:0",
    ).save(directory)


def instances(spec: ModelSpec, rows: int) -> list[dict[str, Any]]:
    """Makes random raw rows."""
    random = np.random.default_rng(7)
    make = {
        "float32": lambda: round(random.normal() * 10, 3),
        "int64": lambda: int(random.integers(1000)),
        "string": lambda: f"value {random.integers(500)}",
    }
    return [{item.name: make[item.dtype]() for item in spec.inputs} for _ in range(rows)]


def request(spec: ModelSpec, protocol: str, rows: int) -> bytes:
    """Makes a whole HTTP request."""
    batch = instances(spec, rows)
    datatypes = {"float32": "FP32", "int64": "INT64", "string": "BYTES"}
    if protocol == "v1":
        path, document = "/v1/models/bench:predict", {"instances": batch}
    else:
        path = "/v2/models/bench/infer"
        document = {
            "inputs": [
                {
                    "name": item.name,
                    "datatype": datatypes[item.dtype],
                    "shape": [rows],
                    "data": [row[item.name] for row in batch],
                }
                for item in spec.inputs
            ]
        }
    body = json.dumps(document).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def client(port: int, content: bytes, until: float, latencies: list[float]) -> None:
    """Asks over one connection, one request after another, and notes how long each took."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**24)
    while time.perf_counter() < until:
        begin = time.perf_counter()
        writer.write(content)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(head.decode())
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        await reader.readexactly(int(length[1]) if length else 0)
        latencies.append(time.perf_counter() - begin)
    writer.close()


async def load(port: int, content: bytes, concurrency: int, seconds: float) -> list[float]:
    """Asks over several connections at once; gives the latencies in seconds, sorted."""
    latencies: list[float] = []
    for duration in (WARM_UP_SECONDS, seconds):
        latencies.clear()
        until = time.perf_counter() + duration
        await asyncio.gather(*(client(port, content, until, latencies) for _ in range(concurrency)))
    return sorted(latencies)


def start(model: Path) -> tuple[subprocess.Popen[str], int, float]:
    """Starts the server; gives it, its port, and the seconds until it was ready."""
    begin = time.perf_counter()
    options = ["--model", str(model), "--name", "bench", "--port", "0"]
    process = subprocess.Popen(
        [sys.executable, "-m", "kfp_tabular.serving", *options], stderr=subprocess.PIPE, text=True
    )
    if process.stderr is None:
        raise RuntimeError("no pipe to the server's log")
    for line in process.stderr:
        if found := re.search(r"ready: http://127\.0\.0\.1:(\d+)", line):
            return process, int(found[1]), time.perf_counter() - begin
        sys.stderr.write(line)
    raise RuntimeError(f"the server ended with code {process.wait()}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures and prints a table."""
    parser = argparse.ArgumentParser(description="Measure the serving process.")
    parser.add_argument("--model", type=Path, help="a model's directory; one is made where absent")
    parser.add_argument("--seconds", type=float, default=3.0, help="per line of the table")
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 100], help="rows per request")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as directory:
        model = options.model or Path(directory) / "model"
        if not options.model:
            export(model)
        spec = ModelSpec.load(model)
        process, port, seconds = start(model)
        try:
            sys.stdout.write(f"ready after {seconds:.1f} s; {len(spec.inputs)} features\n")
            sys.stdout.write(
                f"{'protocol':8} {'rows':>5} {'clients':>7} {'requests/s':>10} {'rows/s':>9} "
                f"{'p50 ms':>7} {'p99 ms':>7}\n"
            )
            for rows in options.rows:
                for protocol in ("v1", "v2"):
                    content = request(spec, protocol, rows)
                    for concurrency in options.concurrency:
                        times = asyncio.run(load(port, content, concurrency, options.seconds))
                        rate = len(times) / options.seconds
                        sys.stdout.write(
                            f"{protocol:8} {rows:5} {concurrency:7} {rate:10.0f} "
                            f"{rate * rows:9.0f} {times[len(times) // 2] * 1e3:7.2f} "
                            f"{times[len(times) * 99 // 100] * 1e3:7.2f}\n"
                        )
                        sys.stdout.flush()
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    main()
