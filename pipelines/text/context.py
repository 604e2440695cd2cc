"""Tier 3, context: what stands around a doubtful line settles it, or takes it back.

The semantic score is the prior; each circumstance adds evidence in log-odds (Good, "Probability and the Weighing of
Evidence", 1950, chapter 6). The weights are judgements, not fitted: nobody has labelled nights yet.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from model_registry.labels import first_level
from pipelines.risk.signals import Signal
from pipelines.text.tiers import UNKNOWN, Bands, Reading

SEEN_WEIGHT = 2.0  # the picture shows the same first level: times its score
SEEN_FLOOR = 0.3
TOLD_WEIGHT = 1.2  # another line of the video is settled for the same first level
ACCOUNT_WEIGHT = 2.0  # times how far the account's risk is from 0.5
PRIOR_WEIGHT = 0.8  # earlier violations of the account
ECHO_WEIGHT = 0.6  # each doubling of other accounts that use the same words
MOST_ECHO = 2.4
VOICE_WEIGHT = 1.0  # each doubling of other accounts with the same voice in which something said was settled
MOST_VOICES = 2.0
LEAST = 0.3  # a doubt that ends below is taken back whatever its label's threshold: the strict policy asks for 0.4
ALONE = -0.8  # nothing speaks for it
UNPROVEN = 0.45  # the most that a meaning comes to by itself which has not shown that it may settle a line
SURE = 1e-6


class Evidence(NamedTuple):
    """One circumstance and what it weighs, in log-odds."""

    weight: float
    why: str


@dataclass(frozen=True)
class Circumstances:
    """What is known of a video beside the line in doubt."""

    seen: Mapping[str, float] = field(default_factory=dict)  # first level -> highest score of a picture
    told: frozenset[str] = frozenset()  # first levels that another line has settled
    account_risk: float | None = None  # 0 to 1, from the manifest
    prior_violations: int | None = None
    echoes: int = 0  # other accounts of the night that use these words
    voices: int = 0  # other accounts with the same voice, in which something said was settled


def seen_levels(signals: Iterable[Signal]) -> dict[str, float]:
    """The highest score of each first level that pictures have."""
    found: dict[str, float] = {}
    for signal in signals:
        if signal.form == "Image":
            top = first_level(signal.label)
            found[top] = max(found.get(top, 0.0), signal.score)
    return found


def weigh(label: str, around: Circumstances) -> list[Evidence]:
    """Everything that speaks for or against a doubtful line of this label."""
    top = first_level(label)
    found = []
    if (shown := around.seen.get(top, 0.0)) >= SEEN_FLOOR:
        found.append(Evidence(SEEN_WEIGHT * shown, f"the picture shows {top} ({shown:.2f})"))
    if top in around.told:
        found.append(Evidence(TOLD_WEIGHT, "another line says the same"))
    if around.account_risk is not None:
        weight = ACCOUNT_WEIGHT * (around.account_risk - 0.5)
        found.append(Evidence(weight, f"the account's risk is {around.account_risk:.2f}"))
    if around.prior_violations:
        found.append(Evidence(PRIOR_WEIGHT, f"the account has {around.prior_violations} earlier violations"))
    if around.echoes:
        weight = min(MOST_ECHO, ECHO_WEIGHT * math.log2(1 + around.echoes))
        found.append(Evidence(weight, f"{around.echoes} other accounts use these words"))
    if around.voices:
        weight = min(MOST_VOICES, VOICE_WEIGHT * math.log2(1 + around.voices))
        found.append(Evidence(weight, f"the same voice speaks for {around.voices} other accounts that were caught"))
    return found


def settle_doubt(reading: Reading, around: Circumstances, bands: Bands) -> Reading | None:
    """Settle one doubtful reading: None takes it back, a score from the high threshold on settles it.

    What stays between the thresholds keeps its doubt, and the policy says what happens to it.
    """
    if reading.settled:
        return reading
    evidence = weigh(reading.label, around)
    band = bands.get(reading.label, UNKNOWN)
    alone = not any(one.weight > 0 for one in evidence)
    score = _shifted(reading.score, sum(one.weight for one in evidence) + (ALONE if alone else 0.0))
    if alone and not reading.marks:
        score = min(score, UNPROVEN)
    if score < max(band.low, LEAST):
        return None
    why = "; ".join(one.why for one in evidence) or "nothing around it speaks for it"
    return replace(reading, score=score, tier=3, settled=score >= band.high, why=f"{reading.score:.2f} in doubt: {why}")


def _shifted(probability: float, log_odds: float) -> float:
    clipped = min(max(probability, SURE), 1 - SURE)
    return 1 / (1 + math.exp(-(math.log(clipped / (1 - clipped)) + log_odds)))
