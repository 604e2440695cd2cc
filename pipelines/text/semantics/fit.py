"""Fit heads on labelled lines: regress, hold whole groups out, calibrate and set bands on what was held out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_registry.errors import UsageError
from model_registry.models.text.heads import Heads
from pipelines.text.semantics.calibrate import FALSE_ALARMS, LOST, PRECISION, RAISED, Bools, Calibration, Floats
from pipelines.text.semantics.labelled import LabelledLine, benign, digest, targets

STRENGTH = 5.0  # inverse of the regularisation: from 3 to 30 the average precision of held-out groups is level
FOLDS = 5
FEWEST_LINES, FEWEST_GROUPS = 20, FOLDS

Embeddings = NDArray[np.float32]
Small = NDArray[np.int8]


@dataclass(frozen=True)
class Logits:
    """What regressions said of lines in groups they had not seen, N lines by L labels."""

    labels: tuple[str, ...]
    true_NL: Bools
    logit_NL: Floats
    fold_NL: Small  # labels are split each for itself, so that every fold has its share of true lines


@dataclass(frozen=True)
class HeldOut:
    """The same, calibrated and settled by what was fitted on the other folds."""

    labels: tuple[str, ...]
    true_NL: Bools
    score_NL: Floats
    settled_NL: Small  # -1 denied, 1 stands, 0 neither
    wrong_NL: Bools
    raised_NL: Bools  # at least in doubt by its meaning alone


def cross_validate(embeddings_ND: Embeddings, lines: Sequence[LabelledLine], labels: Sequence[str]) -> Logits:
    """Hold out every group once; raises UsageError where a label has too few lines for it."""
    true_NL = _checked(lines, labels)
    groups = [line.group for line in lines]
    found = [_validated(embeddings_ND, true_N, groups) for true_N in true_NL.T]
    logit_NL, fold_NL = (np.stack(columns, axis=1) for columns in zip(*found, strict=True))
    return Logits(tuple(labels), true_NL, logit_NL, fold_NL)


def fit(embeddings_ND: Embeddings, lines: Sequence[LabelledLine], logits: Logits, tower: str) -> Heads:
    """Fit one head a label on all lines, calibrated on what regressions said of those they had not seen."""
    benign_N = benign(logits.true_NL)
    heads = [_regressed(embeddings_ND, true_N) for true_N in logits.true_NL.T]
    columns = zip(logits.logit_NL.T, logits.true_NL.T, wrong(logits).T, strict=True)
    calibrations = [Calibration.fitted(*column, benign_N) for column in columns]
    return Heads(
        labels=logits.labels,
        tower=tower,
        weight_LD=np.array([weight_D for weight_D, _ in heads], np.float32),
        bias_L=np.array([bias for _, bias in heads], np.float32),
        slope_L=np.array([each.slope for each in calibrations], np.float32),
        offset_L=np.array([each.offset for each in calibrations], np.float32),
        band_L2=np.array([(each.low, each.high) for each in calibrations], np.float32),
        doubt_L=np.array([each.doubt for each in calibrations], np.float32),
        notes=settings() | {"lines": len(lines), "groups": len(_groups(lines)), "lines_sha256": digest(lines)},
    )


def settings() -> dict[str, float]:
    """What a fit depends on beside its lines and its tower."""
    return {
        "strength": STRENGTH,
        "folds": FOLDS,
        "most_lost": LOST,
        "least_precision": PRECISION,
        "most_false_alarms": FALSE_ALARMS,
        "most_raised": RAISED,
    }


def wrong(logits: Logits) -> Bools:
    """Return bool [N, L]: where a label would be a mistake. Of a line of its own first level it is none.

    A threat that is taken for an insult is abuse all the same.
    """
    first = np.array([label.partition("/")[0] for label in logits.labels])
    kin_LL = (first[:, None] == first).astype(int)
    return np.asarray(logits.true_NL.astype(int) @ kin_LL == 0)


def held_out(logits: Logits) -> HeldOut:
    """Score every line by a head, a calibration and a band that have seen nothing of its group."""
    benign_N, wrong_NL = benign(logits.true_NL), wrong(logits)
    shape = logits.true_NL.shape
    score_NL, settled_NL, raised_NL = np.zeros(shape), np.zeros(shape, np.int8), np.zeros(shape, bool)
    for label in range(len(logits.labels)):
        logits_N, true_N = logits.logit_NL[:, label], logits.true_NL[:, label]
        for fold in range(FOLDS):
            own_N = logits.fold_NL[:, label] == fold
            others = (logits_N, true_N, wrong_NL[:, label], benign_N)
            calibration = Calibration.fitted(*(values[~own_N] for values in others))
            scores = calibration.scores(logits_N[own_N])
            score_NL[own_N, label] = scores
            settled_NL[own_N, label] = (scores >= calibration.high).astype(np.int8) - (scores < calibration.low)
            raised_NL[own_N, label] = scores >= calibration.doubt
    return HeldOut(logits.labels, logits.true_NL, score_NL, settled_NL, wrong_NL, raised_NL)


def _validated(embeddings_ND: Embeddings, true_N: Bools, groups: Sequence[str]) -> tuple[Floats, Small]:
    """Return each line's logit by a regression on the other folds, and its fold; groups stay together."""
    from sklearn.model_selection import StratifiedGroupKFold

    logits_N, fold_N = np.zeros(len(true_N)), np.zeros(len(true_N), np.int8)
    for fold, (rest, own) in enumerate(StratifiedGroupKFold(FOLDS).split(embeddings_ND, true_N, groups)):
        weight_D, bias = _regressed(embeddings_ND[rest], true_N[rest])
        logits_N[own], fold_N[own] = embeddings_ND[own] @ weight_D + bias, fold
    return logits_N, fold_N


def _regressed(embeddings_ND: Embeddings, true_N: Bools) -> tuple[Floats, float]:
    """One core: matrices this small are multiplied faster than threads are woken."""
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        head = LogisticRegression(C=STRENGTH, solver="newton-cholesky").fit(embeddings_ND.astype(np.float64), true_N)
    return head.coef_[0], float(head.intercept_[0])


def _groups(lines: Iterable[LabelledLine]) -> set[str]:
    return {line.group for line in lines}


def _checked(lines: Sequence[LabelledLine], labels: Sequence[str]) -> Bools:
    """The targets, after all that a fit cannot do without."""
    if foreign := sorted({label for line in lines for label in line.labels} - set(labels)):
        raise UsageError(f"no head scores the label {foreign[0]!r}; allowed: {', '.join(labels)}")
    true_NL = targets(lines, labels)
    for label, true_N in zip((*labels, ""), (*true_NL.T, benign(true_NL)), strict=True):
        groups = len(_groups(line for line, true in zip(lines, true_N, strict=True) if true))
        if true_N.sum() < FEWEST_LINES or groups < FEWEST_GROUPS:
            raise UsageError(
                f"{f'label {label!r} has' if label else 'no label is true of'} {true_N.sum()} lines "
                f"in {groups} groups, wanted at least {FEWEST_LINES} in {FEWEST_GROUPS}"
            )
    return true_NL
