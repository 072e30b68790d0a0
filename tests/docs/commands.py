"""Checks of shell commands, without running them: programs, options, parameters, files."""

import ast
import json
import re
import shlex
from collections.abc import Callable, Iterator, Mapping

import click
import yaml

from kfp_tabular.components.common import options, training_options
from kfp_tabular.components.common.artifacts.hyperparameters import Hyperparameters
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.training.worker_settings import WorkerArguments
from kfp_tabular.pipelines import parameters, registry, user_pipeline
from kfp_tabular.pipelines.cli import cli
from tests.docs import documents
from tests.docs.pages import ROOT, Block

Check = Callable[[list[str]], Iterator[str]]

_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=.*", re.DOTALL)
_PREFIXES = ("do", "then", "exec", "time", "nice")
_IGNORED = {
    *("for", "done", "cd", "export", "source", "cat", "mkdir", "cp", "mv", "rm", "ls", "head"),
    *("echo", "sed", "git", "openssl", "pip"),
}

_OPTIONS = {
    "pre-commit": set(),
    "uv": {"--wheel", "--build-constraints", "--out-dir"},
    "curl": {"-s", "-d", "-H", "-i", "-f", "--data", "--header", "--fail"},
    "docker": {"--rm", "--read-only", "--tmpfs", "-p", "-v", "-e", "--network", "--file", "-t"},
    "kubectl": {
        *("-k", "-f", "-n", "-l", "-c", "-p", "--type", "--role", "--serviceaccount", "--as"),
        *("--tail", "--sort-by", "--dry-run", "--from-literal", "--namespace"),
        *("--rm", "--restart", "--image", "--overrides"),
    },
}
"""Of other people's programs: those that the pages use, and that were tried."""

_VERBS = {
    "docker": {"run", "push", "build", "images", "login"},
    "pre-commit": {"install", "run"},
    "uv": {"build"},
    "kubectl": {
        *("apply", "auth", "create", "get", "label", "logs", "describe", "patch"),
        *("port-forward", "wait", "delete", "run", "set"),
    },
}


def problems(block: Block) -> Iterator[str]:
    """Yield what is wrong with the commands of a block."""
    for words in split(block.code):
        yield from _command(words)


def split(code: str) -> list[list[str]]:
    """Return the words of each command: lines, pipes and lists are cut, assignments left out."""
    code = re.sub(r"^\s*#.*$|\s# .*$", "", code, flags=re.MULTILINE).replace("\\\n", " ")
    lexer = shlex.shlex(code, posix=True, punctuation_chars="\n;&|<>")
    lexer.whitespace = " \t"
    lexer.whitespace_split = True
    lexer.commenters = ""
    commands: list[list[str]] = [[]]
    redirected = False
    for word in lexer:
        if set(word) <= set("<>"):
            redirected = True
        elif set(word) <= set("\n;&|"):
            commands.append([])
        elif redirected:
            redirected = False
        elif commands[-1] or not (_ASSIGNMENT.fullmatch(word) or word in _PREFIXES):
            commands[-1].append(word)
    return [words for words in commands if words]


def inline_problems(code: str) -> Iterator[str]:
    """Yield what is wrong with a command within a sentence, which may be cut short."""
    words = code.replace("[", "").replace("]", "").split()
    if words[:1] == ["kfp-tabular"] and len(words) > 1:
        yield from _synopsis(words)
    elif words[:1] == ["--param"] and "=" in code and "KEY=VALUE" not in code:
        pairs = [word for word in shlex.split(code) if word != "--param"]
        yield from documents.parameter_problems(_pairs(pairs))
    elif words[:1] == ["make"] and len(words) > 1 and "=" not in words[1]:
        yield from _make(words)


def synopsis_problems(code: str) -> Iterator[str]:
    """Yield what is wrong with a summary of commands: brackets, choices and dots are allowed."""
    text = re.sub(r"[\[\]()]|\.\.\.", " ", code)
    for entry in re.split(r"^(?=kfp-tabular )", text, flags=re.MULTILINE):
        if entry.strip():
            yield from _synopsis(shlex.split(entry))


def _synopsis(words: list[str]) -> Iterator[str]:
    command, rest = _resolve(cli, words[1:])
    if command is None:
        yield f"kfp-tabular has no command {words[1]!r}"
        return
    known = {name: entry for entry in command.params for name in entry.opts}
    for position, word in enumerate(rest):
        option, _, value = word.partition("=")
        if not option.startswith("--") or option == "--help":
            continue
        if option not in known:
            yield f"{' '.join(words[:2])} has no option {option}"
            continue
        kind = known[option].type
        value = value or next(iter(rest[position + 1 :]), "")
        if isinstance(kind, click.Choice) and set(value.split("|")) - set(kind.choices):
            yield f"{option}: {value!r} is not one of {kind.choices}"
        if option == "--param" and "=" in value and value != "KEY=VALUE":
            yield from documents.parameter_problems(_pairs([value]))


def _resolve(group: click.Command, words: list[str]) -> tuple[click.Command | None, list[str]]:
    if not isinstance(group, click.Group) or not words or words[0].startswith("-"):
        return group, words
    if words[0] not in group.commands:
        return None, words
    return _resolve(group.commands[words[0]], words[1:])


def _command(words: list[str]) -> Iterator[str]:
    program = words[0].rsplit("/", 1)[-1]
    if program in _CHECKS:
        yield from _CHECKS[program](words)
    elif program not in _IGNORED:
        yield f"program {words[0]!r} is not one that these tests know"


def _kfp_tabular(words: list[str]) -> Iterator[str]:
    command, rest = _resolve(cli, words[1:])
    name = " ".join(words[: len(words) - len(rest)])
    if command is None:
        yield f"{name} has no such command: {' '.join(words[1:])}"
        return
    try:
        context = command.make_context(name, list(rest))
    except click.exceptions.Exit:
        return
    except (click.ClickException, UserError) as error:
        message = error.format_message() if isinstance(error, click.ClickException) else error
        yield f"{name}: {message}"
        return
    yield from _given(context.params)


def _given(given: Mapping[str, object]) -> Iterator[str]:
    pairs, pipeline = given.get("params"), given.get("pipeline", "training")
    if not isinstance(pipeline, str) or user_pipeline.is_path(pipeline):
        return
    if pipeline not in registry.PIPELINES:
        yield f"there is no pipeline {pipeline!r}"
    elif isinstance(pairs, tuple):
        yield from documents.parameter_problems(_pairs(pairs), pipeline)


def _pairs(pairs: "tuple[str, ...] | list[str]") -> dict[str, str]:
    return parameters.key_values(pairs)


def _make(words: list[str]) -> Iterator[str]:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)[0].split())
    targets |= set(re.findall(r"^([a-z][a-z-]*):", text, re.MULTILINE))
    targets |= set(re.findall(r"^ON_DEMAND := (.*)$", text, re.MULTILINE)[0].split())
    suites = re.findall(r"^SUITES := (.*)$", text, re.MULTILINE)[0].split()
    targets |= {f"test-{suite}" for suite in suites}
    known = text + (ROOT / "components/images/build.sh").read_text(encoding="utf-8")
    for word in words[1:]:
        name, assigned, value = word.partition("=")
        if name == "T" and not (ROOT / value.partition("::")[0]).exists() and "..." not in value:
            yield f"make: {value} does not exist"
        if assigned and not re.search(rf"\b{name}\b", known):
            yield f"make: nothing reads the variable {name}"
        if not assigned and not word.startswith("-") and word not in targets:
            yield f"make has no target {word!r}"


def _python(words: list[str]) -> Iterator[str]:
    rest = words[1:]
    if rest[:1] == ["-m"] and rest[1:2]:
        module, arguments = rest[1], rest[2:]
        if module == "kfp_tabular.serving":
            yield from _serving(arguments)
        elif module == training_options.WORKER_MODULE:
            yield from _worker(arguments)
        elif module.startswith(("kfp_tabular.", "tests.benchmarks.")):
            yield from _script(_module_file(module), arguments)
        elif module not in ("pytest", "venv", "json.tool", "pip"):
            yield f"python -m {module}: not a module that these tests know"
    elif rest and rest[0].endswith(".py"):
        yield from _script(rest[0], rest[1:])


def _module_file(module: str) -> str:
    path = module.removeprefix("kfp_tabular.").replace(".", "/")
    return path if (ROOT / path / "__main__.py").is_file() else f"{path}.py"


def _script(file: str, arguments: list[str]) -> Iterator[str]:
    """Options are the strings that the script declares: importing it may need TensorFlow."""
    path = ROOT / file
    if not path.exists():
        yield f"{file} does not exist"
        return
    sources = path.glob("*.py") if path.is_dir() else [path]
    strings = {
        node.value
        for source in sources
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    for word in arguments:
        option = word.partition("=")[0]
        if option.startswith("--") and option not in strings:
            yield f"{file} has no option {option}"


def _serving(arguments: list[str]) -> Iterator[str]:
    from kfp_tabular.serving.settings import command_line

    try:
        command_line.parse(arguments, {})
    except (UserError, SystemExit) as error:
        yield f"python -m kfp_tabular.serving {' '.join(arguments)}: {error}"


def _worker(arguments: list[str]) -> Iterator[str]:
    known = {*options.describe(WorkerArguments), *options.describe(Hyperparameters), "no_export"}
    for word in arguments:
        name = word.partition("=")[0].removeprefix("--").replace("-", "_")
        if word.startswith("--") and name not in known:
            yield f"the training worker has no option {word.partition('=')[0]}"


def _kubectl(words: list[str]) -> Iterator[str]:
    yield from _foreign(words)
    if "-k" in words:
        folder = ROOT / words[words.index("-k") + 1]
        if not (folder / "kustomization.yaml").is_file():
            yield f"{folder.relative_to(ROOT)} has no kustomization.yaml"
    if "-p" in words:
        try:
            yaml.safe_load(words[words.index("-p") + 1])
        except yaml.YAMLError as error:
            yield f"kubectl: the patch is not JSON: {error}"
    for word in words[1:]:
        name, _, value = word.partition("=")
        if value.startswith("{"):
            try:
                json.loads(value)
            except ValueError as error:
                yield f"kubectl: {name} is not JSON: {error}"


def _docker(words: list[str]) -> Iterator[str]:
    end = words.index("python3") if "python3" in words else len(words)
    yield from _foreign(words[:end])
    if words[end:]:
        yield from _python(words[end:])


def _curl(words: list[str]) -> Iterator[str]:
    yield from _foreign(words)
    if not any(word.startswith(("http://", "https://")) for word in words[1:]):
        yield "curl: no address"


def _foreign(words: list[str]) -> Iterator[str]:
    program = words[0].rsplit("/", 1)[-1]
    if program in _VERBS and not _VERBS[program] & set(words[1:]):
        yield f"{program}: no verb that these tests know in {' '.join(words)}"
    for word in words[1:]:
        option = word.partition("=")[0]
        if re.fullmatch(r"-[a-zA-Z]|--[a-z-]+", option) and option not in _OPTIONS[program]:
            yield f"{program}: {option} is not an option that these tests know"


def _sh(words: list[str]) -> Iterator[str]:
    if not (ROOT / words[1]).is_file():
        yield f"{words[1]} does not exist"


_CHECKS: dict[str, Check] = {
    "kfp-tabular": _kfp_tabular,
    "make": _make,
    "python": _python,
    "python3": _python,
    "kubectl": _kubectl,
    "docker": _docker,
    "sh": _sh,
    "curl": _curl,
    "pre-commit": _foreign,
    "uv": _foreign,
}
