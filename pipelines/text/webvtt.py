"""Subtitles as WebVTT (W3C, "WebVTT: The Web Video Text Tracks Format", sections 4 and 6.2)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pipelines.text.transcripts import TranscriptLine

SHORTEST_MS = 1  # a cue has to end after it starts
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


def webvtt(lines: Iterable[TranscriptLine]) -> str:
    """Write lines as cues in order of time; what the format reserves is escaped, and no cue is empty."""
    cues = [cue for line in sorted(lines, key=lambda line: (line.start_ms, line.end_ms)) if (cue := _cue(line))]
    return "\n\n".join(["WEBVTT", *cues]) + "\n"


def _cue(line: TranscriptLine) -> str:
    """One cue: times, and its text without blank lines, which would end it."""
    text = "\n".join(filter(None, (" ".join(part.split()) for part in CONTROLS.sub(" ", line.text).splitlines())))
    if not text:
        return ""
    end_ms = max(line.end_ms, line.start_ms + SHORTEST_MS)
    return f"{timestamp(line.start_ms)} --> {timestamp(end_ms)}\n{_escaped(text)}"


def timestamp(ms: int) -> str:
    """Write hours, minutes, seconds and milliseconds: `00:01:02.345`; hours may have more digits."""
    seconds, ms = divmod(max(ms, 0), 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}.{ms:03}"


def _escaped(text: str) -> str:
    """`&`, `<` and `>` (section 4.2.2); without `>` no text can look like an arrow."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
