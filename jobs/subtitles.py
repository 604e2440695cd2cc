"""Write what a stored video says, or shows, as WebVTT subtitles: opens no video, runs no model."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from jobs import progress
from jobs.judge import read_summary
from jobs.retention import why_gone
from model_registry.errors import UsageError
from pipelines.places import Place, exists, place, read_table
from pipelines.text.transcripts import SAID, SHOWN, TRANSCRIPTS, TranscriptLine
from pipelines.text.webvtt import webvtt

EXAMPLES = """examples:
  nightjar subtitles recalls/dt=2026-11-21 talk.mp4
  nightjar subtitles recalls/dt=2026-11-21 talk.mp4 --form OCR --output talk.vtt
  nightjar subtitles recalls/dt=2026-11-21 --all --output subtitles

A video that says nothing has subtitles without a cue."""
TABLE = "transcripts.parquet"
NAMED = 5  # video ids that an error names


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    parser.add_argument("folder", type=place, metavar="DIR", help="a night's folder, such as recalls/dt=2026-11-21")
    parser.add_argument("video", nargs="?", metavar="VIDEO_ID", help="as in verdicts.parquet")
    parser.add_argument("--all", action="store_true", help="one file for each video that says something")
    parser.add_argument("--form", choices=(SAID, SHOWN), default=SAID, help="what is said, or shown (default: Voice)")
    parser.add_argument("--output", type=Path, metavar="PATH", help="a file, or a folder with --all (default: print)")


def run(args: argparse.Namespace) -> int:
    """Print or write the subtitles of one video, or write those of all."""
    if bool(args.video) == args.all:
        raise UsageError("give either a video's id or --all")
    if args.all and not args.output:
        raise UsageError("--all writes one file a video: give --output, a folder")
    lines = _lines(args.folder, args.form)
    if args.all:
        _write_all(lines, args.output)
    else:
        _write_one(_of(lines, args.video, args.folder), args.output)
    return 0


def _lines(folder: Place, form: str) -> pa.Table:
    if exists(folder / "summary.json") and (why := why_gone(folder, read_summary(folder), TABLE)):
        raise UsageError(f"{why}: there are no subtitles any more")
    table = _read(folder / TABLE, schema=TRANSCRIPTS)
    return table.filter(pc.equal(table["form"], form))


def _read(path: Place, **options: Any) -> pa.Table:
    try:
        return read_table(path, **options)
    except (OSError, pa.ArrowException) as error:
        raise UsageError(f"{path.parent} has no transcripts: {path.name} cannot be read") from error


def _of(lines: pa.Table, video: str, folder: Place) -> list[TranscriptLine]:
    known = _read(folder / "verdicts.parquet", columns=["video_id"])["video_id"].to_pylist()
    if video not in known:
        some = ", ".join(known[:NAMED]) + (", …" if len(known) > NAMED else "")
        raise UsageError(f"{folder} has no video {video!r}; it has {some}")
    return _transcript(lines.filter(pc.equal(lines["video_id"], video)))


def _transcript(table: pa.Table) -> list[TranscriptLine]:
    columns = [name for name in TRANSCRIPTS.names if name != "video_id"]
    return [TranscriptLine(**row) for row in table.select(columns).to_pylist()]


def _write_one(lines: Sequence[TranscriptLine], output: Path | None) -> None:
    if output is None:
        print(webvtt(lines), end="")
        return
    _save(output, lines)
    progress.say(f"subtitles: {output}")


def _write_all(lines: pa.Table, folder: Path) -> None:
    """Names are numbers where an id would leave the folder or is no file name."""
    videos = lines["video_id"].unique().to_pylist()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"subtitles cannot be written to {folder}: {error.strerror}") from error
    for number, video in enumerate(videos, 1):
        name = Path(video).name if Path(video).name == video and len(video.encode()) < 200 else f"video-{number}"
        _save(folder / f"{name}.vtt", _transcript(lines.filter(pc.equal(lines["video_id"], video))))
    progress.say(f"subtitles of {len(videos)} videos: {folder}")


def _save(path: Path, lines: Sequence[TranscriptLine]) -> None:
    try:
        path.write_text(webvtt(lines), "utf-8")
    except OSError as error:
        raise UsageError(f"subtitles {path} cannot be written: {error.strerror}") from error


if __name__ == "__main__":
    from jobs.cli import main

    main(["subtitles", *sys.argv[1:]])
