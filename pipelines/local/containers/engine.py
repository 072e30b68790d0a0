"""The container engine of this machine, docker or podman, through its command line."""

import json
import logging
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kfp_tabular.components.common import images
from kfp_tabular.components.common.errors import UserError

VARIABLE = "KFP_TABULAR_ENGINE"
"""Names the engine's program; by default the first of docker and podman that responds."""

_PROGRAMS = ("docker", "podman")
_ANSWER_SECONDS = 30

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Mount:
    """A folder or file of this machine that a container sees.

    Attributes:
        source: Its absolute path here.
        target: Its absolute path in the container.
        writable: Whether the container may change it.
    """

    source: Path
    target: Path
    writable: bool = False


@dataclass(frozen=True)
class Container:
    """A container to run: without privileges, and with a read-only root file system.

    Attributes:
        name: Its name.
        image: Its image, which is on this machine.
        command: What runs in it.
        user: `uid:gid`.
        network: `none`, or the name of a network.
        mounts: What it sees of this machine.
        environment: Variables to set.
        forwarded: Names of variables that it inherits from this process.
    """

    name: str
    image: str
    command: Sequence[str]
    user: str
    network: str = "none"
    mounts: Sequence[Mount] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    forwarded: Sequence[str] = ()


@dataclass(frozen=True)
class Engine:
    """A container engine that responds.

    Attributes:
        program: Its command line.
        podman: Whether it is podman.
        rootless: Whether uid 0 of a container maps to the caller on this machine.
    """

    program: str
    podman: bool = False
    rootless: bool = False

    @classmethod
    def find(cls) -> "Engine":
        """Find an engine that responds.

        Raises:
            UserError: Where none does.
        """
        given = os.environ.get(VARIABLE)
        refusals = []
        for program in [given] if given else _PROGRAMS:
            path = shutil.which(program)
            if path is None:
                refusals.append(f"{program} is not installed")
                continue
            done = _call([path, "info", "--format", "{{json .}}"])
            try:
                info = json.loads(done.stdout) if done.returncode == 0 else {}
            except ValueError:
                info = {}
            # docker may exit with 0 although its daemon does not respond.
            trouble = info.get("ServerErrors") or ([] if info else [_last_line(done)])
            if not trouble:
                return _described(path, info)
            refusals.append(f"{program}: {trouble[0]}")
        raise UserError(
            f"no container engine responds ({'; '.join(refusals)}). Install docker or podman and "
            f"start its service, or name its program in {VARIABLE}. '--runner venv' needs none."
        )

    def user(self) -> str:
        """Return the `uid:gid` to run a container as, so that it can write the caller's files.

        It is never root on this machine: for a caller that is root, see `ownership`.
        """
        if self.rootless:
            # podman maps the caller to itself (see `command`), docker maps it to root.
            return f"{os.getuid()}:{os.getgid()}" if self.podman else "0:0"
        if os.getuid() == 0:
            return UNPRIVILEGED
        return f"{os.getuid()}:{os.getgid()}"

    def require(self, image: str) -> None:
        """Check that an image is on this machine; pull it if it is not.

        Args:
            image: The image's reference.

        Raises:
            UserError: Where it cannot be pulled.
        """
        wanted = images.without_redundant_tag(image)
        if _call([self.program, "image", "inspect", wanted]).returncode == 0:
            return
        _logger.info("pulling %s", image)
        done = _call([self.program, "pull", "--quiet", wanted], seconds=None)
        if done.returncode:
            raise UserError(
                f"image {image!r} is not on this machine and could not be pulled "
                f"({_last_line(done)}). 'make images' in a clone of kfp-tabular builds the "
                "project's own; 'registry', 'tag' and 'images' in --config name others."
            )

    def identity(self, image: str) -> str:
        """Return the digest that names an image's content; empty if the image is not here.

        Args:
            image: The image's reference.
        """
        wanted = images.without_redundant_tag(image)
        done = _call([self.program, "image", "inspect", "--format", "{{.Id}}", wanted])
        return done.stdout.strip() if done.returncode == 0 else ""

    def command(self, container: Container) -> list[str]:
        """Return the command line that runs a container to its end, attached to its output.

        The program exits with the container's exit code and passes SIGTERM on to it.

        Args:
            container: What to run.
        """
        options = [
            f"--name={container.name}",
            "--rm",
            # The first process of a container ignores SIGTERM unless it handles it. With an init it
            # is an ordinary process; the variable makes docker's init signal its children, too.
            "--init",
            "--env=TINI_KILL_PROCESS_GROUP=1",
            "--pull=never",
            "--read-only",
            "--tmpfs=/tmp:rw,exec,nosuid,nodev,mode=1777",
            "--workdir=/tmp",
            "--cap-drop=ALL",
            "--security-opt=no-new-privileges",
            # Relabelling would change the user's own files permanently.
            "--security-opt=label=disable",
            f"--user={container.user}",
            f"--network={container.network}",
        ]
        if self.podman and self.rootless:
            options.append("--userns=keep-id")
        if any(_below(mount.target, _ROOTS_HOME) for mount in container.mounts):
            options.append(f"--tmpfs={_ROOTS_HOME}:rw,mode=0755,size=1m")
        options += [_mount_option(mount) for mount in container.mounts]
        options += [f"--env={name}={value}" for name, value in container.environment.items()]
        options += [f"--env={name}" for name in container.forwarded]
        first, *rest = container.command
        image = images.without_redundant_tag(container.image)
        return [self.program, "run", *options, f"--entrypoint={first}", image, *rest]

    def remove(self, name: str) -> None:
        """End a container and remove it; do nothing if it does not exist."""
        _call([self.program, "rm", "--force", name])


UNPRIVILEGED = "54321:54321"
"""The user of containers if the caller is root: no existing account, and not the images' own user,
so that every run shows that the images work as any user."""

# Images close this folder to other users, and with it whatever is mounted there.
_ROOTS_HOME = Path("/root")


def _described(program: str, info: Mapping[str, Any]) -> Engine:
    host = info.get("host")
    if host is not None:
        return Engine(program, podman=True, rootless=bool(host.get("security", {}).get("rootless")))
    options = info.get("SecurityOptions") or []
    return Engine(program, rootless=any("name=rootless" in option for option in options))


def _mount_option(mount: Mount) -> str:
    for path in (mount.source, mount.target):
        if re.search(r'[,"\n]', str(path)):
            raise UserError(
                f"{path}: containers cannot mount a path with a comma, a quote or a line break."
            )
    option = f"--mount=type=bind,source={mount.source},target={mount.target}"
    return option if mount.writable else f"{option},readonly"


def _below(path: Path, folder: Path) -> bool:
    return folder in path.parents


def _call(
    command: Sequence[str], seconds: float | None = _ANSWER_SECONDS
) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(
            list(command),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(list(command), 1, "", f"no response in {seconds:.0f} s")


def _last_line(done: "subprocess.CompletedProcess[str]") -> str:
    lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
    return lines[-1].strip() if lines else f"exit code {done.returncode}"
