"""Open-NSFW: its preprocessing against PIL, its graph against what Nightjar feeds and reads."""

import numpy as np
import pytest
from PIL import Image

from model_registry.images import example_frames
from model_registry.model import predict_all
from model_registry.models.open_nsfw import MEAN_RGB

torch = pytest.importorskip("torch")


@pytest.fixture
def model(loaded):
    return loaded("open_nsfw")


def odd_frames():
    rng = np.random.default_rng(7)
    sizes = [(480, 270), (100, 60), (720, 1280), (3, 5)]
    return [*example_frames(), *(rng.integers(0, 256, (*size, 3), np.uint8) for size in sizes)]


def reference(frame_HWC):
    """256 x 256 by PIL, the middle 224, BGR less the mean; float32 [224, 224, 3]."""
    squashed = Image.fromarray(frame_HWC).resize((256, 256), Image.Resampling.BILINEAR)
    crop_HWC = np.asarray(squashed, np.float32)[16:240, 16:240]
    return (crop_HWC - np.array(MEAN_RGB, np.float32))[:, :, ::-1]


@pytest.mark.parametrize("index", range(len(odd_frames())))
def test_preprocessing_is_pils_within_one_grey_level(model, index):
    frame = odd_frames()[index]
    found_1HWC = model.preprocess([frame]).numpy()
    assert (found_1HWC.shape, found_1HWC.dtype) == ((1, 224, 224, 3), np.float32)
    np.testing.assert_allclose(found_1HWC[0], reference(frame), rtol=0, atol=1.001)
    assert np.abs(found_1HWC[0] - reference(frame)).mean() < 0.3


def test_channels_are_blue_green_red():
    """The mean of a red frame: (0 - 104, 0 - 117, 255 - 123)."""
    red = np.zeros((256, 256, 3), np.uint8)
    red[:, :, 0] = 255
    np.testing.assert_array_equal(reference(red)[0, 0], [-104, -117, 132])


def test_a_red_frame_reaches_the_graph_as_blue_green_red(model):
    red = np.zeros((256, 256, 3), np.uint8)
    red[:, :, 0] = 255
    np.testing.assert_array_equal(model.preprocess([red])[0, 0, 0], [-104, -117, 132])


def test_a_batch_of_mixed_sizes_is_preprocessed_as_each_frame_alone(model):
    frames = [*odd_frames(), *odd_frames()[::-1]]
    alone = torch.cat([model.preprocess([frame]) for frame in frames])
    torch.testing.assert_close(model.preprocess(frames), alone, rtol=0, atol=0)


def test_the_score_is_the_second_of_two_shares(model):
    frames = example_frames()
    inputs = {model.input_name: np.stack([reference(frame) for frame in frames])}
    [shares_N2] = model.session.run(None, inputs)
    np.testing.assert_allclose(shares_N2.sum(axis=1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(predict_all(model, frames)[:, 0], shares_N2[:, 1], atol=1e-3)


def test_the_session_keeps_to_the_threads_of_torch(ref_of):
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        options = ref_of("open_nsfw").load("cpu").session.get_session_options()
    finally:
        torch.set_num_threads(before)
    assert options.intra_op_num_threads == 1
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


@pytest.mark.parametrize("picture", ["chelsea.png", "coffee.png", "rocket.jpg"])
def test_what_is_harmless_scores_low(model, real_media, picture):
    path = real_media / "image" / "scikit-image" / picture
    if not path.exists():
        pytest.skip(f"there is no {picture} here")
    [[score]] = model.predict([np.asarray(Image.open(path).convert("RGB"))])
    assert score < 0.1
