"""The licenses of what the images hold: a recorded list, and the page of it in the documentation.

    python -m kfp_tabular.components.images.licenses [OPTION]

Without an option it writes docs/licenses.md. `--check` fails where the list or the page is out of
date; `--missing FOLDER...` prints what neither the list nor a folder has; `--record FOLDER...`
records what is installed in folders.

`licenses.txt` has a line for each package and version, so that neither a check nor a bill of
materials needs an installation or a network. `make licenses` records and writes.
"""

import argparse
import fnmatch
import importlib.metadata
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from packaging.utils import canonicalize_name

from kfp_tabular.components.images.locks import FOLDER, VARIANTS, Locked, packages_of

RECORDED = FOLDER / "licenses.txt"
PAGE = FOLDER.parents[1] / "docs" / "licenses.md"
UNKNOWN = "unknown"

_BY_HAND = "by hand"
_HEAD = f"""\
# License of each package in the images: pin, SPDX expression, and where it was found.
# `make licenses` writes it; a line '{_BY_HAND}' stays, and may name packages by a pattern.
"""
_SPELLINGS = {
    "Apache-2.0": (
        "apache 2",
        "apache 2.0",
        "apache license 2.0",
        "apache license version 2.0",
        "apache license, version 2.0",
        "apache software license",
        "https://www.apache.org/licenses/license-2.0",
    ),
    "BSD-3-Clause": ("3-clause bsd license", "bsd 3-clause", "bsd 3-clause license"),
    "ISC": ("isc", "isc license (iscl)"),
    "MIT": ("mit license",),
    "MPL-2.0": ("mozilla public license 2.0 (mpl 2.0)",),
    "PSF-2.0": ("python software foundation license",),
}
_SPDX_OF = {text: spdx for spdx, texts in _SPELLINGS.items() for text in (spdx.lower(), *texts)} | {
    spdx.lower(): spdx for spdx in ("BSD-2-Clause", "MIT OR Apache-2.0", "MPL-2.0 AND MIT")
}
_CLASSIFIER = "License :: OSI Approved :: "
_TEXTS = (
    ("Apache-2.0", ("apache license", "version 2.0")),
    ("BSD-3-Clause", ("redistribution and use in source and binary forms", "neither the name")),
    ("BSD-2-Clause", ("redistribution and use in source and binary forms",)),
    ("MIT", ("permission is hereby granted, free of charge", "without restriction")),
)


class Licenses:
    """The recorded licenses.

    Args:
        lines: Lines of `licenses.txt`.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = [line for line in lines if line.strip() and not line.startswith("#")]
        self._by_pin = {line.split()[0]: _expression(line) for line in self.lines}
        self._patterns = {pin: known for pin, known in self._by_pin.items() if "==" not in pin}

    @classmethod
    def load(cls) -> "Licenses":
        """Read the recorded list."""
        return cls(RECORDED.read_text(encoding="utf-8").splitlines())

    def of(self, package: Locked) -> str | None:
        """Return a package's SPDX expression, `unknown`, or None where nothing is recorded."""
        if package.pin in self._by_pin:
            return self._by_pin[package.pin]
        for pattern, known in self._patterns.items():
            if fnmatch.fnmatchcase(package.name, pattern):
                return known
        return None

    @property
    def by_hand(self) -> list[str]:
        """The lines that a person wrote."""
        return [line for line in self.lines if f"# {_BY_HAND}" in line]


def _expression(line: str) -> str:
    return line.partition("#")[0].split(None, 1)[1].strip()


def declared(distribution: importlib.metadata.Distribution) -> tuple[str, str]:
    """Return the SPDX expression of an installed package and where it was found.

    The newest form of metadata decides: `License-Expression`, then several classifiers, which are a
    choice (`OR`), then `License` where it names a known license, then one classifier, then the text
    of a license file.
    """
    metadata = distribution.metadata
    if "License-Expression" in metadata:
        return metadata["License-Expression"], "License-Expression"
    in_texts = _recognized(distribution)
    classified = {
        # The classifier does not say which of the two.
        next((found for found in in_texts if found.startswith("BSD")), None)
        if text == "bsd license"
        else _SPDX_OF.get(text)
        for classifier in metadata.get_all("Classifier") or ()
        if (text := classifier.removeprefix(_CLASSIFIER).lower()) != classifier.lower()
    }
    choice = " OR ".join(sorted(found for found in classified if found))
    if len(classified) > 1 and None not in classified:
        return choice, "classifiers"
    field = metadata["License"].strip().splitlines() if "License" in metadata else ()
    if field and (known := _SPDX_OF.get(field[0].strip().lower())):
        return known, "License"
    if len(classified) == 1 and choice:
        return choice, "classifier"
    if len(classified) == 0 and len(in_texts) == 1:
        return in_texts[0], "license text"
    return UNKNOWN, "nothing that says which"


def _recognized(distribution: importlib.metadata.Distribution) -> list[str]:
    """Return what the license files of a package are, by sentences that only one license has."""
    recognized = []
    for file in distribution.files or ():
        if re.search(r"(?i)(?:licen[cs]e|copying)", file.name) and ".dist-info" in str(file):
            path = Path(str(file.locate()))
            text = " ".join(path.read_text(encoding="utf-8", errors="replace").lower().split())
            recognized += [
                spdx
                for spdx, sentences in _TEXTS
                if all(sentence in text for sentence in sentences)
            ]
    if "BSD-3-Clause" in recognized:
        recognized = [spdx for spdx in recognized if spdx != "BSD-2-Clause"]
    return sorted(set(recognized))


def missing(licenses: Licenses) -> list[Locked]:
    """Return the packages of all images whose license is not recorded, by name."""
    return [package for _, package in sorted(_locked().items()) if licenses.of(package) is None]


def _locked() -> dict[str, Locked]:
    return {package.pin: package for image in VARIANTS for package in packages_of(image)}


def _installed(folders: Sequence[Path]) -> dict[str, importlib.metadata.Distribution]:
    found: dict[str, importlib.metadata.Distribution] = {}
    for folder in folders:
        for distribution in importlib.metadata.distributions(path=[str(folder)]):
            name = canonicalize_name(distribution.metadata["Name"])
            found.setdefault(f"{name}=={distribution.version}", distribution)
    return found


def record(folders: Sequence[Path], before: Licenses) -> str:
    """Return the list anew: what was recorded and is still locked, and what is installed.

    Args:
        folders: Folders with `*.dist-info`.
        before: The list so far. Its lines by hand are kept.

    Raises:
        LookupError: A locked package is neither recorded nor installed in a folder.
    """
    installed = _installed(folders)
    by_hand = Licenses(before.by_hand)
    lines = dict.fromkeys(before.by_hand)
    kept = {line.split()[0]: line for line in before.lines}
    lacking = []
    for pin, package in sorted(_locked().items()):
        if by_hand.of(package) is not None:
            continue
        if pin in installed:
            expression, where = declared(installed[pin])
            lines[f"{pin}  {expression}  # {where}"] = None
        elif pin in kept:
            lines[kept[pin]] = None
        else:
            lacking.append(pin)
    if lacking:
        raise LookupError(f"not installed in any of the folders: {', '.join(lacking)}")
    return _HEAD + "".join(f"{line}\n" for line in lines)


_BASES = {
    "tfdv": "tensorflow",
    "serving": "tensorflow",
    "tensorflow-gpu": "tensorflow",
    "spark": "tfdv",
}
"""By image, the one whose packages it has, too."""


def page(licenses: Licenses) -> str:
    """Return the page of the documentation."""
    return "".join(f"{line}\n" for line in _page(licenses))


def _page(licenses: Licenses) -> Iterator[str]:
    yield "# Licenses of what the images hold"
    yield ""
    yield (
        "`make licenses` writes this page from the locks and "
        "[the recorded licenses](../components/images/licenses.txt); `make check` compares it. "
        "kfp-tabular itself is under the [Apache License 2.0](../LICENSE). In an image, "
        "`/licenses` has both, each package's folder `*.dist-info` its full text, and "
        "`/usr/share/doc/*/copyright` those of Debian's packages; `make sbom` lists the latter."
    )
    holds = {image: {p.pin: p for p in packages_of(image)} for image in VARIANTS}
    yield from _unknown(licenses, holds)
    for image in VARIANTS:
        base = _BASES.get(image, "")
        beside = holds.get(base, {})
        added = [package for pin, package in holds[image].items() if pin not in beside]
        yield ""
        yield f"## {image}"
        yield ""
        what = f"What it adds to `{base}`" if beside else "Python packages"
        yield f"{what}: {len(added)}."
        yield ""
        yield "| license | packages |"
        yield "|---|---|"
        by_license: dict[str, list[str]] = defaultdict(list)
        for package in added:
            by_license[licenses.of(package) or UNKNOWN].append(f"{package.name} {package.version}")
        for license_ in sorted(by_license, key=str.lower):
            yield f"| {license_} | {', '.join(by_license[license_])} |"


def _unknown(licenses: Licenses, holds: Mapping[str, Mapping[str, Locked]]) -> Iterator[str]:
    names = {
        f"`{pin}` in {', '.join(i for i in VARIANTS if pin in holds[i])}"
        for packages in holds.values()
        for pin, package in packages.items()
        if licenses.of(package) in (None, UNKNOWN)
    }
    yield ""
    if names:
        listed = "; ".join(sorted(names))
        yield f"**Unknown license**: {listed}. Ask the authors before you ship it."
    else:
        yield "No package has an unknown license."


def _check(licenses: Licenses) -> int:
    lacking = missing(licenses)
    if lacking:
        pins = ", ".join(package.pin for package in lacking)
        print(f"{RECORDED.name} has no license of {pins}; run make licenses", file=sys.stderr)  # noqa: T201
        return 1
    if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page(licenses):
        print("docs/licenses.md is not up to date; run make licenses", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Write, check or record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true")
    what.add_argument("--missing", nargs="*", type=Path, metavar="FOLDER")
    what.add_argument("--record", nargs="+", type=Path, metavar="FOLDER")
    options = parser.parse_args(arguments)
    licenses = Licenses.load() if RECORDED.exists() else Licenses(())
    if options.check:
        return _check(licenses)
    if options.missing is not None:
        installed = _installed(options.missing)
        for package in missing(licenses):
            if package.pin not in installed:
                hashes = " ".join(f"--hash=sha256:{digest}" for digest in package.hashes)
                print(package.pin, hashes)  # noqa: T201 - for uv
        return 0
    if options.record:
        try:
            RECORDED.write_text(record(options.record, licenses), encoding="utf-8")
        except LookupError as error:
            print(error, file=sys.stderr)  # noqa: T201
            return 1
        licenses = Licenses.load()
    PAGE.write_text(page(licenses), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
