"""Verdicts on a terminal: a table for people, JSON lines for programs."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from typing import Any

import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table
from rich.text import Text

from jobs.report.words import one_line, score_text, short
from pipelines.places import Place, opened
from pipelines.risk.judge import Tally
from pipelines.risk.judged import Judged

COLOURS = {"block": "bold red", "review": "yellow", "pass": "green"}
ROWS = 40
TITLE = 32  # characters of a work's title


def print_table(tally: Tally, rows: int = ROWS) -> None:
    """Show the videos a reviewer would see first."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("suggestion", "priority", "video", "length", "why"):
        table.add_column(title, overflow="fold" if title in ("video", "why") else "ellipsis")
    for video in tally.shown[:rows]:
        table.add_row(*_cells(video))
    console = Console()
    console.print(table)
    if tally.videos > rows:
        console.print(f"… and {tally.videos - min(rows, len(tally.shown))} more", style="dim")


def _cells(video: Judged) -> tuple[Text, ...]:
    verdict = video.verdict
    return (
        Text(verdict["suggestion"], COLOURS[verdict["suggestion"]]),
        Text(score_text(verdict["priority"])),
        Text(printable(verdict["video_id"])),
        Text(clock(verdict["duration_ms"])),
        Text(printable(why(verdict))),
    )


def why(verdict: dict[str, Any]) -> str:
    """The reasons in one line: labels with their first span, copies with the work they are of, then the error."""
    copied = {seg["label"] for seg in verdict["segments"] if seg["reference_id"]}
    reasons: dict[tuple[str, ...], str] = {}
    for label in verdict["labels"]:
        heard_and_seen = () if label["label"] in copied else (label["form"],)  # of a copy they are one reason
        reasons.setdefault((label["label"], *heard_and_seen), _reason(label, verdict["segments"]))
    error = [f"{verdict['error_code']}: {verdict['error_message']}"] if verdict["error_code"] else []
    return "; ".join([*reasons.values(), *error])


def _reason(label: dict[str, Any], segments: list[dict[str, Any]]) -> str:
    first = next(seg for seg in segments if (seg["label"], seg["form"]) == (label["label"], label["form"]))
    where = _copy(label["label"], segments) if first["reference_id"] else f"at {_span(first)}"
    return f"{label['label']} {score_text(label['score'])} {where}"


def _copy(label: str, segments: list[dict[str, Any]]) -> str:
    """Say the surest copy under a label: `0:12-0:31 = Some Film 41:02`, and how many other works there are."""
    found = [seg for seg in segments if seg["label"] == label and seg["reference_id"]]
    best = max(found, key=lambda seg: seg["score"])
    others = len({seg["reference_id"] for seg in found}) - 1
    title = one_line(best["text"] or "") or best["reference_id"]
    more = f" (+{others} more)" if others else ""
    return f"{_span(best)} = {short(title, TITLE)} {clock(best['ref_start_ms'])}{more}"


def _span(segment: dict[str, Any]) -> str:
    return f"{clock(segment['start_ms'])}-{clock(segment['end_ms'])}"


def clock(ms: int | None) -> str:
    """Format milliseconds as m:ss, or h:mm:ss; nothing where unknown."""
    if ms is None:
        return ""
    minutes, second = divmod(ms // 1000, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def printable(text: str) -> str:
    """Keep control characters of hostile names off the terminal."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def print_json(verdicts: Place) -> None:
    """Print `verdicts.parquet` as one JSON object a line, with its columns."""
    with opened(verdicts) as source, pq.ParquetFile(source) as file:
        for batch in file.iter_batches():
            for row in batch.to_pylist():
                print(json.dumps(row, ensure_ascii=True, default=_plain, allow_nan=False))
    sys.stdout.flush()  # whoever reads along goes on at once


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds")
    raise TypeError(f"{type(value).__name__} has no JSON form")
