import itertools
import math
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kfp_tabular.components.common import html
from kfp_tabular.components.common.html.charts import svg
from kfp_tabular.components.common.html.charts.axes import fit, tick_label
from kfp_tabular.components.common.html.charts.time_axis import TimeScale
from kfp_tabular.components.common.html.style import DARK, LIGHT

NASTY = "<script>alert('x')</script> & \"q\" \x00\x07\ud800 ünï 日本"
VOID = {"meta", "br", "path", "rect", "circle"}


class Checker(HTMLParser):
    """Fails where tags do not nest, and collects them."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        for name, value in attributes:
            assert not name.startswith("on"), "no scripts in attributes"
            assert "nan" not in (value or "").lower() or name in ("aria-label", "href"), value
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def checked(markup: str) -> Checker:
    checker = Checker()
    checker.feed(markup)
    checker.close()
    assert checker.open == []
    markup.encode("utf-8")
    return checker


def test_everything_but_markup_is_escaped():
    blocks = (
        html.paragraph(NASTY),
        html.badge(NASTY, "warning"),
        html.code(NASTY),
        html.note(NASTY),
        html.link(NASTY, "a.html"),
        html.legend([NASTY]),
        html.details(NASTY, NASTY),
        html.entry(NASTY, NASTY),
        html.row(NASTY, html.badge("fine")),
        html.facts({NASTY: NASTY, "n": 3}),
        html.table([NASTY], [[NASTY]], caption=NASTY),
        html.line_chart({NASTY: [(0, 1)], "b": []}, x_label=NASTY, y_label=NASTY, title=NASTY),
        html.bar_chart([NASTY, "b"], {NASTY: [1, 2], "b": [2, 1]}, title=NASTY, y_label=NASTY),
        html.histogram([0, 1], {NASTY: [1], "b": [2]}, title=NASTY),
        html.heatmap(
            [[1.0]],
            row_labels=[NASTY],
            column_labels=[NASTY],
            row_title=NASTY,
            column_title=NASTY,
            title=NASTY,
        ),
        html.parallel_coordinates([NASTY], [[NASTY], ["b"]], [1, 2], score_label=NASTY),
        NASTY,
    )
    page = html.page(
        NASTY, [html.Section(NASTY, blocks), html.Section("b", (), True)], subtitle=NASTY
    )
    found = checked(page)
    assert "script" not in found.tags
    assert "&lt;script&gt;" in page
    assert "\x00" not in page
    assert "\ufffd" in page
    assert not re.search(r"https?://|@import|url\(|src=", page)
    assert "prefers-color-scheme:dark" in page


def test_markup_joined_with_text_is_text_again():
    assert html.escape(html.badge("a") + "<b>").startswith("&lt;span")
    assert html.escape(html.Markup("<b>")) == "<b>"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0, "0"),
        (9999, "9999"),
        (12_345, "12,345"),
        (-1_234_567, "-1,234,567"),
        (0.951234, "0.9512"),
        (12.3456, "12.35"),
        (1234.56, "1234.6"),
        (123_456.7, "123,457"),
        (3.0, "3"),
        (0.00001234, "1.23e-05"),
        (1e15, "1e+15"),
        (float("nan"), "NaN"),
        (float("inf"), "∞"),
        (-float("inf"), "-∞"),
        (np.float32(0.5), "0.5"),
        (np.int64(70_000), "70,000"),
    ],
)
def test_numbers_are_written_for_people(value, written):
    assert html.format_number(value) == written


def test_values_of_tables():
    assert html.format_value(None) == "&ndash;"
    assert html.format_value(True) == "yes"
    assert html.format_value("<") == "&lt;"
    table = html.table(["name", "score"], [["a", 0.25], ["b", None]])
    assert table.count("<td class=n>") == 2
    assert "<th scope=col class=n>score</th>" in table
    assert "class=n>name" not in table
    # A column is aligned as a whole, by what most of its cells are.
    mixed = html.table(["setting"], [[0.1], [5], ["cosine"], [None]])
    assert mixed.count("<td class=n>") == 4
    assert "class=n" not in html.table(["setting"], [["a"], [5], ["cosine"], [""]])
    # A generator will do, and so will no rows at all.
    assert html.table(["n"], ((i,) for i in range(3))).count("<tr>") == 4
    checked(html.table(["n"], []))


@pytest.mark.parametrize(
    "target", ["javascript:alert(1)", " JavaScript:alert(1)", "data:text/html,x"]
)
def test_a_link_goes_to_a_page(target):
    with pytest.raises(ValueError, match="not a link target"):
        html.link("x", target)
    assert html.link("x", "https://example.com/a:b?c=1&d") == (
        "<a href='https://example.com/a:b?c=1&amp;d'>x</a>"
    )
    assert "href='tasks/a b:c/page.html'" in html.link("x", "tasks/a b:c/page.html")


numbers = st.floats(allow_nan=True, allow_infinity=True) | st.integers(-(10**20), 10**20)


@given(
    st.dictionaries(
        st.text(max_size=4), st.lists(st.tuples(numbers, numbers), max_size=8), max_size=3
    ),
    st.booleans(),
)
def test_any_points_can_be_drawn(series, diagonal):
    checked(html.line_chart(series, x_label="x", y_label="y", diagonal=diagonal))


@given(st.lists(numbers, max_size=6), st.integers(1, 3), st.booleans() | st.none())
def test_any_bars_can_be_drawn(values, count, upright):
    labels = [f"label {i}" for i in range(len(values))]
    series = {f"s{i}": values for i in range(count)}
    checked(html.bar_chart(labels, series, upright=upright))


@given(st.lists(st.floats(), max_size=8), numbers)
def test_any_histogram_can_be_drawn(edges, height):
    edges = sorted(edge for edge in edges if not math.isnan(edge))
    checked(html.histogram(edges, {"a": [height] * max(len(edges) - 1, 0)}))


@given(
    st.lists(st.tuples(numbers, st.sampled_from(["a", "b", "3"])), min_size=0, max_size=6),
    st.data(),
)
def test_any_trials_can_be_drawn(lines, data):
    scores = data.draw(st.lists(numbers, min_size=len(lines), max_size=len(lines)))
    checked(html.parallel_coordinates(["x", "kind"], lines, scores, score_label="auc", best=0))


@given(st.lists(numbers, min_size=1, max_size=5), st.integers(1, 4))
def test_any_cells_can_be_drawn(row, rows):
    labels = [str(i) for i in range(rows)]
    columns = [str(i) for i in range(len(row))]
    drawn = html.heatmap(
        [row] * rows, row_labels=labels, column_labels=columns, row_title="r", column_title="c"
    )
    assert checked(drawn).tags.count("rect") == rows * len(row)


@given(st.lists(numbers, max_size=5), st.booleans())
def test_a_scale_holds_its_values_and_has_distinct_ticks(values, zero):
    scale = fit(values, 100, 0, zero=zero)
    assert scale.low < scale.high
    for value in values:
        assert 0 <= scale(min(max(float(value), -1e300), 1e300)) <= 100 or math.isnan(value)
    ticks = scale.ticks()
    assert 1 <= len(ticks) <= 14
    assert all(-1e-6 <= scale(value) <= 100 + 1e-6 for value, _ in ticks)


def test_ticks_are_round_and_short():
    written = [text for _, text in fit([0, 1], 0, 1).ticks()]
    assert written == ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]
    assert [text for _, text in fit([0, 4_700_000], 0, 1).ticks()][:3] == ["0", "1000k", "2000k"]
    assert [text for _, text in fit([0.5, 7], 0, 1).ticks()] == ["0", "2", "4", "6", "8"]
    assert tick_label(0.25, 0.25, 1) == "0.25"
    decades = [text for _, text in fit([1e-4, 0.1], 0, 1, logarithmic=True).ticks()]
    assert decades == ["0.0001", "0.001", "0.01", "0.1"]


def test_long_lines_are_thinned_but_keep_their_extremes():
    points = [(i, math.sin(i / 300)) for i in range(100_000)]
    points[54_321] = (54_321, 9.0)
    drawn = html.line_chart({"loss": points}, x_label="step", y_label="loss")
    assert len(drawn) < 60_000
    top = min(float(y) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", drawn))
    assert top < 40, "the spike is still there"


def test_charts_name_their_series_only_where_there_are_several():
    one = html.line_chart({"auc": [(0, 1), (1, 2)]}, x_label="x", y_label="y")
    two = html.line_chart({"auc": [(0, 1)], "loss": [(0, 1)]}, x_label="x", y_label="y")
    assert "legend" not in one
    assert two.count("<span class='s") == 2
    assert "legend" not in html.histogram([0, 1], {"a": [1], "b": [1]}, legend=False)


def test_a_chart_checks_its_lengths():
    with pytest.raises(ValueError, match="series 'a' has 1 values, not 2"):
        html.bar_chart(["x", "y"], {"a": [1]})
    with pytest.raises(ValueError, match="not 2"):
        html.histogram([0, 1, 2], {"a": [1]})
    with pytest.raises(ValueError, match="1 rows of 2"):
        html.heatmap(
            [[1]], row_labels=["a"], column_labels=["b", "c"], row_title="", column_title=""
        )
    with pytest.raises(ValueError, match="2 scores for 1 lines"):
        html.parallel_coordinates(["x"], [[1]], [1, 2], score_label="s")


def test_parallel_axes_by_category_and_by_magnitude():
    lines = [[10.0**-i, ["dnn", "linear"][i % 2]] for i in range(1, 6)]
    drawn = html.parallel_coordinates(
        ["rate", "model"], lines, [0.5, 0.9, float("nan"), 0.7, 0.6], score_label="auc", best=1
    )
    assert ">linear</text>" in drawn
    assert ">0.0001</text>" in drawn
    assert drawn.count("class='best'") == 1
    assert drawn.count("class='trial lost'") == 1
    assert drawn.rindex("class='best'") > drawn.rindex("class='trial'"), "drawn on top"


def test_a_large_heat_map_writes_its_values_in_tooltips_alone():
    size = 40
    values = [[float(i == j) for j in range(size)] for i in range(size)]
    labels = [f"class {i}" for i in range(size)]
    drawn = html.heatmap(
        values,
        row_labels=labels,
        column_labels=labels,
        row_title="actual",
        column_title="predicted",
    )
    assert "class='on'" not in drawn
    assert drawn.count("<title>") == size * size


def test_equal_axes_have_one_range_in_a_square_plot():
    drawn = html.line_chart(
        {"model": [(10, 12), (60, 55)]}, x_label="x", y_label="y", equal=True, diagonal=True
    )
    diagonal = re.search(r"class='dash' d='M([\d.]+) ([\d.]+)L([\d.]+) ([\d.]+)'", drawn)
    left, bottom, right, top = map(float, diagonal.groups())
    assert right - left == pytest.approx(bottom - top, abs=0.2)
    assert drawn.count(">60</text>") == 2, "the same ticks on both axes"


def test_levels_and_marks_are_named_and_within_the_chart():
    drawn = html.line_chart(
        {"loss": [(1, 0.5), (10, 0.4)]},
        x_label="step",
        y_label="loss",
        levels={"constant": 0.9},
        marks={"kept step": 30, "never": float("nan")},
    )
    assert ">constant</text>" in drawn
    assert ">kept step</text>" in drawn
    assert "never" not in drawn
    assert ">30</text>" in drawn, "the axis reaches the mark"


DAY = 86_400
MOMENTS = st.floats(-60_000_000_000, 250_000_000_000)


@given(start=MOMENTS, span=st.floats(2, 9e10), most=st.integers(2, 8))
def test_ticks_of_time_are_few_in_order_and_within_the_axis(start, span, most):
    scale = TimeScale(start, min(start + span, 253_402_000_000), 0, 100)
    values = [value for value, _ in scale.ticks(most)]
    assert len(values) <= 2 * most + 2
    assert values == sorted(set(values))
    assert all(scale.low <= value <= scale.high for value in values)


def test_ticks_of_time_are_round():
    def written(days, most=5):
        return [
            text for _, text in TimeScale(1704067200, 1704067200 + days * DAY, 0, 1).ticks(most)
        ]

    assert written(0.25) == [f"{hour:02}:00" for hour in range(0, 7, 3)]
    assert written(4)[:2] == ["2024-01-01", "2024-01-02"]
    assert written(120) == ["2024-01", "2024-02", "2024-03", "2024-04"]
    assert written(1500) == ["2024", "2025", "2026", "2027", "2028"]


def test_a_histogram_of_times_names_days():
    drawn = html.histogram([0, DAY, 2 * DAY], {"train": [1, 2]}, times=True)
    assert "1970-01-01 to 1970-01-02" in drawn


def test_a_logarithmic_histogram_shows_one_row_beside_thousands():
    drawn = html.histogram([0, 1, 2], {"rows": [10_000, 1]}, logarithmic=True)
    heights = sorted({float(y) for y in re.findall(r"L[\d.]+ ([\d.]+)", drawn)})
    assert heights[-1] - heights[-2] > 10, "the bar of one row is higher than the axis"


def test_a_page_within_a_run_links_to_the_others():
    links = [
        html.PageLink("Report <1>", "../report.html"),
        html.PageLink("Data", "a%20b.html", current=True),
    ]
    alone = html.page("Validation", [])
    assert "<nav" not in alone
    assert "href" not in alone
    shown = html.within_run(alone, links, context="taxi <1>.csv, run 2026-11-30 06:26")
    found = checked(shown)
    assert "nav" in found.tags
    assert "<a href='a%20b.html' aria-current=page>Data</a>" in shown
    assert "<title>Validation, taxi &lt;1&gt;.csv, run 2026-11-30 06:26</title>" in shown
    assert html.within_run("<p>drawn elsewhere</p>", links) == "<p>drawn elsewhere</p>"


def test_changes_tell_better_from_worse_in_words_and_not_in_color_alone():
    assert "better" in html.change(0.1, better=True)
    assert "&#9660; worse" in html.change(-0.1, better=False)
    assert "&#" not in html.change(-0.1, better=None)
    assert "better" not in html.change(0.0001, True, 2), "a change that is written as 0"


def _luminance(color):
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def _contrast(one, other):
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("colors", [LIGHT, DARK])
def test_colors_can_be_read_and_told_apart_by_lightness(colors):
    for name in ("ink", "soft", "accent", "good", "bad"):
        for background in ("card", "bg"):
            assert _contrast(colors[name], colors[background]) >= 4.5, (name, background)
    for tone in ("good", "warn", "bad"):
        assert _contrast(colors[tone], colors[f"{tone}-bg"]) >= 4.5, tone
    for index in range(8):
        assert _contrast(colors[f"p{index}"], colors["card"]) >= 3, index
    for one, other in (("p0", "p1"), ("p1", "p2")):
        assert _contrast(colors[one], colors[other]) >= 1.35, (one, other)
    for cell in ("heat", "miss"):
        assert _contrast("#ffffff", colors[cell]) >= 4.5, cell


def test_counts_have_ticks_at_whole_numbers_only():
    drawn = html.line_chart({"auc": [(0, 1), (1, 2), (2, 2)]}, x_label="trial", y_label="auc")
    assert ">0.5</text>" not in drawn
    assert re.findall(r">(\d)</text>", drawn[drawn.index("class='ax'") :])[:3] == ["0", "1", "2"]


@given(
    low=st.floats(-1e12, 1e12),
    span=st.floats(1e-3, 1e12),
    width=st.floats(60, 500),
    ticks=st.integers(1, 9),
)
@example(low=17_031_100_000, span=900_000, width=120, ticks=4)
def test_values_of_a_bottom_axis_do_not_run_into_each_other(low, span, width, ticks):
    scale = fit([low, low + span], start=20, end=20 + width, rounded=False)
    plot = svg.Plot(width=width + 40, height=50, left=20, top=5, right=20 + width, bottom=40)

    drawn = "".join(svg.bottom_axis(plot, scale, ticks=ticks))

    labels = re.findall(r"<text x='([0-9.]+)'[^>]*>([^<]*)</text>", drawn)
    for (left, one), (right, other) in itertools.pairwise(labels):
        assert float(right) - float(left) >= (svg.widest([one]) + svg.widest([other])) / 2 - 0.2
    assert labels or not scale.ticks(ticks)
