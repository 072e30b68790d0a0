import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_tabular.pipelines.local.report.graph_layout import lay_out

CHAIN = ["a", "b", "c", "d"]


@st.composite
def graphs(draw):
    count = draw(st.integers(0, 14))
    nodes = [f"n{index}" for index in range(count)]
    pairs = list(itertools.combinations(nodes, 2))
    edges = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=30)) if pairs else []
    return nodes, edges


@settings(deadline=None)
@given(graphs())
def test_any_graph_is_drawn_without_overlaps(graph):
    nodes, edges = graph
    layout = lay_out(nodes, edges, gap=0.5, lane=0.3)
    assert set(layout.layer) == set(layout.height) == set(nodes)
    for first, last in edges:
        assert layout.layer[first] < layout.layer[last]
        route = layout.routes[first, last]
        assert len(route) == layout.layer[last] - layout.layer[first] + 1
        assert route[0] == pytest.approx(layout.height[first])
        assert route[-1] == pytest.approx(layout.height[last])
        # A long edge passes between nodes, not through them.
        for offset, height in enumerate(route[1:-1], start=1):
            for name in nodes:
                if layout.layer[name] == layout.layer[first] + offset:
                    assert abs(layout.height[name] - height) > 0.5
    for one, other in itertools.combinations(nodes, 2):
        if layout.layer[one] == layout.layer[other]:
            assert abs(layout.height[one] - layout.height[other]) > 1.49
    tops = [*layout.height.values(), *itertools.chain(*layout.routes.values())]
    assert min(tops, default=0.0) == pytest.approx(0.0)


def test_a_chain_is_one_line_even_with_long_edges():
    edges = [*itertools.pairwise(CHAIN), ("a", "c"), ("a", "d"), ("b", "d")]
    layout = lay_out(CHAIN, edges)
    assert [layout.layer[name] for name in CHAIN] == [0, 1, 2, 3]
    heights = [layout.height[name] for name in CHAIN]
    assert max(heights) - min(heights) < 0.03


def test_edges_that_need_not_cross_do_not():
    nodes = ["a", "b", "x", "y"]
    layout = lay_out(nodes, [("a", "y"), ("b", "x")])
    order = (layout.height["a"] - layout.height["b"]) * (layout.height["y"] - layout.height["x"])
    assert order > 0


def test_a_late_start_stands_beside_what_needs_it():
    layout = lay_out(["a", "b", "late", "c"], [("a", "b"), ("b", "c"), ("late", "c")])
    assert layout.layer["late"] == 1


def test_the_same_graph_is_drawn_the_same_way():
    edges = [("a", "b"), ("b", "c"), ("a", "c"), ("b", "d"), ("c", "d")]
    assert lay_out(CHAIN, edges) == lay_out(CHAIN, edges)
