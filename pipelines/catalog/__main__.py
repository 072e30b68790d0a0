"""`python -m kfp_tabular.pipelines.catalog` writes the generated pages; `--check` compares."""

import argparse
import logging
import sys

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.pipelines.catalog import generate

_logger = logging.getLogger("kfp_tabular.catalog")


def main() -> int:
    """Run the command.

    Returns:
        The exit code: 0; 1 if a page is stale or a component is not documented; 2 if its metadata
        is invalid.
    """
    parser = argparse.ArgumentParser(
        prog="python -m kfp_tabular.pipelines.catalog",
        description="Writes the reference page of every component.",
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 and name the stale files"
    )
    check = parser.parse_args().check
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        root = generate.project_root()
        made = generate.catalog(root)
    except UserError as error:
        _logger.error("error: %s", error)
        return 2
    for problem in made.problems:
        _logger.error("%s", problem)
    act = generate.stale if check else generate.write
    changed = act(root, made.pages)
    for path in changed:
        _logger.info("%s %s", "stale:" if check else "wrote", path)
    if check and changed:
        _logger.error("run `make docs` and commit what it writes")
    return 1 if made.problems or (check and changed) else 0


if __name__ == "__main__":
    raise SystemExit(main())
