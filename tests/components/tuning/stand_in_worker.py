"""A stub of the training worker: takes its flags and reports values of a formula.

The seed chooses nothing. `l2` above 0.5 fails as bad input does, `embedding_dimension` 13 fails
as a crash does, `cross_layers` 99 reports nothing finite, `epochs` is the number of reports, and
`train_steps` is how many milliseconds each of them takes.
"""

import json
import logging
import math
import sys
import time
from pathlib import Path


def main() -> None:
    flags = dict(argument[2:].split("=", 1) for argument in sys.argv[1:] if "=" in argument)
    assert "--no-export" in sys.argv
    values = json.loads(Path(flags["hyperparameters"]).read_text())
    logging.basicConfig()
    if values["l2"] > 0.5:
        logging.getLogger("worker").error("kfp-tabular: error: l2 of %s is too much", values["l2"])
        raise SystemExit(2)
    if values["embedding_dimension"] == 13:
        raise RuntimeError("no memory for embeddings")
    Path(flags["logs"]).mkdir(parents=True)
    quality = 0.9 - 0.05 * abs(math.log10(values["learning_rate"]) + 2.5) - values["dropout"] / 10
    with Path(flags["metrics-file"]).open("a") as stream:
        for epoch in range(1, values["epochs"] + 1):
            time.sleep(values["train_steps"] / 1000)
            auc = quality - 0.3 / epoch
            if values["cross_layers"] == 99:
                auc = math.nan
            stream.write(f"epoch={epoch} eval_auc={auc:.6f} eval_rmse={1 - auc:.6f}\n")
            stream.flush()


main()
