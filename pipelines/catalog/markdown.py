"""The reference pages as Markdown."""

from collections.abc import Iterable, Mapping, Sequence

from kfp_tabular.pipelines.catalog.artifacts import format_of
from kfp_tabular.pipelines.catalog.interface import Argument, Interface
from kfp_tabular.pipelines.catalog.metadata import Metadata

_NOTE = (
    "<!-- Generated from the component's code and metadata.yaml. Do not edit: change those and run "
    "`make docs`. -->"
)

_LINE_LENGTH = 100  # the formatter's, which looks at code in Markdown too


def page(interface: Interface, metadata: Metadata, producers: Mapping[str, str]) -> str:
    """Render the page of a component.

    Args:
        interface: The component's interface.
        metadata: Its metadata.
        producers: By artifact, the component that makes it.

    Example:
        >>> counting = Interface("count_rows", "Count rows.", "", (), (), (), ())
        >>> about = Metadata("count_rows", "Rows", "Counts rows.", "data", "tfdv", "beta", ("row",))
        >>> page(counting, about, {}).splitlines()[2]
        '# Rows'
    """
    parts = [
        _NOTE,
        f"# {metadata.title}",
        metadata.description,
        _facts(interface, metadata),
        "## What it does",
        interface.summary,
        interface.body,
        "## Inputs",
        _inputs(interface.inputs),
        "## Outputs",
        _outputs(interface.outputs),
        "## Artifacts",
        _artifacts(interface, producers),
        "## Errors",
        _errors(interface),
        "## In a pipeline",
        _fenced(example(interface)),
    ]
    return "\n\n".join(part.strip() for part in parts if part.strip()) + "\n"


def index(components: Sequence[tuple[Interface, Metadata]]) -> str:
    """Render the page that lists all components, in pipeline order.

    Example:
        >>> counting = Interface("count_rows", "Count rows.", "", (), (), (), ())
        >>> about = Metadata("count_rows", "Rows", "Counts rows.", "data", "tfdv", "beta", ("row",))
        >>> print(index([(counting, about)]).splitlines()[-1])
        | [`count_rows`](count_rows.md) | Counts rows. | data | `tfdv` | beta |
    """
    rows = [
        (
            f"[`{interface.name}`]({interface.name}.md)",
            metadata.description,
            metadata.category,
            f"`{metadata.image}`",
            metadata.stability,
        )
        for interface, metadata in components
    ]
    parts = [
        _NOTE,
        "# Components",
        "Each can be imported into any pipeline: `from kfp_tabular.components import "
        f"{components[0][0].name}`. In the order in which the training pipeline runs them:",
        _table(("Component", "What it does", "Category", "Image", "Stability"), rows),
    ]
    return "\n\n".join(parts) + "\n"


def example(interface: Interface) -> str:
    """Return the code of a pipeline with the component and its required inputs, which compiles.

    Example:
        >>> from kfp_tabular.components import ingest_data
        >>> from kfp_tabular.pipelines.catalog import interface
        >>> for line in example(interface.read(ingest_data)).splitlines()[5:]:
        ...     print(line)
        def my_pipeline(data_uri: str):
            ingest_data(
                data_uri=data_uri,
            )
    """
    required = [argument for argument in interface.inputs if argument.required]
    artifacts = [argument for argument in required if argument.artifact]
    parameters = [argument for argument in required if not argument.artifact]
    signature = ", ".join(
        [f"{a.name}_uri: str" for a in artifacts] + [f"{p.name}: {p.type}" for p in parameters]
    )
    lines = [
        "from kfp import dsl",
        f"from kfp_tabular.components import {interface.name}",
        "",
        "",
        "@dsl.pipeline",
        f"def my_pipeline({signature}):",
    ]
    for artifact in artifacts:
        values = f"artifact_uri={artifact.name}_uri, artifact_class=dsl.{artifact.type}"
        line = f"    {artifact.name} = dsl.importer({values})"
        if len(line) <= _LINE_LENGTH:
            lines.append(line)
        else:
            lines += [f"    {artifact.name} = dsl.importer(", f"        {values}", "    )"]
    if not required:
        return "\n".join([*lines, f"    {interface.name}()"])
    lines += [f"    {interface.name}("]
    lines += [f"        {a.name}={a.name}.output," for a in artifacts]
    lines += [f"        {p.name}={p.name}," for p in parameters]
    lines += ["    )"]
    return "\n".join(lines)


def _facts(interface: Interface, metadata: Metadata) -> str:
    return _table(
        ("", ""),
        [
            ("Import", f"`from kfp_tabular.components import {interface.name}`"),
            ("Image", f"`{metadata.image}`"),
            ("Category", metadata.category),
            ("Stability", metadata.stability),
            ("Tags", ", ".join(metadata.tags)),
        ],
    )


def _inputs(arguments: Iterable[Argument]) -> str:
    rows = []
    for argument in arguments:
        default = "required" if argument.required else f"`{argument.default}`"
        if argument.artifact and not argument.required:
            default = "none"
        rows.append((f"`{argument.name}`", f"`{argument.type}`", default, argument.description))
    return _table(("Name", "Type", "Default", "Description"), rows)


def _outputs(arguments: Iterable[Argument]) -> str:
    rows = [(f"`{a.name}`", f"`{a.type}`", a.description) for a in arguments]
    return _table(("Name", "Type", "Description"), rows)


def _artifacts(interface: Interface, producers: Mapping[str, str]) -> str:
    rows = []
    for argument in (*interface.inputs, *interface.outputs):
        if not argument.artifact:
            continue
        maker = producers.get(argument.name, "")
        is_input = argument in interface.inputs
        rows.append(
            (
                f"`{argument.name}`",
                f"from `{maker}`" if is_input and maker else ("input" if is_input else "output"),
                format_of(argument.name, argument.type) or "",
            )
        )
    return _table(("Name", "", "Format"), rows)


def _errors(interface: Interface) -> str:
    lines = [
        f"- `{name}`: {text}" if name else f"- {text}" for name, text in interface.raises if text
    ]
    explained = (
        "A `UserError` means bad input or configuration: the task ends with exit code 2 and one "
        "line that begins with `kfp-tabular: error:`, and a retry does not help. Any other "
        "exception is a failure of the system, with a traceback and exit code 1."
    )
    return "\n".join(lines) + "\n\n" + explained


def _table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(headers) + " |", "|" + " --- |" * len(headers)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def _fenced(code: str) -> str:
    return f"```python\n{code}\n```"
