"""What a night or a judging leaves for people: `summary.json` and `report.html`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from jobs.report.page import Page, ReportVideo, render
from pipelines.copyright.strips import nearest_pictures
from pipelines.pieces import Pieces
from pipelines.places import Place, write_text
from pipelines.risk.evidence import EVIDENCE_FLOOR
from pipelines.risk.judge import Tally, told_pictures
from pipelines.risk.judged import Judged
from pipelines.risk.policy import Policy
from pipelines.text.readings import Readings


def counts(tally: Tally) -> dict[str, Any]:
    """How many videos ended how."""
    return {
        "videos": tally.videos,
        **{name: tally.suggestions[name] for name in ("pass", "review", "block")},
        "incomplete": tally.incomplete,
        "errors": dict(tally.errors.most_common()),
        "signals": tally.signals,
        "segments": tally.segments,
        "claims": tally.claims,
    }


def text_facts(readings: Readings, tally: Tally) -> dict[str, Any]:
    """Who read how much, and what stood in it."""
    reader = readings.reader
    facts = {"lexicons": reader.lexicons, "heads": reader.heads or None} if reader else {}
    return {**facts, "reader": readings.folder.name, "texts": len(readings), "lines": tally.lines, "told": tally.told}


def write_report(
    folder: Place, heading: str, summary: dict[str, Any], policy: Policy, tally: Tally, pieces: Pieces
) -> None:
    """Write `summary.json` and `report.html`."""
    page = Page(heading, summary, policy, _report_videos(tally.shown, pieces), tally.videos)
    write_text(folder / "report.html", render(page))
    write_text(folder / "summary.json", json.dumps(summary, indent=2, ensure_ascii=False) + "\n")


def summary_line(summary: Mapping[str, Any]) -> str:
    """How the run went, in one line."""
    found, took = summary["counts"], summary["run"]["seconds"]
    kinds = ", ".join(f"{found[name]} {name}" for name in ("block", "review", "pass", "incomplete"))
    return f"{found['videos']} videos: {kinds}; {summary['throughput']['frames']} frames looked at in {took:.1f} s"


def _report_videos(shown: list[Judged], pieces: Pieces) -> list[ReportVideo]:
    contents = {video.verdict["content_sha256"] for video in shown} & pieces.contents.keys()
    pictures: dict[str, dict[int, bytes]] = {}
    for row in pieces.rows("thumbnails", contents).to_pylist():
        pictures.setdefault(row["content_sha256"], {})[row["frame_ms"]] = row["webp"]
    strips = _strips(shown, pieces)
    for (sha256, ms), webp in told_pictures(shown, pieces).items():
        pictures.setdefault(sha256, {}).setdefault(ms, webp)
    return [_report_video(video, *(kept.get(_content(video), {}) for kept in (pictures, strips))) for video in shown]


def _content(video: Judged) -> str:
    return video.verdict["content_sha256"] or ""


def _strips(shown: list[Judged], pieces: Pieces) -> dict[str, dict[int, bytes]]:
    """Return what the film strips have near the middles of claims, by content and time."""
    wanted = {(_content(video), claim.signal().evidence_ms) for video in shown for claim in video.claims}
    found: dict[str, dict[int, bytes]] = {}
    for (sha256, _), (frame_ms, webp) in nearest_pictures(pieces, wanted).items():
        found.setdefault(sha256, {})[frame_ms] = webp
    return found


def _report_video(video: Judged, kept: dict[int, bytes], strip: dict[int, bytes]) -> ReportVideo:
    """Segments get their evidence frame; the poster is a frame that nothing was seen in, if one was kept."""
    wanted = {segment["evidence_ms"] for segment in video.verdict["segments"]}
    pictures = {ms: picture for ms, picture in kept.items() if ms in wanted}
    poster = _poster(video, kept)
    return ReportVideo(
        video.verdict, video.title, video.signals, pictures, poster, video.claims, strip, video.lines, video.cluster
    )


def _poster(video: Judged, kept: dict[int, bytes]) -> bytes | None:
    telling = {signal.evidence_ms for signal in video.signals if signal.score >= EVIDENCE_FLOOR}
    quiet = [ms for ms in sorted(kept) if ms not in telling] or sorted(kept)
    return kept[quiet[len(quiet) // 2]] if quiet else None
