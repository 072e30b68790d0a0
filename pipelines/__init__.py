"""Components wired into pipelines, and the command line.

`registry.find` returns a pipeline, `compile.compile_pipeline` compiles it, `local` and `kubeflow`
run it.

`load_run` returns the results of a local run, for notebooks.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kfp_tabular.pipelines.local.run_results import Run as Run
    from kfp_tabular.pipelines.local.run_results import load_run as load_run

__all__ = ["Run", "load_run"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from kfp_tabular.pipelines.local import run_results

    return getattr(run_results, name)
