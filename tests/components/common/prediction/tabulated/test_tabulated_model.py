"""Answers by tables of values are the model's own, and what mixes columns is not tabulated."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kfp_tabular.components.common.prediction.packed_columns import rows_of
from kfp_tabular.components.common.prediction.tabulated import graph_cut, tabulated_model
from kfp_tabular.components.common.prediction.tabulated.graph_cut import NotSeparableError
from kfp_tabular.components.common.prediction.tabulated.tabulated_model import (
    TabulatedModel,
    TabulatedPiece,
)
from tests.components.common.exported_function import CLASSES
from tests.components.common.prediction.tabulated.conftest import columns

WEIGHTS = np.random.default_rng(0).normal(size=(9, 3)).astype(np.float32)

TURNS = (0, 1, 0, 2, 1, 0, 1, 0, 1, 2, 2, 0)
"""Of pieces: the last one grows what the first one has left, and the first one goes on."""


def scaled(tf, raw):
    """Like a transform: grouped columns, a vocabulary, hashes, buckets and flags."""
    numbers = tf.stack([raw["Fare"], raw["miles"]])
    missing = tf.math.is_nan(numbers)
    filled = tf.where(missing, np.array([[0.5], [1.5]], np.float32), numbers)
    scores = tf.unstack(tf.math.log1p(tf.abs(filled)) * np.array([[2.0], [3.0]], np.float32))
    flags = tf.unstack(tf.cast(missing, tf.float32))
    bounds = tf.constant([[-1.0, 0.0, 1.0], [-0.5, 0.5, np.inf]])
    buckets = tf.unstack(tf.searchsorted(bounds, filled, side="right", out_type=tf.int64))
    whole = tf.strings.as_string(tf.stack([raw["hour"], raw["area"]]))
    ids = tf.unstack(tf.strings.to_hash_bucket_fast(tf.add([["hour "], ["area "]], whole), 7))
    texts = tf.stack([raw["company"], raw["payment"]])
    known = tf.unstack(tf.where(texts == "", 3, tf.strings.length(texts) % 3))
    return scores, flags, buckets, ids, known


def network(tf, raw):
    """A first layer of embeddings and numbers, and a second one."""
    scores, flags, buckets, ids, known = scaled(tf, raw)
    table = tf.constant(np.random.default_rng(1).normal(size=(7, 2)), tf.float32)
    packed = tf.stack([tf.cast(each, tf.int32) for each in ids], axis=1)
    embedded = tf.reshape(tf.gather(table, packed), [-1, 4])
    rest = [*scores, flags[0], *(tf.cast(each, tf.float32) for each in (buckets[0], known[0]))]
    wide = tf.concat([embedded, tf.stack(rest, axis=1)], axis=1)
    return tf.nn.relu(wide @ WEIGHTS) @ np.arange(9.0, dtype=np.float32).reshape(3, 3)


def members(tf, raw):
    """Members that share a first layer, and differ in what follows it."""
    random = np.random.default_rng(3)
    shared = network(tf, raw)[:, None, :]
    apart = tf.nn.relu(shared * random.normal(size=(4, 3)).astype(np.float32))
    weights = random.normal(size=(4, 3, 2)).astype(np.float32)
    return tf.reduce_mean(tf.einsum("bmw,mwu->bmu", apart, weights), axis=1)


def steps(tf, raw):
    """Conditions on columns, like those of a tree."""
    scores, flags, buckets, ids, known = scaled(tf, raw)
    features = tf.stack(
        [*scores, *flags, *(tf.cast(e, tf.float32) for e in (*buckets, *ids, *known))]
    )
    bits = tf.cast(features > np.linspace(0, 2, 10, dtype=np.float32)[:, None], tf.int32)
    leaves = tf.reduce_sum(bits * 2 ** np.arange(10, dtype=np.int32)[:, None], axis=0)
    return tf.gather(tf.constant(np.random.default_rng(2).normal(size=1024), tf.float32), leaves)


def mixed(tf, raw):
    """Features of two columns beside those of one."""
    same = tf.cast(tf.equal(raw["company"], raw["payment"]), tf.float32)
    later = tf.cast(raw["hour"] - raw["area"] > 1, tf.float32)
    ratio = tf.where(tf.math.is_nan(raw["Fare"]), 0.0, raw["Fare"]) / raw["miles"]
    return same + 2 * later + tf.tanh(ratio)


def assert_same(found, wanted, **tolerance):
    assert set(found) == set(wanted)
    if "classes" in found:
        names = CLASSES["binary" if found["probabilities"].shape[1] == 2 else "multiclass"]
        found = found | {
            "classes": np.array([name.encode() for name in names], object)[found["classes"]]
        }
    for name, values in found.items():
        if values.dtype == object:
            assert values.tolist() == wanted[name].tolist()
        else:
            np.testing.assert_allclose(values, wanted[name], **tolerance)


@pytest.fixture(scope="module")
def models(saved):
    """Models that can be tabulated."""
    return {
        "multiclass": saved(network, "multiclass"),
        "regression": saved(steps),
        "binary": saved(members, "binary"),
    }


@pytest.mark.parametrize("kind", ["multiclass", "regression", "binary"])
@given(
    seed=st.integers(0, 2**32 - 1),
    sizes=st.lists(st.integers(0, 300), min_size=1, max_size=4),
    values=st.integers(2, 60),
)
@settings(max_examples=15, deadline=None)
def test_answers_are_the_models(models, kind, seed, sizes, values):
    model = models[kind]
    piece = TabulatedPiece(tabulated_model.of(model))
    for number, rows in enumerate(sizes):
        given_columns = columns(rows, seed + number, values)
        if rows:
            assert_same(
                piece.answers(given_columns), model.answers(given_columns), atol=1e-6, rtol=1e-6
            )


def test_numbers_of_single_columns_are_tabulated(models):
    tables = tabulated_model.of(models["multiclass"])
    assert tables.width == 3  # What the first layer adds up.
    piece = TabulatedPiece(tables)
    piece.answers(columns(1_000, 0))
    # Each value once.
    assert len(piece._tables) == 6 + 5 + 6 + 5 + 6 + 2


def test_features_of_two_columns_are_not_tabulated(saved):
    with pytest.raises(NotSeparableError):
        TabulatedModel(saved(mixed))


def test_one_feature_of_two_columns_beside_others(saved):
    def function(tf, raw):
        same = tf.cast(raw["hour"] > raw["area"], tf.float32)
        return steps(tf, raw) + same

    model = saved(function)
    piece = TabulatedPiece(tabulated_model.of(model))
    for seed in range(3):
        given_columns = columns(500, seed)
        assert_same(piece.answers(given_columns), model.answers(given_columns), atol=1e-6)


def test_graphs_that_refuse_values_or_draw_numbers_are_not_tabulated(saved):
    def refuses(tf, raw):
        with tf.control_dependencies([tf.debugging.assert_less(raw["hour"], tf.int64.max)]):
            return tf.identity(raw["miles"])

    functions = (
        refuses,
        lambda tf, raw: raw["miles"] + tf.random.normal([]),
    )
    for function in functions:
        assert tabulated_model.of(saved(function)) is None


def test_an_unknown_operation_is_left_to_the_graph(saved):
    def function(tf, raw):
        words = tf.strings.split(raw["company"], " ").to_tensor(shape=[None, 2])
        return tf.reduce_sum(tf.cast(tf.strings.length(words), tf.float32), axis=1)

    assert tabulated_model.of(saved(function)) is None


def test_few_values_fit(models, monkeypatch):
    """Rows of values that do not fit are answered by the signature."""
    model = models["multiclass"]
    tables = TabulatedModel(model)
    monkeypatch.setattr(tabulated_model, "_MOST_BYTES", 4 * 3 * 40)
    for _ in range(3):
        piece = TabulatedPiece(tables)
        for seed in range(4):
            given_columns = columns(300, seed, values=5)
            assert_same(
                piece.answers(given_columns), model.answers(given_columns), atol=1e-6, rtol=1e-6
            )
        assert 0 < int(piece._used.sum()) <= 40
        assert len(tables.tables) <= 80


def test_values_that_do_not_repeat_are_not_tabulated(models, monkeypatch):
    model = models["multiclass"]
    tables = TabulatedModel(model)
    monkeypatch.setattr(tabulated_model, "_ROWS_TO_JUDGE", 250)
    piece = TabulatedPiece(tables)
    for start in (0, 100, 200, 300, 400):
        own = np.arange(start, start + 100, dtype=np.float32)
        given_columns = columns(100, start) | {"Fare": own}
        answers = piece.answers(given_columns)
        assert_same(answers, model.answers(given_columns), atol=1e-6, rtol=1e-6)
    assert len(tables.tables) < 400
    assert not piece._used.any()


def test_a_piece_gets_the_same_whatever_came_before_and_beside(models):
    model = models["multiclass"]
    blocks = [columns(400, seed, 30) for seed in range(6)]

    def answered(tables):
        piece = TabulatedPiece(tables)
        return [piece.answers(block)["probabilities"].tobytes() for block in blocks]

    alone = answered(TabulatedModel(model))
    shared = TabulatedModel(model)
    other = TabulatedPiece(shared)
    for seed in range(6, 9):
        other.answers(columns(200, seed, 50))
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda _: answered(shared), range(8)))
    assert together == [alone] * 8


@pytest.mark.parametrize("room", [48 << 20, 4_000])
@given(turns=st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=24))
@example(turns=[(place, place == 2 and at == 3) for at, place in enumerate(TURNS)])
@settings(max_examples=15, deadline=None)
def test_pieces_take_turns_in_any_order(models, room, turns):
    """Tables grow from what another piece has left, and give up values that it needs no more."""
    model = models["multiclass"]
    blocks = [columns(150, seed, 20) for seed in range(5)]

    def answered(piece, block):
        return piece.answers(blocks[block])["probabilities"].tobytes()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tabulated_model, "_MOST_BYTES", room)
        alone = TabulatedPiece(TabulatedModel(model))
        expected = [answered(alone, block) for block in range(len(blocks))]
        shared = TabulatedModel(model)
        pieces, done = [TabulatedPiece(shared) for _ in range(3)], [0, 0, 0]
        for turn, is_new in turns:
            if is_new or done[turn] == len(blocks):
                pieces[turn], done[turn] = TabulatedPiece(shared), 0
            assert answered(pieces[turn], done[turn]) == expected[done[turn]]
            done[turn] += 1


def test_what_float32_does_not_hold(saved):
    tf = saved.tf

    def function(_, raw):
        exact = raw["hour"] * 3
        return tf.cast(exact % 7, tf.float32) + tf.cast(exact > raw["area"], tf.float32)

    model = saved(function)
    piece = TabulatedPiece(tabulated_model.of(model))
    given_columns = columns(200, 0)
    given_columns["hour"] = np.repeat(np.array([2**53 + 1, 2**24 + 1]), 100)
    assert_same(piece.answers(given_columns), model.answers(given_columns))


def test_rows_of_a_cut_tensor_are_restored(saved):
    tf = saved.tf
    rows = graph_cut.Rows(1, np.array([0, 2, 1], np.int32))
    tensor = tf.zeros([3, 4], tf.int64)
    cut = graph_cut.CutTensor(tensor, tensor, rows)
    values = np.arange(12).reshape(3, 4)
    parts = [cut.part(cut.flat(values), column) for column in range(3)]
    assert [part.any(axis=0).tolist() for part in parts] == [
        [True, False, False],
        [False, False, True],
        [False, True, False],
    ]
    assert cut.restored(tf, sum(parts)).numpy().tolist() == values.tolist()


def test_rows_of_some(models):
    """Columns that were cut keep texts that no row has."""
    model = models["regression"]
    given_columns = rows_of(columns(100, 0, 40), slice(10, 60))
    piece = TabulatedPiece(tabulated_model.of(model))
    assert_same(piece.answers(given_columns), model.answers(given_columns), atol=1e-6)
