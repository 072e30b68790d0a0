"""The charts of importance and dependence: well-formed, escaped, and within their drawing."""

import itertools
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.common import html

NAMES = st.text(min_size=1, max_size=40)
NUMBERS = st.floats(-1e6, 1e6)


def drawing(chart):
    """The chart's SVG, parsed."""
    return ElementTree.fromstring(re.search(r"<svg.*</svg>", chart, re.DOTALL).group())


def inside(root):
    """Whether all shapes lie within the drawing."""
    _, _, width, height = map(float, root.get("viewBox").split())
    for rect in root.iter("rect"):
        x, y, w, h = (float(rect.get(name)) for name in ("x", "y", "width", "height"))
        assert -1 <= x <= x + w <= width + 1
        assert -1 <= y <= y + h <= height + 1
    for circle in root.iter("circle"):
        assert -1 <= float(circle.get("cx")) <= width + 1
        assert -1 <= float(circle.get("cy")) <= height + 1


@given(bars=st.lists(st.tuples(NAMES, NUMBERS, NUMBERS, NUMBERS), max_size=25))
def test_bars_with_any_values_are_drawn(bars):
    chart = html.interval_bars(
        [name for name, *_ in bars],
        [value for _, value, *_ in bars],
        [None if low > high else (low, high) for *_, low, high in bars],
        x_label="increase",
    )
    root = drawing(chart)
    assert len(list(root.iter("rect"))) == len(bars)
    inside(root)


@given(changes=st.lists(st.tuples(NAMES, NUMBERS), max_size=20), start=NUMBERS)
def test_changes_with_any_values_are_drawn(changes, start):
    labels, values = [name for name, _ in changes], [value for _, value in changes]
    chart = html.waterfall(labels, values, start=start, ends=("from", "to"), x_label="answer")
    root = drawing(chart)
    bars = list(root.iter("rect"))
    assert len(bars) == len(changes)
    inside(root)
    # Each bar begins where the one before it ended.
    edges = [(float(bar.get("x")), float(bar.get("width"))) for bar in bars]
    ends = [{x, x + width} for x, width in edges]
    for first, second in itertools.pairwise(ends):
        assert min(abs(one - other) for one in first for other in second) <= 1


def test_changes_need_a_label_each():
    with pytest.raises(ValueError, match="1 labels, 0 changes"):
        html.waterfall(["a"], [], start=0, ends=("from", "to"), x_label="x")


def test_bars_need_a_value_and_an_interval_each():
    with pytest.raises(ValueError, match="2 labels, 1 values, 1 intervals"):
        html.interval_bars(["a", "b"], [1.0], [None], x_label="x")


@given(
    points=st.lists(
        st.tuples(NUMBERS, NUMBERS, NUMBERS), min_size=2, max_size=20, unique_by=lambda p: p[0]
    ),
    name=NAMES,
    missing=st.booleans(),
    is_time=st.booleans(),
)
def test_lines_with_any_values_are_drawn(points, name, missing, is_time):
    points = sorted(points)
    grid = [point[0] for point in points]
    lines = html.DependenceLines(
        grid,
        {name: [point[1] for point in points]},
        [[point[2] for point in points]],
        [grid[0], grid[-1]],
        [7],
        {name: points[0][1]} if missing else None,
        is_time,
    )
    ends = min(p[1] for p in points), max(p[1] for p in points)
    root = drawing(html.dependence_lines(lines, title=name, y_label="P", y_range=ends))
    inside(root)
    assert ("missing" in "".join(root.itertext())) or not missing


def test_times_are_dates():
    day = 86_400.0
    lines = html.DependenceLines(
        [0.0, 400 * day], {"y": [0.0, 1.0]}, [], [0.0, 400 * day], [3], None, is_time=True
    )
    chart = html.dependence_lines(lines, title="when", y_label="y", y_range=(0, 1))
    for date in ("1970-01-01", "1970-07-20", "1971-02-05"):
        assert date in chart


@given(
    rows=st.lists(st.tuples(NAMES, NUMBERS, st.floats(0, 1)), min_size=1, max_size=13),
    name=NAMES,
)
def test_dots_with_any_categories_are_drawn(rows, name):
    means = [mean for _, mean, _ in rows]
    chart = html.dependence_dots(
        [label for label, *_ in rows],
        {name: means},
        ranges=[None, *[(mean, mean) for mean in means[1:]]],
        shares=[share for *_, share in rows],
        title=name,
        x_label="P",
        x_range=(min(means), max(means)),
    )
    root = drawing(chart)
    assert len(list(root.iter("circle"))) == len(rows)
    inside(root)


@given(
    rows=st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), min_size=1, max_size=5),
    ends=st.tuples(NUMBERS, NUMBERS).map(sorted),
)
def test_lines_are_cut_where_they_leave_the_axis(rows, ends):
    low, high = ends
    lines = html.DependenceLines([0, 1, 2], {"yes": [low, high, low]}, rows, [0, 2], [1])

    chart = drawing(html.dependence_lines(lines, title="", y_label="", y_range=(low, high)))

    for path in chart.iter("path"):
        if "stroke-opacity" in (path.get("style") or ""):
            heights = [float(y) for _, y in re.findall(r"([\d.-]+) ([\d.-]+)", path.get("d"))]
            assert all(8 - 0.1 <= y <= 168 + 0.1 for y in heights)


@pytest.mark.parametrize("label", ["C0000484", "home_and_garden", "MMMMMM", "mmmm", "日本語"])
def test_bars_leave_room_for_their_labels(label):
    chart = drawing(html.interval_bars([label], [1.0], [None], x_label=""))

    text = next(text for text in chart.iter("text") if text.text == label)
    # 7 pixels are the mean width of a letter of 11 pixels, and of a telephone's 12.5.
    assert float(text.get("x")) >= 7 * len(label)
