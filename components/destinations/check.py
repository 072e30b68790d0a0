"""The logic of `check_destinations`."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from kfp_tabular.components.common import files, options
from kfp_tabular.components.common.storage import writability
from kfp_tabular.components.common.storage.location import parse
from kfp_tabular.components.destinations import places, volume
from kfp_tabular.components.destinations.options import DestinationOptions

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DestinationRequest:
    """The input of the component.

    Attributes:
        summary: The Markdown file to write.
        options: The component's options.
    """

    summary: Path
    options: DestinationOptions = field(default_factory=DestinationOptions)


def run(request: DestinationRequest) -> None:
    """Prepare volumes, then check that each place can be written. Leaves nothing behind.

    Args:
        request: The input.

    Raises:
        UserError: For the first place that cannot be written, or volume that cannot be prepared.
    """
    options.check(request.options)
    given = vars(request.options)
    named = ((argument, places.of_argument(argument, given)) for argument in places.ARGUMENTS)
    wanted = [(argument, uri) for argument, uri in named if uri]
    lines = []
    for mount in request.options.prepare:
        path = Path(mount)
        changed = volume.prepare(path, _below(path, [uri for _, uri in wanted]))
        what = f"made writable for group {path.stat().st_gid}: {', '.join(map(str, changed))}"
        lines.append(f"- volume {mount}: {what if changed else 'writable for its group already'}")
    for argument, uri in wanted:
        writability.check(uri, argument)
        lines.append(f"- `{argument}` {uri}: can be written")
    for line in lines or ["- No place was named."]:
        _logger.info("%s", line.removeprefix("- "))
    text = "\n".join(["# Destinations", "", *(lines or ["- No place was named."])])
    files.write_text(request.summary, text + "\n")


def _below(mount: Path, uris: Iterable[str]) -> list[Path]:
    """Return the local places that are on a volume."""
    paths = [parse(uri).path for uri in uris if parse(uri).is_local]
    return [path for path in paths if path.is_relative_to(mount)]
