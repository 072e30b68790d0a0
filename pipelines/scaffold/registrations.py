"""Text edits that add a component to each place that lists the components.

Each takes the text of its file, and leaves everything else in it as it is.
"""

import ast
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from kfp_tabular.components.common.errors import UserError

TASK_DEFINITIONS = Path("pipelines/task_definitions.py")
MAKEFILE = Path("Makefile")

_INIT = Path("components/__init__.py")
_SETUP = Path("setup.cfg")
_CONTRACTS = Path("pyproject.toml")


def add_export(text: str, name: str, folder: str) -> str:
    """Return `components/__init__.py` with a component in it: import, entry and export.

    Example:
        >>> from kfp_tabular.pipelines.catalog.generate import project_root
        >>> text = (project_root() / "components" / "__init__.py").read_text(encoding="utf-8")
        >>> for line in add_export(text, "count_rows", "row_counts").splitlines():
        ...     if line not in text.splitlines():
        ...         print(line.strip())
        from kfp_tabular.components.row_counts.component import count_rows as count_rows
        "count_rows": "row_counts",
        "count_rows",
    """
    tree = ast.parse(text)
    lines = text.splitlines()
    module = f"kfp_tabular.components.{folder}.component"
    imports = [
        node
        for block in tree.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
    ]
    table, exports = _assigned(tree, "COMPONENTS"), _assigned(tree, "__all__")
    if not imports or not isinstance(table, ast.Dict) or not isinstance(exports, ast.List):
        raise _unexpected(_INIT, "the imports, COMPONENTS and __all__")
    names = sorted([*(ast.literal_eval(entry) for entry in exports.elts), name])
    # From the end of the file to its beginning, so that line numbers stay right.
    lines[exports.lineno : (exports.end_lineno or 0) - 1] = [f'    "{entry}",' for entry in names]
    lines.insert((table.end_lineno or 0) - 1, f'    "{name}": "{folder}",')
    after = next((node for node in imports if (node.module or "") > module), None)
    at = after.lineno - 1 if after else imports[-1].end_lineno or 0
    lines.insert(at, f"    from {module} import {name} as {name}")
    return "\n".join(lines) + "\n"


def add_package(text: str, _name: str, folder: str) -> str:
    """Return `setup.cfg` with the component's package in the list.

    Example:
        >>> text = '''packages =
        ...     kfp_tabular
        ...     kfp_tabular.components.deployment
        ...     kfp_tabular.components.training
        ... '''
        >>> print(add_package(text, "count_rows", "row_counts"), end="")
        packages =
            kfp_tabular
            kfp_tabular.components.deployment
            kfp_tabular.components.row_counts
            kfp_tabular.components.training
    """
    lines = text.splitlines(keepends=True)
    prefix = "    kfp_tabular"
    package = f"{prefix}.components.{folder}\n"
    listed = [index for index, line in enumerate(lines) if line.startswith(prefix)]
    # Other sections hold lines that begin alike; the list is the first run of them.
    start = next((index for index in listed if lines[index - 1].strip() == "packages ="), None)
    if start is None:
        raise _unexpected(_SETUP, "the list of packages")
    at = start
    while lines[at].startswith(prefix) and lines[at] < package:
        at += 1
    return "".join([*lines[:at], package, *lines[at:]])


def add_contract(text: str, _name: str, folder: str) -> str:
    """Return `pyproject.toml` with the component in the layers that import-linter checks.

    Example:
        >>> add_contract('layers = ["data_ingestion | training"]', "count_rows", "row_counts")
        'layers = ["data_ingestion | training | row_counts"]'
    """
    if text.count("data_ingestion | ") != 1:
        raise _unexpected(_CONTRACTS, "the layers of the components")
    start = text.index("data_ingestion | ")
    end = text.index('"', start)
    return f"{text[:end]} | {folder}{text[end:]}"


def add_task_definition(text: str, name: str, image: str) -> str:
    """Return `pipelines/task_definitions.py` with the defaults of the component's tasks.

    Example:
        >>> text = '        TaskDefinition("deploy_model", image="serving"),'
        >>> print(add_task_definition(text, "count_rows", "tfdv"))
                TaskDefinition("count_rows", image="tfdv"),
                TaskDefinition("deploy_model", image="serving"),
    """
    argument = "" if image == "tensorflow" else f', image="{image}"'
    mark = '        TaskDefinition("deploy_model"'
    if text.count(mark) != 1:
        raise _unexpected(TASK_DEFINITIONS, "the definition for deploy_model")
    return text.replace(mark, f'        TaskDefinition("{name}"{argument}),\n{mark}')


def add_suite(text: str, folder: str, image: str) -> str:
    """Return the `Makefile` with the component's tests in the suite of its image.

    The suite of `tensorflow` has every folder that no other suite names.

    Example:
        >>> add_suite("TESTS_tfdv := $(COMPONENT_TESTS)/data_validation", "row_counts", "tfdv")
        'TESTS_tfdv := $(COMPONENT_TESTS)/data_validation $(COMPONENT_TESTS)/row_counts'
    """
    if image == "tensorflow":
        return text
    found = re.search(rf"^TESTS_{image} := (?:.*\\\n)*.*$", text, re.MULTILINE)
    if found is None:
        raise _unexpected(MAKEFILE, f"the tests of {image}")
    return f"{text[: found.end()]} $(COMPONENT_TESTS)/{folder}{text[found.end() :]}"


EDITS: Mapping[Path, Callable[[str, str, str], str]] = {
    _INIT: add_export,
    _SETUP: add_package,
    _CONTRACTS: add_contract,
}
"""By path, the edit of the file: from its text, the component's name and its folder."""


def _assigned(tree: ast.Module, name: str) -> ast.expr | None:
    for node in tree.body:
        if isinstance(node, ast.Assign) and [ast.unparse(entry) for entry in node.targets] == [
            name
        ]:
            return node.value
    return None


def _unexpected(path: Path, what: str) -> UserError:
    return UserError(f"{path}: {what} are not where they were expected; add the component by hand.")
