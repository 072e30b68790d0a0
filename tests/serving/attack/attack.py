"""What an attack looks like to `tests/benchmarks/bench_attack.py`.

A module of attack tests that has something to send for minutes lists it:

    ATTACKS = (Attack("clients that never read", never_read),)

    def never_read(server: Served, stop: threading.Event) -> None:
        while not stop.is_set():
            ...

The benchmark imports every `test_*.py` of this folder and `attack_families.py`, and runs what it
finds in `ATTACKS`, one after the other, each on a server of its own, beside good load and probes.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@contextmanager
def nothing(_: Path) -> Iterator[dict[str, str]]:
    """Surroundings that need nothing."""
    yield {}


@dataclass(frozen=True)
class Attack:
    """An attack to run beside good load.

    Attributes:
        name: What it is, as the table shows it.
        run: Attacks the server (a `Served`) until the event is set, then returns within seconds and
            leaves no connection open. What the server refuses is no error of the attack. `folder`
            of the server is the folder that `flags` and `surroundings` know.
        flags: Flags that the server needs for it, such as `("--workers", "2")`; `{folder}` in them
            is a folder of its own, in which `fraud` is the served repository.
        surroundings: Makes what the server needs in that folder before it starts, yields variables
            of its environment, and takes it away at the end. Raises `OSError` where that cannot be.
    """

    name: str
    run: Callable[[Any, threading.Event], None]
    flags: tuple[str, ...] = ()
    surroundings: Callable[[Path], AbstractContextManager[dict[str, str]]] = nothing
