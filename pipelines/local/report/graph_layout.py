"""The layout of a directed acyclic graph: nodes in layers, from left to right.

After Sugiyama, Tagawa and Toda, "Methods for visual understanding of hierarchical system
structures" (1981): assign layers, let long edges pass through every layer between, order each layer
so that few edges cross, then move nodes towards their neighbors.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_SWEEPS = 40

# How strongly segments are kept straight: most of all those of a longest chain of nodes, then long
# edges where they pass layers, then edges between two nodes, then the ends of long edges.
_SPINE, _PASSING, _DIRECT, _ENDING = 1000.0, 50.0, 2.0, 0.1

# A point is a node in its layer, or the place where a node's long edges pass another layer.
_Point = tuple[str, int]


@dataclass(frozen=True)
class Layout:
    """A drawing of a graph.

    Attributes:
        layer: Each node's layer, from 0.
        height: Each node's vertical position: the center of a node that is 1 high; the topmost
            node or edge is at 0.
        routes: Each edge's vertical positions, from its first node's layer to its last node's,
            one per layer.
    """

    layer: Mapping[str, int]
    height: Mapping[str, float]
    routes: Mapping[tuple[str, str], tuple[float, ...]]


def lay_out(
    nodes: Sequence[str],
    edges: Sequence[tuple[str, str]],
    *,
    gap: float = 0.5,
    lane: float = 0.35,
) -> Layout:
    """Lay out a graph.

    Args:
        nodes: The nodes' names, each after those that have an edge to it.
        edges: Pairs of names.
        gap: Between two nodes of a layer, as a share of a node's height.
        lane: The room that an edge needs where it passes a layer, in the same unit.

    Example:
        >>> lay_out(["a", "b", "c"], [("a", "b"), ("b", "c")]).layer
        {'a': 0, 'b': 1, 'c': 2}
    """
    layer = _layers(nodes, edges)
    segments = _segments(edges, layer)
    layers = _ordered(nodes, layer, segments)
    heights = _heights(layers, segments, layer, gap, lane)
    top = min(heights.values(), default=0.0)
    return Layout(
        layer=layer,
        height={name: heights[name, layer[name]] - top for name in nodes},
        routes={
            (first, last): (
                *(heights[first, index] - top for index in range(layer[first], layer[last])),
                heights[last, layer[last]] - top,
            )
            for first, last in edges
        },
    )


def _layers(nodes: Sequence[str], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    layer = dict.fromkeys(nodes, 0)
    for name in nodes:
        layer[name] = max((layer[first] + 1 for first, last in edges if last == name), default=0)
    starts = set(nodes) - {last for _, last in edges}
    for name in starts:
        # A node without predecessors goes into the layer before its first successor.
        layer[name] = min((layer[last] - 1 for first, last in edges if first == name), default=0)
    return layer


def _segments(
    edges: Sequence[tuple[str, str]], layer: Mapping[str, int]
) -> list[tuple[_Point, _Point]]:
    """Cut edges at layers. Long edges of one node share their segments, and are drawn as one."""
    segments: dict[tuple[_Point, _Point], None] = {}
    for first, last in edges:
        for index in range(layer[first], layer[last]):
            end = last if index + 1 == layer[last] else first
            segments[(first, index), (end, index + 1)] = None
    return list(segments)


def _ordered(
    nodes: Sequence[str], layer: Mapping[str, int], segments: Sequence[tuple[_Point, _Point]]
) -> list[list[_Point]]:
    """Order each layer's points so that few segments cross."""
    points = dict.fromkeys((name, layer[name]) for name in nodes)
    points.update(dict.fromkeys(point for segment in segments for point in segment))
    layers: list[list[_Point]] = [[] for _ in range(max(layer.values(), default=-1) + 1)]
    for point in points:
        layers[point[1]].append(point)
    best, fewest = [list(row) for row in layers], _crossings(layers, segments)
    for sweep in range(_SWEEPS):
        forwards = sweep % 2 == 0
        for row in layers[1:] if forwards else layers[-2::-1]:
            place = {point: index for other in layers for index, point in enumerate(other)}
            row.sort(key=lambda point: _barycenter(point, place, segments, forwards))
        crossings = _crossings(layers, segments)
        if crossings < fewest:
            best, fewest = [list(row) for row in layers], crossings
    return best


def _barycenter(
    point: _Point,
    place: Mapping[_Point, int],
    segments: Sequence[tuple[_Point, _Point]],
    forwards: bool,
) -> float:
    """Return the mean position of a point's neighbors in the layer before, or after."""
    neighbors = [
        place[first if forwards else last]
        for first, last in segments
        if (last if forwards else first) == point
    ]
    return sum(neighbors) / len(neighbors) if neighbors else place[point]


def _crossings(
    layers: Sequence[Sequence[_Point]], segments: Sequence[tuple[_Point, _Point]]
) -> int:
    place = {point: index for row in layers for index, point in enumerate(row)}
    count = 0
    for index, (first, last) in enumerate(segments):
        for other_first, other_last in segments[index + 1 :]:
            if first[1] == other_first[1]:
                before = place[first] - place[other_first]
                after = place[last] - place[other_last]
                count += before * after < 0
    return count


def _heights(
    layers: Sequence[Sequence[_Point]],
    segments: Sequence[tuple[_Point, _Point]],
    layer: Mapping[str, int],
    gap: float,
    lane: float,
) -> dict[_Point, float]:
    """Move points towards their neighbors; keep their order and distances."""
    nodes: set[_Point] = set(layer.items())
    spine = _spine(segments, layer)
    neighbors: dict[_Point, list[tuple[_Point, float]]] = {
        point: [] for row in layers for point in row
    }
    for first, last in segments:
        pull = (_PASSING, _ENDING, _DIRECT)[(first in nodes) + (last in nodes)]
        if first in spine and last in spine:
            pull = _SPINE
        neighbors[first].append((last, pull))
        neighbors[last].append((first, pull))
    offsets = [_offsets([point in nodes for point in row], gap, lane) for row in layers]
    heights = {
        point: offset - row_offsets[-1] / 2
        for row, row_offsets in zip(layers, offsets, strict=True)
        for point, offset in zip(row, row_offsets, strict=True)
    }
    for sweep in range(_SWEEPS):
        forwards = sweep % 2 == 0
        for index in range(len(layers)) if forwards else reversed(range(len(layers))):
            row = layers[index]
            wanted = [_mean([(heights[p], pull) for p, pull in neighbors[q]]) for q in row]
            free = [
                (heights[point] if want is None else want) - offset
                for point, want, offset in zip(row, wanted, offsets[index], strict=True)
            ]
            weights = [sum(pull for _, pull in neighbors[point]) or 0.1 for point in row]
            for point, value, offset in zip(
                row, _ascending(free, weights), offsets[index], strict=True
            ):
                heights[point] = value + offset
    return heights


def _spine(segments: Sequence[tuple[_Point, _Point]], layer: Mapping[str, int]) -> set[_Point]:
    """Return the nodes of one chain that has a node in every layer up to the last."""
    point = max(layer.items(), key=lambda node: node[1], default=None)
    spine: set[_Point] = set()
    while point is not None:
        spine.add(point)
        before = (
            first for first, last in segments if last == point and layer[first[0]] == first[1]
        )
        point = next(before, None)
    return spine


def _offsets(are_nodes: Sequence[bool], gap: float, lane: float) -> list[float]:
    """Return each point's smallest distance from the first point of its layer."""
    offsets = [0.0]
    for upper, lower in itertools.pairwise(are_nodes):
        halves = sum((1.0 if is_node else lane) / 2 for is_node in (upper, lower))
        offsets.append(offsets[-1] + halves + (gap if upper and lower else gap / 2))
    return offsets


def _mean(values: Sequence[tuple[float, float]]) -> float | None:
    whole = sum(weight for _, weight in values)
    return sum(value * weight for value, weight in values) / whole if whole else None


def _ascending(values: Sequence[float], weights: Sequence[float]) -> list[float]:
    """Return the ascending values nearest to the given ones (pool adjacent violators).

    Example:
        >>> _ascending([1.0, 3.0, 2.0], [1.0, 1.0, 1.0])
        [1.0, 2.5, 2.5]
    """
    pools: list[tuple[float, float, int]] = []
    for value, weight in zip(values, weights, strict=True):
        pool = (value, weight, 1)
        while pools and pools[-1][0] > pool[0]:
            before = pools.pop()
            whole = before[1] + pool[1]
            mean = (before[0] * before[1] + pool[0] * pool[1]) / whole
            pool = (mean, whole, before[2] + pool[2])
        pools.append(pool)
    return [value for value, _, count in pools for _ in range(count)]
