"""Calibration: from a logit to a probability, and from probabilities to the band between "no" and "yes"."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_registry.models.text.heads import NEVER, sigmoid

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

Names = NDArray[np.str_]

LOST = 0.02  # share of a label's true lines that may score below its band, in each register
PRECISION = 0.95  # of what scores above its band, in each register
FALSE_ALARMS = 0.001  # share of benign lines that may score above one label's band, where a set has no limit of its own
HARD_ALARMS = 0.01  # of our own, which were written to be mistaken
RAISED = 0.003  # share of benign lines that one label may bring into doubt by their meaning alone
EVIDENCE = 30  # true lines above a band that show something of a register
REGISTERS = 2  # that have to show it
MEASURED = 40  # true lines of a register, fewer measure nothing
BINS = 10


@dataclass(frozen=True)
class Told:
    """What is true of N lines with regard to one label, and where each comes from."""

    true_N: Bools
    wrong_N: Bools  # of which the label would be a mistake
    benign_N: Bools  # of which no label is true
    register_N: Names  # the set that a line comes from, or the form and language of one of ours
    allowed_N: Floats  # share of its set's benign lines that a label may settle: the same number for a whole set
    writing_N: Names  # its register as a reader sees it (`register_of`)

    def of(self, own_N: Bools) -> Told:
        """Some of the lines."""
        return Told(*(values[own_N] for values in vars(self).values()))


@dataclass(frozen=True)
class Calibration:
    """What turns one label's logits into scores, and where they leave doubt."""

    slope: float
    offset: float
    low: float
    high: float
    doubt: float
    denies: tuple[str, ...] = ()  # registers in which it was measured
    shown: tuple[str, ...] = ()  # registers that have shown that it may settle

    def scores(self, logits_N: Floats) -> Floats:
        """Return probabilities, [N]."""
        return probabilities(logits_N, self.slope, self.offset)

    def settles(self, scores_N: Floats) -> Bools:
        """Which scores settle a line by themselves, [N]."""
        return (scores_N >= self.high) & (self.high < NEVER)

    @classmethod
    def fitted(cls, logits_N: Floats, lines: Told, least: int = REGISTERS) -> Calibration:
        """Fit on lines that the head had not seen; `least` registers have to show that it may settle."""
        slope, offset = platt(logits_N, lines.true_N)
        scores_N = probabilities(logits_N, slope, offset)
        low, denies = lower_end(scores_N, lines.true_N, lines.writing_N)
        high, shown = upper_end(scores_N, lines, least)
        doubt = min(max(doubt_begins(scores_N, lines.benign_N & (lines.allowed_N <= HARD_ALARMS)), low), high)
        return cls(slope, offset, min(low, high), high, doubt, denies, shown)


def probabilities(logits_N: Floats, slope: float, offset: float) -> Floats:
    """The sigmoid of slope * logit + offset."""
    return sigmoid((slope * logits_N + offset).astype(np.float32)).astype(np.float64)


def platt(logits_N: Floats, true_N: Bools) -> tuple[float, float]:
    """Fit slope and offset of a sigmoid to targets drawn in from 0 and 1, after Platt (1999), equation 11.

    Each line stands for two, one of each class, weighted by its target; the slope is never below a thousandth.
    """
    from sklearn.linear_model import LogisticRegression

    trues, others = int(true_N.sum()), int((~true_N).sum())
    wanted_N = np.where(true_N, (trues + 1) / (trues + 2), 1 / (others + 2))
    sides = np.repeat([True, False], len(logits_N))
    weights = np.concatenate([wanted_N, 1 - wanted_N])
    fit = LogisticRegression(C=1e6, max_iter=1000).fit(np.tile(logits_N, 2)[:, None], sides, weights)
    return max(float(fit.coef_[0, 0]), 1e-3), float(fit.intercept_[0])


def lower_end(scores_N: Floats, true_N: Bools, writing_N: Names) -> tuple[float, tuple[str, ...]]:
    """Return the score below which at most `LOST` of the true lines lie in every register measured, and those.

    A register with fewer than `MEASURED` true lines measures nothing; where all have, the end is that of all lines.
    """
    names, counts = np.unique(writing_N[true_N], return_counts=True)
    measured = [str(name) for name, count in zip(names, counts, strict=True) if name and count >= MEASURED]
    parts = [scores_N[true_N & (writing_N == name)] for name in measured] or [scores_N[true_N]]
    return min(float(np.sort(part)[int(LOST * len(part))]) for part in parts), tuple(measured)


def upper_end(scores_N: Floats, lines: Told, least: int = REGISTERS) -> tuple[float, tuple[str, ...]]:
    """Return the lowest score from which on the head has shown that it may settle, and where; `NEVER` if nowhere.

    From it on at least `least` registers have `EVIDENCE` true lines, each of these a precision of `PRECISION`, and
    no set has more false alarms than it is allowed.
    """
    order = np.argsort(-scores_N, kind="stable")
    scores_S = scores_N[order]
    good_S = np.ones(len(order), bool)
    evident: dict[str, Bools] = {}
    for name in np.unique(lines.register_N):
        own_S = lines.register_N[order] == name
        right_S = np.cumsum(own_S & lines.true_N[order])
        wrong_S = np.cumsum(own_S & lines.wrong_N[order])
        evident_S = right_S >= EVIDENCE
        evident[str(name)] = evident_S
        good_S &= ~evident_S | (right_S >= PRECISION * (right_S + wrong_S))
    for allowed in np.unique(lines.allowed_N):
        false_S = np.cumsum(lines.benign_N[order] & (lines.allowed_N[order] == allowed))
        good_S &= false_S <= allowed * false_S[-1]
    last_S = np.append(scores_S[1:] != scores_S[:-1], True)  # of equal scores, the counts of the last are those of all
    fits_S = good_S & (np.sum(list(evident.values()), axis=0) >= least) & last_S
    if not fits_S.any():
        return NEVER, ()
    at = int(np.flatnonzero(fits_S)[-1])
    return float(scores_S[at]), tuple(name for name, evident_S in evident.items() if evident_S[at])


def doubt_begins(scores_N: Floats, benign_N: Bools) -> float:
    """Return the score just above all but `RAISED` of the benign lines."""
    benign = np.sort(scores_N[benign_N])[::-1]
    return float(np.nextafter(benign[int(RAISED * len(benign))], 1.0)) if len(benign) else 0.0


def calibration_error(scores_N: Floats, true_N: Bools) -> float:
    """Expected calibration error over ten equal bins of score, after Guo et al., "On Calibration" (ICML 2017)."""
    bins_N = np.minimum((scores_N * BINS).astype(int), BINS - 1)
    shares = [np.abs(scores_N[own].sum() - true_N[own].sum()) for own in (bins_N == each for each in range(BINS))]
    return float(np.sum(shares) / len(scores_N))
