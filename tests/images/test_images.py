"""The images as they were built."""

import hashlib
import json
import os
import re
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from kfp_tabular.components.common import images
from kfp_tabular.components.images import locks
from kfp_tabular.pipelines.local.containers.engine import Engine
from tests.images.conftest import run_in

ROOT = Path(__file__).resolve().parents[2]
AUTHOR = images.reference("author")
ALL = [AUTHOR, images.LAUNCHER, images.TENSORFLOW, images.TFDV, images.SERVING]
every_image = pytest.mark.parametrize("image", ALL, ids=lambda image: image.split("/")[-1])
PACKAGES = "/opt/kfp-tabular/lib/python3.13/site-packages"


def name_of(image: str) -> str:
    return image.rsplit("/", maxsplit=1)[-1].split(":", maxsplit=1)[0]


def described(engine: Engine, image: str) -> dict[str, Any]:
    done = subprocess.run(
        [engine.program, "image", "inspect", image], capture_output=True, text=True, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout)[0]
    return found


@every_image
def test_it_says_what_it_is(engine: Engine, image: str) -> None:
    config = described(engine, image)["Config"]

    label = "org.opencontainers.image."
    assert config["Labels"][f"{label}version"] == images.TAG
    assert len(config["Labels"][f"{label}revision"].removesuffix("-modified")) == 40
    made = subprocess.run(
        ["git", "log", "-1", "--format=%ct"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    created = datetime.fromisoformat(config["Labels"][f"{label}created"])
    assert created.timestamp() == int(made.stdout)
    assert config["Labels"][f"{label}base.name"].endswith(":trixie")
    base = described(engine, config["Labels"][f"{label}base.name"])
    digests = [base["Id"], *(each.partition("@")[2] for each in base["RepoDigests"])]
    assert config["Labels"][f"{label}base.digest"] in digests
    lock = hashlib.sha256(locks.lock_of(name_of(image)).read_bytes()).hexdigest()
    assert config["Labels"]["io.github.kfp-tabular.lock.sha256"] == lock
    assert config["User"] == "10001:0"
    settings = " ".join(config["Env"])
    assert "INDEX" not in settings and "CERT" not in settings


@every_image
def test_its_licenses_are_in_it(engine: Engine, image: str) -> None:
    done = run_in(engine, image, ["sha256sum", "/licenses/LICENSE", "/licenses/licenses.md"])

    assert done.returncode == 0, done.stderr
    files = [ROOT / "LICENSE", ROOT / "docs" / "licenses.md"]
    expected = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    assert done.stdout.split()[::2] == expected


@every_image
def test_the_bill_of_materials_is_what_it_holds(engine: Engine, image: str, tmp_path: Path) -> None:
    name = name_of(image)
    (tmp_path / "kfp_tabular").mkdir()
    (tmp_path / "kfp_tabular" / "components").symlink_to(ROOT / "components")
    done = subprocess.run(
        [
            *(ROOT / ".venvs/tools/bin/python", "-m", "kfp_tabular.components.images.sbom", name),
            *("--output", tmp_path),
        ],
        env=os.environ | {"PYTHONPATH": str(tmp_path), "REGISTRY": "", "TAG": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    components = json.loads((tmp_path / f"{name}.cdx.json").read_text())["components"]
    urls = [component["purl"] for component in components if "purl" in component]
    program = (
        f"from importlib.metadata import distributions; "
        f"[print(d.metadata['Name'], d.version) for d in distributions(path=[{PACKAGES!r}])]"
    )
    python = run_in(engine, image, ["python3", "-c", program]).stdout.splitlines()
    debian = run_in(engine, image, ["dpkg-query", "-W", "-f", "${Package} ${Version}\\n"])

    listed = {(re.sub("[-_.]+", "-", n).lower(), v) for n, v in map(str.split, python)}
    in_bill = {tuple(u.removeprefix("pkg:pypi/").split("@")) for u in urls if ":pypi/" in u}
    assert in_bill == {each for each in listed if each[0] != "kfp-tabular"}
    packages = [unquote(u.split("?")[0]) for u in urls if ":deb/" in u]
    in_bill_of_debian = {u.removeprefix("pkg:deb/debian/").replace("@", " ") for u in packages}
    assert in_bill_of_debian == set(debian.stdout.splitlines())


@every_image
def test_nothing_of_the_build_is_left(engine: Engine, image: str) -> None:
    script = (
        "for tool in gcc g++ cc make pip uv; do command -v $tool; done; "
        "ls -A /run/secrets /root/.cache /tmp /build /layer 2>/dev/null | grep -v ':$'; "
        "find / -xdev -perm /6000 -type f 2>/dev/null | grep ^/opt; "
        "find /opt -newermt 1980-01-02 2>/dev/null | head -3; true"
    )
    done = run_in(engine, image, ["sh", "-c", script])

    assert done.stdout.strip() == "", done.stderr


@every_image
def test_byte_code_is_there_and_is_not_checked(engine: Engine, image: str) -> None:
    program = f"""
import pathlib, struct
root = pathlib.Path({PACKAGES!r})
sources = [p for p in root.rglob("*.py")]
missing = []
for source in sources:
    code = source.parent / "__pycache__" / (source.stem + ".cpython-313.pyc")
    if not code.exists():
        missing.append(str(source))
    else:
        flags = struct.unpack("<L", code.read_bytes()[4:8])[0]
        assert flags == 1, (code, flags)
print(len(sources), len(missing))
"""
    done = run_in(engine, image, ["python3", "-c", program])

    assert done.returncode == 0, done.stderr
    sources, missing = map(int, done.stdout.split())
    # Templates that are not valid Python.
    assert missing <= sources * 0.001


def test_the_launcher_is_small(engine: Engine) -> None:
    # A third of it is MLflow's client with the database of its embedded store.
    assert described(engine, images.LAUNCHER)["Size"] < 400e6


def test_the_layers_are_shared(engine: Engine) -> None:
    layers = {image: described(engine, image)["RootFS"]["Layers"] for image in ALL}

    base, packages = layers[images.TENSORFLOW][:2]
    for image in ALL:
        assert layers[image][0] == base
    for image in (images.TFDV, images.SERVING):
        assert layers[image][1] == packages
    # The package itself is the last layer that holds anything, and the same everywhere.
    assert len({[x for x in found if x != EMPTY][-1] for found in layers.values()}) == 1


EMPTY = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
"""A layer without files, as an instruction that only sets something leaves."""


@every_image
def test_components_can_be_imported_by_anybody(engine: Engine, image: str) -> None:
    program = (
        "import getpass, kfp.dsl; from kfp_tabular.components.common import images; "
        "print(images.TAG, getpass.getuser())"
    )
    done = run_in(engine, image, ["python3", "-c", program])

    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [images.TAG, "kfp-tabular"]


def test_the_author_image_compiles(engine: Engine) -> None:
    command = "kfp-tabular compile --pipeline training --output /tmp/t.yaml && wc -c </tmp/t.yaml"
    done = run_in(engine, AUTHOR, ["sh", "-c", command])

    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) > 10_000
