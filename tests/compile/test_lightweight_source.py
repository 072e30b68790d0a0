"""Docstrings of other packages' lightweight components, which a compiled spec leaves out."""

import ast
from pathlib import Path

import pytest

from kfp_tabular.pipelines import registry, spec
from kfp_tabular.pipelines.compile import compile_pipeline
from kfp_tabular.pipelines.configuration import PipelineConfig
from kfp_tabular.pipelines.lightweight_source import without_docstring

PIPELINE = '''
from kfp import dsl


@dsl.component(base_image="registry.example.com/ml/own:1", install_kfp_package=False)
def double(number: int) -> int:
    """Double a number.

    PARAGRAPH

    Args:
        number: The number. A sentence that a spec leaves out.
    """

    def inner() -> str:
        """A docstring that some libraries read."""
        return inner.__name__

    return number * 2  # a comment


@dsl.pipeline(name="doubling")
def doubling(number: int = 1):
    """Doubles.

    Args:
        number: The number of a pipeline. Further sentences are in the help.
    """
    double(number=number)
'''


def test_a_spec_has_no_docstring_of_a_users_component(tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    path.write_text(PIPELINE)
    output = tmp_path / "own.yaml"

    compile_pipeline(registry.find(f"{path}:doubling"), PipelineConfig(), output)

    text = output.read_text()
    for absent in ("PARAGRAPH", "a spec leaves out", "Further sentences"):
        assert absent not in text
    assert "A docstring that some libraries read." in text
    document = spec.load(output)
    command = document["deploymentSpec"]["executors"]["exec-double"]["container"]["command"]
    (function,) = [e for e in ast.parse(command[-1]).body if isinstance(e, ast.FunctionDef)]
    assert isinstance(function.body[0], ast.Pass)
    description = document["root"]["inputDefinitions"]["parameters"]["number"]["description"]
    assert description == "The number of a pipeline."


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('def f():\n    "x"\n', "def f():\n    pass\n"),
        ('def f(): "x"', "def f(): pass"),
        ('def f():\n    "x"; return "x"\n', 'def f():\n    pass; return "x"\n'),
        ('def f():\n    """ü\n\n  ü"""; a = "ü"\n', 'def f():\n    pass; a = "ü"\n'),
        ("def f(a='ü'): 'ü'; return a", "def f(a='ü'): pass; return a"),
        ('def f():\n    return "x"\n', 'def f():\n    return "x"\n'),
        ('def f():\n    f"{1}"\n    return 2\n', 'def f():\n    f"{1}"\n    return 2\n'),
        ('def g():\n    "x"\n', 'def g():\n    "x"\n'),
        ('def f():\n    "x"\n    return f.__doc__\n', 'def f():\n    "x"\n    return f.__doc__\n'),
        ('if True:\n    def f():\n        "x"\n', 'if True:\n    def f():\n        "x"\n'),
        ("def f() -> this is no Python", "def f() -> this is no Python"),
        (
            "a = 1\r\ndef f():\r\n    'x'\r\n    return 1\r\n",
            "a = 1\r\ndef f():\r\n    pass\r\n    return 1\r\n",
        ),
    ],
)
def test_only_the_functions_own_docstring_goes(source: str, expected: str) -> None:
    assert without_docstring(source, "f") == expected
