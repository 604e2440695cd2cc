"""Calibration: from a logit to a probability, and from probabilities to the band between "no" and "yes"."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_registry.models.text.heads import sigmoid

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

LOST = 0.05  # share of a label's true lines that may score below its band
PRECISION = 0.9  # of what scores above its band
FALSE_ALARMS = 0.002  # share of benign lines that may score above one label's band
RAISED = 0.01  # share of benign lines that one label may bring into doubt by their meaning alone
BINS = 10
NEVER = 1.0  # the upper end of a band that nothing reaches


@dataclass(frozen=True)
class Calibration:
    """What turns one label's logits into scores, and where they leave doubt."""

    slope: float
    offset: float
    low: float
    high: float
    doubt: float

    def scores(self, logits_N: Floats) -> Floats:
        """Return probabilities, [N]."""
        return probabilities(logits_N, self.slope, self.offset)

    @classmethod
    def fitted(cls, logits_N: Floats, true_N: Bools, wrong_N: Bools, benign_N: Bools) -> Calibration:
        """Fit on lines that the head had not seen; `wrong_N` says of which of them the label would be a mistake."""
        slope, offset = platt(logits_N, true_N)
        scores_N = probabilities(logits_N, slope, offset)
        low, high = band(scores_N, true_N, wrong_N, benign_N)
        return cls(slope, offset, low, high, min(max(doubt_begins(scores_N, benign_N), low), high))


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


def band(scores_N: Floats, true_N: Bools, wrong_N: Bools, benign_N: Bools) -> tuple[float, float]:
    """Return (low, high): below low lie at most `LOST` of the true lines, from high on all is as sure as asked."""
    true = np.sort(scores_N[true_N])
    low = float(true[int(LOST * len(true))])
    high = upper_end(scores_N, true_N, wrong_N, benign_N)
    return min(low, high), high


def upper_end(scores_N: Floats, true_N: Bools, wrong_N: Bools, benign_N: Bools) -> float:
    """Return the lowest true line's score from which on both `PRECISION` and `FALSE_ALARMS` hold, or `NEVER`."""
    allowed = FALSE_ALARMS * benign_N.sum()
    for score in np.unique(scores_N[true_N]):
        above_N = scores_N >= score
        right, wrong = (above_N & true_N).sum(), (above_N & wrong_N).sum()
        if right >= PRECISION * (right + wrong) and (above_N & benign_N).sum() <= allowed:
            return float(score)
    return NEVER


def doubt_begins(scores_N: Floats, benign_N: Bools) -> float:
    """Return the score just above all but `RAISED` of the benign lines."""
    benign = np.sort(scores_N[benign_N])[::-1]
    return float(np.nextafter(benign[int(RAISED * len(benign))], 1.0)) if len(benign) else 0.0


def calibration_error(scores_N: Floats, true_N: Bools) -> float:
    """Expected calibration error over ten equal bins of score, after Guo et al., "On Calibration" (ICML 2017)."""
    bins_N = np.minimum((scores_N * BINS).astype(int), BINS - 1)
    shares = [np.abs(scores_N[own].sum() - true_N[own].sum()) for own in (bins_N == each for each in range(BINS))]
    return float(np.sum(shares) / len(scores_N))
