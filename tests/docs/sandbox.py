"""Runs a page's blocks, one after the other, in a folder of the page's own."""

import contextlib
import functools
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.processing.spark import installation
from kfp_tabular.pipelines.environments.location import Environments
from tests.docs import checks, commands, outputs
from tests.docs.pages import ROOT, Block, Page

VENVS = ROOT / ".venvs"

_SMALLER = (
    (re.compile(r"\b(max_trials|epochs)=\d+"), r"\1=2"),
    (re.compile(r"--epochs=\d+"), "--epochs=1"),
    (re.compile(r"sample-data --rows 20000"), "sample-data --rows 6000"),
)
"""What a page shows at its real size, and a test runs small."""

_QUICK = "--param model_type=linear"
_OWN_MODEL = re.compile(r"\b(model_type|model_fn|max_trials)=|--pipeline\b")
"""What names a model, or trains none. Other runs on trips train a quick one; those on customers
show what a default model prints."""

_FILE = re.compile(r"# ((?:[\w.-]+/)*[\w.-]+\.(?:py|yaml))\n")
_START_SECONDS = 200.0
_BLOCK_SECONDS = 500.0

_MAKE = f"""#!/bin/sh
# In a sandbox, make shows what it would do; the demo has been run already.
case "$1" in
demo) cat "$DEMO_LOG" ;;
*) exec env -u MAKEFLAGS make.real -n -C {ROOT} "$@" ;;
esac
"""


class BlockFailed(AssertionError):
    """A block did not do what its page describes."""


@dataclass
class FinishedRun:
    """A `kfp-tabular run` that several pages show, and that one test has done.

    Attributes:
        printed: What it printed.
        folder: What it left.
    """

    printed: str
    folder: Path


@dataclass
class Sandbox:
    """A folder in which the blocks of one page run.

    Attributes:
        folder: The folder.
        environment: The environment's variables.
        port: A free port, in place of 8080.
        grpc_port: A free port, in place of 8081.
        printed: What the last block printed.
        server: The server that a block has started and that later blocks ask.
        finished: Runs by their command, shared by the sandboxes of a session.
    """

    folder: Path
    environment: dict[str, str]
    port: int = 0
    grpc_port: int = 0
    printed: str = ""
    server: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)
    finished: dict[str, FinishedRun] = field(default_factory=dict, repr=False)

    @classmethod
    def make(
        cls,
        folder: Path,
        assets: Path,
        finished: dict[str, FinishedRun] | None = None,
        venvs: Path = VENVS,
    ) -> "Sandbox":
        """Set up a folder with what the guides take for granted.

        Args:
            folder: Where; it must not exist.
            assets: Files that every page gets; they are linked, not copied.
            finished: Runs that need not be repeated; new ones are added.
            venvs: The environments of runs.
        """
        shutil.copytree(assets, folder, copy_function=os.link, symlinks=True)
        (folder / ".venvs").symlink_to(VENVS)
        programs = folder / "bin"
        programs.mkdir()
        (programs / "make").write_text(_MAKE)
        (programs / "make").chmod(0o755)
        (programs / "make.real").symlink_to(shutil.which("make") or "/usr/bin/make")
        path = [str(programs), str(VENVS / "author/bin"), os.environ["PATH"]]
        environment = {
            **os.environ,
            "PATH": ":".join(path),
            "KFP_TABULAR_VENVS": str(venvs),
            "DEMO_LOG": str(folder / "demo.log"),
            "HOME": str(folder),
            # Pages run what others have run, as readers do, who have a cache by default.
            "KFP_TABULAR_CACHE": str(assets.parent / "cache"),
        }
        return cls(
            folder,
            environment,
            _free_port(),
            _free_port(),
            finished={} if finished is None else finished,
        )

    def run_page(self, page: Page) -> None:
        """Run a page's blocks in order.

        Raises:
            BlockFailed: Names the first block that fails, and what it printed.
        """
        executed = False
        for block in page.blocks:
            self._write_file(block)
            if block.kind == "output":
                compared = executed and not block.needs - self._present()
                faults = list(outputs.problems(block.code, self.printed)) if compared else []
                if faults:
                    raise BlockFailed(f"{block.name}: " + "\n".join(faults))
            else:
                absent = block.needs - self._present()
                executed = not absent and block.language in ("sh", "python")
                if executed:
                    self._run(block)

    @staticmethod
    @functools.cache
    def _present() -> frozenset[str]:
        """Return what blocks may need and this machine has. It starts a JVM, so once is enough."""
        home = Environments(VENVS).spark_home()
        try:
            installation.require(home)
        except UserError:
            return frozenset()
        return frozenset({"spark"})

    def close(self) -> None:
        """Stop the server, if there is one."""
        if self.server is not None:
            self.server.terminate()
            try:
                self.server.wait(30)
            except subprocess.TimeoutExpired:
                self.server.kill()
            self.server = None

    def _write_file(self, block: Block) -> None:
        """Write a block whose first line is a comment with a path to that path."""
        named = _FILE.match(block.code)
        if named:
            file = self.folder / named[1]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.code)

    def _run(self, block: Block) -> None:
        if block.language == "python":
            self._python(block)
        elif _serves(block):
            self._serve(block)
        elif (output := _run_output(block)) and block.code in self.finished:
            done = self.finished[block.code]
            shutil.copytree(done.folder, self.folder / output)
            self.printed = done.printed
        else:
            self._finish(block, ["bash", "-euo", "pipefail", "-c", self._adapted(block.code)])
            if output:
                self.finished[block.code] = FinishedRun(self.printed, self.folder / output)

    def _python(self, block: Block) -> None:
        named = _FILE.match(block.code)
        file = self.folder / (named[1] if named else f"block_{block.line}.py")
        file.write_text(self._adapted(checks.source(block)))
        environment = {"PYTHONPATH": str(self.folder)}
        self._finish(block, [str(VENVS / block.environment / "bin/python"), str(file)], environment)

    def _finish(
        self, block: Block, command: list[str], environment: dict[str, str] | None = None
    ) -> None:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**self.environment, **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=_BLOCK_SECONDS,
        )
        self.printed = done.stdout.replace(f"{self.folder}/", "")
        if done.returncode:
            raise BlockFailed(
                f"{block.name} ends with code {done.returncode}:\n{block.code}\n"
                f"{done.stdout[-6000:]}"
            )

    def _serve(self, block: Block) -> None:
        self.close()
        log = self.folder / f"serve_{block.line}.log"
        with log.open("wb") as stream:
            self.server = subprocess.Popen(
                ["bash", "-c", f"exec {self._adapted(block.code)}"],
                cwd=self.folder,
                env=self.environment,
                stdout=stream,
                stderr=stream,
            )
        self.printed = ""
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if self.server.poll() is not None:
                raise BlockFailed(f"{block.name}: the server ended:\n{log.read_text()}")
            address = f"http://127.0.0.1:{self.port}/v2/health/ready"
            with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
                urllib.request.urlopen(address, timeout=5).close()
                self.printed = log.read_text()
                return
            time.sleep(0.3)
        self.server.send_signal(signal.SIGKILL)
        raise BlockFailed(f"{block.name}: the server is not ready:\n{log.read_text()}")

    def _adapted(self, code: str) -> str:
        if not _OWN_MODEL.search(code):
            code = code.replace("run --data trips.csv", f"run --data trips.csv {_QUICK}")
        for pattern, smaller in _SMALLER:
            code = pattern.sub(smaller, code)
        return code.replace("8080", str(self.port)).replace("8081", str(self.grpc_port))


def _serves(block: Block) -> bool:
    return any(
        words[1:2] == ["serve"] or "kfp_tabular.serving" in words
        for words in commands.split(block.code)
    )


def _run_output(block: Block) -> str:
    """Return the output folder of a block that only runs a pipeline on the data at hand."""
    words = commands.split(block.code)
    alone = len(words) == 1 and words[0][:2] == ["kfp-tabular", "run"]
    if not alone or "--output" not in words[0] or {"--config", "--pipeline"} & set(words[0]):
        return ""
    if re.search(r"[$]|PYTHONPATH|_uri=|_fn=", block.code):
        return ""
    return words[0][words[0].index("--output") + 1]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
