"""What an attack looks like to `tests/benchmarks/bench_attack.py`.

A module of attack tests that has something to send for minutes lists it:

    ATTACKS = (Attack("clients that never read", never_read),)

    def never_read(server: Served, stop: threading.Event) -> None:
        while not stop.is_set():
            ...

The benchmark imports every `test_*.py` of this folder and runs what it finds in `ATTACKS`, one
after the other, each on a server of its own with good load and probes beside it.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Attack:
    """An attack to run beside good load.

    Attributes:
        name: What it is, as the table shows it.
        run: Attacks the server (a `Served`) until the event is set, then returns within seconds and
            leaves no connection open. What the server refuses is no error of the attack.
        flags: Flags that the server needs for it, such as `("--workers", "2")`.
    """

    name: str
    run: Callable[[Any, threading.Event], None]
    flags: tuple[str, ...] = ()
