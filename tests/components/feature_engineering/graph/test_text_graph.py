"""Texts as n-grams, vectors and statistics, in a graph of standard operations."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_tabular.components.common.process.tensorflow import import_tensorflow
from kfp_tabular.components.feature_engineering.features.text_features import KeptNgrams, Ngrams
from kfp_tabular.components.feature_engineering.graph import text_graph

tf = import_tensorflow()
NGRAMS = Ngrams(2, (3, 5), 8192)
SIZE = 2**text_graph.HASH_BITS
SCALES = (np.zeros(12, np.float32), np.ones(12, np.float32))


@pytest.fixture(scope="module")
def characters():
    return text_graph.Characters()


@pytest.fixture(scope="module")
def ngrams(characters):
    """The n-grams of texts, as a sorted list of buckets for each."""

    @tf.function(autograph=False, input_signature=[tf.TensorSpec([None], tf.string)])
    def graph(texts):
        return text_graph.buckets(texts, characters, NGRAMS)

    def _ngrams(kind, *texts):
        rows, found = (tensor.numpy() for tensor in graph(tf.constant(list(texts)))[kind])
        return [sorted(found[rows == row].tolist()) for row in range(len(texts))]

    return _ngrams


@pytest.fixture(scope="module")
def vectors(characters):
    """Vectors of all n-grams whose bucket is even, and statistics."""
    positions = np.where(np.arange(SIZE) % 512 == 0, np.arange(SIZE) // 512, -1).astype(np.int32)
    kept = KeptNgrams(positions, np.ones(SIZE // 512, np.float32), 3.0)

    @tf.function(autograph=False, input_signature=[tf.TensorSpec([None], tf.string)])
    def graph(texts):
        weights = {"words": kept, "characters": kept}
        return text_graph.vectors(texts, characters, NGRAMS, weights, SCALES)

    return lambda texts: {
        name: found.numpy() for name, found in graph(tf.constant(texts, tf.string)).items()
    }


@pytest.mark.parametrize(
    "spellings",
    [
        (
            "Hello World",
            "hello, world!!",
            "\uff28\uff45\uff4c\uff4c\uff4f\u3000World",
            "HELLO\nworld",
        ),
        ("Crème brûlée", "creme brulee", "cre\u0300me bru\u0302le\u0301e", "CRÈME BRÛLÉE"),
        ("Привет МИР", "привет, мир"),
        ("ΑΘΉΝΑ", "αθηνα"),
        ("İzmir", "izmir"),
    ],
)
def test_spellings_of_a_text_are_alike(ngrams, spellings):
    for kind in ("words", "characters"):
        first, *others = ngrams(kind, *spellings)
        assert first
        assert all(other == first for other in others)


def test_words_and_pairs_of_words(ngrams):
    one, other, both, turned = ngrams("words", "router", "broken", "router broken", "broken router")
    assert (len(one), len(both)) == (1, 3)
    assert set(one + other) < set(both)
    assert both != turned  # The pair differs.


def test_an_ideograph_and_an_emoji_are_words_and_a_code_has_parts(ngrams):
    tokyo, kyoto, smile, code = ngrams("words", "東京", "京都", "ok 😀", "AB1234X")
    assert (len(tokyo), len(smile), len(code)) == (3, 3, 5)
    assert set(tokyo) & set(kyoto)  # Both have 京.
    assert set(ngrams("words", "AB")[0]) < set(code)


def test_characters_stay_within_a_word(ngrams):
    cat, in_a_sentence, category = ngrams("characters", "cat", "a cat sat", "category")
    assert len(cat) == 3 + 2 + 1  # " cat ": three of three, two of four, one of five.
    assert set(cat) < set(in_a_sentence)
    assert not set(cat) <= set(category)  # The end of the word is missing.


@pytest.mark.parametrize("text", ["", "   ", "?!...", "\ufffd", "\n"])
def test_texts_without_words(ngrams, vectors, text):
    assert ngrams("words", text) == ngrams("characters", text) == [[]]
    found = vectors([text])
    assert not found["words"].any()
    assert np.isfinite(found["statistics"]).all()


def test_bytes_that_are_no_text_do_not_fail(vectors):
    found = vectors([b"caf\xe9 \xff\xfe", b"\x00\x01", b"ok"])
    assert all(np.isfinite(values).all() for values in found.values())


WORDS = ["the", "a", "printer", "broke", "über", "東京", "https://x.org/a", "17", "?"]
words = st.lists(st.sampled_from(WORDS))


@settings(max_examples=15, deadline=None)
@given(texts=st.lists(st.one_of(words.map(" ".join), st.text(max_size=40)), max_size=300))
def test_a_text_has_the_same_vector_in_any_batch(vectors, texts):
    whole = vectors(texts)
    assert whole["words"].shape == (len(texts), SIZE // 512)
    for name, values in whole.items():
        apart = [vectors([text])[name][0] for text in texts[:3] + texts[-2:]]
        for value, own in zip([*values[:3], *values[-2:]], apart, strict=False):
            np.testing.assert_allclose(value, own, atol=1e-6)


def test_vectors_are_weighted_counts(characters):
    # "slow" twice, "vpn" once; the third column does not occur.
    rows, found = text_graph.buckets(
        tf.constant(["slow vpn nowhere"]), characters, Ngrams(1, None, 99)
    )["words"]
    slow, vpn, nowhere = found.numpy()
    assert rows.numpy().tolist() == [0, 0, 0]
    positions = np.full(SIZE, -1, np.int32)
    positions[[slow, vpn, nowhere]] = [0, 1, 2]
    kept = KeptNgrams(positions, np.array([2.0, 3.0, 1.0], np.float32), 5.0)
    vector = text_graph.vectors(
        tf.constant(["Slow VPN, slow!", "unknown"]),
        characters,
        Ngrams(1, None, 99),
        {"words": kept},
        SCALES,
    )["words"].numpy()
    wanted = np.array([2.0 * (1 + np.log(2)), 3.0, 0.0])
    np.testing.assert_allclose(vector[0], 5.0 * wanted / np.linalg.norm(wanted), rtol=1e-5)
    assert not vector[1].any()


def test_statistics(characters):
    text = "CALL me at +49 30 1234!\nOr mail joe@example.org, see https://example.org/a?b"
    found = text_graph.statistics(tf.constant([text, "calm"]), characters, 8192).numpy()
    busy, calm = (dict(zip(text_graph.STATISTICS, row, strict=True)) for row in found)
    assert np.expm1(busy["characters"]) == pytest.approx(len(text), rel=1e-4)
    assert np.expm1(busy["lines"]) == pytest.approx(1, rel=1e-4)
    assert busy["digits"] == pytest.approx(8 / len(text), rel=1e-4)
    assert busy["upper_case"] == pytest.approx(5 / sum(map(str.isalpha, text)), rel=1e-4)
    flags = [name for name in text_graph.STATISTICS if name.startswith("has_")]
    assert [busy[name] for name in flags] == [1.0] * 5
    assert [calm[name] for name in flags] == [0.0] * 5
    assert np.expm1(calm["words"]) == pytest.approx(1)


def test_a_long_text_is_cut_but_its_length_is_known(characters):
    text = "hello wörld " * 8_000
    short = Ngrams(2, (3, 5), 1_000)
    rows, _ = text_graph.buckets(tf.constant([text]), characters, short)["characters"]
    assert len(rows.numpy()) < 3_000
    length = text_graph.statistics(tf.constant([text]), characters, 1_000).numpy()[0, 0]
    assert np.expm1(length) == pytest.approx(len(text), rel=0.01)
