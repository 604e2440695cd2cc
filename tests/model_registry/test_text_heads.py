"""Text heads by hand, the shipped file, and files that are none."""

import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from model_registry import artifacts
from model_registry.errors import NightjarError
from model_registry.model import predict_all
from model_registry.models.text.heads import ARTIFACT, LABELS, NEVER, Heads, TextHeads, bands, doubts

SHIPPED = artifacts.TABLE_FILE.parent / "weights" / "text" / "heads_universal.npz"
NGRAMS = [SHIPPED.with_name(f"heads_ngrams_{script}.npz") for script in ("han", "other")]
REGISTERS = 2


@pytest.fixture
def two():
    """Two labels over three dimensions."""
    return Heads(
        labels=("Gambling", "Abuse/Insult"),
        tower="universal_sentences@1.0.0",
        weight_LD=np.array([[2, 0, 0], [0, 1, -1]], np.float32),
        bias_L=np.array([1, 0], np.float32),
        slope_L=np.array([0.5, 2], np.float32),
        offset_L=np.array([-1, 0], np.float32),
        band_L2=np.array([[0.25, 0.75], [0.5, 1]], np.float32),
        doubt_L=np.array([0.5, 0.5], np.float32),
        notes={"lines": 7},
    )


def test_scores_by_hand(two):
    """Logits 2 * 3 + 1 = 7 and 0.5 - 0.25 = 0.25; then 0.5 * 7 - 1 = 2.5 and 2 * 0.25 = 0.5."""
    scores_NL = two(np.array([[3, 0.5, 0.25]], np.float32))
    np.testing.assert_allclose(scores_NL, [[1 / (1 + math.exp(-2.5)), 1 / (1 + math.exp(-0.5))]], rtol=1e-6)
    assert scores_NL.dtype == np.float32


def test_what_is_written_is_read_again(two, tmp_path):
    two.write(tmp_path / "heads.npz")
    found = Heads.read(tmp_path / "heads.npz")
    assert (found.labels, found.tower, found.notes) == (two.labels, two.tower, two.notes)
    np.testing.assert_array_equal(found(np.eye(3, dtype=np.float32)), two(np.eye(3, dtype=np.float32)))
    assert bands(tmp_path / "heads.npz") == {"Gambling": (0.25, 0.75), "Abuse/Insult": (0.5, 1.0)}
    assert doubts(tmp_path / "heads.npz") == {"Gambling": 0.5, "Abuse/Insult": 0.5}


def test_the_same_heads_are_the_same_bytes(two, tmp_path):
    for name in ("one.npz", "other.npz"):
        two.write(tmp_path / name)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "other.npz").read_bytes()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"labels": ("Gambling",)}, r"weight_LD has shape \(2, 3\), wanted \(1, 3\)"),
        ({"bias_L": np.zeros(3, np.float32)}, r"bias_L has shape \(3,\), wanted \(2,\)"),
        ({"offset_L": np.array([0, np.nan], np.float32)}, "offset_L holds what is no number"),
        ({"slope_L": np.array([1, -1], np.float32)}, "a slope is -1, wanted more than 0"),
        ({"band_L2": np.array([[0.8, 0.2], [0, 1]], np.float32)}, "a band is not two scores from 0 to 1"),
        ({"doubt_L": np.array([0.1, 0.5], np.float32)}, "doubt begins outside of a band"),
        ({"doubt_L": np.array([0.5, 0.4], np.float32)}, "doubt begins outside of a band"),
        ({"band_L2": np.array([[0, 1.5], [0, 1]], np.float32)}, "a band is not two scores from 0 to 1"),
    ],
)
def test_heads_that_do_not_fit_together_are_refused(two, change, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}"):
        replace(two, **change)


# The shipped file


def test_a_file_that_shows_nothing_settles_nothing_and_denies_nothing(two, tmp_path):
    """As files of earlier versions are: what a head may do alone stands in its file or it may not."""
    two.write(path := tmp_path / "heads.npz")
    with np.load(path) as arrays:
        np.savez(path, **{name: array for name, array in arrays.items() if name not in ("denies", "shown")})
    found = Heads.read(path)
    assert [high for _, high in found.bands.values()] == [NEVER, NEVER]
    assert found.registers == {"Gambling": (), "Abuse/Insult": ()}


def test_where_heads_may_deny_and_what_they_have_shown_is_read_again(two, tmp_path):
    shown = replace(two, denies=(("zh",), ("zh", "en")), shown=((), ("posts", "chat")))
    shown.write(path := tmp_path / "heads.npz")
    assert Heads.read(path).registers == {"Gambling": ("zh",), "Abuse/Insult": ("zh", "en")}
    assert Heads.read(path).shown == ((), ("posts", "chat"))
    with pytest.raises(ValueError, match=r"^denies has 1 rows for 2 labels$"):
        replace(two, denies=(("zh",),))


def test_every_shipped_head_that_settles_alone_has_shown_it_in_several_registers():
    for path in (SHIPPED, *NGRAMS):
        heads = Heads.read(path)
        for (low, high), registers in zip(heads.bands.values(), heads.shown or [()] * len(heads.labels), strict=True):
            assert 0 < low < high
            assert high == NEVER or len(registers) >= REGISTERS


@pytest.mark.parametrize(
    ("line", "label"),
    [
        ("URGENT! You have won a 1 week FREE membership in our prize draw. Text WIN to 80000 now", "Fraud"),
        ("Congratulations ur awarded a prize of cash, call now to claim, T&Cs apply", "Fraud"),
        ("you dumb bitch nobody likes your ugly ass", "Abuse"),
        ("these faggots make me sick", "Abuse"),
        ("黑人滚出中国，都是垃圾", "Abuse"),
    ],
)
def test_spelling_settles_what_public_sets_have_taught_it(line, label, loaded):
    heads = loaded("text_heads_ngrams")
    [scores_L] = heads.predict([line])
    assert scores_L[heads.spec.labels.index(label)] >= bands(NGRAMS[0])[label][1]


@pytest.mark.parametrize(
    "line",
    [
        *("我睡得很好，身体很舒服", "人要独立才能生存于世", "不要因为性别看不起别人"),
        *("women deserve the same pay as men", "hate has no place in our town", "did you stitch his trouser"),
        *("I'll call you when I get home", "100+ videos about knitting", "2013 2014 2015", "！！！！！！！！"),
    ],
)
def test_spelling_settles_nothing_of_harmless_lines(line, loaded):
    heads = loaded("text_heads_ngrams")
    [scores_L] = heads.predict([line])
    highs = [high for _, high in bands(NGRAMS[0]).values()]
    assert [label for label, score, high in zip(heads.spec.labels, scores_L, highs, strict=True) if score >= high] == []


def test_bands_are_read_without_torch():
    code = (
        f"import sys; from model_registry.models.text.heads import bands; from pathlib import Path; "
        f"bands(Path({str(SHIPPED)!r})); print('torch' in sys.modules, 'sklearn' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


@pytest.mark.parametrize(
    ("line", "label"),
    [
        ("真人百家乐线上赌场注册就送彩金", "Gambling"),
        ("deposit now and bet on the roulette table", "Gambling"),
        ("跟着老师买这只股票稳赚不赔", "Fraud/Investment Scam"),
        ("加我微信我私下便宜卖给你", "Fraud/Off-Platform Lure"),
        ("this tea cures diabetes without any pills", "Spoken Claim/Medical Claim"),
        ("卫健委推荐的保健品", "Spoken Claim/Official Endorsement"),
        ("you are a stupid worthless idiot", "Abuse/Insult"),
    ],
)
def test_a_line_nobody_wrote_down_scores_highest_for_what_it_is(line, label, loaded):
    """And is not denied."""
    embeddings_ND = predict_all(loaded("universal_sentences"), [line])
    [scores_L] = predict_all(loaded("text_heads_universal"), list(embeddings_ND))
    assert LABELS[int(scores_L.argmax())] == label
    assert scores_L.max() >= bands(SHIPPED)[label][0]


@pytest.mark.parametrize("line", ["今天教大家做红烧肉", "the museum opens at nine", "下午去公园遛狗", "第三集 目录"])
def test_plain_talk_stands_for_nothing(line, loaded):
    embeddings_ND = predict_all(loaded("universal_sentences"), [line])
    [scores_L] = predict_all(loaded("text_heads_universal"), list(embeddings_ND))
    assert [label for label, score in zip(LABELS, scores_L, strict=True) if score >= bands(SHIPPED)[label][1]] == []


# Files


def test_heads_of_other_labels_are_refused(two, tmp_path):
    two.write(path := tmp_path / "heads.npz")
    with pytest.raises(NightjarError, match=rf"^{path} is not the heads of text_heads_universal: it scores Gambling, "):
        TextHeads.load({ARTIFACT: path}, "cpu")


def test_heads_on_another_tower_are_refused(tmp_path):
    replace(Heads.read(SHIPPED), tower="clip_vit_b_32@1.0.0").write(path := tmp_path / "heads.npz")
    with pytest.raises(NightjarError, match=r"fitted on clip_vit_b_32@1.0.0, wanted universal_sentences$"):
        TextHeads.load({ARTIFACT: path}, "cpu")


def test_a_pickle_is_not_unpacked(tmp_path):
    """Sound but for the labels, which are Python objects."""
    path = tmp_path / "heads.npz"
    with np.load(SHIPPED) as arrays:
        np.savez(path, **{**arrays, "labels": arrays["labels"].astype(object)})
    with pytest.raises(NightjarError, match=f"^{path} is not a file of text heads: Object arrays cannot be loaded"):
        bands(path)


def test_vectors_of_another_length_name_the_model(loaded):
    with pytest.raises(NightjarError, match=r"^text_heads_universal got vectors of shape \(3,\), wanted \(512,\)$"):
        loaded("text_heads_universal").predict([np.zeros(3, np.float32)])
