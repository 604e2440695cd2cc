"""Claims as sentences: what of a video is what of whose work, by picture, by sound or both, and what it leads to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from jobs.report.timeline import clock
from jobs.report.words import LabelName, decision, label_name, one_line, score_text, short
from pipelines.copyright.claimed import LABELS, MODALITIES, Claimed
from pipelines.risk.policy import Policy, Rule, Suggestion
from pipelines.risk.signals import Signal
from pipelines.risk.verdicts import Finding

SAME_SPEED = 0.02  # a difference that nobody hears
SAME_SPAN_MS = 1000  # picture and sound that begin and end this close need no times of their own
LICENSED = "licensed"  # a claim that leads to nothing
TITLE = 80  # characters of a title in a sentence; its heading has them all


@dataclass(frozen=True)
class Claim:
    """One claim with all its modalities, the picture first."""

    sides: tuple[Claimed, ...]
    finding: Finding  # what the policy says of it, or would say of it without a licence
    rule: Rule | None

    @property
    def best(self) -> Claimed:
        """The side that stands for the claim."""
        return self.sides[0]

    @property
    def reference_id(self) -> str:
        """Of the bank."""
        return str(self.best.row["reference_id"])

    @property
    def kind(self) -> str:
        """The suggestion it leads to, or `licensed`."""
        return LICENSED if self.best.licensed else self.finding.suggestion.value

    @property
    def score(self) -> float:
        """The claim's own, of picture, sound and words."""
        return self.finding.score

    @property
    def label(self) -> LabelName:
        """What it is called."""
        return label_name(LABELS[self.best.kind])

    @property
    def forms(self) -> tuple[str, ...]:
        """`Image`, `Audio` or both."""
        return tuple(side.row["form"] for side in self.sides)

    @cached_property
    def span(self) -> tuple[int, int]:
        """The stretch of the upload that picture and sound cover together."""
        return self._ends("start_ms", "end_ms")

    @cached_property
    def ref_span(self) -> tuple[int, int]:
        """The same for the reference."""
        return self._ends("ref_start_ms", "ref_end_ms")

    def _ends(self, start: str, end: str) -> tuple[int, int]:
        return min(side.row[start] for side in self.sides), max(side.row[end] for side in self.sides)

    @property
    def evidence_ms(self) -> int:
        """Where the upload's picture is taken."""
        return self.best.signal().evidence_ms

    @property
    def signals(self) -> list[Signal]:
        """One a modality, as they stand in `signals.parquet`."""
        return [side.signal() for side in self.sides]

    @property
    def decision(self) -> str:
        """Why it leads to that; a licence needs no other reason."""
        return decision(self.rule, self.score) if self.rule and not self.best.licensed else ""

    @property
    def source(self) -> str:
        """The bank, and what the uploader's words had to do with it."""
        words = f"the uploader's words {score_text(self.best.cue)}" if self.best.cue else ""
        return ", ".join(filter(None, (self.best.source, words)))

    def covers(self, segment: Mapping[str, Any]) -> bool:
        """Whether a segment of the verdict came from this claim."""
        names = ("form", "reference_id", "start_ms", "end_ms", "ref_start_ms", "ref_end_ms")
        return any(all(segment[name] == side.row[name] for name in names) for side in self.sides)


def claims_of(claimed: Iterable[Claimed], policy: Policy, duration_ms: int) -> list[Claim]:
    """Join the modalities of each claim; what is below the policy's thresholds is left to the timeline.

    The gravest come first and what is licensed last.
    """
    sides: dict[tuple[str, int], list[Claimed]] = {}
    for one in claimed:
        sides.setdefault((one.row["reference_id"], one.row["claim"]), []).append(one)
    found = [claim for group in sides.values() if (claim := _claim(group, policy, duration_ms))]
    return sorted(found, key=lambda claim: (claim.best.licensed, -claim.finding.suggestion.rank, -claim.score))


def _claim(sides: Sequence[Claimed], policy: Policy, duration_ms: int) -> Claim | None:
    bare = (replace(side, licensed=False).finding(policy, duration_ms) for side in sides)
    finding = max(filter(None, bare), key=lambda one: (one.suggestion.rank, one.score), default=None)
    if finding is None:
        return None
    ordered = sorted(sides, key=lambda side: (list(MODALITIES).index(side.row["form"]), side.row["start_ms"]))
    rule = policy.rule_for(next(side.signal() for side in ordered if side.row["form"] == finding.form))
    return Claim(tuple(ordered), finding, rule)


def title_of(claimed: Claimed) -> str:
    """The title, or the id where there is none."""
    return one_line(claimed.title) or one_line(claimed.row["reference_id"])


def kind_of(claimed: Claimed) -> str:
    """Film, show, music or known bad, in words."""
    return claimed.kind.value.replace("_", " ")


def sentence(claim: Claim, *, still: bool = False) -> str:
    """Say a claim: "0:12 to 0:31 of this upload is 41:02 to 41:21 of Some Film (film), picture 0.93, sound 0.88"."""
    here = "This picture" if still else f"{_stretch(claim.span)} of this upload"
    there = f"{_stretch(claim.ref_span)} of {short(title_of(claim.best), TITLE)} ({kind_of(claim.best)})"
    speed = float(claim.best.row["speed"])
    parts = [f"{here} is {there}", *(_modality(side, claim) for side in claim.sides)]
    if abs(speed - 1) >= SAME_SPEED and not still:
        parts.append(f"at {speed:.2f} times its speed")
    return ", ".join(parts)


def _stretch(span: tuple[int, int]) -> str:
    start, end = map(clock, span)
    return start if start == end else f"{start} to {end}"


def _modality(side: Claimed, claim: Claim) -> str:
    """A modality with its own score, and its own times where they are not those of the claim."""
    own = side.row["start_ms"], side.row["end_ms"]
    said = f"{MODALITIES[side.row['form']]} {score_text(side.row['score'])}"
    apart = any(abs(one - other) > SAME_SPAN_MS for one, other in zip(own, claim.span, strict=True))
    return f"{said} from {_stretch(own)}" if apart else said


def gravest(kinds: Iterable[str]) -> str:
    """The gravest of some kinds, where a licensed claim counts for nothing; to be reviewed where nothing is known."""
    known = [kind for kind in kinds if kind != LICENSED]
    return max(known, key=lambda kind: Suggestion(kind).rank, default=Suggestion.REVIEW.value)
