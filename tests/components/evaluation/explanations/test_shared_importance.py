import numpy as np

from kfp_tabular.components.common.artifacts.model_document import ModelInput
from kfp_tabular.components.evaluation.explanations import shared_importance
from kfp_tabular.components.evaluation.explanations.row_sample import SampledRows


def test_related_columns_are_found_whatever_their_types():
    random = np.random.default_rng(0)
    area = random.integers(0, 8, 1000)
    values = {
        "area": area,
        "name": np.array([b"area %d" % each for each in area], object),
        "half": np.array([b"north" if each < 4 else b"south" for each in area], object),
        "cubed": (area.astype(np.float32) ** 3).astype(np.float32),
        "noise": random.normal(size=1000).astype(np.float32),
        "code": np.array([b"%d" % each for each in random.integers(0, 900, 1000)], object),
        "empty": np.full(1000, np.nan, np.float32),
    }
    dtypes = {"O": "string", "i": "int64", "f": "float32"}
    inputs = [ModelInput(n, dtypes[v.dtype.kind], False, n) for n, v in values.items()]
    found = shared_importance.find(SampledRows(values, area), inputs)
    pairs = {(each.first, each.second) for each in found}
    assert {("area", "name"), ("area", "cubed"), ("name", "cubed"), ("name", "half")} <= pairs
    assert not {"noise", "code", "empty"} & {name for pair in pairs for name in pair}
    assert [each.strength for each in found] == sorted((e.strength for e in found), reverse=True)
