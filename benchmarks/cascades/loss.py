"""What a look at keyframes loses of what a dense look finds, and what it sends on.

Little in open footage is risky, so each of the 1000 ImageNet classes stands for a label beside nudity: real scores of
real frames by the tower's own classifier. A finding is a label that some densely sampled frame of a clip scores at
`low` or more; it is lost where keyframes settle the clip for that label.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_registry.models.imagenet_weapons import ImageNetWeapons
from pipelines.copyright.picture.views import View
from pipelines.pieces import Pieces
from pipelines.risk.policy import Keyframes
from pipelines.risk.screening import longest_gap_ms

NUDITY = "Explicit/Explicit Nudity"
RESAMPLES, SEED = 1000, 7
LASTING = ((1, 1), (2, 3), (4, None))  # seconds during which a finding is seen, at one frame a second


@dataclass(frozen=True)
class Seen:
    """One clip as one pass saw it."""

    times_ms: NDArray[np.int64]
    scores_TL: NDArray[np.float32]  # nudity first, then the classes
    duration_ms: int


@dataclass(frozen=True)
class Finding:
    """A label that the dense pass finds in a clip."""

    content: str
    label: int
    seconds: int


@dataclass(frozen=True)
class Loss:
    """A share of findings, with a 95 % interval."""

    lost: int
    findings: int
    low: float
    high: float

    @property
    def share(self) -> float:
        """0 to 1."""
        return self.lost / self.findings if self.findings else 0.0

    def __str__(self) -> str:
        return f"{self.lost} of {self.findings} ({self.share:.0%}, {self.low:.0%} to {self.high:.0%})"


def seen(pieces: Pieces, contents: Sequence[str], classifier: ImageNetWeapons) -> dict[str, Seen]:
    """Score the stored embeddings of some contents."""
    frames: dict[str, dict[int, NDArray[np.float32]]] = {sha256: {} for sha256 in contents}
    for row in pieces.rows("views", contents).select(["content_sha256", "frame_ms", "view", "embedding"]).to_pylist():
        if row["view"] == View.FRAME:
            frames[row["content_sha256"]][row["frame_ms"]] = np.array(row["embedding"], np.float32)
    nudity: dict[tuple[str, int], float] = {
        (row["content_sha256"], row["start_ms"]): row["score"]
        for row in pieces.rows("signals", contents).to_pylist()
        if row["label"] == NUDITY
    }
    found = {}
    for sha256, own in frames.items():
        times = sorted(own)
        first_T1 = np.array([[nudity.get((sha256, ms), 0.0)] for ms in times], np.float32)
        scores_TL = np.hstack([first_T1, _classes(np.stack([own[ms] for ms in times]), classifier)])
        found[sha256] = Seen(np.array(times, np.int64), scores_TL, pieces.contents[sha256].duration_ms)
    return found


def _classes(embeddings_TD: NDArray[np.float32], classifier: ImageNetWeapons) -> NDArray[np.float32]:
    logits_TL = embeddings_TD @ classifier.weight_DK + classifier.bias_K
    odds_TL = np.exp(logits_TL - logits_TL.max(axis=1, keepdims=True))
    return np.asarray(odds_TL / odds_TL.sum(axis=1, keepdims=True), np.float32)


def findings(dense: Mapping[str, Seen], low: float) -> list[Finding]:
    """Everything that some frame shows with `low` or more."""
    counts = {sha256: (one.scores_TL >= low).sum(axis=0) for sha256, one in dense.items()}
    return [
        Finding(sha256, int(label), int(seconds_L[label]))
        for sha256, seconds_L in counts.items()
        for label in np.flatnonzero(seconds_L)
    ]


def is_lost(found: Finding, keyframes: Mapping[str, Seen], low: float, rule: Keyframes) -> bool:
    """Tell whether keyframes settle the clip for this label: the rule of pipelines/risk/screening.py for one label."""
    one = keyframes[found.content]
    if longest_gap_ms(one.times_ms.tolist(), one.duration_ms) > rule.longest_gap_ms:
        return False
    return float(one.scores_TL[:, found.label].max()) < rule.unsure_from * low


def loss(
    found: Sequence[Finding], keyframes: Mapping[str, Seen], low: float, rule: Keyframes, sources: Mapping[str, str]
) -> Loss:
    """Count what is lost; the interval is a bootstrap over videos, as clips of one are no independent witnesses."""
    lost = np.array([is_lost(one, keyframes, low, rule) for one in found], np.bool_)
    if not len(lost):
        return Loss(0, 0, 0.0, 1.0)
    names, which = np.unique([sources[one.content] for one in found], return_inverse=True)
    of_source, lost_of = np.bincount(which), np.bincount(which, weights=lost)
    drawn = np.random.default_rng(SEED).integers(len(names), size=(RESAMPLES, len(names)))
    shares = lost_of[drawn].sum(axis=1) / of_source[drawn].sum(axis=1)
    low_end, high_end = np.quantile(shares, [0.025, 0.975])
    return Loss(int(lost.sum()), len(lost), float(low_end), float(high_end))
