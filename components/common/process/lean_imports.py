"""Imports of large packages that leave out what a task does not use.

Importing TensorFlow, Beam or TFDV takes longer than most tasks' work, and most of it is for code
that a task never calls: optional integrations, and packages that import all of their modules.
"""

import gc
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any


class _Absent(MetaPathFinder):
    """Finds that some packages are not installed."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002 - the interface
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        """Raise for one of the packages and for modules in it; leave others to other finders."""
        if any(f"{fullname}.".startswith(f"{name}.") for name in self._names):
            raise ModuleNotFoundError(f"{fullname} is left out of this import", name=fullname)
        return None


class _Imported(Loader):
    """Loads a module that has been imported meanwhile."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._spec = module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:  # noqa: ARG002 - the interface
        """Return the module."""
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        """Leave the module as it is."""
        module.__spec__ = self._spec


class _Completion(MetaPathFinder):
    """Runs the `__init__.py` of a deferred package for a module of it that is not found otherwise.

    That may extend the package's path, as TensorFlow's does.
    """

    def __init__(self, package: ModuleType, load: Callable[[], None]) -> None:
        self._package = package
        self._load = load

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002 - the interface
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Find a module of the package once its `__init__.py` has run."""
        parent = fullname.rpartition(".")[0]
        if parent != self._package.__name__ or "__getattr__" not in self._package.__dict__:
            return None
        self._load()
        if (module := sys.modules.get(fullname)) is not None:
            # Python takes the module's own spec, and would execute the module again by it.
            module.__spec__ = ModuleSpec(fullname, _Imported(module))
            return module.__spec__
        return PathFinder.find_spec(fullname, self._package.__path__, target)


@contextmanager
def without(*optional: str) -> Iterator[None]:
    """Import in the block as if optional packages were not installed.

    They can be imported as usual afterwards, and in the block if they have been imported before.
    Garbage is not collected in the block: imports make many objects and hardly any garbage.

    Args:
        optional: Packages that what is imported in the block does without where they are missing.

    Example:
        >>> with without("wave"):
        ...     import wave
        Traceback (most recent call last):
            ...
        ModuleNotFoundError: wave is left out of this import
        >>> import wave
    """
    finder = _Absent(optional)
    collects = gc.isenabled()
    gc.disable()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        if collects:
            gc.enable()


def defer(name: str, *, attribute: Callable[[str], Any] | None = None) -> ModuleType:
    """Make a package importable without running its `__init__.py` yet.

    Its modules can be imported. The first attribute or module that is not found in the package runs
    `__init__.py`, after which the package is as usual. A package that has been imported stays as it
    is.

    Args:
        name: A top-level package.
        attribute: Returns an attribute without running `__init__.py`, or raises `AttributeError`.

    Returns:
        The package.

    Example:
        >>> package = defer("wsgiref")
        >>> from wsgiref import headers
        >>> headers.__name__
        'wsgiref.headers'
    """
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.find_spec(name)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    loader = spec.loader
    package = importlib.util.module_from_spec(spec)

    def resolve(wanted: str) -> Any:
        # Python and inspection tools probe for these; __init__.py would not set them.
        if wanted in ("__path__", "__wrapped__", "__all__", "__bases__", "__class_getitem__"):
            raise AttributeError(wanted)
        if attribute is not None:
            try:
                found = attribute(wanted)
            except AttributeError:
                pass
            else:
                setattr(package, wanted, found)
                return found
        elif PathFinder.find_spec(f"{name}.{wanted}", package.__path__) is not None:
            return importlib.import_module(f"{name}.{wanted}")
        load()
        return getattr(package, wanted)

    def load() -> None:
        if package.__dict__.pop("__getattr__", None):
            loader.exec_module(package)

    package.__dict__["__getattr__"] = resolve
    sys.meta_path.append(_Completion(package, load))
    sys.modules[name] = package
    return package


def settle_arrow_without_pandas() -> None:
    """Keep pyarrow from importing pandas, a third of a second, for the first array that it makes.

    pyarrow looks once whether pandas is there, to recognize its columns among what an array is made
    from. Conversions to pandas look again when they are called. Applies to tasks only, which have
    no such columns.
    """
    if os.environ.get("_KFP_RUNTIME") == "true" and "pandas" not in sys.modules:
        import pyarrow

        with without("pandas"):
            pyarrow.array([])
