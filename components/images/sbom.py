"""Writes a CycloneDX bill of materials for each image.

    python -m kfp_tabular.components.images.sbom [--validate] [--output build/sbom] [NAME...]

Python packages come from the image's lock, with the hashes of the files that it allows, licenses
and dependencies. Where the image is on this machine, Debian's packages and Python are read from it.
The same commit and the same image give the same bytes: the time is that of the commit, and the
serial number is derived from the content. Needs cyclonedx-python-lib, which the tools' lock has.
"""

import argparse
import configparser
import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cyclonedx import spdx
from cyclonedx.model import (
    ExternalReference,
    ExternalReferenceType,
    HashAlgorithm,
    HashType,
    Property,
    XsUri,
)
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import (
    DisjunctiveLicense,
    License,
    LicenseAcknowledgement,
    LicenseExpression,
)
from cyclonedx.model.tool import ToolRepository
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from kfp_tabular.components.images.licenses import UNKNOWN, Licenses
from kfp_tabular.components.images.locks import FOLDER, VARIANTS, Locked, lock_of, packages_of

ROOT = FOLDER.parents[1]
VERSION = SchemaVersion.V1_6
LOCK_LABEL = "io.github.kfp-tabular.lock.sha256"
"""The label that build.sh gives an image: SHA-256 of its lock."""
PREFIX = "kfp-tabular:"
"""What the names of properties start with."""

# Package, version, architecture, source; then Python's version; then licenses by package.
_IN_IMAGE = r"""
dpkg-query -W -f 'package ${Package}\t${Version}\t${Architecture}\t${source:Package}\n'
printf 'python %s\n' "$(python3 -c 'import platform; print(platform.python_version())')"
printf 'python-from %s\n' "$(command -v python3)"
. /etc/os-release
printf 'distribution %s-%s\n' "$ID" "$VERSION_ID"
cd /usr/share/doc
for file in */copyright; do
    sed -n "s|^License: *\([^ ].*\)|license ${file%/copyright}\t\1|p" "$file"
done
"""


@dataclass(frozen=True)
class Built:
    """What an image on this machine holds beside its Python packages.

    Attributes:
        identity: The image's id, `sha256:...`.
        lock: The digest of the lock that it was built from, by its label; empty without one.
        components: Debian's packages, and Python where it is not one of them.
    """

    identity: str
    lock: str
    components: tuple[Component, ...]


def document(image: str, built: Built | None, made: datetime, revision: str) -> str:
    """Return the bill of materials of an image, as CycloneDX 1.6 in JSON.

    Args:
        image: One of `VARIANTS`.
        built: What was read from the image; None where it is not here.
        made: The time of the commit.
        revision: The commit.
    """
    version = _version()
    known = Licenses.load()
    locked = packages_of(image)
    root = Component(
        name=f"kfp-tabular/{image}",
        version=version,
        type=ComponentType.CONTAINER,
        bom_ref=f"image:{image}",
        properties=[
            Property(name=f"{PREFIX}revision", value=revision),
            Property(name=f"{PREFIX}lock:sha256", value=lock_digest(image)),
            Property(
                name=f"{PREFIX}image",
                value=built.identity if built else "not on this machine: without Debian's packages",
            ),
        ],
    )
    project = Component(
        name="kfp-tabular",
        version=version,
        type=ComponentType.APPLICATION,
        bom_ref=f"kfp-tabular@{version}",
        licenses=[_license("Apache-2.0")],
    )
    of_name = {package.name: _component(package, known) for package in locked}
    tool = Component(
        name="cyclonedx-python-lib",
        version=importlib.metadata.version("cyclonedx-python-lib"),
        type=ComponentType.LIBRARY,
    )
    tools = ToolRepository(components=[tool])
    bom = Bom(metadata=BomMetaData(component=root, timestamp=made, tools=tools))
    others = built.components if built else ()
    for component in (project, *of_name.values(), *others):
        bom.components.add(component)
    bom.register_dependency(root, [project, *others])
    asked = [of_name[package.name] for package in locked if package.is_requested]
    bom.register_dependency(project, asked)
    for package in locked:
        needs = [of_name[other.name] for other in locked if package.name in other.required_by]
        bom.register_dependency(of_name[package.name], needs)
    bom.serial_number = uuid.UUID(int=0)
    content = make_outputter(bom, OutputFormat.JSON, VERSION).output_as_string()
    bom.serial_number = uuid.uuid5(uuid.NAMESPACE_URL, content)
    text: str = make_outputter(bom, OutputFormat.JSON, VERSION).output_as_string(indent=2)
    return f"{text}\n"


def _version() -> str:
    # The tools' environment does not hold the package.
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    return setup["metadata"]["version"]


def lock_digest(image: str) -> str:
    """Return the SHA-256 of an image's lock."""
    return hashlib.sha256(lock_of(image).read_bytes()).hexdigest()


def _component(package: Locked, known: Licenses) -> Component:
    """Return a locked package. Which of the files is installed depends on the platform."""
    url = PackageURL("pypi", name=package.name, version=package.version)
    license_ = known.of(package) or UNKNOWN
    files = ExternalReference(
        type=ExternalReferenceType.DISTRIBUTION,
        url=XsUri(str(url)),
        comment="the files that the lock allows",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=each) for each in package.hashes],
    )
    return Component(
        name=package.name,
        version=package.version,
        type=ComponentType.LIBRARY,
        bom_ref=str(url),
        purl=url,
        licenses=[_license(license_)] if license_ != UNKNOWN else (),
        external_references=[files],
    )


def _license(text: str) -> License:
    if spdx.is_supported_id(text):
        return DisjunctiveLicense(id=text, acknowledgement=LicenseAcknowledgement.DECLARED)
    if spdx.is_expression(text):
        return LicenseExpression(text, acknowledgement=LicenseAcknowledgement.DECLARED)
    return DisjunctiveLicense(name=text, acknowledgement=LicenseAcknowledgement.DECLARED)


def read_image(engine: str, reference: str) -> Built | None:
    """Read what an image holds beside Python packages; None where it is not on this machine."""
    shown = f'{{{{.Id}}}} {{{{index .Config.Labels "{LOCK_LABEL}"}}}}'
    inspected = _run([engine, "image", "inspect", "--format", shown, reference])
    if inspected is None:
        return None
    identity, _, lock = inspected.strip().partition(" ")
    options = ["--rm", "--network=none", "--read-only", "--entrypoint=sh"]
    listed = _run([engine, "run", *options, reference, "-c", _IN_IMAGE])
    if listed is None:
        raise ValueError(f"{reference} is here but its packages cannot be listed")
    return Built(identity, lock, tuple(debian(listed.splitlines())))


def debian(lines: Iterable[str]) -> Iterator[Component]:
    """Return the components of the lines that the script in an image prints."""
    rows = [line.split(" ", 1) for line in lines if " " in line]
    (distribution,) = (rest for kind, rest in rows if kind == "distribution")
    licenses: dict[str, dict[str, None]] = {}
    for kind, rest in rows:
        if kind == "license":
            package, name = rest.split("\t", 1)
            licenses.setdefault(package, {})[name.strip()] = None
    for kind, rest in rows:
        if kind != "package":
            continue
        name, version, architecture, source = rest.split("\t")
        url = PackageURL(
            "deb",
            "debian",
            name,
            version,
            {"arch": architecture, "distro": distribution, "upstream": source},
        )
        yield Component(
            name=name,
            version=version,
            type=ComponentType.LIBRARY,
            bom_ref=str(url),
            purl=url,
            # Short names of machine-readable copyright files; they are not SPDX's.
            licenses=[DisjunctiveLicense(name=each) for each in licenses.get(name, ())],
        )
    found = {kind: rest for kind, rest in rows if kind.startswith("python")}
    if not found["python-from"].startswith("/usr/bin/"):
        url = PackageURL("generic", name="python", version=found["python"])
        yield Component(
            name="python",
            version=found["python"],
            type=ComponentType.PLATFORM,
            bom_ref=str(url),
            purl=url,
            licenses=[_license("PSF-2.0")],
        )


def _run(command: Sequence[str]) -> str | None:
    done = subprocess.run(command, capture_output=True, check=False, cwd=ROOT)
    return done.stdout.decode(errors="replace") if done.returncode == 0 else None


def _engine() -> str | None:
    found = _run(["sh", str(FOLDER / "engine.sh")])
    return found.strip() if found and shutil.which(found.strip()) else None


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the documents and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--validate", action="store_true", help="against CycloneDX's schema")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "sbom")
    options = parser.parse_args(arguments)
    commit = (_run(["git", "log", "-1", "--format=%ct %H"]) or "315532800 unknown").split()
    made = datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH") or commit[0]), UTC)
    registry = os.environ.get("REGISTRY") or "ghcr.io/kfp-tabular"
    tag = os.environ.get("TAG") or _version()
    engine = _engine()
    options.output.mkdir(parents=True, exist_ok=True)
    for image in options.names or VARIANTS:
        name = image.removesuffix("-gpu")
        reference = f"{registry}/{name}:{tag}{'-gpu' if name != image else ''}"
        built = read_image(engine, reference) if engine else None
        if built and built.lock != lock_digest(image):
            print(  # noqa: T201
                f"{reference} was not built from {lock_of(image).relative_to(ROOT)} as it is now: "
                "build it anew with make images, or name another with REGISTRY and TAG",
                file=sys.stderr,
            )
            return 1
        file = options.output / f"{image}.cdx.json"
        text = document(image, built, made, commit[1])
        if options.validate and (error := JsonStrictValidator(VERSION).validate_str(text)):
            print(f"{image}: not a valid CycloneDX document: {error}", file=sys.stderr)  # noqa: T201
            return 1
        file.write_text(text, encoding="utf-8")
        packages = len(packages_of(image))
        what = f"{packages} Python packages"
        if built:
            what += f", {len(built.components)} of Debian, from {reference}"
        else:
            why = "no container engine here" if engine is None else f"no image {reference} here"
            what += f"; without Debian's packages: {why}, make images builds it"
        print(f"{file}: {what}")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
