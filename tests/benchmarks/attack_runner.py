"""Runs one attack of the suite in a process of its own, so that it takes no time from the probes'.

    python attack_runner.py NAME < server.json

The document names the server's URL, gRPC address, process and folder. Prints "ready" once all
is imported, attacks until its standard input ends, and prints the error, if any, as JSON.
"""

import importlib
import json
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.serving.attack import attack_families  # noqa: E402
from tests.serving.attack.attack import Attack  # noqa: E402
from tests.serving.attack.served import Served  # noqa: E402


def families() -> list[Attack]:
    """Return the attacks of the suite."""
    found = list(attack_families.ATTACKS)
    for file in sorted((ROOT / "tests" / "serving" / "attack").glob("test_*.py")):
        module = importlib.import_module(f"tests.serving.attack.{file.stem}")
        found += getattr(module, "ATTACKS", ())
    return found


def described(server: Any, folder: Path) -> str:
    """Return the line that a runner reads."""
    return json.dumps(
        {"url": server.url, "grpc": server.grpc, "pid": server.pid, "folder": str(folder)}
    )


def main() -> None:
    """Attack the server on standard input."""
    (attack,) = (each for each in families() if each.name == sys.argv[1])
    given = json.loads(sys.stdin.readline())
    child = SimpleNamespace(pid=given["pid"])
    server: Any = Served(SimpleNamespace(url=given["url"], grpc=given["grpc"], child=child, log=""))
    server.folder = Path(given["folder"])
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    print("ready", flush=True)
    error = None
    try:
        attack.run(server, stop)
    except Exception as caught:  # noqa: BLE001  it is reported
        error = f"{attack.name}: {type(caught).__name__}: {caught}"
    print(json.dumps(error), flush=True)


if __name__ == "__main__":
    main()
