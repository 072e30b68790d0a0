"""Object stores for tests: real servers over HTTP, in processes of their own."""

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

ENVIRONMENT = Path(__file__).parents[2] / ".venvs" / "test-servers"
BUCKET = "test-bucket"


@contextmanager
def _server(name: str, *arguments: str) -> Iterator[str]:
    """Start a server on a free port and yield its URL."""
    program = ENVIRONMENT / "bin" / name
    if not program.exists():
        pytest.skip(f"{program} is absent; make setup makes it")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    filled = [argument.format(port=port) for argument in arguments]
    process = subprocess.Popen(
        [program, *filled], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(process, url)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=10)


def wait_for(process: "subprocess.Popen[bytes]", url: str, seconds: float = 60) -> None:
    """Wait until a server answers, if with an error.

    Raises:
        RuntimeError: It has ended.
        TimeoutError: It does not answer in time.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the server at {url} ended with {process.returncode}")
        try:
            urllib.request.urlopen(url, timeout=5)
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(url)


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@pytest.fixture(scope="session")
def gcs() -> Iterator[str]:
    """Run a Google Cloud Storage emulator with a bucket; yield `gs://<bucket>`."""
    start = ("start", "--host=127.0.0.1", "--port={port}", f"--default-bucket={BUCKET}")
    with (
        _server("gcp-storage-emulator", *start, "--in-memory") as url,
        _environment({"STORAGE_EMULATOR_HOST": url}),
    ):
        yield f"gs://{BUCKET}"


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """Run an S3 server with a bucket; yield `s3://<bucket>`."""
    with (
        _server("moto_server", "--host=127.0.0.1", "--port={port}") as url,
        _environment(
            {
                "AWS_ENDPOINT_URL": url,
                "AWS_ACCESS_KEY_ID": "test",
                "AWS_SECRET_ACCESS_KEY": "test",
            }
        ),
    ):
        request = urllib.request.Request(f"{url}/{BUCKET}", method="PUT")
        urllib.request.urlopen(request, timeout=10)
        yield f"s3://{BUCKET}"
