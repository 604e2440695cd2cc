"""Judge one video: signals to segments, segments to one suggestion, and how soon a person should look."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from pipelines.risk.policy import Policy, Rule, Suggestion
from pipelines.risk.segments import Segment, segments
from pipelines.risk.signals import Signal

LABEL = pa.struct([("label", pa.string()), ("form", pa.string()), ("score", pa.float32())])
SEGMENT = pa.struct(
    [
        ("label", pa.string()),
        ("form", pa.string()),
        ("start_ms", pa.int64()),
        ("end_ms", pa.int64()),
        ("score", pa.float32()),
        ("evidence_ms", pa.int64()),
        ("text", pa.string()),
        ("reference_id", pa.string()),
        ("ref_start_ms", pa.int64()),
        ("ref_end_ms", pa.int64()),
    ]
)
VERDICTS = pa.schema(
    [
        ("video_id", pa.string()),
        ("uri", pa.string()),
        ("content_sha256", pa.string()),
        ("duration_ms", pa.int64()),
        ("suggestion", pa.string()),
        ("labels", pa.list_(LABEL)),
        ("segments", pa.list_(SEGMENT)),
        ("complete", pa.bool_()),
        ("error_code", pa.string()),
        ("error_message", pa.string()),
        ("priority", pa.float32()),
        ("bundle", pa.string()),
        ("policy", pa.string()),
        ("decided_at", pa.timestamp("ms", tz="UTC")),
        ("cluster_id", pa.string()),  # uploads with the same content, see pipelines/clusters; null: it is alone
        ("cluster_size", pa.int64()),  # uploads in that cluster
    ]
)

UNSEEN_PRIORITY = 0.5  # of a video that could not be looked at
REACH_SHARE = 0.2  # how much of the priority views decide
MOST_VIEWS = 1e9
LONGEST_TEXT = 500  # characters of what was told that a segment quotes


@dataclass(frozen=True)
class Finding:
    """One segment under one rule."""

    label: str
    form: str
    start_ms: int
    end_ms: int
    score: float
    evidence_ms: int
    suggestion: Suggestion
    severity: int
    text: str | None = None  # what was said or written, or the title of what was matched
    reference_id: str | None = None
    ref_start_ms: int | None = None
    ref_end_ms: int | None = None

    def as_segment(self) -> dict[str, object]:
        """As `verdicts.parquet` holds it."""
        return {name: getattr(self, name) for name in SEGMENT.names}


def findings(signals: Iterable[Signal], policy: Policy, duration_ms: int) -> list[Finding]:
    """Return every segment that some rule speaks of, in order of time."""
    voices: dict[tuple[str, str, str], list[Signal]] = {}
    for signal in signals:
        voices.setdefault((signal.label, signal.form, signal.source), []).append(signal)
    groups: dict[tuple[str, str, Rule], list[Signal]] = {}
    for (label, form, _), voice in voices.items():
        if rule := policy.rule_for(voice[0]):
            groups.setdefault((label, form, rule), []).extend(voice)
    found = [
        _finding(label, form, rule, group, segment)
        for (label, form, rule), group in groups.items()
        for segment in segments(group, rule.shape, duration_ms)
    ]
    return sorted(found, key=by_time)


def _finding(label: str, form: str, rule: Rule, group: Iterable[Signal], found: Segment) -> Finding:
    return Finding(
        label=label,
        form=form,
        start_ms=found.start_ms,
        end_ms=found.end_ms,
        score=found.score,
        evidence_ms=found.evidence_ms,
        suggestion=rule.suggests(found.score),
        severity=rule.severity,
        text=_text(group, found),
    )


def _text(group: Iterable[Signal], found: Segment) -> str | None:
    """The lines of a segment, in order of time, each once; None where nothing was said, shown or written."""
    told = [one for one in group if one.text and one.start_ms < max(found.end_ms, found.start_ms + 1)]
    told = [one for one in told if max(one.end_ms, one.start_ms + 1) > found.start_ms]
    lines = dict.fromkeys(one.text for one in sorted(told, key=lambda one: one.start_ms))
    text = " / ".join(lines)
    return (text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…") or None


def by_time(found: Finding) -> tuple[int, str, str, int, float]:
    """The order of segments."""
    return found.start_ms, found.label, found.form, found.end_ms, found.score


def suggestion(found: Sequence[Finding], *, complete: bool) -> Suggestion:
    """The gravest of the findings; a video that was not wholly seen is never passed."""
    least = Suggestion.PASS if complete else Suggestion.REVIEW
    return max([least, *(finding.suggestion for finding in found)], key=lambda s: s.rank)


def priority(found: Sequence[Finding], views: int | None, *, complete: bool) -> float:
    """Rank for reviewers, 0 to 1: the worst of severity times score, weighed with how many people see it.

    Views count by their logarithm: a thousand times the views is one step, not a thousand.
    """
    flagged = [f for f in found if f.suggestion is not Suggestion.PASS]
    harm = max([f.severity / 5 * f.score for f in flagged], default=0.0)
    if not complete:
        harm = max(harm, UNSEEN_PRIORITY)
    reach = math.log1p(min(max(views or 0, 0), MOST_VIEWS)) / math.log1p(MOST_VIEWS)
    return harm * (1 - REACH_SHARE + REACH_SHARE * reach)


def top_labels(found: Sequence[Finding]) -> list[dict[str, object]]:
    """The highest score of each label and form, highest first."""
    best: dict[tuple[str, str], float] = {}
    for finding in found:
        key = (finding.label, finding.form)
        best[key] = max(best.get(key, 0.0), finding.score)
    ordered = sorted(best.items(), key=lambda item: (-item[1], item[0]))
    return [{"label": label, "form": form, "score": score} for (label, form), score in ordered]
