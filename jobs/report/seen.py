"""What was seen where, in plain words: one sentence a segment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jobs.report.timeline import clock, span
from jobs.report.tracks import Row, Track
from jobs.report.words import LabelName, decision, label_name, one_line, quote, score_text
from pipelines.risk.signals import Signal


@dataclass(frozen=True)
class Seen:
    """One segment in plain words."""

    start_ms: int
    when: str
    label: LabelName
    form: str
    score: float
    kind: str
    decision: str
    source: str
    quote: str
    evidence_ms: int

    @property
    def tip(self) -> str:
        """What pointing at it says."""
        first = f"{self.label.name} {score_text(self.score)}, {self.when}"
        return "\n".join(filter(None, (first, self.decision, self.quote, self.source)))


def seen_in(track: Track, scale_ms: int) -> list[Seen]:
    """Say every segment of a track; a scale of 1 ms means a still picture, which has no times."""
    return [_seen_once(track, row, scale_ms) for row in track.segments]


def _seen_once(track: Track, row: Row, scale_ms: int) -> Seen:
    return Seen(
        start_ms=row["start_ms"],
        when=span(row["start_ms"], row["end_ms"]) if scale_ms > 1 else "in the picture",
        label=label_name(row["label"]),
        form=row["form"],
        score=row["score"],
        kind=track.kind(row),
        decision=decision(track.rule, row["score"]) if track.rule else "",
        source=_source(track.under(row), row["score"], scale_ms),
        quote=quote(row, _reference_span(row)),
        evidence_ms=row["evidence_ms"],
    )


def _source(under: Sequence[Signal], score: float, scale_ms: int) -> str:
    """Name the model behind the highest signal, what it says of itself, and who agrees."""
    if not under:
        return ""
    best = under[0]
    parts = [best.source, *([one_line(best.detail)] if best.detail else [])]
    if best.score - score >= 0.01:
        parts.append(f"highest single score {peak(best, scale_ms)}")
    if others := sorted({signal.source for signal in under} - {best.source}):
        parts.append(f"also {', '.join(others)}")
    return ", ".join(parts)


def peak(signal: Signal, scale_ms: int) -> str:
    """Write a signal's score and when it was."""
    at = f" at {clock(signal.start_ms)}" if scale_ms > 1 else ""
    return score_text(signal.score) + at


def _reference_span(row: Row) -> str:
    if row.get("ref_start_ms") is None or row.get("ref_end_ms") is None:
        return ""
    return f", its {span(row['ref_start_ms'], row['ref_end_ms'])}"
