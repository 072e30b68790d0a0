"""A temporary directory that is full, out of inodes, read-only or removed while the server runs."""

import contextlib
import errno
import os
import re
import resource
import shutil
import signal
import subprocess
import sys

import pytest

from tests.serving.attack.served import READY, wait_until


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    """Return a file system of 2 MiB with 100 inodes."""
    directory = tmp_path_factory.mktemp("disk")
    command = ["mount", "-t", "tmpfs", "-o", "size=2m,nr_inodes=100", "tmpfs", str(directory)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command here")
    if mounted.returncode:
        pytest.skip(f"a file system cannot be mounted here: {mounted.stderr.strip()}")
    yield directory
    subprocess.run(["umount", "-l", str(directory)], check=True)


def fill(disk):
    with contextlib.suppress(OSError), (disk / "fill").open("wb", buffering=0) as stream:
        while True:
            stream.write(b"x" * 4096)
    with pytest.raises(OSError, match="No space") as full:
        (disk / "more").write_bytes(b"x" * 8192)
    assert full.value.errno == errno.ENOSPC


def take_all_inodes(disk):
    (disk / "fill").unlink(missing_ok=True)
    with pytest.raises(OSError, match="No space"):
        for number in range(1000):
            (disk / f"inode-{number}").touch()


def read_only(disk):
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)


def writable(disk):
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    for entry in disk.iterdir():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def workers(server):
    return [int(pid) for pid in re.findall(r"started worker (\d+)", server.log)]


def test_a_server_needs_no_room_for_temporary_files(attacked, disk):
    fill(disk)
    # No other directory is tried: each of the usual ones may have room here.
    server = attacked("--workers", 2, TMPDIR=str(disk))
    assert server.get(READY)[0] == 200
    take_all_inodes(disk)
    read_only(disk)
    victim = workers(server)[-1]
    with server.probing(READY) as prober, server.good_load() as load:
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: f"serves in place of worker {victim}," in server.log, "it", 120)
        wait_until(lambda: load.answered > 100, "good load")
    # What it had just accepted is lost with it.
    assert len(prober.failures) <= 1, prober.failures
    assert len(load.failures) <= 2, load.failures
    assert server.metric("kfp_tabular_requests_total", operation="predict", code="200") > 100
    assert server.metric("kfp_tabular_worker_restarts_total", reason="killed") == 1
    assert "SIGBUS" not in server.log
    writable(disk)
    assert [*disk.iterdir()] == []


NOWHERE = """
import tempfile
tempfile._candidate_tempdir_list = lambda: ["/nowhere"]
from kfp_tabular.serving.process import serving_process
serving_process.need_no_temporary_directory(lambda *given: print(given[0] % given[1:]))
from kfp_tabular.serving.process import model_server
print(tempfile.gettempdir())
"""


def test_no_directory_for_temporary_files_is_a_warning():
    """As on a read-only root file system without any volume."""
    ended = subprocess.run(
        [sys.executable, "-c", NOWHERE],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "TMPDIR": "/nowhere"},
        timeout=120,
    )
    warning, used = ended.stdout.splitlines()
    assert "are full or read-only; serving needs none" in warning
    assert used == "/nowhere"


def test_without_memory_for_metrics_the_workers_serve_and_say_so(attacked):
    """The limit on the size of files holds for this memory, too."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, before[1]))
    try:
        server = attacked("--workers", 2, "--grpc-port", "off")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    with server.good_load() as load:
        wait_until(lambda: load.answered > 20, "good load")
    assert load.failures == []
    status, body = server.get("/metrics")
    assert status == 503
    assert b"no metrics: the workers could not get memory to share them" in body
    assert server.log.count("no memory to share metrics (File too large)") == 1
