"""The endpoint under attack: good load, probes, memory and descriptors beside each family.

    .venvs/serving/bin/python tests/benchmarks/bench_attack.py [--minutes 5] [--only NAME...]
    .venvs/serving/bin/python tests/benchmarks/bench_attack.py --against COMMIT

The first attacks a small model with every family in `tests/serving/attack`, each on a server of its
own, and with all of them together at the end. Good load is `--rate` single rows a second, at random
(Poisson), over 16 connections; each answer is compared with the one that the server gave before the
attack. A probe asks for readiness over a new connection every 50 ms. Exits with 1 where an answer
was wrong, a good request or a probe failed, or memory was more than 1.3 times that of good load.

The second compares throughput and the server's CPU time without an attack with those of another
commit, in turns: ratios are medians of those of the pairs.
Server, load and attacks are processes and threads of this machine and share its CPUs.
"""

import argparse
import json
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT))

from attack_runner import described, families  # noqa: E402

from tests.serving.attack import attack_families  # noqa: E402
from tests.serving.attack.attack import Attack  # noqa: E402
from tests.serving.attack.served import PREDICT, READY, Served  # noqa: E402
from tests.serving.conftest import Process, build  # noqa: E402

REQUESTS = 200
CONNECTIONS = 16
MEMORY_RATIO = 1.3
ENDING_SECONDS = 90
ALL = "all of them together"


@dataclass
class Watch:
    """Samples a server's memory and its connections to the outside while its block runs."""

    server: Served
    memory: list[float] = field(default_factory=list)

    def __enter__(self) -> "Watch":
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._ended.wait(0.1):
            # A worker may end between the listing and the look at it.
            with suppress(psutil.NoSuchProcess):
                self.memory.append(self.server.memory_mb())


@dataclass
class Result:
    """What was measured beside an attack."""

    statuses: dict[str, int]
    waiting: int
    p99_ms: float
    failures: list[str]
    longest_probe: float
    failed_probes: list[str]
    good_memory: float
    peak_memory: float
    memory: tuple[float, float]
    descriptors: tuple[int, int]
    error: str = ""

    @property
    def problems(self) -> list[str]:
        """What must not be."""
        found = [f"attack: {self.error}"] if self.error else []
        found += [f"{n} good requests: {s}" for s, n in self.statuses.items() if s != "200"]
        if self.waiting > CONNECTIONS:
            found.append(f"{self.waiting} good requests still waited")
        if self.peak_memory > MEMORY_RATIO * self.good_memory:
            found.append(f"memory {self.peak_memory / self.good_memory:.2f}x that of good load")
        if self.failed_probes:
            found.append(f"{len(self.failed_probes)} probes failed: {self.failed_probes[0]}")
        return found


class Bench:
    """A repository with a model, requests, and the answers to them."""

    def __init__(self, folder: Path, rate: float, seconds: float, settle: float) -> None:
        self.folder = folder
        self.rate = rate
        self.seconds = seconds
        self.settle = settle
        self.model = build(folder / "model" / "7", "binary")
        numbers = random.Random(1)
        rows = [
            {"amount": numbers.uniform(-500, 500), "商户": f"店 {n}", "hour": numbers.randrange(24)}
            for n in range(REQUESTS)
        ]
        self.requests = folder / "requests.json"
        self.bodies = [json.dumps({"instances": [row]}) for row in rows]
        self.requests.write_text(json.dumps([_whole(body) for body in self.bodies]))

    @contextmanager
    def server(
        self, folder: Path, flags: Sequence[str] = (), environment: Mapping[str, str] | None = None
    ) -> Iterator[Served]:
        """Run a server of its own repository in a folder."""
        repository = folder / "fraud"
        shutil.copytree(self.model, repository / "7")
        options = [flag.format(folder=folder) for flag in flags]
        process = Process(
            *("--model", repository, "--port", 0, "--grpc-port", 0, *options), **environment or {}
        )
        try:
            workers = int(options[options.index("--workers") + 1]) if "--workers" in options else 1
            yield Served(process.ready(times=workers))
        finally:
            process.stop()
            process.close()

    def load(self, server: Served, seconds: float, **job: Any) -> dict[str, Any]:
        """Put load on a server, and return what the client measured."""
        document = {
            "port": server.address[1],
            "requests": str(self.requests),
            "seconds": seconds,
            "connections": CONNECTIONS,
            **job,
        }
        done = subprocess.run(
            [sys.executable, str(HERE / "serving_client.py")],
            input=json.dumps(document).encode(),
            stdout=subprocess.PIPE,
            check=True,
        )
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def answers(self, server: Served) -> Path:
        """Ask each request once, and return a file of the predictions."""
        found = []
        headers = {"x-api-key": attack_families.GOOD_KEY, "content-type": "application/json"}
        for body in self.bodies:
            request = urllib.request.Request(server.url + PREDICT, body.encode(), headers)
            with urllib.request.urlopen(request, timeout=60) as response:
                found.append(json.load(response)["predictions"])
        file = self.folder / "answers.json"
        file.write_text(json.dumps(found))
        return file

    def attacked(self, attacks: Sequence[Attack]) -> Result:
        """Run attacks beside good load on a server of their own.

        Raises:
            OSError: This machine cannot give what an attack needs.
        """
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=self.folder)))
            environment: dict[str, str] = {}
            for attack in attacks:
                environment |= stack.enter_context(attack.surroundings(folder))
            flags = [flag for attack in attacks for flag in attack.flags]
            server: Any = stack.enter_context(self.server(folder, flags, environment))
            server.folder = folder
            answers = str(self.answers(server))
            with Watch(server) as good:
                self.load(server, min(10, self.seconds), rate=self.rate, answers=answers)
            before = server.memory_mb(), server.descriptors()
            runners = [stack.enter_context(_runner(attack.name)) for attack in attacks]
            with Watch(server) as watch, server.probing(READY) as prober:
                for runner in runners:
                    _tell(runner, described(server, folder))
                found = self.load(server, self.seconds, rate=self.rate, answers=answers)
                errors = [_ended(runner) for runner in runners]
            time.sleep(self.settle)
            after = server.memory_mb(), server.descriptors()
            return Result(
                statuses=found["statuses"],
                waiting=found["waiting"],
                p99_ms=found["ms"].get("99", float("nan")),
                failures=found["failures"],
                longest_probe=prober.longest,
                failed_probes=prober.failures,
                good_memory=max(good.memory),
                peak_memory=max(watch.memory),
                memory=(before[0], after[0]),
                descriptors=(before[1], after[1]),
                error="; ".join(error for error in errors if error),
            )


@contextmanager
def _runner(name: str) -> Iterator["subprocess.Popen[str]"]:
    """Start a process for an attack, which has imported all it needs."""
    command = [sys.executable, str(HERE / "attack_runner.py"), name]
    with subprocess.Popen(
        command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _tell(runner: "subprocess.Popen[str]", line: str) -> None:
    assert runner.stdin is not None
    assert runner.stdout is not None
    runner.stdin.write(f"{line}\n")
    runner.stdin.flush()
    runner.stdout.readline()


def _ended(runner: "subprocess.Popen[str]") -> str | None:
    """End an attack, and return its error."""
    try:
        printed, _ = runner.communicate(timeout=ENDING_SECONDS)
    except subprocess.TimeoutExpired:
        return "an attack did not end"
    error: str | None = json.loads(printed or '"an attack ended early"')
    return error


def _whole(body: str) -> str:
    return (
        f"POST {PREDICT} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
        f"X-Api-Key: {attack_families.GOOD_KEY}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    )


def under_attack(bench: Bench, only: Sequence[str]) -> int:
    """Run each family, print a line for each, and return the number of families with problems."""
    chosen = [attack for attack in families() if not only or attack.name in only]
    print(
        "| attack | good requests | wrong | failed | p99 ms | longest probe s | memory at most / "
        "good load | memory after / before MB | descriptors after / before |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|", flush=True)
    problems: dict[str, list[str]] = {}
    runs = [(attack.name, [attack]) for attack in chosen]
    if not only or ALL in only:
        runs.append((ALL, families()))
    for name, attacks in runs:
        try:
            result = bench.attacked(attacks)
        except OSError as error:
            print(f"| {name} | not run: {error} |||||||", flush=True)
            continue
        bad = {s: n for s, n in result.statuses.items() if s not in ("200", "wrong")}
        print(
            f"| {name} | {result.statuses.get('200', 0):,} | {result.statuses.get('wrong', 0)} "
            f"| {sum(bad.values())} | {result.p99_ms:.0f} | {result.longest_probe:.2f} "
            f"| {result.peak_memory / result.good_memory:.2f} "
            f"| {result.memory[1]:.0f} / {result.memory[0]:.0f} "
            f"| {result.descriptors[1]} / {result.descriptors[0]} |",
            flush=True,
        )
        if found := result.problems:
            problems[name] = [*found, *result.failures]
    for name, lines in problems.items():
        print(f"\n{name}:", *lines, sep="\n  ")
    return len(problems)


def against(bench: Bench, commit: str, rounds: int) -> None:
    """Compare throughput with another commit's, without an attack, in turns."""
    tree = bench.folder / "old"
    tree.mkdir()
    archive = subprocess.run(
        ["git", "archive", commit], cwd=ROOT, check=True, stdout=subprocess.PIPE
    )
    subprocess.run(["tar", "x", "-C", str(tree)], input=archive.stdout, check=True)
    (tree / "kfp_tabular").mkdir()
    for part in ("components", "pipelines", "serving"):
        (tree / "kfp_tabular" / part).symlink_to(tree / part)
    old_environment = {"PYTHONPATH": str(tree)}
    print(
        f"| nobody attacks | requests/s {commit} | now | now / then | "
        f"CPU ms each {commit} | now | now / then |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|", flush=True)
    for name, flags, connections in (
        ("a call for each request, 16 connections", ("--batch-rows", "1"), 16),
        ("`--batch-rows 128`, 64 connections", ("--batch-rows", "128"), 64),
        ("as it comes, 16 connections", (), 16),
        ("as it comes, 64 connections", (), 64),
    ):
        folders = [Path(tempfile.mkdtemp(dir=bench.folder)) for _ in range(2)]
        with (
            bench.server(folders[0], flags, old_environment) as old,
            bench.server(folders[1], flags) as new,
        ):
            measured: tuple[list[tuple[float, float]], list[tuple[float, float]]] = ([], [])
            for turn in range(rounds + 1):
                for server, taken in zip((old, new), measured, strict=True):
                    before = server.cpu_seconds()
                    found = bench.load(server, bench.seconds, connections=connections)
                    cpu = server.cpu_seconds() - before
                    if set(found["statuses"]) != {"200"}:
                        raise RuntimeError(f"{name}: answers by status: {found['statuses']}")
                    if turn:
                        count = found["statuses"]["200"]
                        taken.append((count / found["seconds"], cpu / count * 1e3))
        columns = []
        for column, form in ((0, ",.0f"), (1, ".3f")):
            then, now = ([turn[column] for turn in taken] for taken in measured)
            ratio = statistics.median(b / a for a, b in zip(then, now, strict=True))
            medians = statistics.median(then), statistics.median(now)
            columns += [*(format(median, form) for median in medians), f"{ratio:.2f}"]
        print(f"| {name} | {' | '.join(columns)} |", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Attack, or compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5.0, help="of each family")
    parser.add_argument("--settle", type=float, default=10.0, help="seconds before the last look")
    parser.add_argument("--rate", type=float, default=100.0, help="good requests a second")
    parser.add_argument("--only", nargs="+", default=(), help="names of families")
    parser.add_argument("--against", metavar="COMMIT", help="compare throughput with a commit's")
    parser.add_argument("--turn-seconds", type=float, default=3.0, help="of a turn, to compare")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each, to compare")
    options = parser.parse_args(arguments)
    names = [attack.name for attack in families()] + [ALL]
    if unknown := set(options.only) - set(names):
        parser.error(f"no family {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    seconds = options.turn_seconds if options.against else options.minutes * 60
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        bench = Bench(Path(name), options.rate, seconds, options.settle)
        if options.against:
            against(bench, options.against, options.rounds)
            return 0
        return 1 if under_attack(bench, options.only) else 0


if __name__ == "__main__":
    sys.exit(main())
