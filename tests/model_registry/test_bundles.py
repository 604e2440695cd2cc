"""Bundles: resolved once to versions and files, from the table or from the registry."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model_registry import artifacts, store
from model_registry.artifacts import artifact
from model_registry.bundles import BUNDLES, Bundle, PinnedBundle, bundle_named, needed, pin, pin_model
from model_registry.catalog import CATALOG
from model_registry.errors import NightjarError, UsageError
from model_registry.images import example_frames
from model_registry.model import InputKind, predict_all
from tests.fakes import FakeFrameHead, FakeHead, FakeTower, fake_ref
from tests.tiny_clip import CLIP_ROW

HEAD, ROW = "laion_nudity_vit_b_32", "laion-nudity-vit-b-32"  # shipped: needs no network


@pytest.fixture
def shipped():
    return artifacts.present(artifact(ROW))


# Names


def test_the_three_bundles():
    assert list(BUNDLES) == ["lite", "clip-b32", "clip-l14"]


@pytest.mark.parametrize("bundle", BUNDLES.values(), ids=BUNDLES)
def test_a_bundle_has_a_tower_heads_that_read_it_and_frame_models(bundle):
    tower, *others = bundle.specs
    assert tower.embedding_dim
    assert tower.reads is InputKind.FRAME
    assert {spec.tower for spec in others} <= {tower.name, bundle.text_tower, ""}
    assert [spec.name for spec in bundle.specs] == list(bundle.models)
    assert len(set(bundle.models)) == len(bundle.models)


def test_every_model_of_the_catalog_is_in_a_bundle_or_another_engine_of_one():
    in_bundles = {name for bundle in BUNDLES.values() for name in bundle.models}
    assert set(CATALOG) - in_bundles == {"whisper_transformers"}


@pytest.mark.parametrize("bundle", BUNDLES.values(), ids=BUNDLES)
def test_two_models_of_a_bundle_may_score_one_label_but_nudity_and_weapons_are_there(bundle):
    labels = {label for spec in bundle.specs for label in spec.labels}
    assert {"Explicit/Explicit Nudity", "Violence/Weapons"} <= labels


def test_a_head_of_another_tower_is_refused():
    sentence = "bundle mixed: head laion_nudity_vit_l_14 reads 'clip_vit_l_14', the tower is 'clip_vit_b_32'"
    with pytest.raises(ValueError, match=sentence):
        Bundle("mixed", "1", "clip_vit_b_32", heads=("laion_nudity_vit_l_14",))


def test_an_unknown_bundle_is_answered_with_those_there_are():
    with pytest.raises(UsageError, match=r"^there is no bundle 'light'; allowed: lite, clip-b32, clip-l14$"):
        bundle_named("light")


def test_an_artifact_that_two_models_load_is_needed_once():
    assert needed(["clip_vit_b_32", "zero_shot_vit_b_32", HEAD]) == [CLIP_ROW, ROW]


# Pinned bundles


def pinned(**changes):
    bundle = PinnedBundle("toy", "1", 256, fake_ref(FakeTower), (fake_ref(FakeFrameHead), fake_ref(FakeHead)))
    return replace(bundle, **changes)


def test_roles_are_found_by_what_models_read_and_write(lite):
    roles = (lite.voice_activity, lite.speech, lite.speaker, lite.ocr, lite.text_tower, *lite.text_heads)
    assert [ref.name for ref in roles] == [
        "silero_vad",
        "whisper_base_ct2",
        "speaker_ge2e",
        "rapid_ocr",
        "universal_sentences",
        "text_heads_universal",
        "text_heads_ngrams",
    ]
    assert [ref.name for ref in lite.frame_models] == ["open_nsfw"]
    assert [ref.name for ref in lite.heads] == ["imagenet_weapons"]
    assert pinned().voice_activity is pinned().speech is pinned().ocr is pinned().text_tower is None
    assert pinned().text_heads == ()


def test_other_text_models_are_another_bundle_over_the_same_features(lite):
    text = next(ref for ref in lite.others if ref == lite.text_heads[0])
    other = replace(lite, others=tuple(replace(ref, version="2") if ref == text else ref for ref in lite.others))
    assert other.id != lite.id
    assert other.features_id == lite.features_id
    ears = replace(lite, others=tuple(replace(ref, version="2") if ref == lite.speech else ref for ref in lite.others))
    assert ears.features_id != lite.features_id


@pytest.mark.parametrize(
    ("role", "gone"),
    [
        ("speech", {"silero_vad", "whisper_base_ct2", "speaker_ge2e"}),
        ("ocr", {"rapid_ocr"}),
        ("text", {"universal_sentences", "text_heads_universal", "text_heads_ngrams"}),
    ],
)
def test_a_bundle_goes_without_a_role(role, gone):
    whole = bundle_named("lite")
    assert set(whole.models) - set(whole.without(role).models) == gone
    assert whole.without() == whole


def test_speech_without_voice_activity_is_refused():
    with pytest.raises(ValueError, match="bundle deaf: give both a speech model and voice activity, or neither"):
        Bundle("deaf", "1", "efficientnet_lite0", speech="whisper_base_ct2")


def test_a_pinned_bundle_tells_frame_models_from_heads():
    bundle = pinned()
    assert [ref.name for ref in bundle.models] == ["fake_tower", "fake_frame_head", "fake_head"]
    assert [ref.name for ref in bundle.frame_models] == ["fake_frame_head"]
    assert [ref.name for ref in bundle.heads] == ["fake_head"]


def test_the_id_changes_with_every_version_and_with_the_frames():
    others = (fake_ref(FakeFrameHead), fake_ref(FakeHead, "mlflow-2"))
    changed = [
        pinned(),
        pinned(tower=fake_ref(FakeTower, "2")),
        pinned(others=others),
        pinned(others=others[:1]),
        pinned(frame_side=224),
        pinned(version="2"),
    ]
    ids = [bundle.id for bundle in changed]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"toy@[12]\+[0-9a-f]{8}", found) for found in ids)
    assert pinned().id == pinned().id


def test_the_id_does_not_change_with_the_machine():
    """Paths differ from one home to the next; versions do not."""
    moved = replace(fake_ref(FakeTower), weights=(("row", "/another/home/file"),))
    assert pinned(tower=moved).id == pinned().id


# Pinning


def test_lite_is_pinned_to_verified_files(lite):
    assert [ref.source for ref in lite.models] == [
        "efficientnet_lite0@1.0.0",
        "open_nsfw@1.0.0",
        "imagenet_weapons@1.0.0",
        "silero_vad@1.0.0",
        "whisper_base_ct2@1.0.0",
        "speaker_ge2e@1.0.0",
        "rapid_ocr@1.0.0",
        "universal_sentences@1.0.0",
        "text_heads_universal@1.1.0",
        "text_heads_ngrams@1.0.0",
    ]
    for ref in lite.models:
        assert ref.model_class is CATALOG[ref.name]
        for row, path in ref.weights:
            assert artifacts.sha256_of(Path(path)) == artifact(row).sha256


def test_offline_and_absent_is_one_clear_sentence(home):
    sentence = "artifact efficientnet-lite0 is not on this machine; `nightjar models pull` brings it (bundle lite)"
    with pytest.raises(NightjarError, match=f"^{re.escape(sentence)}$"):
        pin(bundle_named("lite"), download=False)
    assert not home.exists()


def test_offline_and_present_is_fine(home, shipped):
    ref = pin_model(HEAD, download=False)
    assert (ref.source, ref.weights) == (f"{HEAD}@1.0.0", ((ROW, str(shipped)),))


def test_an_unknown_alias_is_refused_even_where_nothing_is_registered(home):
    with pytest.raises(UsageError, match=r"^alias 'best' is not known; allowed: champion, challenger$"):
        pin_model(HEAD, "best")


def test_a_registered_version_wins_over_the_one_built_in(registry, shipped):
    store.register(HEAD, {ROW: shipped})
    assert pin_model(HEAD).source == f"{HEAD}@1.0.0"
    store.promote(HEAD, "1")
    ref = pin_model(HEAD)
    assert ref.source == f"{HEAD}@mlflow-1"
    [(row, path)] = ref.weights
    assert row == ROW
    assert Path(path).is_relative_to(registry)
    examples = ref.model_class.examples()
    np.testing.assert_array_equal(
        predict_all(ref.load(), examples), predict_all(pin_model("laion_nudity_vit_b_32").load(), examples)
    )
    store.demote(HEAD, "champion")
    assert pin_model(HEAD).source == f"{HEAD}@1.0.0"


def test_a_challenger_is_tried_beside_the_champions_of_the_others(registry, shipped):
    store.register(HEAD, {ROW: shipped}, "champion")
    assert pin_model(HEAD, "challenger").source == f"{HEAD}@mlflow-1"
    store.register(HEAD, {ROW: shipped}, "challenger")
    assert pin_model(HEAD, "challenger").source == f"{HEAD}@mlflow-2"
    assert pin_model(HEAD).source == f"{HEAD}@mlflow-1"
    assert pin_model("laion_violence_vit_b_32", "challenger").source == "laion_violence_vit_b_32@1.0.0"


def test_a_version_made_by_other_hands_is_refused(registry, shipped):
    """The MLflow pages can make a version without Nightjar's tags."""
    client = store.connect()
    run = client.create_run(store.experiment_id(client, "by hand"))
    client.create_registered_model(HEAD)
    client.create_model_version(HEAD, run.info.artifact_uri, run.info.run_id)
    store.promote(HEAD, "1")
    sentence = f"version mlflow-1 of model {HEAD} holds the artifacts none; the model loads {ROW}"
    (registry / "mlartifacts").mkdir(exist_ok=True)
    Path(run.info.artifact_uri.removeprefix("file://")).mkdir(parents=True)
    with pytest.raises(NightjarError, match=f"^{sentence}$"):
        pin_model(HEAD)


# CLIP through the registry


def test_clip_b32_is_pinned_to_the_registered_checkpoint_and_the_real_heads(clip_b32):
    assert [ref.source for ref in clip_b32.models] == [
        "clip_vit_b_32@mlflow-1",
        "laion_nudity_vit_b_32@1.0.0",
        "laion_violence_vit_b_32@1.0.0",
        "zero_shot_vit_b_32@mlflow-1",
    ]
    assert clip_b32.frame_side == 224
    assert re.fullmatch(r"clip-b32@2\+[0-9a-f]{8}", clip_b32.id)


def test_clip_b32_runs_from_frames_to_scores(clip_b32):
    embeddings_ND = predict_all(clip_b32.tower.load(), example_frames())
    np.testing.assert_allclose(np.linalg.norm(embeddings_ND, axis=1), 1.0, rtol=1e-5)
    for ref in clip_b32.heads:
        scores_NL = predict_all(ref.load(), list(embeddings_ND))
        assert scores_NL.shape == (len(embeddings_ND), len(ref.spec.labels))
        assert len(np.unique(scores_NL, axis=0)) == len(embeddings_ND)
