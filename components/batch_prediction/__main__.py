"""Predicts in this process: `python -m kfp_tabular.components.batch_prediction REQUEST RESULT`.

The command line runs this in a run's tensorflow environment. What it has to say goes to standard
output, a line each; standard error has what libraries write.
"""

import argparse
import dataclasses
import json
import logging
import sys
from pathlib import Path

from kfp_tabular.components.batch_prediction import predict
from kfp_tabular.components.batch_prediction.options import BatchPredictionOptions
from kfp_tabular.components.common import files, options
from kfp_tabular.components.common.errors import UserError, reported_to_user
from kfp_tabular.components.common.process.termination import interrupt_on_termination
from kfp_tabular.components.common.processing import engines
from kfp_tabular.components.common.registry.port import RegistryAwayError


def main() -> None:
    """Read a request from a JSON file, and write the result to another."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("request", type=Path, help="options and paths, as JSON")
    parser.add_argument("result", type=Path, help="the JSON file to write")
    given = parser.parse_args()
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(message)s")
    logging.getLogger("py4j").setLevel(logging.WARNING)
    interrupt_on_termination()
    document = json.loads(given.request.read_text(encoding="utf-8"))
    settings = options.build(BatchPredictionOptions, document["options"])
    request = predict.BatchPredictionRequest(
        settings,
        Path(document["predictions"]),
        Path(document["rejected_rows"]),
        Path(document["report"]),
    )
    with reported_to_user(), engines.opened(settings.processing, "predict-batch") as opened:
        try:
            result = predict.run(request, opened.engine, opened.shards_uri)
        except RegistryAwayError as error:
            raise UserError(f"{settings.model}: {error}. Try again later.") from error
    text = json.dumps(dataclasses.asdict(result), ensure_ascii=False)
    files.write_text(given.result, text)


if __name__ == "__main__":
    main()
