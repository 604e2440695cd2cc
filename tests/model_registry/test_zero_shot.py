"""Zero-shot heads: the captions that ship, the arithmetic, and a head over a small stand-in for CLIP."""

import math
import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_registry.labels import taxonomy
from model_registry.model import InputKind, predict_all
from model_registry.models import zero_shot
from model_registry.models.clip import ClipViTB32, ClipViTL14
from model_registry.models.clip_heads import NudityViTB32, NudityViTL14, ViolenceViTB32, ViolenceViTL14
from model_registry.models.zero_shot import (
    LabelPrompts,
    Prompts,
    ZeroShotViTB32,
    ZeroShotViTL14,
    embed_captions,
    ensemble,
    label_probabilities,
    unit_rows,
    zero_shot_prompts,
)

HEADS = [ZeroShotViTB32, ZeroShotViTL14]
TRAINED_HEADS = [NudityViTB32, NudityViTL14, ViolenceViTB32, ViolenceViTL14]
FILE = tomllib.loads(zero_shot.PROMPTS_FILE.read_text("utf-8"))
EVERY_CAPTION = [
    *FILE["benign"]["prompts"],
    *(p for row in FILE["label"] for p in row["prompts"] + row["from_chinese"]),
]
each_table = pytest.mark.parametrize("table", FILE["label"], ids=lambda table: table["name"])
each_head = pytest.mark.parametrize("head", HEADS)


# The captions that ship


def wanted_labels():
    """Every label of the last level that can be seen, less the trained heads' and what matching finds."""
    parents = {label.parent for label in taxonomy().labels if label.name != label.parent}
    trained = {name for head in TRAINED_HEADS for name in head.spec.labels}
    seen = [label for label in taxonomy().labels if "Image" in label.forms and label.name not in parents]
    return [label.name for label in seen if label.name not in trained and label.parent != "Copyright"]


def test_each_visual_label_without_a_trained_head_has_one_table_in_the_taxonomys_order():
    assert [table["name"] for table in FILE["label"]] == wanted_labels()


def test_weapons_and_gambling_are_zero_shot_and_explicit_nudity_is_not():
    names = {table["name"] for table in FILE["label"]}
    assert {"Violence/Weapons", "Gambling"} <= names
    assert not names & {
        "Explicit",
        "Explicit/Explicit Nudity",
        "Violence/Graphic Violence",
        "Copyright/Reupload",
    }


@each_table
def test_a_label_has_6_to_10_captions_and_2_to_4_from_chinese(table):
    assert table.keys() == {"name", "prompts", "from_chinese"}
    assert 6 <= len(table["prompts"]) <= 10
    assert 2 <= len(table["from_chinese"]) <= 4


def test_there_are_at_least_60_benign_captions():
    assert len(FILE["benign"]["prompts"]) >= 60


def test_no_caption_is_written_twice():
    counts = Counter(caption.casefold() for caption in EVERY_CAPTION)
    assert [caption for caption, count in counts.items() if count > 1] == []


def test_captions_are_english_and_short_enough_for_clips_77_tokens():
    assert [c for c in EVERY_CAPTION if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 ,.'-]+", c)] == []
    assert [c for c in EVERY_CAPTION if not 3 <= len(c.split()) <= 25] == []


@each_table
def test_no_label_is_described_with_a_minor(table):
    minors = re.compile(r"\b(child|kid|baby|babies|infant|toddler|boy|girl|teen|minor|school|student|young)", re.I)
    assert [caption for caption in table["prompts"] + table["from_chinese"] if minors.search(caption)] == []


def test_both_kinds_of_captions_are_read_in_order():
    prompts = zero_shot_prompts()
    assert prompts.version == FILE["version"]
    assert prompts.benign == tuple(FILE["benign"]["prompts"])
    first = FILE["label"][0]
    assert prompts.labels[0] == LabelPrompts(first["name"], tuple(first["prompts"] + first["from_chinese"]))


def test_a_label_without_captions_is_refused():
    with pytest.raises(ValueError, match="label 'A' has 0 captions"):
        LabelPrompts("A", ())


def test_prompts_without_a_benign_side_are_refused():
    with pytest.raises(ValueError, match="prompts 9 have 0 benign captions"):
        Prompts("9", (), (LabelPrompts("A", ("a",)),))


def test_a_label_given_twice_is_refused():
    twice = (LabelPrompts("A", ("a",)), LabelPrompts("B", ("b",)), LabelPrompts("A", ("c",)))
    with pytest.raises(ValueError, match=r"prompts 9 repeat \['A'\]"):
        Prompts("9", ("z",), twice)


# The arithmetic


def rows(*values):
    return np.array(values, np.float32)


def test_label_probabilities_by_hand():
    """With a scale of ln 2 a cosine of 1, 0, -1 weighs 2, 1, 1/2."""
    found_NL = label_probabilities(
        embeddings_ND=rows([1, 0], [0, 1], [-1, 0]),
        labels_LD=rows([1, 0], [0, 1]),
        benign_BD=rows([0, 1], [-1, 0]),
        logit_scale=math.log(2),
    )
    expected_NL = [
        [2 / (2 + 1 + 1 / 2), 1 / (1 + 1 + 1 / 2)],
        [1 / (1 + 2 + 1), 2 / (2 + 2 + 1)],
        [1 / 2 / (1 / 2 + 1 + 2), 1 / (1 + 1 + 2)],
    ]
    assert found_NL.dtype == np.float32
    np.testing.assert_allclose(found_NL, expected_NL, rtol=1e-6)


def softmax_reference(x_D, label_D, benign_BD, logit_scale):
    """The formula as it is written, in float64."""
    weights = [math.exp(logit_scale * float(np.dot(x_D, t_D))) for t_D in [label_D, *benign_BD]]
    return weights[0] / sum(weights)


def unit(seed, count, dimensions=8):
    return unit_rows(np.random.default_rng(seed).standard_normal((count, dimensions), dtype=np.float32))


scales = st.floats(0.0, 150.0)
seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=40, deadline=None)


@few
@given(seeds, scales)
def test_label_probabilities_equal_the_formula(seed, scale):
    x_ND, labels_LD, benign_BD = np.split(unit(seed, 12), [3, 7])
    expected_NL = [[softmax_reference(x, label, benign_BD, scale) for label in labels_LD] for x in x_ND]
    found_NL = label_probabilities(x_ND, labels_LD, benign_BD, scale)
    np.testing.assert_allclose(found_NL, expected_NL, rtol=1e-3, atol=1e-7)


@few
@given(seeds, st.floats(0.0, 10_000.0))
def test_probabilities_stay_between_0_and_1_at_any_scale(seed, scale):
    x_ND, labels_LD, benign_BD = np.split(unit(seed, 12), [3, 7])
    found_NL = label_probabilities(x_ND, labels_LD, benign_BD, scale)
    assert found_NL.shape == (3, 4)
    assert ((found_NL >= 0) & (found_NL <= 1)).all()


@few
@given(seeds, st.floats(1.0, 10.0))
def test_the_image_itself_scores_higher_than_what_is_orthogonal_to_it(seed, scale):
    x_D, other_D = unit(seed, 2)
    orthogonal_D = unit_rows((other_D - (other_D @ x_D) * x_D)[None])[0]
    same, apart = label_probabilities(x_D[None], np.stack([x_D, orthogonal_D]), unit(seed + 1, 5), scale)[0]
    assert same > apart


@few
@given(seeds)
def test_order_of_images_labels_and_benign_captions_does_not_matter(seed):
    x_ND, labels_LD, benign_BD = np.split(unit(seed, 12), [3, 7])
    found_NL = label_probabilities(x_ND, labels_LD, benign_BD, 20.0)
    turned_NL = label_probabilities(x_ND[::-1], labels_LD[::-1], benign_BD[::-1], 20.0)
    np.testing.assert_allclose(turned_NL[::-1, ::-1], found_NL, rtol=1e-4, atol=1e-7)


def test_another_label_changes_nothing_and_another_benign_caption_does():
    x_ND, labels_LD, benign_BD = np.split(unit(3, 12), [3, 7])
    found_NL = label_probabilities(x_ND, labels_LD, benign_BD, 2.0)
    fewer_labels_NL = label_probabilities(x_ND, labels_LD[:1], benign_BD, 2.0)
    fewer_benign_NL = label_probabilities(x_ND, labels_LD, benign_BD[:-1], 2.0)
    np.testing.assert_allclose(fewer_labels_NL, found_NL[:, :1], rtol=1e-5)
    assert (fewer_benign_NL > found_NL).all()


def test_a_frame_equally_far_from_everything_scores_one_in_all():
    found_NL = label_probabilities(rows([0, 1]), rows([1, 0]), rows([1, 0], [1, 0], [-1, 0]), 100.0)
    np.testing.assert_allclose(found_NL, [[1 / 4]], rtol=1e-6)


def test_an_ensemble_weighs_captions_by_direction_and_not_by_length():
    """(10, 0) and (0, 1) average to the diagonal; weighed by length it would be (0.995, 0.0995)."""
    np.testing.assert_allclose(ensemble(rows([10, 0], [0, 1])), [math.sqrt(0.5), math.sqrt(0.5)], rtol=1e-6)


# The head


def letters(captions):
    """A tokenizer in small: how often each of four letters occurs, and a constant."""
    import torch

    return torch.tensor([[*(caption.count(letter) for letter in "aeio"), 1] for caption in captions])


def letter_rows(captions):
    return np.array([[*(caption.count(letter) for letter in "aeio"), 1] for caption in captions], np.float64)


@pytest.fixture
def loaded(monkeypatch):
    """A head over a text tower that returns the tokens themselves, and what its loader was asked for."""
    asked = []

    def load_clip(architecture, weights, device):
        asked.append((architecture, weights, device))
        return SimpleNamespace(
            net=SimpleNamespace(encode_text=lambda tokens: tokens), tokenizer=letters, logit_scale=7.0
        )

    monkeypatch.setattr(zero_shot, "load_clip", load_clip)
    head = ZeroShotViTB32.load({"clip-vit-b-32-openai": Path("b32.pt"), "other": Path("other.pt")}, "cpu")
    return SimpleNamespace(head=head, asked=asked)


def test_load_reads_the_text_tower_of_its_own_tower_once(loaded):
    assert loaded.asked == [(ClipViTB32.architecture, Path("b32.pt"), "cpu")]


def test_load_averages_the_captions_of_each_label_and_keeps_benign_ones_apart(loaded):
    for table, found_D in zip(FILE["label"], loaded.head.labels_LD, strict=True):
        captions_KD = letter_rows(table["prompts"] + table["from_chinese"])
        mean_D = (captions_KD / np.sqrt((captions_KD**2).sum(axis=1))[:, None]).mean(axis=0)
        np.testing.assert_allclose(found_D, mean_D / math.sqrt((mean_D**2).sum()), rtol=1e-5)
    benign_BD = letter_rows(FILE["benign"]["prompts"])
    np.testing.assert_allclose(
        loaded.head.benign_BD, benign_BD / np.sqrt((benign_BD**2).sum(axis=1))[:, None], rtol=1e-5
    )


def test_load_keeps_two_matrices_and_the_scale_and_no_network(loaded):
    assert {name: type(value) for name, value in vars(loaded.head).items()} == {
        "labels_LD": np.ndarray,
        "benign_BD": np.ndarray,
        "logit_scale": float,
    }
    assert loaded.head.logit_scale == 7.0
    assert loaded.head.labels_LD.dtype == loaded.head.benign_BD.dtype == np.float32


def test_captions_are_embedded_in_batches_and_come_back_in_order():
    captions = ["a" * count for count in range(2 * zero_shot.CAPTIONS_PER_BATCH + 1)]
    sizes = []

    def encode_text(tokens):
        sizes.append(len(tokens))
        return tokens

    found_ND = embed_captions(encode_text, letters, captions, "cpu")
    assert sizes == [zero_shot.CAPTIONS_PER_BATCH, zero_shot.CAPTIONS_PER_BATCH, 1]
    np.testing.assert_array_equal(found_ND, letter_rows(captions))


@pytest.fixture
def small_head():
    """Two labels and two benign captions in two dimensions, with the numbers of the example by hand."""
    return ZeroShotViTB32(rows([1, 0], [0, 1]), rows([0, 1], [-1, 0]), math.log(2))


def test_predict_returns_one_row_an_embedding_in_order(small_head):
    found = small_head.predict([rows(1, 0), rows(0, 1)])
    assert [row.dtype for row in found] == [np.float32, np.float32]
    np.testing.assert_allclose(found, [[4 / 7, 2 / 5], [1 / 4, 2 / 5]], rtol=1e-6)


def test_predict_of_nothing_is_nothing(small_head):
    assert small_head.predict([]) == []


def test_predict_takes_lengths_as_they_are(small_head):
    """Half the length halves the cosine: sqrt(2) / (sqrt(2) + 1 + 1 / sqrt(2))."""
    [[found, _]] = small_head.predict([rows(0.5, 0)])
    assert found == pytest.approx(math.sqrt(2) / (math.sqrt(2) + 1 + math.sqrt(0.5)), rel=1e-6)


@pytest.mark.parametrize(
    ("shape", "named"), [((3,), "(3,)"), ((1,), "(1,)"), ((1, 2), "(1, 2)"), ((2, 1), "(2, 1)"), ((), "()")]
)
def test_predict_refuses_another_shape_anywhere_in_the_batch(small_head, shape, named):
    with pytest.raises(
        ValueError, match=re.escape(f"zero_shot_vit_b_32 got an embedding of shape {named}, wanted (2,)")
    ):
        small_head.predict([rows(1, 0), np.ones(shape, np.float32)])


def test_a_loaded_head_keeps_the_models_promise(loaded):
    found_NL = predict_all(loaded.head, list(unit(5, 4, dimensions=5)))
    assert found_NL.shape == (4, len(FILE["label"]))
    assert ((found_NL >= 0) & (found_NL <= 1)).all()
    assert len(np.unique(found_NL, axis=0)) == 4


# The specs


@pytest.mark.parametrize(
    ("head", "tower", "name", "artifact"),
    [
        (ZeroShotViTB32, ClipViTB32, "zero_shot_vit_b_32", "clip-vit-b-32-openai"),
        (ZeroShotViTL14, ClipViTL14, "zero_shot_vit_l_14", "clip-vit-l-14-openai"),
    ],
)
def test_a_head_names_its_tower_and_reads_its_checkpoint(head, tower, name, artifact):
    spec = head.spec
    assert (spec.name, spec.version, spec.reads, spec.calibrated) == (
        name,
        "1.0.0",
        InputKind.EMBEDDING,
        False,
    )
    assert (spec.tower, spec.artifacts) == (tower.spec.name, (artifact,))
    assert head.architecture == tower.architecture


@each_head
def test_a_head_scores_the_labels_of_the_file_in_its_order(head):
    assert list(head.spec.labels) == [table["name"] for table in FILE["label"]]


@pytest.mark.parametrize(("head", "dimensions"), [(ZeroShotViTB32, 512), (ZeroShotViTL14, 768)])
def test_examples_are_the_same_unit_vectors_each_time(head, dimensions):
    first, second = np.stack(head.examples()), np.stack(head.examples())
    assert first.dtype == np.float32
    assert first.shape[0] >= 2
    assert first.shape[1] == dimensions
    np.testing.assert_allclose(np.linalg.norm(first, axis=1), 1.0, rtol=1e-5)
    np.testing.assert_array_equal(first, second)


def test_specs_are_read_without_importing_torch():
    code = "import sys, model_registry.models.zero_shot; print({'torch', 'open_clip'} & set(sys.modules))"
    root = Path(zero_shot.__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
