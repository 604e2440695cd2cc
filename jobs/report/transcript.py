"""What a video says, shows and is called, line by line, with the words that counted marked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any

from jobs.report.claims import gravest
from jobs.report.timeline import span
from jobs.report.words import LabelName, label_name, visible
from pipelines.risk.policy import Policy
from pipelines.risk.signals import Signal
from pipelines.text.transcripts import WRITTEN, TranscriptLine

MOST_LINES = 300  # of a transcript that the page holds
MOST_CHARACTERS = 600  # of one line
QUIET = "quiet"  # something was found, and no rule makes anything of it


@dataclass(frozen=True)
class Part:
    """A stretch of a line; `kind` says what came of it, empty for nothing."""

    text: str
    kind: str = ""


@dataclass(frozen=True)
class LineView:
    """One line as a reviewer reads it."""

    when: str
    form: str
    language: str
    parts: tuple[Part, ...]
    labels: tuple[LabelName, ...]  # of what led to something
    kind: str  # the gravest of its parts


@dataclass(frozen=True)
class Transcript:
    """All lines, and those that led to something."""

    told: tuple[LineView, ...]
    lines: tuple[LineView, ...]
    total: int

    @property
    def text(self) -> str:
        """What the search box looks into."""
        return "\n".join("".join(part.text for part in line.parts) for line in self.lines)


def transcript(
    lines: Sequence[TranscriptLine], signals: Iterable[Signal], segments: Sequence[Mapping[str, Any]], policy: Policy
) -> Transcript:
    """Lay signals over the lines they came of; title and description stand first where something was found in them."""
    spoke = [signal for signal in signals if signal.text]
    posts = dict.fromkeys(signal.text for signal in spoke if signal.form == WRITTEN)
    everything = [*(TranscriptLine(WRITTEN, 0, 0, text) for text in posts), *lines]
    views = [_view(line, [one for one in spoke if _of(one, line)], segments, policy) for line in everything]
    told = [view for view in views if view.kind not in ("", QUIET)]
    return Transcript(tuple(told[:MOST_LINES]), tuple(views[:MOST_LINES]), len(lines))


def _of(signal: Signal, line: TranscriptLine) -> bool:
    same = signal.form == line.form and signal.text == line.text
    return same and (line.form == WRITTEN or line.start_ms <= signal.start_ms <= max(line.end_ms, line.start_ms))


def _view(
    line: TranscriptLine, signals: Sequence[Signal], segments: Sequence[Mapping[str, Any]], policy: Policy
) -> LineView:
    kinds = [_kind(signal, segments, policy) for signal in signals]
    stretches = [
        (start, end, kind)
        for signal, kind in zip(signals, kinds, strict=True)
        for start, end in signal.marks or ((0, len(line.text)),)
    ]
    when = "title or description" if line.form == WRITTEN else span(line.start_ms, line.end_ms)
    spoke = [signal for signal, kind in zip(signals, kinds, strict=True) if kind != QUIET]
    labels = tuple(dict.fromkeys(label_name(signal.label) for signal in spoke))
    return LineView(when, line.form, line.language, parts(line.text, stretches), labels, _gravest(kinds))


def _kind(signal: Signal, segments: Sequence[Mapping[str, Any]], policy: Policy) -> str:
    """What the policy made of a signal: the suggestion of the segment it is in."""
    rule = policy.rule_for(signal)
    inside = any(
        (row["label"], row["form"]) == (signal.label, signal.form)
        and row["start_ms"] <= max(signal.end_ms, signal.start_ms)
        and signal.start_ms <= max(row["end_ms"], row["start_ms"])
        for row in segments
    )
    return rule.suggests(signal.score).value if rule and inside else QUIET


def _gravest(kinds: Sequence[str]) -> str:
    known = [kind for kind in kinds if kind != QUIET]
    return gravest(known) if known else (QUIET if kinds else "")


def parts(text: str, stretches: Iterable[tuple[int, int, str]]) -> tuple[Part, ...]:
    """Cut a line where a stretch begins or ends; where stretches overlap the gravest counts."""
    text = text[:MOST_CHARACTERS]
    inside = [(max(0, start), min(end, len(text)), kind) for start, end, kind in stretches]
    edges = sorted({0, len(text), *(edge for start, end, _ in inside for edge in (start, end) if start < end)})
    kinds = [
        _gravest([kind for start, end, kind in inside if start <= first and past <= end])
        for first, past in pairwise(edges)
    ]
    runs = groupby(zip(pairwise(edges), kinds, strict=True), key=lambda piece: piece[1])
    cut = [(kind, [edge for pair, _ in run for edge in pair]) for kind, run in runs]
    return tuple(Part(visible(text[run[0] : run[-1]]), kind) for kind, run in cut)
