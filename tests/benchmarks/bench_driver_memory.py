"""Memory of Spark's driver: statistics of 2,000 columns in 10,000 pieces.

    .venvs/tfdv/bin/python tests/benchmarks/bench_driver_memory.py --pieces 10000 --columns 2000

The pieces are simulated. Statistics of one are computed for real, and its state stands for that of
all pieces together. What is merged on the way counts pieces only, so that the tasks are short. So
the driver plans, follows and ends a job of that size, gets the one state that it would get, and
makes TFDV's statistics of it. Prints the peak of its Python process and of its Java process, in
which the executor of `local[2]` runs as well.
"""

import argparse
import re
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
from bench_validation import wide

from kfp_tabular.components.common.processing import engines
from kfp_tabular.components.common.processing import state as states
from kfp_tabular.components.common.processing.accumulator import Rows
from kfp_tabular.components.common.processing.pieces import Piece
from kfp_tabular.components.common.processing.spark import installation
from kfp_tabular.components.common.statistics import lean_tfdv, tfdv_protos
from kfp_tabular.components.common.statistics.split_folds import StatisticsFold
from kfp_tabular.pipelines.environments.location import Environments, default_folder

ROWS_OF_PIECE = 131_072


@dataclass
class Simulated:
    """Counts pieces; the state of all of them is the one in a file.

    Attributes:
        schema: The columns.
        file: The state of one piece.
        pieces: How many there are.
        seen: How many were added.
    """

    schema: pa.Schema
    file: Path
    pieces: int
    seen: int = 0

    def add(self, batch: int) -> None:
        """Add a piece."""
        self.seen += batch

    def merge(self, other: "Simulated") -> None:
        """Add what another one has seen."""
        self.seen += other.seen

    def state(self) -> bytes:
        """Return the state."""
        if self.seen == self.pieces:
            return self.file.read_bytes()
        return states.pack({"seen": self.seen})

    def from_state(self, state: bytes) -> Any:
        """Return one with a state; of the statistics, where it is theirs."""
        parts = states.unpack(state)
        if "seen" not in parts:
            return StatisticsFold(self.schema).from_state(state)
        return Simulated(self.schema, self.file, self.pieces, parts["seen"])

    def result(self) -> Any:
        """Return how many pieces were seen."""
        return self.seen


def read(piece: Piece) -> Iterator[int]:
    """Yield 1: a piece."""
    yield 1


def main() -> None:
    """Measure once and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pieces", type=int, default=10_000)
    parser.add_argument("--columns", type=int, default=2_000)
    arguments = parser.parse_args()
    installation.require(Environments(default_folder()).spark_home())
    table = wide(20_000, arguments.columns, seed=0)
    lean_tfdv.load()
    fold = StatisticsFold(table.schema)
    (batch,) = table.combine_chunks().to_batches()
    fold.add(Rows(batch, 0, "train"))
    pieces = [
        Piece(f"part-{at:05d}", "row-groups", 0, 1, "train", ROWS_OF_PIECE, at * ROWS_OF_PIECE, at)
        for at in range(arguments.pieces)
    ]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "state"
        file.write_bytes(fold.state())
        del fold, batch
        factory = partial(Simulated, table.schema, file, len(pieces))
        names = table.schema.names
        size = file.stat().st_size
        del table
        # The peak so far is that of making the state.
        Path("/proc/self/clear_refs").write_text("5")
        before = peak("self")
        started = time.perf_counter()
        with engines.opened({"engine": "spark", "master": "local[2]"}, "validate-data") as opened:
            context = opened.engine._context  # type: ignore[attr-defined]
            java = type(context)._gateway.proc.pid
            found = opened.engine.fold(pieces, factory, read)
            protos = tfdv_protos.to_protos(found, ["train"], names)
            seconds = time.perf_counter() - started
            print(f"{len(pieces):,} pieces, {len(names):,} columns")
            print(f"one state: {size / 1e6:,.0f} MB; statistics: {len(protos)} split")
            print(f"Python: {before:,.0f} MB before, {peak('self'):,.0f} MB at most")
            print(f"Java, with the executor: {peak(java):,.0f} MB at most; {seconds:,.0f} s")


def peak(process: int | str) -> float:
    """Return the largest resident size of a process so far, in MB."""
    text = Path(f"/proc/{process}/status").read_text()
    match = re.search(r"VmHWM:\s+(\d+) kB", text)
    return int(match[1]) / 1e3 if match else 0.0


if __name__ == "__main__":
    main()
