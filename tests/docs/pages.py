"""The documentation's pages, cut into blocks of code with what a comment before each declares.

A block is fenced and names its language. An HTML comment in the line before the fence declares
what a reader does not need to see:

    <!-- needs: cluster -->              not executed, because it needs what a test does not have
    <!-- needs: spark -->                executed where Spark can run
    <!-- in: tensorflow -->              Python for another environment than the author's
    <!-- is: output -->                  what the commands of the block before print
    <!-- is: inside pipeline -->         Python from the body of a pipeline function

Several declarations are separated by semicolons.
"""

import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]

NEEDS = frozenset({"cluster", "docker", "gpu", "internet", "clone", "minutes", "spark"})
"""What a test does not have; `spark`: not everywhere. `clone`: it changes the clone; `minutes`: it
takes too long."""

ENVIRONMENTS = frozenset({"author", "tensorflow", "serving"})
KINDS = frozenset({"output", "inside pipeline", "synopsis", "picture", "service", "job"})
LANGUAGES = frozenset({"sh", "python", "yaml", "json", "text", "dockerfile", "mermaid"})

_COMMENT = re.compile(r"\s*<!--(.*?)-->\s*", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A block of code on a page.

    Attributes:
        page: The page's path, relative to the root.
        line: The line of its fence, from 1.
        language: What the fence names.
        code: The text.
        needs: What it takes to execute it that tests do not have.
        environment: Where Python runs.
        kind: One of `KINDS`, or empty.
    """

    page: str
    line: int
    language: str
    code: str
    needs: frozenset[str] = frozenset()
    environment: str = "author"
    kind: str = ""

    @property
    def name(self) -> str:
        """Where it is, as editors and terminals write it."""
        return f"{self.page}:{self.line}"


@dataclass(frozen=True)
class Page:
    """A page.

    Attributes:
        name: Its path, relative to the root.
        text: All of it.
        blocks: Its blocks of code, in order.
        inline: Code within the text, with the line each is on.
        faults: What is wrong with its fences and comments, a line each.
    """

    name: str
    text: str
    blocks: tuple[Block, ...] = ()
    inline: tuple[tuple[int, str], ...] = ()
    faults: tuple[str, ...] = field(default=())


@cache
def load(name: str) -> Page:
    """Read a page.

    Args:
        name: Its path, relative to the root.
    """
    return parse(name, (ROOT / name).read_text(encoding="utf-8"))


def parse(name: str, text: str) -> Page:
    """Cut a page into blocks.

    Args:
        name: What the page is called in messages.
        text: Markdown.
    """
    lines = text.splitlines()
    blocks, inline, faults = [], [], []
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    for token in tokens:
        if token.type == "inline" and token.map:
            inline += [
                (token.map[0] + 1, " ".join(child.content.split()))
                for child in token.children or ()
                if child.type == "code_inline"
            ]
        if token.type not in ("fence", "code_block") or not token.map:
            continue
        line = token.map[0] + 1
        if token.type == "code_block":
            faults.append(f"{name}:{line}: indented code: fence it, and name its language")
            continue
        declared = _declarations(lines, token.map[0], f"{name}:{line}", faults)
        language = token.info.strip()
        if language not in LANGUAGES:
            faults.append(f"{name}:{line}: language {language!r}: use one of {sorted(LANGUAGES)}")
        needs = frozenset(declared.get("needs", "").replace(",", " ").split())
        environment = declared.get("in", "author")
        kind = declared.get("is", "")
        for given, known in ((needs, NEEDS), ({environment}, ENVIRONMENTS), ({kind} - {""}, KINDS)):
            faults += [f"{name}:{line}: {word!r} is not known" for word in sorted(given - known)]
        blocks.append(Block(name, line, language, token.content, needs, environment, kind))
    return Page(name, text, tuple(blocks), tuple(inline), tuple(faults))


def _declarations(lines: list[str], fence: int, where: str, faults: list[str]) -> dict[str, str]:
    found = _COMMENT.fullmatch(lines[fence - 1]) if fence else None
    declared = {}
    for part in found[1].split(";") if found else ():
        key, colon, value = part.partition(":")
        if not colon or key.strip() not in ("needs", "in", "is"):
            faults.append(f"{where}: comment {part.strip()!r}: expected needs, in or is")
        declared[key.strip()] = value.strip()
    return declared
