"""Tiers 1 and 2: what the words and the meaning of one text come to, and what they leave in doubt.

A tier sees only what the tier before could not settle. A certain hit of a lexicon settles a text for its label. A
suspicion stands as far as the semantic model does not deny it; without one, meaning alone raises a doubt, or settles a
text. What stays in doubt is left to the context (tier 3).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from pipelines.text.words.matcher import Hit


class Band(NamedTuple):
    """Thresholds of one label's semantic score."""

    low: float  # below, a suspicion is denied
    doubt: float  # from here on a text that no word made suspicious is in doubt
    high: float  # from here on it is settled


Bands = Mapping[str, Band]
# A number or an address stands there or it does not: meaning alone is none.
LITERAL = frozenset({"Fraud/Contact Details"})
UNKNOWN = Band(0.4, 0.6, 0.8)  # of a label that no semantic model knows


@dataclass(frozen=True)
class Mark:
    """A stretch of a text that counted: [start, end) in code points, and what it was taken for."""

    start: int
    end: int
    term: str
    how: str  # how it was disguised, "plain" if it was not


@dataclass(frozen=True)
class Reading:
    """What the tiers say of one text about one label."""

    label: str
    score: float
    tier: int  # which tier spoke last
    settled: bool
    source: str  # `lexicon@version` or `model@version`
    marks: tuple[Mark, ...] = ()
    why: str = ""


def needs_meaning(hits: Sequence[Hit]) -> bool:
    """Whether a text goes on to the semantic model."""
    return not any(hit.certain for hit in hits)


def settle(hits: Sequence[Hit], scores: Mapping[str, float] | None, bands: Bands, source: str) -> list[Reading]:
    """Join a text's hits with its semantic scores (None: the model was not asked), surest first.

    A score that is absent from `scores` is one below the label's low threshold.
    """
    suspicions = _by_label(hits)
    found = [_of_words(label, group, scores, bands) for label, group in suspicions.items()]
    for label, score in (scores or {}).items():
        if label in bands and (label in suspicions or label not in LITERAL):
            needed = bands[label].low if label in suspicions else bands[label].doubt
            found.append(Reading(label, score, 2, score >= bands[label].high, source) if score >= needed else None)
    return sorted(_one_a_label(filter(None, found)), key=lambda reading: (-reading.score, reading.label))


def _by_label(hits: Iterable[Hit]) -> dict[str, list[Hit]]:
    found: dict[str, list[Hit]] = {}
    for hit in hits:
        found.setdefault(hit.label, []).append(hit)
    return found


def _of_words(label: str, hits: list[Hit], scores: Mapping[str, float] | None, bands: Bands) -> Reading | None:
    best = max(hits, key=lambda hit: (hit.certain, hit.score))
    marks = tuple(Mark(hit.start, hit.end, hit.term, hit.how) for hit in hits)
    reading = Reading(label, best.score, 1, best.certain, best.lexicon, marks)
    if best.certain or scores is None or label not in bands:
        return reading
    return reading if scores.get(label, 0.0) >= bands[label].low else None


def _one_a_label(readings: Iterable[Reading]) -> list[Reading]:
    """Words and meaning that agree: the surer score, the words' marks, settled if either is."""
    found: dict[str, Reading] = {}
    for reading in readings:
        other = found.get(reading.label)
        found[reading.label] = reading if other is None else _joined(other, reading)
    return list(found.values())


def _joined(one: Reading, other: Reading) -> Reading:
    first, second = sorted((one, other), key=lambda reading: (reading.settled, reading.score), reverse=True)
    return replace(first, score=max(one.score, other.score), marks=first.marks or second.marks)
