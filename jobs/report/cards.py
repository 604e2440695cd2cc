"""One video as a reviewer sees it: what was seen where, its curves, its pictures. Values; the template has the HTML."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from markupsafe import Markup

from jobs.report.album import Album, Picture
from jobs.report.claims import Claim, claims_of, gravest
from jobs.report.clusters import ClusterView, Fold, gravest_first, view_of
from jobs.report.copies import ClaimView, Copy, Scene, claim_lanes, claim_views, copies
from jobs.report.seen import Seen, peak, seen_in
from jobs.report.timeline import Lane, Mark, Steps, axis_svg, bar_svg, clock, lane_svg
from jobs.report.tracks import Row, Track, tracks
from jobs.report.transcript import Transcript, transcript
from jobs.report.video import ReportVideo
from jobs.report.words import (
    LabelName,
    Problem,
    label_name,
    one_line,
    problem,
    score_text,
    thresholds,
    visible,
)
from pipelines.risk.policy import Policy, Suggestion
from pipelines.risk.segments import Curve

QUIET_LANES = 6  # lanes without a finding that are drawn, the highest first


@dataclass(frozen=True)
class Frame:
    """An evidence frame with the segments that point at it."""

    picture: Picture
    clock: str
    seen: tuple[Seen, ...]


@dataclass(frozen=True)
class LabelScore:
    """A label of the verdict with its bar."""

    label: LabelName
    form: str
    score: float
    kind: str
    bar: Markup


@dataclass(frozen=True)
class LaneView:
    """A lane with what stands beside it."""

    label: LabelName
    form: str
    sources: str
    rule: str
    peak: str
    svg: Markup


@dataclass(frozen=True)
class Hidden:
    """Lanes without a finding: some drawn, the rest counted."""

    lanes: tuple[LaneView, ...]
    more: int
    more_peak: float


@dataclass(frozen=True)
class Card:
    """Everything the page says of one video."""

    number: int
    video_id: str
    uri: str
    title: str
    suggestion: str
    priority: float
    length: str
    content: str
    decided: str
    problem: Problem | None
    labels: tuple[LabelScore, ...]
    hero: Picture | None
    lanes: tuple[LaneView, ...]
    axis: Markup
    copies: tuple[Copy, ...]
    seen: tuple[Seen, ...]
    frames: tuple[Frame, ...]
    transcript: Transcript
    quiet: Hidden
    shadow: Hidden
    cluster: ClusterView | None = None
    folded: tuple[Card, ...] = ()  # cards of the same cluster that are not drawn

    @property
    def compact(self) -> bool:
        """Whether one line will do."""
        if any(not card.compact for card in self.folded):
            return False
        licensed = all(copy.licence for copy in self.copies)
        return self.suggestion == Suggestion.PASS and licensed and not self.seen and not self.problem

    @property
    def label_names(self) -> list[str]:
        """Every label found, once, in the videos folded into this card too."""
        names = [label.label.name for label in self.labels] + [seen.label.name for seen in self.seen]
        return list(dict.fromkeys([*names, *(name for card in self.folded for name in card.label_names)]))

    @property
    def every(self) -> tuple[Card, ...]:
        """This card and those folded into it."""
        return (self, *self.folded)

    @property
    def suggestions(self) -> list[str]:
        """Of every video of the card, the gravest first."""
        return gravest_first(card.suggestion for card in self.every)

    @property
    def problems(self) -> list[str]:
        """Error codes of every video of the card."""
        return sorted({card.problem.code for card in self.every if card.problem})

    @property
    def search(self) -> str:
        """What the search box looks into."""
        trouble = [self.problem.code, self.problem.reason] if self.problem else []
        quotes = [seen.quote for seen in self.seen if seen.quote]
        works = [text for copy in self.copies for text in (copy.title, copy.about)]
        named = [self.video_id, self.uri, self.title, *self.label_names, *trouble, *quotes, *works]
        folded = [card.search for card in self.folded]
        members = [text for one in (self.cluster.members if self.cluster else ()) for text in one.searched]
        return "\n".join([*named, self.transcript.text, *members, *folded])


def folded_card(number: int, folded: Fold, policy: Policy, album: Album) -> Card:
    """One card for a video and those of its cluster."""
    head = card(number, folded.video, policy, album)
    others = tuple(card(number, one, policy, Album()) for one in folded.others)
    return replace(head, cluster=view_of(folded), folded=others)


def card(number: int, video: ReportVideo, policy: Policy, album: Album) -> Card:
    """Say everything about one video."""
    verdict, scale_ms, duration_ms = video.verdict, time_scale(video), video.verdict.get("duration_ms") or 0
    claims = claims_of(video.claims, policy, duration_ms)
    scene = Scene(video.strip, scale_ms, policy, album)
    claimed = claim_views(claims, scene)
    all_tracks = _tracks_without(claims, video, policy, duration_ms)
    flagged = [track for track in all_tracks if track.segments]
    rest = [track for track in all_tracks if not track.segments]
    seen = sorted((view for track in flagged for view in seen_in(track, scale_ms)), key=lambda view: view.start_ms)
    frames = _frames(seen, video.pictures, album)
    opens = {one.evidence_ms: frame.picture.key for frame in frames for one in frame.seen}
    return Card(
        number=number,
        video_id=visible(verdict["video_id"]),
        uri=visible(verdict["uri"]),
        title=one_line(video.title),
        suggestion=verdict["suggestion"],
        priority=verdict.get("priority") or 0.0,
        length=length(verdict),
        content=(verdict.get("content_sha256") or "")[:12],
        decided=_minute(verdict.get("decided_at")),
        problem=problem(verdict),
        labels=tuple(_label_score(row, seen, claims) for row in verdict.get("labels") or ()),
        hero=_hero(video, seen, album),
        lanes=_lanes(flagged, claimed, scale_ms, opens),
        axis=axis_svg(scale_ms) if scale_ms > 1 else Markup(""),
        copies=copies(claimed, scene),
        seen=tuple(seen),
        frames=frames,
        transcript=transcript(video.lines, video.signals, verdict.get("segments") or (), policy),
        quiet=_hidden([track for track in rest if track.rule], scale_ms),
        shadow=_hidden([track for track in rest if not track.rule], scale_ms),
    )


def _tracks_without(claims: Sequence[Claim], video: ReportVideo, policy: Policy, duration_ms: int) -> list[Track]:
    """Group whatever no claim accounts for."""
    accounted = {signal for claim in claims for signal in claim.signals}
    rows = [row for row in video.verdict.get("segments") or () if not any(claim.covers(row) for claim in claims)]
    return tracks([signal for signal in video.signals if signal not in accounted], rows, policy, duration_ms)


def time_scale(video: ReportVideo) -> int:
    """Return how many milliseconds the timeline spans: the duration, or else the last end; 1 for a picture."""
    ends = [signal.end_ms for signal in video.signals]
    ends += [row["end_ms"] for row in video.verdict.get("segments") or ()]
    ends += [claim.row["end_ms"] for claim in video.claims]
    return max(video.verdict.get("duration_ms") or max(ends, default=0), 1)


def length(verdict: Mapping[str, Any]) -> str:
    """Return the duration in words."""
    if duration_ms := verdict.get("duration_ms"):
        return clock(duration_ms)
    return "length unknown" if duration_ms is None or verdict.get("error_code") else "picture"


def _minute(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d %H:%M} {time.tzname() or ''}".strip() if time else ""


def _frames(seen: Iterable[Seen], pictures: Mapping[int, bytes], album: Album) -> tuple[Frame, ...]:
    """Return the evidence in order of time; segments that point at the same frame share it."""
    pointing: dict[int, list[Seen]] = {}
    for one in seen:
        pointing.setdefault(one.evidence_ms, []).append(one)
    return tuple(_frame(ms, pointing[ms], pictures[ms], album) for ms in sorted(pointing) if ms in pictures)


def _frame(ms: int, seen: Sequence[Seen], webp: bytes, album: Album) -> Frame:
    named = ", ".join(f"{one.label.name} {score_text(one.score)}" for one in seen)
    return Frame(album.picture(webp, f"{clock(ms)}: {named}"), clock(ms), tuple(seen))


def _hero(video: ReportVideo, seen: Sequence[Seen], album: Album) -> Picture | None:
    """Return the poster, or else the evidence of the highest segment that has a picture."""
    if video.poster is not None:
        return album.picture(video.poster, "A frame of the video")
    best = max((one for one in seen if one.evidence_ms in video.pictures), key=lambda one: one.score, default=None)
    if best is None:
        return None
    return album.picture(video.pictures[best.evidence_ms], f"{best.label.name} {score_text(best.score)}, {best.when}")


def _label_score(row: Row, seen: Sequence[Seen], claims: Sequence[Claim]) -> LabelScore:
    label = label_name(row["label"])
    kinds = [one.kind for one in seen if (one.label, one.form) == (label, row["form"])]
    kinds += [claim.kind for claim in claims if claim.label == label and row["form"] in claim.forms]
    return LabelScore(label, row["form"], row["score"], gravest(kinds), bar_svg(row["score"]))


def _lanes(
    flagged: Sequence[Track], claimed: Sequence[ClaimView], scale_ms: int, opens: Mapping[int, str]
) -> tuple[LaneView, ...]:
    """Draw what was found, segments and claims, the highest first."""
    found = [(track, _lane(track, scale_ms, opens)) for track in flagged]
    found += [(track, _lane_view(track, scale_ms, marks)) for track, marks in claim_lanes(claimed, scale_ms)]
    return tuple(lane for _, lane in sorted(found, key=lambda pair: -pair[0].score))


def _lane(track: Track, scale_ms: int, opens: Mapping[int, str]) -> LaneView:
    seen = seen_in(track, scale_ms)
    marks = [_mark(track, row, one.tip, opens) for row, one in zip(track.segments, seen, strict=True)]
    return _lane_view(track, scale_ms, tuple(marks), track.judged())


def _mark(track: Track, row: Row, tip: str, opens: Mapping[int, str]) -> Mark:
    under = track.under(row)
    highest = under[0].score if under else row["score"]
    start_ms, end_ms, evidence_ms = row["start_ms"], row["end_ms"], row["evidence_ms"]
    return Mark(start_ms, end_ms, evidence_ms, highest, track.kind(row), tip, opens.get(evidence_ms, ""))


def _lane_view(track: Track, scale_ms: int, marks: tuple[Mark, ...] = (), judged: Curve | None = None) -> LaneView:
    rule, label, best = track.rule, label_name(track.label), track.peak
    action = rule.action.value if rule else ""
    lane = Lane(_steps(track.curve), _steps(judged), rule.abstain if rule else None, action, marks)
    return LaneView(
        label=label,
        form=track.form,
        sources=track.sources,
        rule=f"Policy: {thresholds(rule)}." if rule else "",
        peak=peak(best, scale_ms) if best else "",
        svg=lane_svg(lane, scale_ms, label.name),
    )


def _steps(curve: Curve | None) -> Steps | None:
    return (curve.edges_ms, curve.scores) if curve else None


def _hidden(rest: Sequence[Track], scale_ms: int) -> Hidden:
    """Draw the highest few of the tracks without a finding, which come in that order."""
    lanes = tuple(_lane_view(track, scale_ms) for track in rest[:QUIET_LANES])
    left = rest[QUIET_LANES:]
    return Hidden(lanes, len(left), left[0].score if left else 0.0)
