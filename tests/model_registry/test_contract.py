"""What every model of the catalog promises; a new model is covered by its line in the catalog."""

import subprocess
import sys

import numpy as np
import pytest

from model_registry.artifacts import table
from model_registry.catalog import CATALOG, model_class
from model_registry.errors import NightjarError, UsageError
from model_registry.labels import taxonomy
from model_registry.model import InputKind, Line, ModelRef, ModelSpec, OutputKind, Span, predict_all, read_all
from tests.fakes import (
    BoastingHead,
    FailingHead,
    FakeFrameHead,
    FakeHead,
    FakeTower,
    MiscountingHead,
    NanHead,
    NarrowHead,
    fake_ref,
)

HEAVY = {
    *("torch", "torchvision", "torchaudio", "timm", "onnxruntime", "open_clip", "transformers", "ctranslate2"),
    *("faster_whisper", "rapidocr", "cv2", "mlflow", "ray", "fsspec", "uv", "av"),
}
SMALL = {"rtol": 1e-4, "atol": 1e-5}  # another batch size sums in another order

BY_HUB_ONLY = {"whisper_large_v3_turbo_ct2"}  # 1.6 GB; the class is tested with whisper_base_ct2
VECTOR_MODELS = [name for name, model in CATALOG.items() if model.spec.writes is OutputKind.VECTOR]
WORD_MODELS = [name for name in CATALOG if name not in {*VECTOR_MODELS, *BY_HUB_ONLY}]
FRAME_MODELS = [name for name in VECTOR_MODELS if CATALOG[name].spec.reads is InputKind.FRAME]
EMBEDDING_MODELS = [name for name, model in CATALOG.items() if model.spec.reads is InputKind.EMBEDDING]

each_model = pytest.mark.parametrize("name", CATALOG)
each_vector_model = pytest.mark.parametrize("name", VECTOR_MODELS)
each_word_model = pytest.mark.parametrize("name", WORD_MODELS)
each_frame_model = pytest.mark.parametrize("name", FRAME_MODELS)
each_embedding_model = pytest.mark.parametrize("name", EMBEDDING_MODELS)


@pytest.fixture
def model(name, loaded):
    return loaded(name)


# The specs


@each_model
def test_a_spec_names_labels_artifacts_and_a_tower_that_exist(name):
    spec = CATALOG[name].spec
    assert spec.name == name
    assert set(spec.labels) <= taxonomy().names()
    assert len(set(spec.labels)) == len(spec.labels)
    assert spec.artifacts
    assert set(spec.artifacts) <= set(table())
    assert 0 <= spec.gpus <= 1
    assert spec.memory_mb > 0


@each_model
def test_models_score_labels_that_their_input_can_show(name):
    spec = CATALOG[name].spec
    tower = CATALOG[spec.tower].spec if spec.tower else spec
    forms = {"Text", "Voice", "OCR"} if tower.reads is InputKind.TEXT else {"Image"}
    assert [label for label in spec.labels if not forms & set(taxonomy()[label].forms)] == []


@each_model
def test_examples_fit_the_input_kind(name):
    spec, examples = CATALOG[name].spec, CATALOG[name].examples()
    assert len(examples) >= 2
    if spec.reads is InputKind.FRAME:
        assert {frame.dtype for frame in examples} == {np.dtype(np.uint8)}
        assert all(frame.ndim == 3 and frame.shape[2] == 3 for frame in examples)
        assert len({frame.shape for frame in examples}) > 1
    elif spec.reads is InputKind.SOUND:
        assert {(sound.dtype, sound.ndim) for sound in examples} == {(np.dtype(np.int16), 1)}
        assert max(map(len, examples)) <= 30 * 16_000
    elif spec.reads is InputKind.TEXT:
        assert {type(text) for text in examples} == {str}
    else:
        tower = model_class(spec.tower).spec
        assert tower.embedding_dim
        assert {(item.dtype, item.shape) for item in examples} == {(np.dtype(np.float32), (tower.embedding_dim,))}


@each_model
def test_examples_are_the_same_each_time(name):
    for first, second in zip(CATALOG[name].examples(), CATALOG[name].examples(), strict=True):
        np.testing.assert_array_equal(first, second)


def test_specs_and_bundles_are_read_without_a_heavy_import():
    code = f"""
import sys
from model_registry.bundles import BUNDLES
from model_registry.catalog import CATALOG
assert all(spec.memory_mb for bundle in BUNDLES.values() for spec in bundle.specs)
assert all(model.spec.name == name for name, model in CATALOG.items())
print(sorted({HEAVY!r} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_unknown_model_is_answered_with_the_catalog():
    with pytest.raises(UsageError, match=r"there is no model 'clip'; the catalog has efficientnet_lite0, open_nsfw, "):
        model_class("clip")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"labels": ()}, "model m: give either labels or embedding_dim, not both or neither"),
        ({"embedding_dim": 3}, "model m: give either labels or embedding_dim, not both or neither"),
        ({"tower": "t"}, "model m: tower 't' does not fit input 'frame'"),
        ({"reads": InputKind.EMBEDDING}, "model m: tower '' does not fit input 'embedding'"),
        ({"max_batch": 0}, "model m: max_batch is 0, must be at least 1"),
        ({"core_batch": -1}, "model m: core_batch is -1, must be 0 or more"),
    ],
)
def test_a_spec_that_contradicts_itself_is_refused(change, sentence):
    sound = {"name": "m", "version": "1", "reads": InputKind.FRAME, "artifacts": (), "labels": ("Gambling",)}
    assert ModelSpec(**sound).width == 1
    with pytest.raises(ValueError, match=sentence):
        ModelSpec(**{**sound, **change})


# predict


@each_vector_model
def test_predict_gives_one_finite_float32_vector_an_item(name, model):
    examples = model.examples()
    vectors = model.predict(examples)
    assert len(vectors) == len(examples)
    assert {(vector.dtype, vector.shape) for vector in vectors} == {(np.dtype(np.float32), (model.spec.width,))}
    assert np.isfinite(vectors).all()
    if model.spec.labels:
        assert np.min(vectors) >= 0
        assert np.max(vectors) <= 1


@each_vector_model
def test_different_examples_give_different_vectors(name, model):
    """Else nothing below could fail."""
    vectors_ND = np.stack(model.predict(model.examples()))
    assert len(np.unique(vectors_ND, axis=0)) == len(vectors_ND)


@each_vector_model
def test_order_is_kept(name, model):
    examples = model.examples()
    turned = model.predict(examples[::-1])
    np.testing.assert_allclose(turned[::-1], model.predict(examples), **SMALL)


@each_vector_model
def test_batch_size_does_not_matter(name, model):
    examples = model.examples()
    one_by_one = [model.predict([item])[0] for item in examples]
    np.testing.assert_allclose(one_by_one, model.predict(examples), **SMALL)


@each_vector_model
def test_the_same_batch_gives_the_same_vectors(name, model):
    np.testing.assert_array_equal(model.predict(model.examples()), model.predict(model.examples()))


@each_vector_model
def test_inputs_are_left_as_they_were_and_may_be_read_only(name, model):
    """Frames are views of Arrow memory."""
    items = model.examples()
    for item in items:
        if isinstance(item, np.ndarray):
            item.setflags(write=False)
    model.predict(items)
    for item, before in zip(items, model.examples(), strict=True):
        np.testing.assert_array_equal(item, before)


@each_vector_model
def test_nothing_in_nothing_out(name, model):
    found = predict_all(model, [])
    assert (found.shape, found.dtype) == ((0, model.spec.width), np.float32)


@each_vector_model
def test_more_than_one_batch(name, model, monkeypatch):
    examples = model.examples()
    whole = predict_all(model, examples)
    spec = type(model).spec
    monkeypatch.setattr(type(model), "spec", ModelSpec(**{**vars(spec), "max_batch": 3}))
    np.testing.assert_allclose(predict_all(model, examples), whole, **SMALL)


@each_frame_model
def test_odd_frames(name, model):
    """The smallest frame, and the most elongated ones that decode lets through."""
    rng = np.random.default_rng(7)
    frames = [rng.integers(0, 256, (*size, 3), np.uint8) for size in ((2, 2), (3, 64), (1024, 256), (256, 1024))]
    assert np.isfinite(predict_all(model, frames)).all()


@each_frame_model
@pytest.mark.parametrize(
    "frame",
    [
        np.zeros((8, 8, 3), np.float32),
        np.zeros((8, 8), np.uint8),
        np.zeros((8, 8, 4), np.uint8),
        np.zeros((0, 8, 3), np.uint8),
    ],
    ids=["float", "grey", "alpha", "empty"],
)
def test_what_is_no_frame_is_refused_instead_of_scored(name, model, frame):
    with pytest.raises(ValueError, match=r"a frame is (uint8|float32) \(.*\), wanted uint8 \(height, width, 3\)"):
        model.predict([*model.examples(), frame])


@each_embedding_model
def test_a_vector_of_another_length_is_refused(name, model):
    with pytest.raises((ValueError, NightjarError)):
        model.predict([np.ones(7, np.float32)])


@each_frame_model
def test_preprocessing_stays_on_its_device(name, model, monkeypatch):
    """On the meta device there are no numbers: any step through NumPy or PIL would fail."""
    monkeypatch.setattr(model, "device", "meta")
    assert model.preprocess(model.examples()).device.type == "meta"


@each_vector_model
def test_a_gpu_gives_what_the_cpu_gives(name, model, ref_of):
    """Resizing rounds to whole grey levels on both, not always the same way."""
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA here")
    on_cpu = predict_all(model, model.examples())
    on_gpu = predict_all(ref_of(name).load("cuda"), model.examples())
    if model.spec.labels:
        np.testing.assert_allclose(on_gpu, on_cpu, atol=0.02)
    else:
        cosines = (on_gpu * on_cpu).sum(axis=1) / np.linalg.norm(on_gpu, axis=1) / np.linalg.norm(on_cpu, axis=1)
        assert cosines.min() > 0.999


@pytest.mark.parametrize(
    "name", [name for name in CATALOG if "l_14" not in name and name not in BY_HUB_ONLY]
)  # the same code, at 5 s a model
def test_a_damaged_file_is_one_sentence_that_names_it(name, ref_of, tmp_path):
    ref, damaged = ref_of(name), tmp_path / "damaged.bin"
    damaged.write_bytes(b"not what anybody wants" * 100)
    weights = tuple((row, str(damaged)) for row, _ in ref.weights)
    with pytest.raises(NightjarError, match=f"^{damaged} is not [^\n]*: [^\n]+$"):
        ModelRef(ref.name, ref.version, ref.implementation, weights).load("cpu")


# What hears and reads


@each_word_model
def test_it_returns_spans_or_lines_whose_times_lie_in_the_item(name, model):
    kind = Span if model.spec.writes is OutputKind.SPANS else Line
    examples = model.examples()
    found = read_all(model, examples)
    assert len(found) == len(examples)
    for item, ones in zip(examples, found, strict=True):
        assert isinstance(ones, tuple)
        assert all(isinstance(one, kind) and 0 <= one.confidence <= 1 for one in ones)
        if model.spec.reads is InputKind.SOUND:
            assert all(0 <= one.start_ms <= one.end_ms <= len(item) // 16 + 100 for one in ones)


@each_word_model
def test_words_keep_their_item_whatever_the_batch(name, model):
    examples = model.examples()
    whole = read_all(model, examples)
    assert [texts(model.predict([item])[0]) for item in examples] == [texts(ones) for ones in whole]
    assert [texts(ones) for ones in read_all(model, examples[::-1])[::-1]] == [texts(ones) for ones in whole]
    assert read_all(model, []) == []


def texts(found):
    return [one.text if isinstance(one, Line) else (one.start_ms, one.end_ms) for one in found]


# predict_all holds models to it


def test_a_ref_imports_its_class_and_names_its_version():
    ref = fake_ref(FakeTower, version="mlflow-4")
    assert ref.source == "fake_tower@mlflow-4"
    assert ref.model_class is FakeTower
    assert ref.spec is FakeTower.spec


@pytest.mark.parametrize("fake", [FakeTower, FakeHead, FakeFrameHead])
def test_the_fakes_keep_the_contract(fake):
    found = predict_all(fake_ref(fake).load(), fake.examples())
    assert found.shape == (3, fake.spec.width)
    np.testing.assert_array_equal(found, np.stack([fake().predict([item])[0] for item in fake.examples()]))


@pytest.mark.parametrize(
    ("fake", "sentence"),
    [
        (MiscountingHead, "model miscounting_head returned 2 results for 3 items"),
        (NarrowHead, r"model narrow_head returned a vector of shape \(1,\), wanted \(2,\)"),
        (NanHead, "model nan_head returned a value that is not a finite number"),
        (BoastingHead, "model boasting_head returned the score 1.25, allowed are 0 to 1"),
    ],
)
def test_a_broken_promise_names_the_model(fake, sentence):
    with pytest.raises(NightjarError, match=f"^{sentence}$"):
        predict_all(fake(), fake.examples())


def test_a_bad_program_raises_what_it_raised():
    with pytest.raises(RuntimeError, match="the fake fails"):
        predict_all(FailingHead(), FailingHead.examples())
