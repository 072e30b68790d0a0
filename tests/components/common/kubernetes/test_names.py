import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.common.kubernetes.client import resource_kinds
from kfp_tabular.components.common.kubernetes.names import (
    RUN_LABEL,
    Identity,
    input_digest,
    run_of,
    spec_digest,
)

KINDS = [value for value in vars(resource_kinds).values() if isinstance(value, resource_kinds.Kind)]
DNS_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")

identities = st.builds(Identity, st.text(max_size=80), st.text(max_size=80), st.text(max_size=64))


@given(identities, st.sampled_from(KINDS), st.integers(20, 70))
def test_names_are_valid_and_short_enough(
    identity: Identity, kind: resource_kinds.Kind, limit: int
) -> None:
    for name, longest in (
        (identity.name(kind), kind.name_limit),
        (identity.name(kind, limit), min(limit, kind.name_limit)),
    ):
        assert DNS_1035.fullmatch(name)
        assert len(name) <= min(longest, 63)


@given(identities)
def test_labels_are_valid(identity: Identity) -> None:
    for value in identity.labels().values():
        assert LABEL_VALUE.fullmatch(value)
        assert len(value) <= 63


@pytest.mark.parametrize("part", [0, 1, 2])
def test_each_part_makes_another_name(part: int) -> None:
    base = ["run", "task", "digest"]
    other = [value + "x" * (index == part) for index, value in enumerate(base)]
    assert Identity(*base).name(resource_kinds.TFJOB) != Identity(*other).name(resource_kinds.TFJOB)


def test_a_name_is_readable_and_stable() -> None:
    identity = Identity("5a3c", "Train model (2)", "d1")
    assert re.fullmatch(r"train-model-2-[0-9a-f]{10}", identity.name(resource_kinds.TFJOB))
    assert identity.name(resource_kinds.TFJOB) == Identity("5a3c", "Train model (2)", "d1").name(
        resource_kinds.TFJOB
    )


def test_without_a_run_there_is_no_label_for_it() -> None:
    assert RUN_LABEL not in Identity("", "task", "").labels()


def test_the_parts_of_a_digest_do_not_run_together() -> None:
    assert input_digest("ab", "c") != input_digest("a", "bc")
    assert input_digest({"a": 1, "b": 2}) == input_digest({"b": 2, "a": 1})


def test_what_a_spec_digest_is_about() -> None:
    resource = {"apiVersion": "v1", "kind": "A", "metadata": {"name": "a"}, "spec": {"x": 1}}
    same = {**resource, "metadata": {"name": "b"}, "status": {"y": 1}}
    assert spec_digest(resource) == spec_digest(same)
    assert spec_digest(resource) != spec_digest({**resource, "spec": {"x": 2}})
    assert spec_digest(resource) != spec_digest({**resource, "apiVersion": "v2"})


@pytest.mark.parametrize(
    ("uri", "run"),
    [
        (
            "minio://mlpipeline/v2/artifacts/training/1b4e28ba-2fa1-41d2-883f-0016d3cca427/"
            "train-model/6fa459ea-ee8a-4ca4-894e-db77e160355e/model",
            "1b4e28ba-2fa1-41d2-883f-0016d3cca427",
        ),
        ("/runs/training-2030/artifacts/train-model/model", ""),
        ("", ""),
    ],
)
def test_the_run_is_read_from_where_its_outputs_are(uri: str, run: str) -> None:
    assert run_of(uri) == run
