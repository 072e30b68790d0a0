"""What every component shares can be imported without TensorFlow."""

import pkgutil
import subprocess
import sys

from kfp_tabular.components import common

HEAVY = [
    "tensorflow",
    "tf_keras",
    "tensorflow_transform",
    "tensorflow_data_validation",
    "tensorflow_metadata",
    "apache_beam",
    "kserve",
    "optuna",
    "pandas",
    "pyspark",
    "py4j",
]


def test_importing_the_common_modules_loads_nothing_heavy():
    modules = sorted(
        module.name for module in pkgutil.walk_packages(common.__path__, f"{common.__name__}.")
    )
    assert f"{common.__name__}.artifacts.raw_features" in modules
    program = (
        "import importlib, sys\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    # -I: what the test runner's environment adds does not count.
    ran = subprocess.run(
        [sys.executable, "-I", "-c", program], check=False, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == "[]"


def test_the_engine_of_one_machine_loads_no_other():
    program = (
        "import sys\n"
        "from kfp_tabular.components.common.processing import engines\n"
        "from kfp_tabular.components.common.processing.pieces import Piece\n"
        "with engines.opened({}, 'validate-data') as opened:\n"
        "    list(opened.engine.map([Piece('x', 'bytes', 0, 1)], lambda piece: piece.stop))\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    ran = subprocess.run(
        [sys.executable, "-I", "-c", program], check=False, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == "[]"
