"""Examples in docstrings, found and run in the environment of the code that they belong to."""

import doctest
import importlib
import inspect
import pkgutil
from collections.abc import Collection, Iterator
from types import ModuleType
from typing import Any

_FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def examples(*names: str, without: Collection[str] = ()) -> list[doctest.DocTest]:
    """Return the docstrings with examples in these packages and modules, and all below them.

    Args:
        names: Packages and modules.
        without: Modules to leave out because they cannot be imported in this environment.
    """
    finder = doctest.DocTestFinder(exclude_empty=True)
    found: dict[str, doctest.DocTest] = {}
    for name in names:
        for module in _modules(importlib.import_module(name), without):
            tests = finder.find(module, module.__name__)
            for function in _components(module):
                tests += finder.find(function, f"{module.__name__}.{function.__name__}")
            found |= {test.name: test for test in tests if test.examples}
    return [found[name] for name in sorted(found)]


def run(test: doctest.DocTest) -> None:
    """Run a docstring's examples; fail with what they print where that is not what they show."""
    printed: list[str] = []
    doctest.DocTestRunner(optionflags=_FLAGS).run(test, out=printed.append)
    assert not printed, "".join(printed)


def _modules(package: ModuleType, without: Collection[str]) -> Iterator[ModuleType]:
    yield package
    for module in pkgutil.walk_packages(getattr(package, "__path__", ()), f"{package.__name__}."):
        if not module.name.endswith(".__main__") and module.name not in without:
            yield importlib.import_module(module.name)


def _components(module: ModuleType) -> Iterator[Any]:
    """KFP wraps a component's function in an object, whose docstring the finder passes over."""
    for value in vars(module).values():
        function = getattr(value, "python_func", None)
        if inspect.isfunction(function) and function.__module__ == module.__name__:
            yield function
