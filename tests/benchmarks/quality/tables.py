"""Writes tables with their splits, in the environment of the libraries; run by its path.

One of that environment's packages installs a `tests` of its own.
"""

import json
import sys
from pathlib import Path

import pandas as pd
import splits

SPLIT = "benchmark_split"
_FEWEST_OF_A_CLASS = 25
"""Rows of rarer classes are left out: a split might lack them."""


def main(exported: Path, folder: Path, document: str) -> None:
    """Write `<folder>/<name>/seed<seed>/data.csv` for `{"name": [table, seeds]}`."""
    for name, (table, seeds) in json.loads(document).items():
        frame = _frame(exported / f"{name}.csv", table)
        for seed in seeds:
            data = folder / name / f"seed{seed}" / "data.csv"
            data.parent.mkdir(parents=True, exist_ok=True)
            assigned = frame.assign(**{SPLIT: splits.assign(len(frame), seed)})
            assigned.to_csv(data.with_suffix(".part"), index=False)
            data.with_suffix(".part").rename(data)


def _frame(file: Path, table: dict) -> pd.DataFrame:  # type: ignore[type-arg]
    frame = pd.read_csv(file, low_memory=False)
    label = table["label"]
    frame = frame.drop(columns=["rownames", *table["exclude"]], errors="ignore")
    frame = frame[frame[label].notna()]
    if table["task"] != "regression":
        counts = frame[label].value_counts()
        frame = frame[frame[label].map(counts) >= _FEWEST_OF_A_CLASS]
    if len(frame) > table["most_rows"]:
        frame = frame.sample(table["most_rows"], random_state=0)
    return frame.reset_index(drop=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
