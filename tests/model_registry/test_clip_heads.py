"""LAION's heads against the scores of the original, and their arithmetic by hand."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_registry import artifacts
from model_registry.errors import NightjarError
from model_registry.model import predict_all
from model_registry.models.clip_heads import (
    Mlp,
    NudityViTB32,
    NudityViTL14,
    ViolenceViTB32,
    ViolenceViTL14,
    sigmoid,
    unit_examples,
    violence_scores,
)

ROOT = Path(__file__).parents[2]
WEIGHTS = artifacts.TABLE_FILE.parent / "weights" / "laion"
SAMPLE = ROOT / "tests" / "data" / "laion_golden.npz"
FULL = ROOT.parent / "shared" / "models" / "laion-clip-heads"
NUDITY = {"vit_b_32": NudityViTB32, "vit_l_14": NudityViTL14}
VIOLENCE = {"vit_b_32": ViolenceViTB32, "vit_l_14": ViolenceViTL14}

each_size = pytest.mark.parametrize("size", NUDITY)


def nudity(size):
    head = NUDITY[size]
    return head.load({head.spec.artifacts[0]: WEIGHTS / f"nsfw_{size}.npz"}, "cpu")


def violence(size):
    head = VIOLENCE[size]
    return head.load({head.spec.artifacts[0]: WEIGHTS / f"violence_detection_{size}.npy"}, "cpu")


# Nudity


@each_size
def test_nudity_scores_are_those_of_the_original(size):
    with np.load(SAMPLE) as golden:
        embeddings_ND, scores_N = golden[f"{size}_embeddings"], golden[f"{size}_scores"]
    assert scores_N.shape == (16,)
    np.testing.assert_allclose(predict_all(nudity(size), list(embeddings_ND))[:, 0], scores_N, rtol=0, atol=1e-5)


@each_size
@pytest.mark.skipif(not FULL.is_dir(), reason="the full golden scores are not on this machine")
def test_all_nudity_scores_are_those_of_the_original(size):
    with np.load(FULL / f"nsfw_{size}_golden.npz") as golden:
        embeddings_ND, scores_N = golden["embeddings"], golden["scores"]
    assert scores_N.shape == (128,)
    np.testing.assert_allclose(predict_all(nudity(size), list(embeddings_ND))[:, 0], scores_N, rtol=0, atol=1e-5)


def test_an_mlp_by_hand(tmp_path):
    """Two inputs, the second one zeroed: (0.5 - 0.25) / 0.5 = 0.5 and (0 - 1) / 2 = -0.5.

    Hidden: relu(0.5 * 2 + -0.5 * 1 + 0.1) = 0.6 and relu(0.5 * -1 + -0.5 * 1 + 0) = 0; out: 0.6 * 3 + 0 * 9 - 0.8 = 1.
    """
    path = tmp_path / "mlp.npz"
    arrays = {
        "mean": [0.25, 1.0],
        "variance": [0.25, 4.0],
        "dense0_kernel": [[2.0, -1.0], [1.0, 1.0]],
        "dense0_bias": [0.1, 0.0],
        "dense1_kernel": [[3.0], [9.0]],
        "dense1_bias": [-0.8],
    }
    np.savez(path, zero_columns=[1], **{name: np.array(values, np.float32) for name, values in arrays.items()})
    embeddings_ND = np.array([[0.5, 77.0]], np.float32)
    found_N1 = Mlp.read(path)(embeddings_ND)
    np.testing.assert_allclose(found_N1, [[1 / (1 + math.exp(-1))]], rtol=1e-6)
    assert found_N1.dtype == np.float32
    assert embeddings_ND[0, 1] == 77.0


@pytest.mark.parametrize("x", [-1000.0, -1.0, 0.0, 1.0, 1000.0])
def test_sigmoid_does_not_overflow(x):
    wanted = 1 / (1 + math.exp(-x)) if x > -700 else 0.0
    found = sigmoid(np.array([x], np.float32))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [wanted], rtol=1e-6)


# Violence


def test_violence_scores_by_hand():
    """Dot products (safe, violent) = (0.02, 0.03): e^3 / (e^2 + e^3)."""
    safe_violent_2D = np.array([[1, 0], [0, 1]], np.float32)
    embeddings_ND = np.array([[0.02, 0.03], [0.5, 0.5], [0.03, 0.02]], np.float32)
    share = math.exp(3) / (math.exp(2) + math.exp(3))
    np.testing.assert_allclose(
        violence_scores(embeddings_ND, safe_violent_2D), [[share], [0.5], [1 - share]], rtol=1e-5
    )


@each_size
@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_class_with_the_larger_dot_product_wins(size, seed):
    head = violence(size)
    embedding_D = np.random.default_rng(seed).normal(size=head.dimensions).astype(np.float32)
    embedding_D /= np.linalg.norm(embedding_D)
    safe, violent = head.safe_violent_2D @ embedding_D
    [[score]] = head.predict([embedding_D])
    assert (violent > safe) == (score > 0.5) or abs(violent - safe) < 1e-6


@each_size
def test_a_class_vector_scores_as_itself(size):
    head = violence(size)
    safe, violent = predict_all(head, list(head.safe_violent_2D))[:, 0]
    assert safe < 0.5 < violent


# Files


@pytest.mark.parametrize(
    ("head", "file", "sentence"),
    [
        (NudityViTB32, "nsfw_vit_l_14.npz", r"the dense layers of laion_nudity_vit_b_32: .* \(768,\), wanted \(512,\)"),
        (NudityViTL14, "nsfw_vit_b_32.npz", r"the dense layers of laion_nudity_vit_l_14: .* \(512,\), wanted \(768,\)"),
        (ViolenceViTB32, "violence_detection_vit_l_14.npy", r"the two class vectors .* \(2, 768\), wanted \(2, 512\)"),
        (ViolenceViTL14, "nsfw_vit_l_14.npz", "the two class vectors of laion_violence_vit_l_14: .*"),
    ],
)
def test_the_weights_of_another_head_are_refused(head, file, sentence):
    with pytest.raises(NightjarError, match=f"^{WEIGHTS / file} is not {sentence}$"):
        head.load({head.spec.artifacts[0]: WEIGHTS / file}, "cpu")


def test_a_pickle_is_not_unpacked(tmp_path):
    """NumPy files can carry pickles, and pickles can carry programs."""
    path = tmp_path / "pickle.npy"
    np.save(path, np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(NightjarError, match=r"allow_pickle=False"):
        ViolenceViTB32.load({"laion-violence-vit-b-32": path}, "cpu")


def test_unit_examples_have_length_1():
    np.testing.assert_allclose(np.linalg.norm(unit_examples(512), axis=1), 1.0, rtol=1e-6)


@each_size
def test_a_batch_of_another_width_names_the_head(size):
    with pytest.raises(NightjarError, match=rf"laion_nudity_{size} got vectors of shape \(3,\), wanted \("):
        nudity(size).predict([np.zeros(3, np.float32)])
