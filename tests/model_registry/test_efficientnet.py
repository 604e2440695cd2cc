"""EfficientNet-Lite0: its preprocessing against PIL, its weights against photographs, the weapon cue on top."""

import numpy as np
import pytest
from PIL import Image

from model_registry.errors import NightjarError
from model_registry.images import example_frames
from model_registry.model import predict_all
from model_registry.models.efficientnet import (
    ARTIFACT,
    CROP,
    RESIZE,
    EfficientNetLite0,
    graph_features,
    timm_twin,
    torch_features,
)
from model_registry.models.imagenet_weapons import FIREARM_CLASSES, ImageNetWeapons

torch = pytest.importorskip("torch")


@pytest.fixture
def tower(loaded):
    return loaded("efficientnet_lite0")


@pytest.fixture
def checkpoint(ref_of):
    [(_, path)] = ref_of("efficientnet_lite0").weights
    return path


def odd_frames():
    rng = np.random.default_rng(7)
    sizes = [(256, 455), (480, 270), (100, 60), (720, 1280), (3, 5)]
    return [*example_frames(), *(rng.integers(0, 256, (*size, 3), np.uint8) for size in sizes)]


# Preprocessing


def reference(frame_HWC):
    """Short side to 256 by PIL, the middle 224, (x - 127) / 128; float32 [3, 224, 224]."""
    height, width = frame_HWC.shape[:2]
    scale = RESIZE / min(height, width)
    size = (RESIZE, int(height * scale)) if width <= height else (int(width * scale), RESIZE)
    picture = Image.fromarray(frame_HWC).resize(size, Image.Resampling.BICUBIC)
    left, top = round((size[0] - CROP) / 2), round((size[1] - CROP) / 2)
    crop_HWC = np.asarray(picture.crop((left, top, left + CROP, top + CROP)), np.float32)
    return (crop_HWC.transpose(2, 0, 1) - 127) / 128


@pytest.mark.parametrize("index", range(len(odd_frames())))
def test_preprocessing_is_pils_within_two_grey_levels(tower, index):
    frame = odd_frames()[index]
    found_1CHW = tower.preprocess([frame]).numpy()
    assert (found_1CHW.shape, found_1CHW.dtype) == ((1, 3, CROP, CROP), np.float32)
    np.testing.assert_allclose(found_1CHW[0], reference(frame), rtol=0, atol=2.001 / 128)  # noise; pictures: 1
    assert np.abs(found_1CHW[0] - reference(frame)).mean() < 0.3 / 128


def test_a_batch_of_mixed_sizes_is_preprocessed_as_each_frame_alone(tower):
    frames = [*odd_frames(), *odd_frames()[::-1]]
    alone = torch.cat([tower.preprocess([frame]) for frame in frames])
    torch.testing.assert_close(tower.preprocess(frames), alone, rtol=0, atol=0)


def test_frames_of_the_decoders_size_are_not_resampled(tower):
    frame = example_frames()[3]
    wanted_HWC = frame[16:240, 16:240].astype(np.float32)
    np.testing.assert_array_equal(tower.preprocess([frame])[0].permute(1, 2, 0), (wanted_HWC - 127) / 128)


# The network


def test_the_embedding_is_pooled_features_as_the_classifier_reads_them(tower, checkpoint):
    """timm's own head on the same pixels."""
    frames = example_frames()
    embeddings_ND = np.stack(tower.predict(frames))
    assert embeddings_ND.min() >= 0  # after ReLU6 and averaging
    net = timm_twin(checkpoint).eval()
    with torch.inference_mode():
        wanted_NK = net(tower.preprocess(frames)).numpy()
        found_NK = net.classifier(torch.from_numpy(embeddings_ND)).numpy()
    np.testing.assert_allclose(found_NK, wanted_NK, rtol=1e-4, atol=1e-4)


def test_the_graph_is_the_network(tower, checkpoint):
    pixels_NCHW = tower.preprocess(odd_frames())
    wanted_ND = torch_features(checkpoint, "cpu")(pixels_NCHW)
    np.testing.assert_allclose(graph_features(checkpoint)(pixels_NCHW), wanted_ND, rtol=0, atol=1e-4)
    assert wanted_ND.max() > 1


def test_the_graph_pads_odd_sizes_as_the_network_does(checkpoint):
    pixels_NCHW = torch.randn(2, 3, 97, 130, generator=torch.Generator().manual_seed(3))
    wanted_ND = torch_features(checkpoint, "cpu")(pixels_NCHW)
    np.testing.assert_allclose(graph_features(checkpoint)(pixels_NCHW), wanted_ND, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("picture", "classes"),
    [
        ("chelsea.png", range(281, 286)),  # tabby to Egyptian cat
        ("coffee.png", (504, 967, 968)),  # coffee mug, espresso, cup
        ("rocket.jpg", (657, 744, 812)),  # missile, projectile, space shuttle
        ("motorcycle_left.png", (665, 670)),  # moped, motor scooter
    ],
)
def test_it_knows_what_photographs_show(tower, checkpoint, real_media, picture, classes):
    """The checkpoint's tensors are matched by their order alone: a wrong order would know nothing."""
    path = real_media / "image" / "scikit-image" / picture
    if not path.exists():
        pytest.skip(f"there is no {picture} here")
    [embedding_D] = tower.predict([np.asarray(Image.open(path).convert("RGB"))])
    tensors = torch.load(checkpoint, weights_only=True)
    logits_K = tensors["_fc.weight"].numpy() @ embedding_D + tensors["_fc.bias"].numpy()
    assert int(logits_K.argmax()) in classes


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    path = tmp_path / "other.pth"
    torch.save(torch.nn.Linear(2, 2).state_dict(), path)
    sentence = f"^{path} is not a checkpoint of EfficientNet-Lite0: "
    with pytest.raises(NightjarError, match=sentence + "it holds 2 tensors, wanted 296$"):
        EfficientNetLite0.load({ARTIFACT: path}, "cpu")
    with pytest.raises(NightjarError, match=sentence + "'_fc.weight'$"):
        ImageNetWeapons.load({ARTIFACT: path}, "cpu")


def test_a_checkpoint_whose_tensors_are_in_another_order_is_refused(checkpoint, tmp_path):
    tensors = torch.load(checkpoint, weights_only=True)
    path = tmp_path / "turned.pth"
    torch.save(dict(reversed(tensors.items())), path)
    with pytest.raises(NightjarError, match=f"^{path} is not a checkpoint of EfficientNet-Lite0: .*size mismatch"):
        EfficientNetLite0.load({ARTIFACT: path}, "cpu")


def test_a_pickle_that_carries_a_program_is_refused(tmp_path):
    path = tmp_path / "evil.pth"
    torch.save({"weights": Program(tmp_path / "ran")}, path)
    with pytest.raises(NightjarError, match=f"^{path} is not a checkpoint of EfficientNet-Lite0: Weights only load"):
        EfficientNetLite0.load({ARTIFACT: path}, "cpu")
    assert not (tmp_path / "ran").exists()


class Program:
    """Runs when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return type(self.path).touch, (self.path,)


# The weapon cue


@pytest.fixture
def weapons(loaded):
    return loaded("imagenet_weapons")


def test_the_cue_is_the_share_of_the_firearm_classes(weapons, tower, checkpoint):
    """By torch's own softmax over the network's own logits."""
    frames = example_frames()
    with torch.inference_mode():
        shares_NK = timm_twin(checkpoint).eval()(tower.preprocess(frames)).double().softmax(dim=1)
    wanted_N = shares_NK[:, list(FIREARM_CLASSES)].sum(dim=1)
    found_N1 = predict_all(weapons, tower.predict(frames))
    np.testing.assert_allclose(found_N1[:, 0], wanted_N, rtol=1e-3, atol=1e-7)


def test_the_cue_is_high_where_a_firearm_class_wins(weapons):
    """An embedding along the weights of class 764, rifle, against one along 281, tabby cat."""
    rifle, cat = (weapons.weight_DK[:, index] * 50 for index in (764, 281))
    found_N1 = predict_all(weapons, [rifle, cat])
    assert found_N1[0, 0] > 0.99
    assert found_N1[1, 0] < 0.01


def test_the_cue_survives_huge_logits(weapons):
    assert np.isfinite(weapons.predict([np.full(1280, 1e4, np.float32)])).all()
