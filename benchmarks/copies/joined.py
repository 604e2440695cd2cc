"""Two peers as one: each score becomes the precision that it had on the half for fitting, and the better one counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path

import numpy as np

from benchmarks.copies.metrics import Match, Pair, detection_curve
from benchmarks.copies.peers import Peer

TIE = 1e-3  # how much a peer's own score may part what has the same precision


@dataclass(frozen=True)
class Calibration:
    """Scores of one peer, rising, and the precision of what scores at least so much, rising too."""

    scores: tuple[float, ...]
    precisions: tuple[float, ...]

    def __call__(self, score: float) -> float:
        """The precision, in straight lines between scores; a higher score is worth more, if only a little."""
        share = float(np.interp(score, self.scores, self.precisions)) if self.scores else 0.0
        return (1 - TIE) * share + TIE * score / (1 + score)


def calibrated(truth: Sequence[Match], matches: Sequence[Match]) -> Calibration:
    """Read the precision at every score off matches whose truth is known."""
    points = sorted(detection_curve(truth, matches), key=lambda point: point.score)
    rising = accumulate((point.precision for point in points), max)
    return Calibration(tuple(point.score for point in points), tuple(rising))


@dataclass(frozen=True)
class Joined:
    """Several peers, each with its calibration."""

    peers: tuple[tuple[Peer, Calibration], ...]

    def detect(self, references: Sequence[Path], queries: Sequence[Path]) -> list[Match]:
        """Let every peer look; a pair's match is that of the peer that is surer of it."""
        return joined([(peer.detect(references, queries), calibration) for peer, calibration in self.peers])


def joined(found: Sequence[tuple[Sequence[Match], Calibration]]) -> list[Match]:
    """The surest match of every pair, scored by precision."""
    best: dict[Pair, Match] = {}
    for matches, calibration in found:
        for match in matches:
            known = best.get(match.pair)
            score = calibration(match.score)
            if known is None or score > known.score:
                best[match.pair] = replace(match, score=score)
    return list(best.values())
