"""Every model of the catalog on CUDA against itself on the CPU; skipped where there is no GPU."""

import numpy as np
import pytest

from benchmarks.accelerator import parity, towers
from benchmarks.accelerator.rates import Sizes
from model_registry import images
from model_registry.catalog import CATALOG
from model_registry.model import predict_all
from model_registry.models.clip import ClipViTB32, ClipViTL14

torch = pytest.importorskip("torch")
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU on this machine")

BY_HUB_ONLY = {"whisper_large_v3_turbo_ct2"}  # 1.6 GB; the class is tested with whisper_base_ct2
NAMES = [name for name in CATALOG if name not in BY_HUB_ONLY]


@needs_cuda
@pytest.mark.parametrize("name", NAMES)
def test_a_model_says_on_cuda_what_it_says_on_the_cpu(name, ref_of):
    found = parity.compare(CATALOG[name], ref_of(name).load, "cuda")
    assert found.apart is not None, found.reason
    assert not found.failed, found.row


@needs_cuda
@pytest.mark.parametrize("model", [ClipViTB32, ClipViTL14])
def test_a_tower_of_the_real_shape_agrees_over_several_parts(model):
    """Frames of several sizes, and more than are copied together."""
    examples = model.examples() * 40
    on_cpu, on_cuda = (towers.random_tower(model, device) for device in ("cpu", "cuda"))
    found, wanted = predict_all(on_cuda, examples), on_cpu.predict(examples[:4]) * 40
    assert parity.apart(model.spec, list(found), wanted) < parity.COSINE


@needs_cuda
def test_the_same_batch_gives_the_same_embeddings_on_cuda():
    tower = towers.random_tower(ClipViTB32, "cuda")
    frames = towers.frames(Sizes(batches_in_a_row=1), 128)
    np.testing.assert_array_equal(tower.predict(frames), tower.predict(frames))


@needs_cuda
def test_frames_reach_cuda_whole_though_nobody_waits_for_them():
    """Pinned blocks are used again while copies out of them may still be on their way."""
    frames = [np.full((64, 64, 3), value, np.uint8) for value in range(200)]
    parts = [images.to_NCHW([frame] * 4, "cuda")[0] for frame in frames]
    assert [int(part.min()) for part in parts] == [int(part.max()) for part in parts] == list(range(200))


# What holds on every machine


def test_constants_of_a_normalisation_are_made_once_and_are_right():
    frames_NCHW = torch.arange(2 * 3 * 4 * 4, dtype=torch.uint8).view(2, 3, 4, 4)
    mean, std = [10.0, 20.0, 30.0], [2.0, 4.0, 8.0]
    wanted = (frames_NCHW.numpy() - np.reshape(mean, (1, 3, 1, 1))) / np.reshape(std, (1, 3, 1, 1))
    with torch.inference_mode():
        first = images.normalise(frames_NCHW, mean, std)
    np.testing.assert_allclose(first.numpy(), wanted, rtol=1e-6)
    again = images.normalise(frames_NCHW, mean, std)  # made in inference mode, read outside of it
    assert torch.equal(first, again)
    assert images._constants((10.0, 20.0, 30.0), (2.0, 4.0, 8.0), "cpu") is images._constants(
        tuple(mean), tuple(std), "cpu"
    )


def test_every_model_has_a_tolerance_that_could_be_missed():
    for model in CATALOG.values():
        measure, allowed = parity.tolerance(model.spec)
        assert measure
        assert 0 < allowed < float("inf")


@pytest.mark.parametrize(
    "name", ["efficientnet_lite0", "open_nsfw", "universal_sentences", "silero_vad", "whisper_base_ct2"]
)
def test_a_model_is_no_distance_from_itself(name, ref_of):
    """The comparison that a GPU is put to, with the CPU on both sides."""

    assert parity.compare(CATALOG[name], ref_of(name).load, "cpu").apart == pytest.approx(0, abs=1e-6)
