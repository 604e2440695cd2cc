"""Fitting: groups stay together, what is held out was not seen, and the same lines make the same heads."""

import numpy as np
import pytest

from model_registry.errors import UsageError
from pipelines.text.semantics.features import of_embeddings
from pipelines.text.semantics.fit import HeldOut, Logits, cross_validate, fit, held_out, wrong
from pipelines.text.semantics.labelled import LabelledLine, benign
from pipelines.text.semantics.measure import average_precision, measure

LABELS = ("Gambling", "Abuse/Insult")


def corpus(groups=8, size=4, noise=0.3):
    """Lines of two labels and benign ones in as many families each; a label is one direction, a family another."""
    random = np.random.default_rng(1)
    lines, vectors = [], []
    for kind, labels in enumerate(((), ("Gambling",), ("Abuse/Insult",))):
        for group in range(groups):
            middle = 2 * np.eye(3, 16)[kind] + noise * random.normal(size=16)
            for number in range(size):
                language = "zh" if number % 2 else "en"
                lines.append(LabelledLine(f"{kind}-{group}", language, "Voice", labels, f"{kind} {group} {number}"))
                vectors.append(middle + 0.05 * random.normal(size=16))
    return np.array(vectors, np.float32), lines


def test_heads_tell_apart_what_can_be_told_apart():
    embeddings_ND, lines = corpus()
    features = of_embeddings(embeddings_ND)
    heads = fit(features, lines, cross_validate(features, lines, LABELS), "tower@1")
    scores_NL = heads(embeddings_ND)
    true_NL = np.array([[label in line.labels for label in LABELS] for line in lines])
    assert scores_NL[true_NL].min() > scores_NL[~true_NL].max()
    assert heads.tower == "tower@1"
    assert heads.notes["lines"] == 96
    assert heads.notes["groups"] == 24


def test_the_same_lines_make_the_same_heads(tmp_path):
    for name in ("one.npz", "other.npz"):
        embeddings_ND, lines = corpus()
        features = of_embeddings(embeddings_ND)
        fit(features, lines, cross_validate(features, lines, LABELS), "tower@1").write(tmp_path / name)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "other.npz").read_bytes()


def test_a_family_is_never_on_both_sides():
    """Families of their own direction each, with labels drawn at random: nothing of a family helps with another.

    Were lines split and not groups, a line would be found by its family.
    """
    random = np.random.default_rng(0)
    lines, vectors = [], []
    for group in range(60):
        labels = ((), ("Gambling",), ("Abuse/Insult",))[group % 3]
        middle = random.normal(size=64)
        lines += [LabelledLine(str(group), "en", "Text", labels, f"{group} {number}") for number in range(6)]
        vectors += [middle + 0.1 * random.normal(size=64) for _ in range(6)]
    held = held_out(cross_validate(of_embeddings(np.array(vectors, np.float32)), lines, LABELS))
    assert average_precision(held.score_NL[:, 0], held.true_NL[:, 0]) < 0.55


def test_held_out_scores_of_what_can_be_told_apart_are_right():
    embeddings_ND, lines = corpus()
    rows = measure(held_out(cross_validate(of_embeddings(embeddings_ND), lines, LABELS)), lines)
    assert [(row.label, row.language, row.lines) for row in rows[:3]] == [
        ("Gambling", "", 32),
        ("Abuse/Insult", "", 32),
        ("Gambling", "en", 16),
    ]
    assert all(row.average_precision > 0.99 for row in rows)
    assert all(row.recall == 0 for row in rows[:2])  # too few lines to show that a head may settle alone


def test_average_precision_by_hand():
    """True lines at ranks 1 and 3: (1 + 2/3) / 2. A tie counts against it."""
    scores, true = np.array([0.9, 0.8, 0.7, 0.1]), np.array([1, 0, 1, 0], bool)
    assert average_precision(scores, true) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision(np.array([0.5, 0.5]), np.array([1, 0], bool)) == 0.5
    assert np.isnan(average_precision(scores, np.zeros(4, bool)))


def test_a_fold_is_calibrated_on_the_others():
    """Four folds where a high logit means true, and one where it means the opposite."""
    true_N = np.tile([True, False], 50)
    logits_N, fold_N = np.where(true_N, 2.0, -2.0), np.repeat(np.arange(5, dtype=np.int8), 20)
    logits_N[fold_N == 0] *= -1
    names, allowed = np.array(["en"] * 100), np.full(100, 0.01)
    columns = (true_N[:, None], logits_N[:, None], fold_N[:, None])
    held = held_out(Logits(("Gambling",), *columns, names, allowed, names))
    assert held.score_NL[(fold_N == 0) & ~true_N].min() > 0.9
    assert held.score_NL[(fold_N == 0) & true_N].max() < 0.1


def test_shares_by_hand():
    """Two labels of one first level; the first stands on a true line, a kin line and a benign one, of two each."""
    true_NL = np.array([[1, 0], [1, 0], [0, 1], [0, 1], [0, 0], [0, 0]], bool)
    settled_NL = np.array([[1, 0], [-1, 0], [1, 0], [0, 0], [1, 0], [-1, 0]], np.int8)
    wrong_NL = np.array([[0, 0]] * 4 + [[1, 1]] * 2, bool)
    held = HeldOut(("Abuse/Insult", "Abuse/Threat"), true_NL, true_NL * 0.5, settled_NL, wrong_NL, settled_NL > 0)
    lines = [LabelledLine(str(number), "en", "Text", (), "x") for number in range(6)]
    row = measure(held, lines)[0]
    assert (row.precision, row.recall, row.lost, row.raised) == (0.5, 0.5, 0.5, 0.5)
    assert (row.in_doubt, row.false_alarms, row.false_doubts) == (pytest.approx(1 / 6), 0.5, 0.5)
    assert row.calibration_error == pytest.approx(1 / 6)


def test_a_label_is_no_mistake_on_a_line_of_its_kin():
    true_NL = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]], bool)
    names, zeros = np.array(["en"] * 4), np.zeros((4, 3))
    labels = ("Abuse/Insult", "Abuse/Threat", "Gambling")
    logits = Logits(labels, true_NL, zeros, zeros.astype(np.int8), names, np.zeros(4), names)
    assert wrong(logits).astype(int).tolist() == [[0, 0, 1], [0, 0, 1], [1, 1, 0], [1, 1, 1]]


def test_benign_is_what_no_label_is_true_of():
    assert benign(np.array([[1, 0], [0, 0]], bool)).tolist() == [False, True]


def relabelled(lines, old, new):
    return [
        LabelledLine(line.group, "en", "Voice", new if line.labels == old else line.labels, line.text) for line in lines
    ]


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (("Gambling",), ("Alcohol",), "no head scores the label 'Alcohol'; allowed: Gambling, Abuse/Insult"),
        (("Gambling",), (), "label 'Gambling' has 0 lines in 0 groups, wanted at least 20 in 5"),
        ((), ("Gambling",), "no label is true of 0 lines in 0 groups, wanted at least 20 in 5"),
    ],
)
def test_what_cannot_be_fitted_is_one_sentence(old, new, sentence):
    embeddings_ND, lines = corpus()
    with pytest.raises(UsageError, match=f"^{sentence}$"):
        cross_validate(of_embeddings(embeddings_ND), relabelled(lines, old, new), LABELS)


def test_many_lines_of_few_families_are_too_few():
    embeddings_ND, lines = corpus(groups=4, size=10)
    with pytest.raises(UsageError, match="label 'Gambling' has 40 lines in 4 groups, wanted at least 20 in 5"):
        cross_validate(of_embeddings(embeddings_ND), lines, LABELS)
