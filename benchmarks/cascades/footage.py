"""Clips as a dense pass and passes over keyframes saw them, and the table of what each choice costs and loses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from benchmarks.cascades.loss import LASTING, Finding, Loss, Seen, findings, loss
from pipelines.pieces import Pieces
from pipelines.risk.policy import Keyframes, Policy
from pipelines.risk.screening import screen

NUDITY_LABEL, NUDITY_SHARE = 0, 0.15  # of the clips that are taken as flagged for nudity
UNSURE_FROM = (1.0, 0.5, 0.25, 0.1)
GAPS_MS = (10_500, 8500, 5000)
LOWS = (0.5, 0.3)  # from which score on the dense pass finds something


@dataclass(frozen=True)
class Footage:
    """What was seen, by content."""

    sources: Mapping[str, str]  # of which video a clip is
    dense: Mapping[str, Seen]
    pieces: Mapping[int, Pieces]  # of passes over keyframes, by their every_ms
    keyframes: Mapping[int, Mapping[str, Seen]]

    def lost(self, found: list[Finding], low: float, rule: Keyframes) -> Loss:
        """What of these findings the rule lets go."""
        return loss(found, self.keyframes[rule.every_ms], low, rule, self.sources)

    def goes_on(self, policy: Policy) -> float:
        """Share of clips that are looked at densely."""
        screened = screen(self.pieces[policy.keyframes.every_ms], self.sources.keys(), policy)
        return sum(one.doubt is not None for one in screened.values()) / len(screened)

    def frames(self, every_ms: int | None = None) -> int:
        """How many were looked at, by the dense pass or by one over keyframes."""
        seen = self.dense if every_ms is None else self.keyframes[every_ms]
        return sum(len(one.times_ms) for one in seen.values())


def notes(footage: Footage, rule: Keyframes) -> list[str]:
    """What the policy's own choice loses, by how long a finding lasts, and of nudity alone."""
    low = LOWS[0]
    found = findings(footage.dense, low)
    lines = [f"lost of all findings from {low} on: {footage.lost(found, low, rule)}; the intervals are of 95 %"]
    for least, most in LASTING:
        lasting = [one for one in found if least <= one.seconds <= (most or one.seconds)]
        long = f"{least} to {most} s" if most else f"{least} s or longer"
        lines.append(f"of those that last {long}: {footage.lost(lasting, low, rule)}")
    peaks = np.array([one.scores_TL[:, NUDITY_LABEL].max() for one in footage.dense.values()])
    low = float(np.quantile(peaks, 1 - NUDITY_SHARE))
    nudity = [one for one in findings(footage.dense, low) if one.label == NUDITY_LABEL]
    lines.append(f"of the clips with the highest nudity scores, {low:.2f} or more: {footage.lost(nudity, low, rule)}")
    return lines


def table(footage: Footage, policy: Policy) -> str:
    """Each choice of the policy's [keyframes]: frames of the first pass, who goes on, and what is lost."""
    head = ["every_ms", "unsure_from", "longest_gap_ms", "frames", "go on", *(f"lost of {low} on" for low in LOWS)]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    found = {low: findings(footage.dense, low) for low in LOWS}
    for every_ms, unsure_from, gap_ms in product(sorted(footage.keyframes), UNSURE_FROM, GAPS_MS):
        rule = Keyframes(unsure_from=unsure_from, longest_gap_ms=gap_ms, every_ms=every_ms)
        share = footage.frames(every_ms) / footage.frames()
        cells = [
            every_ms,
            unsure_from,
            gap_ms,
            f"{share:.0%}",
            f"{footage.goes_on(replace(policy, keyframes=rule)):.0%}",
        ]
        lost = [str(footage.lost(found[low], low, rule)) for low in LOWS]
        lines.append(f"| {' | '.join(map(str, [*cells, *lost]))} |")
    return "\n".join(lines)
