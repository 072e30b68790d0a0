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
