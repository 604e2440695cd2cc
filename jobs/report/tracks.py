"""Signals of one video grouped as the policy judges them, each group with the segments that came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from pipelines.risk.policy import Policy, Rule, Suggestion
from pipelines.risk.segments import Curve, curve, segments, smoothed
from pipelines.risk.signals import Signal

Row = Mapping[str, Any]  # one segment of a verdict


@dataclass(frozen=True)
class Track:
    """The signals that are judged together, by one rule, or by none and so in shadow mode."""

    label: str
    form: str
    rule: Rule | None
    signals: tuple[Signal, ...]
    segments: tuple[Row, ...] = ()
    duration_ms: int = 0  # of the video

    @property
    def sources(self) -> str:
        """The models that speak here."""
        return ", ".join(sorted({signal.source for signal in self.signals}))

    @property
    def peak(self) -> Signal | None:
        """The highest signal."""
        return max(self.signals, key=lambda signal: signal.score, default=None)

    @property
    def score(self) -> float:
        """How high it gets: by its segments where it has some."""
        if self.segments:
            return max(float(row["score"]) for row in self.segments)
        return self.peak.score if self.peak else 0.0

    @cached_property
    def curve(self) -> Curve | None:
        """The raw scores over time."""
        return curve(self.signals) if self.signals else None

    def judged(self) -> Curve | None:
        """The averaged curve, where the rule asks for one."""
        if self.curve is None or self.rule is None or not self.rule.smooth_ms:
            return None
        return replace(self.curve, scores=smoothed(self.curve, self.rule.smooth_ms, self.duration_ms))

    def kind(self, row: Row) -> str:
        """The suggestion that a segment leads to."""
        return (self.rule.suggests(row["score"]) if self.rule else Suggestion.REVIEW).value

    def under(self, row: Row) -> list[Signal]:
        """The signals of a segment's stretch, highest first."""
        start_ms, end_ms = row["start_ms"], max(row["end_ms"], row["start_ms"] + 1)
        found = [s for s in self.signals if s.start_ms < end_ms and max(s.end_ms, s.start_ms + 1) > start_ms]
        return sorted(found, key=lambda signal: -signal.score)


def tracks(signals: Sequence[Signal], rows: Sequence[Row], policy: Policy, duration_ms: int) -> list[Track]:
    """Group signals and hand every segment to the track it came from, the highest track first.

    A segment that no signal explains, such as a match in a reference bank, gets a track without a curve.
    """
    bare = [replace(track, duration_ms=duration_ms) for track in _grouped(signals, policy)]
    owners = [_owner(row, bare, duration_ms) for row in rows]
    found = [replace(t, segments=_owned(rows, owners, number)) for number, t in enumerate(bare)]
    orphans = [row for row, owner in zip(rows, owners, strict=True) if owner is None]
    for label, form in dict.fromkeys((row["label"], row["form"]) for row in orphans):
        own = tuple(row for row in orphans if (row["label"], row["form"]) == (label, form))
        found.append(Track(label, form, None, (), own))
    return sorted(found, key=lambda track: -track.score)


def _grouped(signals: Sequence[Signal], policy: Policy) -> list[Track]:
    voices: dict[tuple[str, str, str], list[Signal]] = {}
    for signal in signals:
        voices.setdefault((signal.label, signal.form, signal.source), []).append(signal)
    groups: dict[tuple[str, str, Rule | str], list[Signal]] = {}
    for (label, form, source), group in voices.items():
        groups.setdefault((label, form, policy.rule_for(group[0]) or source), []).extend(group)
    return [
        Track(label, form, judge if isinstance(judge, Rule) else None, tuple(group))
        for (label, form, judge), group in groups.items()
    ]


def _owner(row: Row, bare: Sequence[Track], duration_ms: int) -> int | None:
    """Return which track a segment came from; where several could, the one that gives it again."""
    fitting = [n for n, t in enumerate(bare) if t.rule and (t.label, t.form) == (row["label"], row["form"])]
    if len(fitting) > 1:
        span = (row["start_ms"], row["end_ms"], row["evidence_ms"])
        fitting = [n for n in fitting if span in _spans(bare[n], duration_ms)] or fitting
    return fitting[0] if fitting else None


def _spans(track: Track, duration_ms: int) -> set[tuple[int, int, int]]:
    if track.rule is None:
        return set()
    found = segments(track.signals, track.rule.shape, duration_ms)
    return {(segment.start_ms, segment.end_ms, segment.evidence_ms) for segment in found}


def _owned(rows: Sequence[Row], owners: Sequence[int | None], number: int) -> tuple[Row, ...]:
    return tuple(row for row, owner in zip(rows, owners, strict=True) if owner == number)
