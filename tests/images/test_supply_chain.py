"""What the images hold, said for others: licenses, bills of materials, known vulnerabilities."""

import json
import os
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import PathDistribution
from pathlib import Path
from typing import Any

import pytest

from kfp_tabular.components.images import licenses, locks

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / ".venvs" / "tools" / "bin" / "python"
every_image = pytest.mark.parametrize("image", locks.VARIANTS)


def tool(tree: Path, name: str, *arguments: str, **environment: str) -> "Any":
    """Run a tool in the tools' environment, which does not hold the package."""
    return subprocess.run(
        [TOOLS, "-m", f"kfp_tabular.components.images.{name}", *arguments],
        env=os.environ | {"PYTHONPATH": str(tree), "no_proxy": "127.0.0.1"} | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as `make package-tree` links it."""
    folder = tmp_path_factory.mktemp("tree")
    (folder / "kfp_tabular").mkdir()
    (folder / "kfp_tabular" / "components").symlink_to(ROOT / "components")
    return folder


# Locks


@every_image
def test_packages_are_those_of_the_images_platform(image: str) -> None:
    found = {package.name: package for package in locks.packages_of(image)}

    assert not found.keys() & {"colorama", "pywin32-ctypes", "waitress", "libclang"}
    assert all(re.fullmatch("[0-9a-f]{64}", h) for p in found.values() for h in p.hashes)
    assert ("secretstorage" in found) == (image not in ("author", "launcher", "mlflow"))
    asked = {name for name, package in found.items() if package.is_requested}
    assert ("mlflow" if image == "mlflow" else "kfp") in asked
    assert "six" not in asked
    assert set(found["jmespath"].required_by) == {"boto3", "botocore"}
    assert all(package.is_requested or package.required_by for package in found.values())


def test_an_entry_without_a_hash_is_an_error(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.txt"
    lock.write_text("six==1.17.0 \\\n    --hash=sha256:" + "0" * 64 + "\nwheel==0.48.0\n")
    with pytest.raises(ValueError, match=r"not pinned with hashes: wheel==0\.48\.0"):
        locks.read_lock(lock)


# Licenses


def test_licenses_are_recorded_and_the_page_is_current(capsys: pytest.CaptureFixture[str]) -> None:
    assert licenses.main(["--check"]) == 0, capsys.readouterr().err


def test_a_package_without_a_recorded_license_is_named() -> None:
    recorded = licenses.Licenses.load().lines
    less = licenses.Licenses(line for line in recorded if not line.startswith("six=="))

    assert [package.name for package in licenses.missing(less)] == ["six"]


def test_an_unknown_license_is_named_on_the_page() -> None:
    recorded = licenses.Licenses.load().lines
    changed = licenses.Licenses(
        re.sub(r"  .*  ", "  unknown  ", line) if line.startswith("uvloop==") else line
        for line in recorded
    )

    page = licenses.page(changed)

    assert re.search(r"\*\*Unknown license\*\*: `uvloop==\S+` in serving\. Ask", page)
    assert re.search(r"\| unknown \| uvloop \S+ \|", page)
    assert "**Unknown" not in licenses.page(licenses.Licenses(recorded))


def installed(folder: Path, metadata: str, text: str = "") -> PathDistribution:
    home = folder / "thing-1.dist-info"
    home.mkdir(parents=True)
    (home / "METADATA").write_text(f"Metadata-Version: 2.4\nName: thing\nVersion: 1\n{metadata}")
    (home / "LICENSE").write_text(text)
    (home / "RECORD").write_text("thing-1.dist-info/LICENSE,,\n")
    return PathDistribution(home)


OSI = "Classifier: License :: OSI Approved :: "
BSD_3 = "Redistribution and use in source and binary forms ... Neither the name of the copyright"


@pytest.mark.parametrize(
    ("metadata", "text", "expected"),
    [
        ("License-Expression: MIT AND Zlib\nLicense: nonsense\n", "", "MIT AND Zlib"),
        ("License: Apache License, Version 2.0\n", "", "Apache-2.0"),
        (f"License: ISC\n{OSI}BSD License\n", BSD_3, "ISC"),
        (f"{OSI}MIT License\n{OSI}Apache Software License\n", "", "Apache-2.0 OR MIT"),
        (f"{OSI}BSD License\n", BSD_3, "BSD-3-Clause"),
        (f"{OSI}BSD License\n", BSD_3.split("...", maxsplit=1)[0], "BSD-2-Clause"),
        (f"{OSI}BSD License\n", "Apache License Version 2.0", "unknown"),
        ("", "Permission is hereby granted, free of charge ... without restriction", "MIT"),
        ("License: ask us\n", "All rights reserved", "unknown"),
        ("License: \n", "", "unknown"),
    ],
)
def test_a_license_is_what_is_declared(
    tmp_path: Path, metadata: str, text: str, expected: str
) -> None:
    assert licenses.declared(installed(tmp_path, metadata, text))[0] == expected


def test_what_was_recorded_by_hand_stays(tmp_path: Path) -> None:
    before = licenses.Licenses.load()
    by_hand = [line for line in before.lines if "# by hand" in line]

    again = licenses.record([tmp_path], before)

    assert by_hand
    assert set(by_hand) <= set(again.splitlines())
    with pytest.raises(LookupError, match=r"not installed .*six=="):
        licenses.record([tmp_path], licenses.Licenses(by_hand))


# Bills of materials


@pytest.fixture(scope="module")
def bills(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bill of materials of each image, from the locks alone."""
    folder = tmp_path_factory.mktemp("bills")
    done = tool(tree, "sbom", "--output", str(folder), TAG="none", PYTHONHASHSEED="1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("without Debian's packages") == len(locks.VARIANTS)
    return folder


@every_image
def test_a_bill_of_materials_lists_the_lock(bills: Path, image: str) -> None:
    document = json.loads((bills / f"{image}.cdx.json").read_text())

    assert document["specVersion"] == "1.6"
    found = {each["purl"]: each for each in document["components"] if "purl" in each}
    expected = {f"pkg:pypi/{p.name}@{p.version}": p for p in locks.packages_of(image)}
    assert found.keys() == expected.keys()
    for url, package in expected.items():
        (files,) = found[url]["externalReferences"]
        hashes = {each["content"] for each in files["hashes"] if each["alg"] == "SHA-256"}
        assert hashes == set(package.hashes)
        assert found[url]["licenses"]
    needs = {each["ref"]: each.get("dependsOn", []) for each in document["dependencies"]}
    assert set(needs[needs[f"image:{image}"][0]]) == {
        url for url, package in expected.items() if package.is_requested
    }


def test_bills_of_materials_keep_to_the_schema(bills: Path) -> None:
    # One component of each license: validating all of them takes half a minute.
    document = json.loads((bills / "tensorflow-gpu.cdx.json").read_text())
    kept = {str(each.get("licenses")): each for each in document["components"]}
    document["components"] = list(kept.values())
    names = {each["bom-ref"] for each in kept.values()}
    document["dependencies"] = [
        {"ref": each["ref"], "dependsOn": [n for n in each.get("dependsOn", ()) if n in names]}
        for each in document["dependencies"]
        if each["ref"] in names
    ]
    (bills / "short").write_text(json.dumps(document))
    (bills / "broken").write_text(json.dumps(document).replace('"library"', '"book"'))
    program = (
        "import sys; from cyclonedx.schema import SchemaVersion; "
        "from cyclonedx.validation.json import JsonStrictValidator; "
        "check = JsonStrictValidator(SchemaVersion.V1_6).validate_str; "
        "print([check(open(path).read()) is None for path in sys.argv[1:]])"
    )
    files = [bills / "launcher.cdx.json", bills / "short", bills / "broken"]
    done = subprocess.run(
        [TOOLS, "-c", program, *files], capture_output=True, text=True, check=True
    )

    assert len(kept) > 10
    assert done.stdout.strip() == "[True, True, False]", done.stderr


def test_the_same_commit_gives_the_same_bytes(bills: Path, tree: Path, tmp_path: Path) -> None:
    done = tool(tree, "sbom", "--output", str(tmp_path), "serving", TAG="none", PYTHONHASHSEED="2")

    assert done.returncode == 0, done.stderr
    name = "serving.cdx.json"
    assert (tmp_path / name).read_bytes() == (bills / name).read_bytes()


# Known vulnerabilities


class Advisories(ThreadingHTTPServer):
    """A server of OSV's protocol, and what it answers about a package."""

    answer: Callable[[str], "tuple[int, str]"]
    asked: list[str]


class Handler(BaseHTTPRequestHandler):
    server: Advisories

    def do_POST(self) -> None:
        query = json.loads(self.rfile.read(int(self.headers["content-length"])))
        name = query["package"]["name"]
        self.server.asked.append(f"{name}=={query['version']}")
        status, text = self.server.answer(name)
        self.send_response(status)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def advisories(answer: Callable[[str], "tuple[int, str]"]) -> Iterator["tuple[str, list[str]]"]:
    server = Advisories(("127.0.0.1", 0), Handler)
    server.answer, server.asked = answer, []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1/query", server.asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def advisory(name: str) -> str:
    """A document of OSV's."""
    package = {"name": name, "ecosystem": "PyPI"}
    events = [{"introduced": "0"}, {"fixed": "99.1"}]
    ranges = [{"type": "ECOSYSTEM", "events": events}]
    entry = {"id": "PYSEC-2026-1", "aliases": ["CVE-2026-1"], "summary": "It leaks"}
    return json.dumps({"vulns": [entry | {"affected": [{"package": package, "ranges": ranges}]}]})


def knows(*names: str) -> Callable[[str], "tuple[int, str]"]:
    return lambda name: (200, advisory(name) if name in names else "{}")


def test_a_vulnerable_package_is_named_with_its_images(tree: Path) -> None:
    with advisories(knows("pyyaml", "uvloop")) as (url, asked):
        done = tool(tree, "audit", "--osv-url", url)

    assert done.returncode == 1, done.stderr
    (line,) = (line for line in done.stderr.splitlines() if line.startswith("uvloop=="))
    assert re.fullmatch(r"uvloop==\S+ in serving: PYSEC-2026-1 CVE-2026-1; fixed in 99\.1", line)
    every = {p.pin for image in locks.VARIANTS for p in locks.packages_of(image)}
    assert every <= set(asked)


def test_zero_needs_an_answer_for_every_package(tree: Path) -> None:
    def only_old(name: str) -> "tuple[int, str]":
        # The first question is about a version that is known to be vulnerable.
        return knows("pyyaml")(name) if len(asked) == 1 else (200, "{}")

    with advisories(only_old) as (url, asked):
        done = tool(tree, "audit", "--osv-url", url)

    assert done.returncode == 0, done.stderr
    assert re.search(r"(\d+) packages audited .*: 0 vulnerable", done.stderr)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(lambda _: (200, "{}"), id="knows nothing"),
        pytest.param(lambda _: (503, "later"), id="unavailable"),
        pytest.param(lambda _: (403, "no"), id="forbidden"),
        pytest.param(lambda _: (200, "<html>log in</html>"), id="a login page"),
        pytest.param(lambda _: (200, '{"vulns": [{"id": "x"}]}'), id="no advisory"),
    ],
)
def test_a_source_that_gives_no_advisories_is_none(
    tree: Path, answer: Callable[[str], "tuple[int, str]"]
) -> None:
    with advisories(answer) as (url, _):
        done = tool(tree, "audit", "--osv-url", url)

    assert done.returncode == 3, done.stderr
    assert done.stderr.startswith(f"Nothing was audited: no advisories from {url}: ")
    assert len(done.stderr.splitlines()) == 1
    assert "ADVISORIES=URL" in done.stderr
    assert done.stdout == ""


def test_a_source_out_of_reach_is_said(tree: Path) -> None:
    with advisories(knows()) as (url, _):
        pass
    done = tool(tree, "audit", "--osv-url", url)

    assert done.returncode == 3, done.stderr
    assert done.stderr.startswith(f"Nothing was audited: no advisories from {url}: ")
    assert "refused. Name another source with ADVISORIES=URL" in done.stderr


def test_a_source_that_fails_midway_audits_nothing(tree: Path) -> None:
    def failing(name: str) -> "tuple[int, str]":
        return knows("pyyaml")(name) if len(asked) < 20 else (500, "")

    with advisories(failing) as (url, asked):
        done = tool(tree, "audit", "--osv-url", url)

    assert done.returncode == 3, done.stderr
    assert "audited: no advisories from" in done.stderr
    assert "vulnerable" not in done.stderr
