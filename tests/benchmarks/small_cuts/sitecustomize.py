"""Cuts every source into about seven pieces, in all processes that have this folder on their path.

Python imports a module of this name when it starts. A piece of a source becomes a shard of each
split, and a shard is at least one piece of the next step: so each step has seven pieces or more.
"""

import importlib.abc
import importlib.util
import sys

_READERS = "kfp_tabular.components.data_ingestion.readers"
_VALUES = {
    f"{_READERS}.source_pieces": {"_SMALLEST": 1, "_WANTED_PIECES": 7},
    # Some hundred rows: CSV is cut between blocks.
    f"{_READERS}.csv_source": {"BLOCK_BYTES": 1 << 16, "_BYTES_PER_COLUMN": 1},
}


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, fullname, path, target=None):
        if fullname not in _VALUES:
            return None
        sys.meta_path.remove(self)
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            sys.meta_path.insert(0, self)
        spec.loader = _Loader(spec.loader, _VALUES[fullname])
        return spec


class _Loader(importlib.abc.Loader):
    def __init__(self, loader, values):
        self._loader, self._values = loader, values

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module):
        self._loader.exec_module(module)
        for name, value in self._values.items():
            if not hasattr(module, name):
                raise AttributeError(f"{module.__name__} has no {name}: change {__file__}")
            setattr(module, name, value)


sys.meta_path.insert(0, _Finder())
