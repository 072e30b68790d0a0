"""Asks for known vulnerabilities of every package in the locks, with pip-audit.

    python -m kfp_tabular.components.images.audit [--osv-url URL | --pypi]

Advisories come from OSV, or from another server of its protocol, or from the package index. Exits
with 0 where every package was looked up and none is vulnerable, 1 where one is, 3 where the source
of advisories did not answer for all of them. A source without an advisory for a version that is
known to be vulnerable is none: an answer of "nothing known" to every question proves nothing.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import textwrap
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kfp_tabular.components.images.locks import FOLDER, VARIANTS, Locked, packages_of, read_lock

OSV = "https://api.osv.dev/v1/query"
VULNERABLE = 1
NO_ANSWER = 3

_TESTS = FOLDER.parents[1] / "tests"
_TOOLS = {"tools": _TESTS / "tools", "test servers": _TESTS / "servers"}
_KNOWN_VULNERABLE = "pyyaml==5.3"  # CVE-2020-1747
_SHOWN = 3
_REASON_CHARACTERS = 200


class NoAnswerError(Exception):
    """The source of advisories did not answer, or not for every package."""


@dataclass(frozen=True)
class Finding:
    """A known vulnerability.

    Attributes:
        pin: `name==version`.
        identifiers: Its names: PYSEC, CVE, GHSA.
        fixed_in: Versions without it; empty where there is none.
    """

    pin: str
    identifiers: tuple[str, ...]
    fixed_in: tuple[str, ...]


def rounds(packages: Sequence[Locked]) -> list[list[str]]:
    """Divide pins so that no round has two versions of a package, which pip-audit refuses."""
    versions: dict[str, list[str]] = defaultdict(list)
    for package in packages:
        if package.pin not in versions[package.name]:
            versions[package.name].append(package.pin)
    most = max((len(pins) for pins in versions.values()), default=0)
    return [[pins[turn] for pins in versions.values() if turn < len(pins)] for turn in range(most)]


def ask(pins: Sequence[str], source: Sequence[str]) -> list[Finding]:
    """Look pins up with pip-audit.

    Args:
        pins: `name==version` of each package, one version of each.
        source: pip-audit's options that choose the source.

    Raises:
        NoAnswerError: There is no answer, or not for every pin.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "requirements.txt"
        file.write_text("".join(f"{pin}\n" for pin in pins), encoding="utf-8")
        command = [sys.executable, "-m", "pip_audit", "--requirement", str(file), "--no-deps"]
        command += ["--disable-pip", "--format=json", "--progress-spinner=off", "--cache-dir"]
        done = subprocess.run(
            [*command, str(Path(folder) / "cache"), *source],
            capture_output=True,
            text=True,
            check=False,
        )
    return findings(pins, done.stdout, done.stderr)


def findings(pins: Sequence[str], stdout: str, stderr: str) -> list[Finding]:
    """Read pip-audit's report, which it exits with 1 for, as it does for every failure."""
    try:
        listed: list[dict[str, Any]] = json.loads(stdout)["dependencies"]
    except (ValueError, KeyError) as error:
        raise NoAnswerError(reason_of(stderr)) from error
    found = {f"{each['name']}=={each['version']}": each for each in listed if "version" in each}
    lacking = [pin for pin in pins if pin not in found]
    if lacking:
        more = f" and {len(lacking) - _SHOWN} more" if len(lacking) > _SHOWN else ""
        raise NoAnswerError(f"it does not know {', '.join(lacking[:_SHOWN])}{more}")
    return [
        Finding(pin, (each["id"], *each.get("aliases", ())), tuple(each.get("fix_versions", ())))
        for pin in pins
        for each in found[pin]["vulns"]
    ]


def reason_of(stderr: str) -> str:
    """Return why pip-audit failed: its last line or, in it, the cause of a failed connection.

    Example:
        >>> reason_of("ConnectionError: Pool(): (Caused by NewError('Host(port=1): Refused'))")
        'Refused'
    """
    lines = stderr.strip().splitlines() or ["it said nothing"]
    cause = re.search(r"\(Caused by \w+\(.*?\): (.+?)[\"']\)+$", lines[-1])
    reason = cause[1] if cause else lines[-1]
    return textwrap.shorten(reason.rstrip("."), _REASON_CHARACTERS, placeholder="...")


def _say(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201


def main(arguments: Sequence[str] | None = None) -> int:
    """Look everything up and print a line for each vulnerability."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--osv-url", default=OSV, help="a server that answers as OSV does")
    source.add_argument("--pypi", action="store_true", help="ask the package index")
    options = parser.parse_args(arguments)
    name = "the package index" if options.pypi else options.osv_url
    chosen = ["--vulnerability-service=pypi"]
    if not options.pypi:
        chosen = ["--vulnerability-service=osv", f"--osv-url={options.osv_url}"]
    holds: Mapping[str, list[Locked]] = {
        **{image: packages_of(image) for image in VARIANTS},
        **{what: read_lock(folder / "requirements.txt") for what, folder in _TOOLS.items()},
    }
    packages = [package for held in holds.values() for package in held]
    found: list[Finding] = []
    audited = 0
    failure = ""
    try:
        if not ask([_KNOWN_VULNERABLE], chosen):
            raise NoAnswerError(f"it has no advisory for {_KNOWN_VULNERABLE}, which has some")
        for pins in rounds(packages):
            found += ask(pins, chosen)
            audited += len(pins)
    except NoAnswerError as error:
        failure = str(error)
    for finding in found:
        where = [what for what, held in holds.items() if finding.pin in {p.pin for p in held}]
        fixed = f"fixed in {', '.join(finding.fixed_in)}" if finding.fixed_in else "no fix known"
        _say(f"{finding.pin} in {', '.join(where)}: {' '.join(finding.identifiers)}; {fixed}")
    count = len({package.pin for package in packages})
    if failure:
        what = f"Only {audited} of {count} packages were" if audited else "Nothing was"
        _say(
            f"{what} audited: no advisories from {name}: {failure}. Name another source with "
            "ADVISORIES=URL, a server of OSV's protocol."
        )
        return NO_ANSWER
    vulnerable = len({finding.pin for finding in found})
    _say(f"{count} packages audited with advisories from {name}: {vulnerable} vulnerable")
    return VULNERABLE if found else 0


if __name__ == "__main__":
    sys.exit(main())
