"""Tiers 1 and 2: what the words and the meaning of one text come to, and what they leave in doubt.

A tier sees only what the tier before could not settle. A certain hit of a lexicon settles a text for its label. A
suspicion stands as far as its meaning does not deny it, and only a head that was measured on lines of that register
denies. Words and meaning settle together what neither settles alone. Meaning alone settles where its head has shown
that it may, and raises a doubt where it has not. What stays in doubt is left to the context (tier 3).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from model_registry.labels import first_level
from model_registry.models.text.heads import NEVER
from pipelines.text.addressed import against_prejudice, among_friends
from pipelines.text.evidence import may_be_settled, scorns_a_group
from pipelines.text.registers import register_of
from pipelines.text.words.matcher import Hit


class Band(NamedTuple):
    """Thresholds of one label's semantic score."""

    low: float  # below, a suspicion is denied
    doubt: float  # from here on a text that no word made suspicious is in doubt
    high: float  # from here on it is settled by its meaning alone; NEVER: it has not shown that it may
    denies: tuple[str, ...] = ()  # registers in which it may deny what words found


Bands = Mapping[str, Band]
# A number or an address stands there or it does not: meaning alone is none.
LITERAL = frozenset({"Fraud/Contact Details"})
PROTEST = frozenset({"Abuse", "Abuse/Hate Speech"})  # what a line against prejudice is taken for
KINDNESS = frozenset({"Abuse", "Abuse/Insult"})  # what a rough word among friends is taken for
SETTLED = 0.5  # the least that a settled meaning comes to: its own share of a fit's lines may be smaller
KIND = 0.6  # the most that an insult among friends comes to, which context lowers unless something speaks for it
AGREES = 0.35  # words that say less, or that their surroundings speak against, settle nothing with a meaning
WEAK = 0.6  # the most that these two come to together
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


def settle(
    hits: Sequence[Hit], scores: Mapping[str, float] | None, bands: Bands, source: str, text: str = ""
) -> list[Reading]:
    """Join a text's hits with its semantic scores (None: the model was not asked), surest first.

    A score that is absent from `scores` is one below the label's low threshold. Without the text nothing is denied.
    """
    suspicions = _by_label(hits)
    found = [_of_words(label, group, scores, bands, text) for label, group in suspicions.items()]
    meant = [_of_meaning(label, score, bands, source, suspicions) for label, score in (scores or {}).items()]
    found += [_with_evidence(reading, text) for reading in meant if reading]
    readings = _one_a_label(filter(None, found))
    for taken_for, why in ((KINDNESS, "said among friends"), (PROTEST, "said against prejudice")):
        if (among_friends if taken_for is KINDNESS else against_prejudice)(text):
            readings = [_doubted(reading, taken_for, why) for reading in readings]
    return sorted(readings, key=lambda reading: (-reading.score, reading.label))


def _of_meaning(
    label: str, score: float, bands: Bands, source: str, suspicions: Mapping[str, list[Hit]]
) -> Reading | None:
    """What a score says by itself: nothing below the doubt, nor where words, with which it is weighed, say the same."""
    if label not in bands or (label in LITERAL and label not in suspicions):
        return None
    band = bands[label]
    proven = band.high <= score and band.high < NEVER
    if not proven and (label in suspicions or score < band.doubt):
        return None
    return Reading(label, max(score, SETTLED) if proven else score, 2, proven, source)


def _with_evidence(reading: Reading, text: str) -> Reading:
    """Leave in doubt what has no mark of the register in which its head has shown that it may settle.

    Scorn for a group settles a line that its meaning alone leaves in doubt.
    """
    if not reading.settled:
        scorned = reading.label == "Abuse" and scorns_a_group(text)
        return replace(reading, settled=scorned)
    if not text or may_be_settled(reading.label, text):
        return reading
    return replace(reading, settled=False, why="nothing in the line but its meaning")


def _doubted(reading: Reading, taken_for: frozenset[str], why: str) -> Reading:
    """Take what meaning settled back into doubt; what a lexicon is certain of stays."""
    if reading.label not in taken_for or reading.tier == 1:
        return reading
    return replace(reading, settled=False, score=min(reading.score, KIND), why=why)


def _by_label(hits: Iterable[Hit]) -> dict[str, list[Hit]]:
    found: dict[str, list[Hit]] = {}
    for hit in hits:
        found.setdefault(hit.label, []).append(hit)
    return found


def _of_words(
    label: str, hits: list[Hit], scores: Mapping[str, float] | None, bands: Bands, text: str
) -> Reading | None:
    best = max(hits, key=lambda hit: (hit.certain, hit.score))
    marks = tuple(Mark(hit.start, hit.end, hit.term, hit.how) for hit in hits)
    reading = Reading(label, best.score, 1, best.certain, best.lexicon, marks)
    if best.certain or scores is None:
        return reading
    asked = {one: bands[one] for one in (label, first_level(label)) if one in bands}
    register = register_of(text)
    if asked and all(_denied(scores.get(one, 0.0), band, register) for one, band in asked.items()):
        return None
    agree = [one for one, band in asked.items() if scores.get(one, 0.0) >= band.doubt]
    meant = max((scores[one] for one in agree if one == label or may_be_settled(one, text)), default=0.0)
    if not meant:
        return reading
    both = 1 - (1 - best.score) * (1 - meant)
    if best.score < AGREES:
        return replace(reading, score=min(both, WEAK), tier=2)
    return replace(reading, score=both, tier=2, settled=True)


def _denied(score: float, band: Band, register: str) -> bool:
    return register in band.denies and score < band.low


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
