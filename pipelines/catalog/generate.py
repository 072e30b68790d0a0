"""Generating all pages, and comparing them with the files."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from kfp_tabular import components
from kfp_tabular.components.common import files
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.pipelines.catalog import interface, markdown, metadata

_PAGES = Path("docs/components")


@dataclass(frozen=True)
class Catalog:
    """The generated pages.

    Attributes:
        pages: Text by path, relative to the project's root.
        problems: The problems of the components' documentation, a sentence each.
    """

    pages: Mapping[Path, str]
    problems: tuple[str, ...]


def project_root() -> Path:
    """Return the root of the source tree that the package runs from.

    Raises:
        UserError: If the package is installed without its source tree.

    Example:
        >>> (project_root() / "setup.cfg").is_file()
        True
    """
    root = Path(components.__path__[0]).resolve().parent
    if not (root / "setup.cfg").is_file():
        raise UserError(
            f"{root}: not a clone of the project. Run this command in one, after 'make setup'."
        )
    return root


def catalog(root: Path, names: Iterable[str] = tuple(components.COMPONENTS)) -> Catalog:
    """Generate the pages of components, and the page that lists them.

    Args:
        root: The project's root.
        names: The components, in pipeline order.

    Raises:
        UserError: If a component's metadata is invalid.

    Example:
        >>> for path in catalog(project_root(), ["ingest_data"]).pages:
        ...     print(path)
        components/data_ingestion/README.md
        docs/components/ingest_data.md
        docs/components/README.md
    """
    described = []
    problems = []
    for name in names:
        folder = components.COMPONENTS[name]
        path = root / "components" / folder / metadata.FILE_NAME
        read = interface.read(getattr(components, name))
        about = metadata.load(path, name)
        described.append((read, about))
        problems += [f"{name}: {problem}" for problem in read.problems]
        image = _image(name)
        if image != about.image:
            problems.append(f"{name}: runs in image {image!r}, metadata.yaml has {about.image!r}")
    producers = {
        output.name: read.name
        for read, _ in described
        for output in read.outputs
        if output.artifact
    }
    pages = {}
    for read, about in described:
        text = markdown.page(read, about, producers)
        pages[Path("components") / components.COMPONENTS[read.name] / "README.md"] = text
        pages[_PAGES / f"{read.name}.md"] = text
    pages[_PAGES / "README.md"] = markdown.index(described)
    return Catalog(pages=pages, problems=tuple(problems))


def write(root: Path, pages: Mapping[Path, str]) -> list[Path]:
    """Write the pages that differ from their files, and delete those of removed components.

    Returns:
        The paths that changed.

    Example:
        >>> import tempfile
        >>> pages = {Path("docs/components/ingest_data.md"): "# Ingest data"}
        >>> with tempfile.TemporaryDirectory() as root:
        ...     write(Path(root), pages)
        ...     write(Path(root), pages)
        [PosixPath('docs/components/ingest_data.md')]
        []
    """
    changed = stale(root, pages)
    for path in changed:
        if path in pages:
            files.write_text(root / path, pages[path])
        else:
            (root / path).unlink()
    return changed


def stale(root: Path, pages: Mapping[Path, str]) -> list[Path]:
    """Return the paths whose files differ from the generated pages.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as root:
        ...     stale(Path(root), {Path("docs/components/ingest_data.md"): "# Ingest data"})
        [PosixPath('docs/components/ingest_data.md')]
    """
    differ = [path for path, text in pages.items() if _read(root / path) != text]
    left = {path.relative_to(root) for path in (root / _PAGES).glob("*.md")} - set(pages)
    return sorted([*differ, *left])


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def _image(name: str) -> str:
    image: str = getattr(components, name).component_spec.implementation.container.image
    return image.rpartition("/")[2].partition(":")[0]
