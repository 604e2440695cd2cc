"""The universal sentence encoder against the package its weights come from, and against hostile text."""

import struct
import time
from pathlib import Path

import numpy as np
import pytest

from model_registry.errors import NightjarError
from model_registry.model import predict_all
from model_registry.models.text.sentence_pieces import FIRST, LAST, UNKNOWN, SentencePieces
from model_registry.models.text.sentences import (
    DIMENSIONS,
    MAX_CHARACTERS,
    PIECES,
    TOKENS,
    WEIGHTS,
    UniversalSentences,
    _parts,
)

GOLDEN = Path(__file__).parents[1] / "data" / "universal_sentences_golden.npz"


@pytest.fixture(scope="module")
def model(loaded):
    return loaded("universal_sentences")


@pytest.fixture(scope="module")
def golden():
    """What the package's own NumPy makes of some lines: their ids and their embeddings."""
    with np.load(GOLDEN) as arrays:
        ends = np.cumsum(arrays["lengths"])[:-1]
        return arrays["texts"].tolist(), np.split(arrays["ids"], ends), arrays["embeddings"]


def cosine(model, one, other):
    first, second = model.predict([one, other])
    return float(first @ second)


# The reference


def test_lines_are_cut_into_the_pieces_of_the_reference(model, golden):
    texts, ids, _ = golden
    assert model.pieces.ids(texts) == [line.tolist() for line in ids]


def test_embeddings_are_those_of_the_reference(model, golden):
    texts, _, embeddings_ND = golden
    np.testing.assert_allclose(predict_all(model, texts), embeddings_ND, atol=2e-6)


def test_the_neighbours_in_a_batch_do_not_matter(model, golden):
    """Convolutions reach two pieces to both sides, and must not reach into the next line."""
    texts, _, embeddings_ND = golden
    for text, embedding_D in zip(texts, embeddings_ND, strict=True):
        np.testing.assert_allclose(model.predict(["x", text, "加我微信"])[1], embedding_D, atol=2e-6)


def test_embeddings_have_length_1(model):
    np.testing.assert_allclose(np.linalg.norm(model.predict(model.examples()), axis=1), 1.0, rtol=1e-5)


@pytest.mark.parametrize(
    ("line", "same", "other"),
    [
        ("the weather is nice today", "今天天气很好", "股票价格下跌了"),
        ("please close the door", "请把门关上", "他在医院工作"),
        ("add me on wechat", "加我的微信", "加一勺盐"),
    ],
)
def test_what_means_the_same_lies_closer_whatever_the_language(model, line, same, other):
    assert cosine(model, line, same) > cosine(model, line, other) + 0.1


# Hostile text


def test_text_beyond_the_limit_is_not_read(model):
    long = "好" * MAX_CHARACTERS
    np.testing.assert_array_equal(model.predict([long + "加我微信"])[0], model.predict([long])[0])
    assert cosine(model, "好" * (MAX_CHARACTERS - 4) + "加我微信", long) < 0.9999


def test_a_megabyte_on_one_line_costs_no_more_than_what_is_read_of_it(model):
    model.predict(["warm"])
    began = time.process_time()
    assert np.isfinite(model.predict(["加微信 free " * 100_000, "\u3000" * 1_000_000, "a" * 1_000_000])).all()
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    "text", ["", " ", "\x00", "\ud800", "ok \udfff", "\ufeff", "\u200b" * 100, "🎉" * 50, "\u0301" * 99]
)
def test_odd_text_is_embedded_alone_and_among_others(model, text):
    alone, [_, among, _] = model.predict([text])[0], model.predict(["one", text, "two"])
    assert np.isfinite(alone).all()
    assert np.linalg.norm(alone) == pytest.approx(1.0, rel=1e-5)
    np.testing.assert_allclose(among, alone, atol=2e-6)


def test_a_batch_longer_than_goes_through_at_once_keeps_its_order(model):
    """Some thousand pieces, lines of all lengths, many of them twice."""
    lines = [f"{'word ' * (number % 90)}{number % 70}" for number in range(200)]
    assert sum(map(len, model.pieces.ids(lines))) > 3 * TOKENS
    whole_ND = predict_all(model, lines)
    for number in (0, 1, 89, 140, 199):
        np.testing.assert_allclose(model.predict([lines[number]])[0], whole_ND[number], atol=2e-6)


def test_what_goes_through_at_once_is_bounded_but_for_one_long_line():
    lines = [[0] * count for count in (TOKENS - 10, 10, 1, TOKENS + 5, 3)]
    assert _parts(lines) == [[0, 1], [2], [3], [4]]
    assert _parts([]) == []


def test_vectors_of_equal_lines_are_not_one_and_the_same(model):
    first, second = model.predict(["twice", "twice"])
    first[:] = 0
    assert np.linalg.norm(second) == pytest.approx(1.0, rel=1e-5)


# Files


def field(number, value):
    if isinstance(value, float):
        return bytes([number << 3 | 5]) + struct.pack("<f", value)
    return bytes([number << 3 | 2, len(value)]) + value


def piece(text, score):
    return field(1, field(1, text.encode()) + field(2, score))


def test_half_a_file_of_pieces_is_refused(ref_of, tmp_path):
    path = tmp_path / "half.model"
    path.write_bytes(Path(dict(ref_of("universal_sentences").weights)[PIECES]).read_bytes()[:100_000])
    with pytest.raises(NightjarError, match=rf"^{path} is not a SentencePiece model: "):
        SentencePieces.read(path)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "it holds 0 pieces and 0 bytes of a table of characters"),
        (piece("a", -1.0), "it holds 1 pieces and 0 bytes"),
        (b"\x0b", "begins a field of wire type 3, allowed are 0, 1, 2 and 5"),
        (b"\x0a\x7fab", "ends 125 bytes after the file"),
        (b"\x0a\xff", "index out of range"),
        (b"\x08\x05", "a field holds the number 5, wanted bytes"),
    ],
)
def test_what_is_no_file_of_pieces_is_refused(data, sentence, tmp_path):
    path = tmp_path / "pieces.model"
    path.write_bytes(data)
    with pytest.raises(NightjarError, match=rf"^{path} is not a SentencePiece model: .*{sentence}"):
        SentencePieces.read(path)


def test_lines_begin_and_end_with_their_pieces(model):
    assert model.pieces.ids([""]) == [[FIRST, LAST]]
    assert UNKNOWN in model.pieces.ids(["\U000e0041"])[0]


def test_weights_without_a_matrix_are_refused(ref_of, tmp_path):
    weights = {name: Path(path) for name, path in ref_of("universal_sentences").weights}
    with np.load(weights[WEIGHTS]) as arrays:
        kept = {name: arrays[name] for name in arrays.files if name != "w1_3"}
    np.savez(tmp_path / "weights.npz", **kept)
    with pytest.raises(NightjarError, match=r"weights.npz is not the weights of the universal .* it lacks w1_3$"):
        UniversalSentences.load({**weights, WEIGHTS: tmp_path / "weights.npz"}, "cpu")


def test_pieces_of_another_model_are_refused(ref_of, tmp_path):
    """Fewer embeddings than pieces: some line would point beyond the table."""
    weights = {name: Path(path) for name, path in ref_of("universal_sentences").weights}
    with np.load(weights[WEIGHTS]) as arrays:
        short = {name: array[:100] if name.startswith("q") else array for name, array in arrays.items()}
    np.savez(tmp_path / "weights.npz", **short)
    with pytest.raises(NightjarError, match=r"it has 1700 embeddings for 128000 pieces$"):
        UniversalSentences.load({**weights, WEIGHTS: tmp_path / "weights.npz"}, "cpu")


def test_the_spec_says_what_comes_out(model):
    assert predict_all(model, []).shape == (0, DIMENSIONS)
