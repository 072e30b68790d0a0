"""Prints what the images weigh, what their layers hold, and how soon a task starts in them.

    python3 components/images/sizes.py [--engine docker] [--registry R] [--tag T] [NAME...]

Needs the standard library only. Sizes are those of unpacked layers, in megabytes of 10^6 bytes.
"""

import argparse
import configparser
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAMES = ("author", "launcher", "tensorflow", "tfdv", "serving")

_ON_TENSORFLOW = ("tfdv", "serving")
_COPIED = re.compile(r"COPY (?:/layer/ /|dir:\w+ in /)")  # as BuildKit and podman put it
_SHOWN = 6
_STARTS = 3
_SITE_PACKAGES = "/opt/kfp-tabular/lib/python3*/site-packages"
_TASK = """
def task() -> None:
    print("FIRST LINE", flush=True)
"""
_INPUT = {"inputs": {}, "outputs": {"outputFile": "/tmp/output.json"}}  # noqa: S108 - in a container
_START = (
    'printf "%s" "$0" >/tmp/started.py; PYTHONPATH=/tmp exec python3 '
    '-m kfp_tabular.components.common.task --component started:task --executor_input "$1"'
)


@dataclass(frozen=True)
class Layer:
    """A layer of an image.

    Attributes:
        what: What it is.
        size: Megabytes.
    """

    what: str
    size: float


def main() -> None:
    """Print the tables."""
    setup = configparser.ConfigParser()
    setup.read(Path(__file__).resolve().parents[2] / "setup.cfg")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=NAMES, metavar="NAME")
    parser.add_argument("--engine", default="docker")
    # As build.sh reads them.
    registry = os.environ.get("REGISTRY") or "ghcr.io/kfp-tabular"
    tag = os.environ.get("TAG") or setup["metadata"]["version"]
    parser.add_argument("--registry", default=registry)
    parser.add_argument("--tag", default=f"{tag}-gpu" if os.environ.get("GPU") else tag)
    options = parser.parse_args()
    images = {name: f"{options.registry}/{name}:{options.tag}" for name in options.names}
    rows = [("image", "layer", "MB", "the largest of what it holds")]
    for name, image in images.items():
        rows += _layer_rows(options.engine, name, image, images.get("tensorflow", ""))
    _print(rows)
    starts = [("image", "container alone, s", "first line of a task, s")]
    for name, image in images.items():
        alone = _median_until(options.engine, image, ["true"], "")
        task = ["sh", "-c", _START, _TASK, json.dumps(_INPUT)]
        first = _median_until(options.engine, image, task, "FIRST LINE")
        starts.append((name, f"{alone:.2f}", f"{first:.2f}"))
    _print(starts)


def layers(history: Sequence[tuple[int, str]], name: str) -> list[Layer]:
    """Return an image's layers from its history.

    Args:
        history: Bytes and instruction of each step, the last one first.
        name: The image's name.

    Returns:
        The layers that hold something, the first one first; those of the base as one.
    """
    base = sum(size for size, made in history if not _COPIED.search(made))
    ours = [size for size, made in reversed(history) if _COPIED.search(made)]
    first = "tensorflow" if name in _ON_TENSORFLOW else name
    packages = [f"packages of {first}", f"packages of {name}"][: len(ours) - 1]
    found = [Layer("Debian and Python", base / 1e6)]
    for what, size in zip([*packages, "kfp-tabular"], ours, strict=True):
        found.append(Layer(what, size / 1e6))
    return found


def _history(engine: str, image: str) -> list[tuple[int, str]]:
    """Ask an engine for an image's history. Docker prints a document per step, podman a list."""
    command = [engine, "history", "--no-trunc", "--human=false", "--format", "json", image]
    if "podman" not in _output([engine, "--version"]):
        command[-2] = "{{json .}}"
    steps: list[Any] = []
    for line in _output(command).splitlines():
        document = json.loads(line)
        steps += document if isinstance(document, list) else [document]
    return [
        (int(step["Size"] if "Size" in step else step["size"]), step.get("CreatedBy", ""))
        for step in steps
    ]


def _layer_rows(
    engine: str, name: str, image: str, parent: str
) -> Iterator[tuple[str, str, str, str]]:
    found = layers(_history(engine, image), name)
    packages = _packages(engine, image)
    inherited = _packages(engine, parent) if name in _ON_TENSORFLOW and parent else {}
    added = {key: size for key, size in packages.items() if key not in inherited}
    total = sum(layer.size for layer in found)
    yield name, "", f"{total:.0f}", ""
    for layer in found:
        holds: Mapping[str, float] = {}
        if layer.what.startswith("packages"):
            holds = added if layer.what.endswith(name) else inherited
        yield "", layer.what, f"{layer.size:.0f}", _largest(holds)


def _packages(engine: str, image: str) -> dict[str, float]:
    """Return the megabytes of each top-level package of an image."""
    command = ["sh", "-c", f"cd {_SITE_PACKAGES} && du -sk -- * | grep -v dist-info"]
    text = _output(_run(engine, image, command))
    sizes = (line.split("\t", 1) for line in text.splitlines())
    return {name: int(size) * 1024 / 1e6 for size, name in sizes if name != "kfp_tabular"}


def _largest(sizes: Mapping[str, float]) -> str:
    ordered = sorted(sizes, key=lambda name: -sizes[name])[:_SHOWN]
    return ", ".join(f"{name} {sizes[name]:.0f}" for name in ordered if sizes[name] >= 1)


def _run(engine: str, image: str, command: Sequence[str]) -> list[str]:
    first, *rest = command
    options = ["--rm", "--network=none", "--read-only", "--tmpfs=/tmp", "--user=54321:54321"]
    return [engine, "run", *options, f"--entrypoint={first}", image, *rest]


def _until(engine: str, image: str, command: Sequence[str], text: str) -> float:
    """Return the seconds until a container prints a text or, without one, ends."""
    started = time.monotonic()
    with subprocess.Popen(
        _run(engine, image, command), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        seen = None
        for line in process.stdout or ():
            if text and text in line:
                seen = time.monotonic()
    if process.returncode or (text and seen is None):
        raise SystemExit(f"{image}: the container ended with code {process.returncode}")
    return (seen or time.monotonic()) - started


def _median_until(engine: str, image: str, command: Sequence[str], text: str) -> float:
    return statistics.median(_until(engine, image, command, text) for _ in range(_STARTS))


def _output(command: Sequence[str]) -> str:
    done = subprocess.run(list(command), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:3])}: {done.stderr.strip()}")
    return done.stdout


def _print(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.rjust(width) if cell.replace(".", "").isdigit() else cell.ljust(width)
            for cell, width in zip(row, widths, strict=True)
        ]
        sys.stdout.write("  ".join(cells).rstrip() + "\n")
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
