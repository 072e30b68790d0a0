"""kfp-tabular: from tabular data to a served TensorFlow model.

`load_run` returns the results of a local run, for notebooks.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kfp_tabular.pipelines.local.run_results import load_run as load_run

__all__ = ["load_run"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from kfp_tabular.pipelines.local import run_results

    return getattr(run_results, name)
