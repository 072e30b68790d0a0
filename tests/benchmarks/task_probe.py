"""Loaded by the interpreter of a measured task, as its sitecustomize: records where time goes.

`KFP_TABULAR_PROBE` names a folder. The first interpreter that finds it empty writes `python`, the
time at which it was ready to run code, and `imports`: a line for each import that no other import
asked for, with when it began, how long it took, and its name. Imports of other threads are left
out: they take no time from the task.
"""

import os
import sys
import time


def _watch(folder: str) -> None:
    try:
        descriptor = os.open(f"{folder}/python", os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    except FileExistsError:
        return  # a process that the task started
    os.write(descriptor, str(time.time()).encode())
    os.close(descriptor)
    import _frozen_importlib  # type: ignore[import-not-found]
    import _thread

    imports = os.open(f"{folder}/imports", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    load = _frozen_importlib._find_and_load  # type: ignore[attr-defined]
    main, pid = _thread.get_ident(), os.getpid()
    running = False

    def timed_load(name: str, importer: object) -> object:
        nonlocal running
        if running or _thread.get_ident() != main or os.getpid() != pid:
            return load(name, importer)
        running, began = True, time.time()
        try:
            return load(name, importer)
        finally:
            running = False
            os.write(imports, f"{began} {time.time() - began} {name}\n".encode())

    _frozen_importlib._find_and_load = timed_load  # type: ignore[attr-defined]


if folder := os.environ.get("KFP_TABULAR_PROBE"):
    _watch(folder)
    del sys.modules["sitecustomize"]
