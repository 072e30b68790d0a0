"""The graph of a run's tasks as SVG, for the report."""

from collections.abc import Mapping, Sequence

from kfp_tabular.components.common.html import Markup, escape
from kfp_tabular.components.common.html.charts import svg
from kfp_tabular.pipelines.local.report.graph_layout import Layout, lay_out
from kfp_tabular.pipelines.local.report.run_summary import TaskRecord
from kfp_tabular.pipelines.local.report.task_graph import Graph, Node
from kfp_tabular.pipelines.local.report.timing_bars import duration

_BOX_WIDTH, _BOX_HEIGHT = 144.0, 48.0
_GAP = 28.0  # between two layers
_MARGIN = 4.0
_CAPTION = 16.0  # room above a box for its condition
_LONGEST_NAME = 20
_LONGEST_CONDITION = 24
# A drawing with more layers keeps its size and scrolls, so that text stays readable.
_FITS = 7
# On a narrower page a drawing scrolls, too: its text would be too small to read.
_LEAST_SCALE = 0.85

_STYLE = """<style>
.task rect{fill:var(--card);stroke:var(--rule);stroke-width:1.2}
.task .name{font-size:11.5px;font-weight:500;fill:var(--ink)}
.task .state{fill:var(--soft)}
.task:hover rect{stroke-width:2}
.task.succeeded rect{fill:var(--good-bg);stroke:var(--good)}
.task.succeeded .state{fill:var(--good)}
.task.cached rect{stroke:var(--good)}
.task.cached .state{fill:var(--good)}
.task.stopped rect{stroke:var(--warn)}
.task.stopped .state{fill:var(--warn)}
.task.failed rect{fill:var(--bad-bg);stroke:var(--bad)}
.task.failed .state{fill:var(--bad)}
.task.conditional rect{stroke-dasharray:5 3}
.when{font-style:italic}
.wire{fill:none;stroke:var(--soft);stroke-opacity:.55;stroke-width:1.3}
.tip{fill:var(--soft)}
</style>"""


def anchor(task: str) -> str:
    """Return the id of a task's entry on the page.

    Example:
        >>> anchor("train-model")
        'task-train-model'
    """
    return f"task-{task}"


def draw_graph(graph: Graph, tasks: Mapping[str, TaskRecord]) -> Markup:
    """Draw a graph of tasks; each box shows how its task ended and links to its entry on the page.

    Args:
        graph: The tasks and what waits for what.
        tasks: How each ended, by name; one that is missing is drawn as skipped.

    Example:
        >>> record = TaskRecord("ingest-data", "succeeded", seconds=3.2)
        >>> drawing = draw_graph(Graph((Node("ingest-data"),), ()), {"ingest-data": record})
        >>> drawing.partition("<title>")[2].partition("</title>")[0].splitlines()
        ['ingest-data', 'succeeded · 3.2 s']
    """
    layout = lay_out([node.name for node in graph.nodes], graph.edges, gap=0.6, lane=0.25)
    deepest = max(layout.layer.values(), default=0)
    top, bottom = _extent(layout)
    width = 2 * _MARGIN + (deepest + 1) * _BOX_WIDTH + deepest * _GAP
    parts = [_wire(first, last, layout) for first, last in graph.edges]
    parts += [_box(node, layout, tasks.get(node.name)) for node in graph.nodes]
    drawing = f"<g transform='translate(0 {svg.pixels(-top)})'>{''.join(parts)}</g>"
    figure = _figure(width, bottom - top, [_STYLE, drawing], "graph of tasks")
    if deepest < _FITS:
        return figure
    return Markup(f"<div class='scroll'><div style='width:{width:.0f}px'>{figure}</div></div>")


def _x(layer: int) -> float:
    return _MARGIN + layer * (_BOX_WIDTH + _GAP)


def _y(height: float) -> float:
    """Return the pixels of a height's middle."""
    return height * _BOX_HEIGHT


def _extent(layout: Layout) -> tuple[float, float]:
    """Return the topmost and the lowest pixel of boxes and edges."""
    boxes = [_y(height) for height in layout.height.values()] or [0.0]
    edges = [_y(height) for route in layout.routes.values() for height in route] or [0.0]
    top = min(min(boxes) - _BOX_HEIGHT / 2 - _CAPTION, *edges)
    bottom = max(max(boxes) + _BOX_HEIGHT / 2, *edges)
    return top - _MARGIN, bottom + _MARGIN


def _wire(first: str, last: str, layout: Layout) -> str:
    """Draw an edge: level past boxes, curved between layers, with an arrow's tip at its end."""
    start, route = layout.layer[first], layout.routes[first, last]
    tip = 6.0
    x, y = _x(start) + _BOX_WIDTH, _y(route[0])
    drawn = [f"M{svg.pixels(x)} {svg.pixels(y)}"]
    for offset, height in enumerate(route[1:], start=1):
        left, level = _x(start + offset), _y(height)
        is_last = offset == len(route) - 1
        end = left - tip if is_last else left
        middle = (x + end) / 2
        drawn.append(
            f"C{svg.pixels(middle)} {svg.pixels(y)} {svg.pixels(middle)} {svg.pixels(level)} "
            f"{svg.pixels(end)} {svg.pixels(level)}"
        )
        if not is_last:
            drawn.append(f"H{svg.pixels(left + _BOX_WIDTH)}")
        x, y = left + _BOX_WIDTH, level
    end, level = _x(layout.layer[last]), _y(route[-1])
    return (
        f"<path class='wire' d='{''.join(drawn)}'/>"
        f"<path class='tip' d='M{svg.pixels(end)} {svg.pixels(level)}l-7 -4v8z'/>"
    )


def _box(node: Node, layout: Layout, task: TaskRecord | None) -> str:
    status = task.status if task else "skipped"
    x, y = _x(layout.layer[node.name]), _y(layout.height[node.name]) - _BOX_HEIGHT / 2
    middle = x + _BOX_WIDTH / 2
    state = duration(task.seconds) if task and status != "skipped" else ""
    words = " · ".join(filter(None, (status, state)))
    tooltip = "\n".join(
        filter(None, (node.name, node.condition, words, task.error if task else ""))
    )
    parts = [
        f"<a href='#{escape(anchor(node.name))}'>"
        f"<g class='task {status}{' conditional' if node.condition else ''}'>"
        f"<title>{escape(tooltip)}</title>"
        f"<rect x='{svg.pixels(x)}' y='{svg.pixels(y)}' width='{svg.pixels(_BOX_WIDTH)}' "
        f"height='{svg.pixels(_BOX_HEIGHT)}' rx='8'/>",
        svg.text(
            middle,
            y + 20,
            svg.shorten(node.name, _LONGEST_NAME),
            anchor="middle",
            css="name",
        ),
        svg.text(middle, y + 37, words, anchor="middle", css="state"),
    ]
    if node.condition:
        condition = svg.shorten(node.condition, _LONGEST_CONDITION)
        parts.append(svg.text(middle, y - 5, condition, anchor="middle", css="when"))
    return "".join([*parts, "</g></a>"])


def _figure(width: float, height: float, parts: Sequence[str], label: str) -> Markup:
    """Put a drawing into a figure whose links stay accessible.

    It shrinks with the page, and scrolls where its text would be too small to read.
    """
    wide, high = svg.pixels(width), svg.pixels(height)
    least = svg.pixels(width * _LEAST_SCALE)
    return Markup(
        f"<figure class='scroll' style='max-width:{wide}px'>"
        f"<svg viewBox='0 0 {wide} {high}' style='min-width:{least}px' "
        f"aria-label='{escape(label)}'>{''.join(parts)}</svg></figure>"
    )
