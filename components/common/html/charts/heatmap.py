"""Grids of cells, the darker the larger the value."""

import math
from collections.abc import Sequence

from kfp_tabular.components.common.html.charts import svg
from kfp_tabular.components.common.html.markup import Markup, format_number

_WRITTEN_CELLS = 400  # a heat map with more cells shows its values in tooltips alone


def heatmap(
    values: Sequence[Sequence[float]],
    *,
    row_labels: Sequence[str],
    column_labels: Sequence[str],
    row_title: str,
    column_title: str,
    title: str = "",
    diagonal: bool = False,
    root: bool = False,
) -> Markup:
    """Return a grid of cells; the larger a value, the darker its cell.

    Args:
        values: A row of values per row label; NaN leaves a cell blank.
        row_labels: The names of the rows, from the top.
        column_labels: The names of the columns, from the left.
        row_title: The label of the rows.
        column_title: The label of the columns.
        title: The title above the chart.
        diagonal: Whether the cells off the diagonal have another hue: those of a confusion matrix
            are errors.
        root: Whether cells darken with the square root of their value, for counts of which few are
            large.

    Raises:
        ValueError: The numbers of values and labels differ.

    Example:
        >>> names = ["no", "yes"]
        >>> titles = {"row_title": "actual", "column_title": "predicted"}
        >>> chart = heatmap([[50, 3], [7, 40]], row_labels=names, column_labels=names, **titles)
        >>> chart.count("<rect")
        4
        >>> heatmap([[50, 3]], row_labels=names, column_labels=names, **titles)
        Traceback (most recent call last):
        ...
        ValueError: values are not 2 rows of 2
    """
    if len(values) != len(row_labels) or any(len(r) != len(column_labels) for r in values):
        raise ValueError(f"values are not {len(row_labels)} rows of {len(column_labels)}")
    largest = max((abs(v) for r in values for v in r if svg.finite(v)), default=0) or 1.0
    rows, columns = len(row_labels), max(len(column_labels), 1)
    margin = svg.widest(svg.shorten(name, 24) for name in row_labels)
    left, top = margin + 34, 22.0
    cell = min(max(430.0 / columns, 6.0), 84.0)
    tall = min(cell, max(430.0 / max(rows, 1), 4.0), 48.0)
    written = rows * columns <= _WRITTEN_CELLS and cell >= 26
    below = svg.widest(svg.shorten(name, 24) for name in column_labels)
    turned = svg.widest(column_labels) > cell - 4
    grid_bottom = top + rows * tall
    height = grid_bottom + (below + 14 if turned else 20)
    width = max(left + columns * cell + 8, 240.0)
    parts = [
        svg.text(left + columns * cell / 2, 13, column_title, anchor="middle", css="al"),
        svg.text(11, top + rows * tall / 2, row_title, anchor="middle", css="al", turn=-90),
    ]
    every_row, every_column = math.ceil(13 / tall), math.ceil(13 / cell)
    for i, name in enumerate(row_labels):
        y = top + i * tall
        if i % every_row == 0:
            parts.append(svg.text(left - 6, y + tall / 2 + 4, svg.shorten(name, 24), anchor="end"))
        for j, other in enumerate(column_labels):
            at = left + j * cell, y, cell, tall
            tip = f"{row_title}: {name}\n{column_title}: {other}"
            css = "cell miss" if diagonal and i != j else "cell"
            share = abs(values[i][j]) / largest
            share = math.sqrt(share) if root and svg.finite(share) else share
            parts.append(_heat_cell(values[i][j], share, at, tip, css, written))
    for j, name in enumerate(column_labels):
        x = left + (j + 0.5) * cell
        if turned and j % every_column == 0:
            short = svg.shorten(name, 24)
            parts.append(svg.text(x + 4, grid_bottom + 8, short, anchor="end", turn=-90))
        elif not turned:
            parts.append(svg.text(x, grid_bottom + 15, name, anchor="middle"))
    label = f"{title or 'Cells'}: {row_title} by {column_title}"
    return svg.figure(width, height, parts, title=title, label=label, grows=False)


def _heat_cell(
    value: float,
    share: float,
    at: tuple[float, float, float, float],
    tip: str,
    css: str,
    written: bool,
) -> str:
    x, y, width, height = at
    if not svg.finite(value):
        return svg.rect((x, y, width - 1, height - 1), "void", tip)
    tip = f"{tip}\n{format_number(value)}"
    # Never fully transparent, so that a zero is visible as a cell.
    cell = svg.rect((x, y, width - 1, height - 1), css, tip)
    cell = cell.replace("class=", f"fill-opacity='{0.05 + 0.95 * share:.3g}' class=", 1)
    if not written:
        return cell
    ink = "on" if share > 0.5 else "off"
    content = format_number(value)
    if len(content) * svg.CHARACTER > width - 2:
        return cell
    return cell + svg.text(x + width / 2, y + height / 2 + 4, content, anchor="middle", css=ink)
