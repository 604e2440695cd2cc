"""CLIP checkpoints in every form they come in, by open_clip itself, at a thousandth of the size."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from model_registry.errors import NightjarError
from model_registry.images import example_frames
from model_registry.model import predict_all
from model_registry.models import clip
from model_registry.models.clip import ClipTower, ClipViTB32, load_clip
from model_registry.models.clip_heads import NudityViTB32, ViolenceViTB32
from model_registry.models.zero_shot import ZeroShotViTB32, zero_shot_prompts
from tests.tiny_clip import CLIP_ROW, config, tiny_clip, write_clip_folder, write_openai_file

torch = pytest.importorskip("torch")
open_clip = pytest.importorskip("open_clip")

ARCHITECTURE = "tiny-of-the-tests"
ONE_LEVEL = 1.01 / 255 / min(open_clip.OPENAI_DATASET_STD)  # one grey level after normalisation


class TinyTower(ClipTower):
    """The tower of an architecture that open_clip was told of."""

    architecture = ARCHITECTURE
    spec = ClipViTB32.spec


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """One set of weights in each form."""
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("clip")
    description = folder / f"{ARCHITECTURE}.json"
    description.write_text(json.dumps(config(512)), "utf-8")
    open_clip.add_model_config(description)
    weights = tiny_clip(512).state_dict()
    torch.save(weights, folder / "weights.pt")
    torch.save({"epoch": 3, "state_dict": weights}, folder / "training.pt")
    save_file(weights, folder / "weights.safetensors")
    write_openai_file(folder / "openai.pt", 512)
    write_clip_folder(folder / "hub", 512)
    return folder


def tower(path):
    return TinyTower.load({CLIP_ROW: path}, "cpu")


def unit(vectors_ND):
    return vectors_ND / np.linalg.norm(vectors_ND, axis=1, keepdims=True)


# Loading


@pytest.mark.parametrize("name", ["weights.pt", "training.pt", "weights.safetensors", "hub"])
def test_every_form_of_a_checkpoint_gives_the_embeddings_of_its_weights(files, name):
    found = tower(files / name)
    pixels_NCHW = found.preprocess(example_frames())
    with torch.inference_mode():
        wanted_ND = tiny_clip(512).encode_image(pixels_NCHW).numpy()
    np.testing.assert_allclose(found.predict(example_frames()), unit(wanted_ND), atol=1e-6)


def test_openais_own_file_gives_the_embeddings_of_its_rounded_weights(files):
    """They were published in half precision; they are computed with in single precision."""
    found = tower(files / "openai.pt")
    pixels_NCHW = found.preprocess(example_frames())
    with torch.inference_mode():
        wanted_ND = tiny_clip(512).half().float().encode_image(pixels_NCHW).numpy()
    np.testing.assert_allclose(found.predict(example_frames()), unit(wanted_ND), atol=1e-6)
    assert {p.dtype for p in found.visual.parameters()} == {torch.float32}


def test_only_a_torchscript_archive_goes_to_the_loader_for_openais_files(files, monkeypatch):
    loaders = []

    def spied(name):
        real = getattr(open_clip, name)
        return lambda *args, **kwargs: loaders.append(name) or real(*args, **kwargs)

    for loader in ("load_openai_model", "create_model"):
        monkeypatch.setattr(open_clip, loader, spied(loader))
    for name in ("openai.pt", "weights.pt", "weights.safetensors", "hub"):
        load_clip(ARCHITECTURE, files / name, "cpu")
    assert loaders == ["load_openai_model", "create_model", "create_model", "create_model"]


def test_a_torchscript_archive_is_told_by_its_code(files, tmp_path):
    garbage = tmp_path / "garbage.pt"
    garbage.write_bytes(b"PK\x03\x04 and no more")
    found = {path.name: clip._is_torchscript(path) for path in (*files.glob("*.pt"), garbage)}
    assert found == {"openai.pt": True, "weights.pt": False, "training.pt": False, "garbage.pt": False}


def test_the_text_tower_is_let_go(files):
    found = tower(files / "weights.pt")
    assert set(vars(found)) == {"visual", "device", "side", "mean", "std"}
    wanted = sum(p.numel() for p in tiny_clip(512).visual.parameters())
    assert sum(p.numel() for p in found.visual.parameters()) == wanted


def broken(name, files, folder):
    """Make one broken checkpoint."""
    path = folder / name
    if name == "cut.pt":
        path.write_bytes((files / "weights.pt").read_bytes()[:100_000])
    elif name == "cut_openai.pt":
        path.write_bytes((files / "openai.pt").read_bytes()[:100_000])
    elif name == "cut.safetensors":
        path.write_bytes((files / "weights.safetensors").read_bytes()[:100_000])
    elif name == "empty.pt":
        path.touch()
    elif name == "text.pt":
        path.write_text("<html>sign in first</html>", "utf-8")
    elif name == "another_net.pt":
        torch.save(torch.nn.Linear(2, 2).state_dict(), path)
    elif name == "another_script.pt":
        torch.jit.script(torch.nn.Linear(2, 2)).save(str(path))
    elif name == "no_weights":
        write_clip_folder(path, 512)
        (path / "open_clip_model.safetensors").unlink()
    elif name == "no_config":
        write_clip_folder(path, 512)
        (path / "open_clip_config.json").unlink()
    return path


@pytest.mark.parametrize(
    "name",
    [
        "cut.pt",
        "cut_openai.pt",
        "cut.safetensors",
        "empty.pt",
        "text.pt",
        "another_net.pt",
        "another_script.pt",
        "no_weights",
        "no_config",
        "absent.pt",
    ],
)
def test_a_broken_checkpoint_is_one_sentence_that_names_it(files, tmp_path, name):
    path = broken(name, files, tmp_path)
    with pytest.raises(NightjarError) as caught:
        load_clip(ARCHITECTURE, path, "cpu")
    assert re.fullmatch(rf"{path} is not a CLIP checkpoint of {ARCHITECTURE}: [^\n]{{3,300}}", str(caught.value))


def test_a_checkpoint_of_another_width_is_refused(tmp_path):
    folder = write_clip_folder(tmp_path / "narrow", 256)
    with pytest.raises(NightjarError, match=f"^{folder} embeds in 256 dimensions, clip_vit_b_32 wants 512$"):
        tower(folder)


# Preprocessing


def test_preprocessing_is_open_clips_own(files):
    """Same resampling filter, other roundings: at most one grey level apart."""
    reference = open_clip.image_transform(
        32, is_train=False, mean=open_clip.OPENAI_DATASET_MEAN, std=open_clip.OPENAI_DATASET_STD
    )
    frames = [*example_frames(), np.random.default_rng(1).integers(0, 256, (20, 50, 3), np.uint8)]
    wanted_NCHW = torch.stack([reference(Image.fromarray(frame)) for frame in frames])
    found_NCHW = tower(files / "openai.pt").preprocess(frames)
    assert found_NCHW.dtype == torch.float32
    np.testing.assert_allclose(found_NCHW, wanted_NCHW, atol=ONE_LEVEL)
    assert (found_NCHW - wanted_NCHW).abs().mean() < 0.1 * ONE_LEVEL


def test_the_checkpoints_own_mean_and_deviation_are_used(tmp_path):
    folder = write_clip_folder(tmp_path / "other", 512, {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.5, 1.0]})
    white = np.full((32, 32, 3), 255, np.uint8)
    found_1CHW = tower(folder).preprocess([white])
    np.testing.assert_allclose(found_1CHW[0, :, 0, 0], [2.0, 1.0, 0.5], rtol=1e-6)


@pytest.mark.parametrize(("key", "value"), [("resize_mode", "squash"), ("interpolation", "bilinear")])
def test_a_checkpoint_trained_with_another_scaling_is_refused(tmp_path, key, value):
    folder = write_clip_folder(tmp_path / "other", 512, {key: value})
    with pytest.raises(NightjarError, match=f"^{folder} was trained with {key} '{value}', allowed is '"):
        tower(folder)


# The heads on top


def test_embeddings_have_length_1_and_feed_every_head(files):
    embeddings_ND = predict_all(tower(files / "openai.pt"), example_frames())
    np.testing.assert_allclose(np.linalg.norm(embeddings_ND, axis=1), 1.0, rtol=1e-5)
    heads = {"zero_shot": ZeroShotViTB32.load({CLIP_ROW: files / "hub"}, "cpu")}
    heads |= {
        "nudity": NudityViTB32.load({"laion-nudity-vit-b-32": shipped("nsfw_vit_b_32.npz")}, "cpu"),
        "violence": ViolenceViTB32.load({"laion-violence-vit-b-32": shipped("violence_detection_vit_b_32.npy")}, "cpu"),
    }
    scores = {name: predict_all(head, list(embeddings_ND)) for name, head in heads.items()}
    assert {name: found.shape[1] for name, found in scores.items()} == {
        "zero_shot": len(zero_shot_prompts().labels),
        "nudity": 1,
        "violence": 1,
    }


def shipped(name):
    from model_registry import artifacts

    return artifacts.TABLE_FILE.parent / "weights" / "laion" / name


def test_a_zero_shot_score_is_the_softmax_of_the_checkpoints_own_similarities(files):
    """The first label against the benign captions, written out with open_clip's own calls."""
    net, tokenizer, prompts = tiny_clip(512), open_clip.get_tokenizer(ARCHITECTURE), zero_shot_prompts()
    found_tower = tower(files / "hub")
    with torch.inference_mode():
        image_ND = net.encode_image(found_tower.preprocess(example_frames()), normalize=True)
        captions_KD = net.encode_text(tokenizer(list(prompts.labels[0].captions)), normalize=True)
        benign_BD = net.encode_text(tokenizer(list(prompts.benign)), normalize=True)
        label_D = torch.nn.functional.normalize(captions_KD.mean(dim=0), dim=0)
        logits = net.logit_scale.exp() * image_ND @ torch.vstack([label_D, benign_BD]).T
        wanted_N = logits.double().softmax(dim=1)[:, 0].numpy()
    head = ZeroShotViTB32.load({CLIP_ROW: files / "hub"}, "cpu")
    scores_NL = predict_all(head, found_tower.predict(example_frames()))
    np.testing.assert_allclose(scores_NL[:, 0], wanted_N, rtol=1e-3)
