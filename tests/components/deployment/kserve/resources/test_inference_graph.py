"""The InferenceGraph that shares traffic."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.deployment.kserve.resources.inference_graph import (
    build_inference_graph,
)
from tests.cluster import schemas

names = st.from_regex(r"[a-z]([-a-z0-9]{0,40}[a-z0-9])?", fullmatch=True)


@st.composite
def shares(draw: st.DrawFn) -> dict[str, int]:
    services = draw(st.lists(names, min_size=2, max_size=5, unique=True))
    cuts = sorted(draw(st.lists(st.integers(0, 100), min_size=len(services) - 1, max_size=4)))
    bounds = [0, *cuts[: len(services) - 1], 100]
    return {
        service: high - low
        for service, low, high in zip(services, bounds, bounds[1:], strict=False)
    }


@schemas.needed
@given(shares(), st.sampled_from(["Standard", "Knative"]), st.sampled_from(["", "ml"]))
def test_every_graph_fits_its_schema(shared: dict[str, int], mode: str, namespace: str) -> None:
    graph = build_inference_graph("a-graph-of-its-own", mode, shared, namespace)

    assert schemas.problems(graph) == []
    steps = graph["spec"]["nodes"]["root"]["steps"]
    assert {step["serviceName"]: step["weight"] for step in steps} == shared
    assert graph["metadata"]["annotations"]["serving.kserve.io/deploymentMode"] == mode


@pytest.mark.parametrize(
    ("name", "shared", "message"),
    [
        ("g", {"a": 50, "b": 60}, "must add up to 100, found 50 + 60"),
        ("g", {"a": 100}, "two endpoints or more"),
        ("g", {}, "two endpoints or more"),
        ("g", {"a": 120, "b": -20}, "must add up to 100"),
        ("a", {"a": 50, "b": 50}, "cannot have the name of an endpoint"),
        ("g", {"A": 50, "b": 50}, "split: 'A': expected at most 63"),
    ],
)
def test_a_split_that_cannot_be_is_said(name: str, shared: dict[str, int], message: str) -> None:
    with pytest.raises(UserError) as caught:
        build_inference_graph(name, "Standard", shared)

    assert message in str(caught.value)
