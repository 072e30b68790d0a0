"""A process that promotes one version per round, at the same moment as another one.

Run as `promoter.py STORE ROUNDS WHO FOLDER`.
"""

import sys
import time
from pathlib import Path

from kfp_tabular.components.common.registry import open_registry, promotion
from kfp_tabular.components.common.registry.promotion import MovedError

store, rounds, who, folder = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
registry = open_registry(store)


def meet(place: str) -> None:
    (folder / f"{place}-{who}").touch()
    while not (folder / f"{place}-{1 - who}").exists():
        time.sleep(0.001)


for number in range(rounds):
    version = registry.version("taxi", str(2 * number + who + 1))
    expects = promotion.standing(registry, "taxi").champion
    meet(f"before-{number}")
    try:
        with promotion.rollout(registry, version, expects, {"by": str(who)}):
            pass
        print("won")
    except MovedError:
        print("refused")
    meet(f"after-{number}")
