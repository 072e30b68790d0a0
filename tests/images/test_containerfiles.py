"""The Containerfiles and the files they use, checked without building."""

import fnmatch
import importlib.util
import re
import shlex
from pathlib import Path
from types import ModuleType

import pytest

from kfp_tabular.components.common.process.tensorflow import ENVIRONMENT

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "components" / "images"
CONTAINERFILE = IMAGES / "Containerfile"
NAMES = ("author", "launcher", "tensorflow", "tfdv", "serving", "spark", "mlflow")
LABELS = (
    *("title", "description", "licenses", "source"),
    *("version", "revision", "created", "base.name", "base.digest"),
)
every_image = pytest.mark.parametrize("name", NAMES)

Instruction = tuple[str, str]


def instructions() -> list[Instruction]:
    """The instructions of the Containerfile: word and rest, continued lines joined."""
    text = re.sub(r"^\s*#.*\n", "", CONTAINERFILE.read_text(), flags=re.MULTILINE)
    lines = [line.split(None, 1) for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    return [(word.upper(), " ".join(rest.split())) for word, rest in lines]


def stages() -> dict[str, list[Instruction]]:
    """The instructions of each stage by its name, the first of which is FROM."""
    found: dict[str, list[Instruction]] = {}
    for word, rest in instructions():
        if word == "FROM":
            stage = found.setdefault(re.split(r"\s+as\s+", rest, flags=re.IGNORECASE)[1], [])
        if found:
            stage.append((word, rest))
    return found


def base(stage: list[Instruction]) -> str:
    return stage[0][1].split()[0]


def shipped(name: str) -> list[Instruction]:
    """The instructions that a published image is made with, those of its bases first."""
    known = stages()
    stage = known[name]
    return [*(shipped(base(stage)) if base(stage) in known else []), *stage]


def pins(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", lock.read_text(), re.MULTILINE))


def test_nothing_floats() -> None:
    for word, rest in instructions():
        assert "latest" not in rest
        if word == "FROM":
            assert rest.split()[0] in stages() or rest.split()[0] == "${BASE}"
        if word == "ARG" and "=" in rest:
            default = rest.split("=", 1)[1]
            assert default == "requirements.txt" or re.search(r":3\.13-slim-trixie$", default)
        if word in ("ADD", "ONBUILD"):
            pytest.fail(f"{word} {rest}")


@every_image
def test_what_is_shipped_is_copied_layers_and_settings(name: str) -> None:
    made = [(word, rest) for word, rest in shipped(name) if word not in ("FROM", "ARG")]

    assert {word for word, _ in made}.isdisjoint({"RUN", "ADD", "VOLUME", "SHELL"})
    copies = [rest for word, rest in made if word == "COPY"]
    assert copies[-1] == "--from=build-project /layer/ /"
    assert all(copy.endswith(" /layer/ /") for copy in copies)


def test_secrets_and_caches_stay_in_the_build() -> None:
    for word, rest in instructions():
        if word == "RUN" and "layer.sh" in rest:
            mounts = [part for part in shlex.split(rest) if part.startswith("--mount=")]
            assert {m.split(",")[0] for m in mounts} == {
                "--mount=type=cache",
                "--mount=type=secret",
            }
        if word in ("ARG", "ENV", "LABEL"):
            assert not re.search(r"(?i)index_url|proxy|cert|token|password", rest)


@every_image
def test_it_says_what_it_is(name: str) -> None:
    labels = " ".join(rest for word, rest in shipped(name) if word == "LABEL")
    keys = re.findall(r"org\.opencontainers\.image\.(\w+)=", labels)
    given = re.findall(
        r"--label \"org\.opencontainers\.image\.([\w.]+)=", (IMAGES / "build.sh").read_text()
    )

    assert sorted([*keys, *given]) == sorted(LABELS)
    assert f'title="kfp-tabular {name}"' in labels


def test_the_project_is_one_layer_that_comes_last() -> None:
    copies = {name: [rest for word, rest in shipped(name) if word == "COPY"] for name in NAMES}

    assert {found[-1] for found in copies.values()} == {"--from=build-project /layer/ /"}
    assert sum("layer.sh project" in rest for _, rest in instructions()) == 1


@every_image
def test_it_runs_as_a_user_by_number(name: str) -> None:
    users = [rest for word, rest in shipped(name) if word == "USER"]
    assert re.fullmatch(r"[1-9]\d*:\d+", users[-1])
    environment = dict(
        part.split("=", 1)
        for word, rest in shipped(name)
        if word == "ENV"
        for part in shlex.split(rest)
    )
    assert environment["HOME"] == "/tmp"
    if name in ("tensorflow", "tfdv", "serving", "spark"):
        assert ENVIRONMENT.items() <= environment.items()


def test_serving_has_a_health_check() -> None:
    assert any(word == "HEALTHCHECK" for word, _ in shipped("serving"))


@pytest.mark.parametrize("name", ["tfdv", "serving"])
def test_what_adds_to_tensorflow_has_its_versions(name: str) -> None:
    base, more = (pins(IMAGES / n / "requirements.txt") for n in ("tensorflow", name))
    assert base.items() <= more.items()


def test_the_variant_with_cuda_has_the_same_versions() -> None:
    folder = IMAGES / "tensorflow"
    plain, gpu = pins(folder / "requirements.txt"), pins(folder / "requirements-gpu.txt")

    assert plain.items() <= gpu.items()
    assert all(name.startswith("nvidia-") for name in gpu.keys() - plain.keys())


@every_image
def test_every_package_is_locked_with_hashes(name: str) -> None:
    lock = IMAGES / name / "requirements.txt"
    pinned = re.split(r"\n(?=[A-Za-z0-9])", "\n" + lock.read_text())[1:]
    assert pinned
    assert all("==" in each.splitlines()[0] and "--hash=sha256:" in each for each in pinned)


def test_what_is_left_out_is_in_the_lock() -> None:
    lines = (IMAGES / "tensorflow" / "unused.txt").read_text().splitlines()
    entries = [line.split("#")[0].split() for line in lines if line.split("#")[0].strip()]
    reasons = [line.partition("#")[2].strip() for line in lines if not line.startswith("#")]

    assert all(reasons)
    locked = pins(IMAGES / "tensorflow" / "requirements.txt")
    assert {kind for kind, _ in entries} == {"package", "path"}
    for kind, what in entries:
        assert (what if kind == "package" else what.split("/")[0]) in locked


def test_the_build_context_holds_what_is_copied() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    kept = [line[1:] for line in lines if line.startswith("!")]
    for word, rest in instructions():
        if word == "COPY" and not rest.startswith("--from"):
            for source in rest.split()[:-1]:
                path = source.replace("${LOCK}", "requirements.txt")
                assert (ROOT / path).exists(), path
                assert any(fnmatch.fnmatch(path, k) or path.startswith(f"{k}/") for k in kept)


def load_sizes() -> ModuleType:
    specification = importlib.util.spec_from_file_location(
        "sizes", ROOT / "components/images/sizes.py"
    )
    assert specification and specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_layers_are_named_from_the_history() -> None:
    sizes = load_sizes()
    copied = "COPY /layer/ / # buildkit"
    history = [
        (0, "LABEL version"),
        (4_000_000, copied),
        (10_000_000, "/bin/sh -c #(nop) COPY dir:0af in / "),
        (0, "USER 10001:0"),
        (2_000_000_000, copied),
        (40_000_000, "RUN install python"),
        (80_000_000, ""),
    ]

    found = [(layer.what, layer.size) for layer in sizes.layers(history, "tfdv")]

    assert found == [
        ("Debian and Python", 120.0),
        ("packages of tensorflow", 2000.0),
        ("packages of tfdv", 10.0),
        ("kfp-tabular", 4.0),
    ]
