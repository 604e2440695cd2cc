"""Fit heads on labelled lines: regress, hold whole groups out, calibrate and set bands on what was held out."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_registry.errors import UsageError
from model_registry.labels import first_level
from model_registry.models.text.heads import Heads
from pipelines.text.registers import register_of
from pipelines.text.semantics.calibrate import (
    EVIDENCE,
    FALSE_ALARMS,
    HARD_ALARMS,
    LOST,
    MEASURED,
    PRECISION,
    RAISED,
    REGISTERS,
    Bools,
    Calibration,
    Floats,
    Names,
    Told,
)
from pipelines.text.semantics.features import NGRAM_STRENGTH, STRENGTH, Features
from pipelines.text.semantics.labelled import LabelledLine, benign, digest, targets

FOLDS = 5
FEWEST_LINES, FEWEST_GROUPS = 20, FOLDS
MANY_GROUPS = 5000  # from here on groups are dealt by their hash: dealing them evenly takes minutes and gains nothing

Small = NDArray[np.int8]


@dataclass(frozen=True)
class Logits:
    """What regressions said of lines in groups they had not seen, N lines by L labels."""

    labels: tuple[str, ...]
    true_NL: Bools
    logit_NL: Floats
    fold_NL: Small  # labels are split each for itself, so that every fold has its share of true lines
    register_N: Names
    allowed_N: Floats  # false alarms that the set of a line may have
    writing_N: Names
    least: int = REGISTERS  # registers that have to show that a label may settle

    def told(self, label: int) -> Told:
        """The lines as one label sees them."""
        benign_N, wrong_N = benign(self.true_NL), wrong(self)[:, label]
        return Told(self.true_NL[:, label], wrong_N, benign_N, self.register_N, self.allowed_N, self.writing_N)

    def calibrated(self, label: int, own_N: Bools | slice = slice(None)) -> Calibration:
        """Calibrate one label on some of the lines."""
        told = self.told(label)
        own_N = np.ones(len(told.true_N), bool) if isinstance(own_N, slice) else own_N
        return Calibration.fitted(self.logit_NL[own_N, label], told.of(own_N), self.least)


@dataclass(frozen=True)
class HeldOut:
    """The same, calibrated and settled by what was fitted on the other folds."""

    labels: tuple[str, ...]
    true_NL: Bools
    score_NL: Floats
    settled_NL: Small  # -1 denied, 1 stands, 0 neither
    wrong_NL: Bools
    raised_NL: Bools  # at least in doubt by its meaning alone


def cross_validate(
    features: Features, lines: Sequence[LabelledLine], labels: Sequence[str], limits: Mapping[str, float] | None = None
) -> Logits:
    """Hold out every group once; raises UsageError where a label has too few lines for it."""
    true_NL = _checked(lines, labels)
    groups = [line.group for line in lines]
    found = [_validated(features, true_N, groups) for true_N in true_NL.T]
    logit_NL, fold_NL = (np.stack(columns, axis=1) for columns in zip(*found, strict=True))
    registers = np.array([line.register for line in lines])
    writings = np.array([register_of(line.text) for line in lines])
    limits = {"": HARD_ALARMS, **(limits or {})}
    allowed_N = np.array([limits.get(line.source, FALSE_ALARMS) for line in lines])
    return Logits(tuple(labels), true_NL, logit_NL, fold_NL, registers, allowed_N, writings)


def fit(features: Features, lines: Sequence[LabelledLine], logits: Logits, tower: str) -> Heads:
    """Fit one head a label on all lines, calibrated on what regressions said of those they had not seen."""
    heads = [features.regressed(true_N) for true_N in logits.true_NL.T]
    calibrations = [logits.calibrated(label) for label in range(len(logits.labels))]
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
        denies=tuple(each.denies for each in calibrations),
        shown=tuple(each.shown for each in calibrations),
    )


def settings() -> dict[str, float]:
    """What a fit depends on beside its lines and its tower."""
    return {
        "strength": STRENGTH,
        "ngram_strength": NGRAM_STRENGTH,
        "folds": FOLDS,
        "most_lost": LOST,
        "least_precision": PRECISION,
        "most_false_alarms": FALSE_ALARMS,
        "most_raised": RAISED,
        "least_evidence": EVIDENCE,
        "least_registers": REGISTERS,
        "least_measured": MEASURED,
    }


def wrong(logits: Logits) -> Bools:
    """Return bool [N, L]: where a label would be a mistake. Of a line of its own first level it is none.

    A threat that is taken for an insult is abuse all the same.
    """
    first = np.array([first_level(label) for label in logits.labels])
    kin_LL = (first[:, None] == first).astype(int)
    return np.asarray(logits.true_NL.astype(int) @ kin_LL == 0)


def held_out(logits: Logits) -> HeldOut:
    """Score every line by a head, a calibration and a band that have seen nothing of its group."""
    shape = logits.true_NL.shape
    score_NL, settled_NL, raised_NL = np.zeros(shape), np.zeros(shape, np.int8), np.zeros(shape, bool)
    for label in range(len(logits.labels)):
        for fold in range(FOLDS):
            own_N = logits.fold_NL[:, label] == fold
            calibration = logits.calibrated(label, ~own_N)
            scores = calibration.scores(logits.logit_NL[own_N, label])
            denied = (scores < calibration.low) & np.isin(logits.writing_N[own_N], calibration.denies)
            score_NL[own_N, label] = scores
            settled_NL[own_N, label] = calibration.settles(scores).astype(np.int8) - denied
            raised_NL[own_N, label] = scores >= calibration.doubt
    return HeldOut(logits.labels, logits.true_NL, score_NL, settled_NL, wrong(logits), raised_NL)


def _validated(features: Features, true_N: Bools, groups: Sequence[str]) -> tuple[Floats, Small]:
    """Return each line's logit by a regression on the other folds, and its fold; groups stay together."""
    logits_N, fold_N = np.zeros(len(true_N)), _folds(true_N, groups)
    for fold in range(FOLDS):
        rest, own = np.flatnonzero(fold_N != fold), np.flatnonzero(fold_N == fold)
        logits_N[own] = features.logits(own, *features.regressed(true_N, rest))
    return logits_N, fold_N


def _folds(true_N: Bools, groups: Sequence[str]) -> Small:
    """Deal groups to folds, each with its share of true lines."""
    if len(set(groups)) >= MANY_GROUPS:
        return np.array([zlib.crc32(group.encode()) % FOLDS for group in groups], np.int8)
    from sklearn.model_selection import StratifiedGroupKFold

    fold_N = np.zeros(len(true_N), np.int8)
    for fold, (_, own) in enumerate(StratifiedGroupKFold(FOLDS).split(true_N, true_N, groups)):
        fold_N[own] = fold
    return fold_N


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
