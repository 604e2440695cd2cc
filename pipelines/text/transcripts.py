"""Transcripts: what a video says, shows and is called, as lines that know where each letter is in time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from model_registry.model import Line, Word
from pipelines.ocr.merge import join_windows
from pipelines.pieces import Pieces
from pipelines.places import Place, opened
from pipelines.tracks import name_of

JOIN = "\x1f"  # between two lines that are read as one; no line has it itself
SAID, SHOWN, WRITTEN = "Voice", "OCR", "Text"  # forms of a line
KIND_OF = {SAID: "said", SHOWN: "shown"}  # form -> kind of piece
CONTENTS_AT_ONCE = 500
LONGEST_UNIT = 400  # characters of a title or description that are read at once
# A sentence ends at its marks; one that has a letter, a digit or a sign right behind it may be a letter itself: "l!nk".
# Nor does 。 end one that stands for the dot of an address.
SENTENCE = re.compile(
    r"(?:[^\n。！？!?；;…]|[!?;](?=[0-9A-Za-z@$_!|])|(?<=[0-9A-Za-z])。(?=[A-Za-z]{2,6}(?![A-Za-z])))+(?:[。！？!?；;…]+|\n|$)"
)
TRANSCRIPTS = pa.schema(
    [
        ("video_id", pa.string()),
        ("form", pa.string()),
        ("start_ms", pa.int64()),
        ("end_ms", pa.int64()),
        ("text", pa.string()),
        ("language", pa.string()),
        ("confidence", pa.float32()),
        ("track", pa.string()),  # of what was said: see pipelines/tracks.py
        ("source", pa.string()),  # what carries it: "code QRCode", "tag title"; empty for what a model heard or read
    ]
)
NightLine = tuple[str, str | None, "TranscriptLine"]  # account, content, line


@dataclass(frozen=True)
class TranscriptLine:
    """One line of one form."""

    form: str
    start_ms: int
    end_ms: int
    text: str
    language: str = ""
    confidence: float = 1.0
    words: tuple[Word, ...] = ()
    track: str | None = None  # which sound of the file it was heard in
    source: str = ""
    place: str = ""  # on the picture, as a reviewer reads it

    @classmethod
    def of(cls, form: str, line: Line, track: str | None = None) -> TranscriptLine:
        """A line as a model read or heard it, in the video's own time."""
        return cls(form, line.start_ms, line.end_ms, line.text, line.language, line.confidence, line.words, track)

    def when(self, start: int, end: int) -> tuple[int, int]:
        """When the characters from `start` to before `end` are heard or shown; the whole line where nobody knows."""
        touched = [word for word in self.words if word.start < end and start < word.end]
        if not touched:
            return self.start_ms, self.end_ms
        return min(word.start_ms for word in touched), max(word.end_ms for word in touched)

    def as_row(self, video_id: str) -> dict[str, object]:
        """A row of `transcripts.parquet`."""
        return {"video_id": video_id, **{name: getattr(self, name) for name in TRANSCRIPTS.names[1:]}}


def spoken_and_shown(pieces: Pieces, contents: Iterable[str]) -> dict[str, list[TranscriptLine]]:
    """Return the lines of some contents in order of time; text that stands over a window's end is one line."""
    contents = list(contents)
    found: dict[str, list[TranscriptLine]] = {}
    for form, kind in KIND_OF.items():
        lines: dict[tuple[str, str | None], list[Line]] = {}
        for row in pieces.rows(kind, contents).to_pylist():
            lines.setdefault((row["content_sha256"], name_of(row["track"])), []).append(_line(row))
        for (sha256, track), own in lines.items():
            whole = join_windows(own) if form == SHOWN else own
            found.setdefault(sha256, []).extend(TranscriptLine.of(form, line, track) for line in whole)
    for sha256, carried in _found(pieces, contents).items():
        found.setdefault(sha256, []).extend(carried)
    return {sha256: sorted(lines, key=lambda line: (line.start_ms, line.form)) for sha256, lines in found.items()}


def _found(pieces: Pieces, contents: Iterable[str]) -> dict[str, list[TranscriptLine]]:
    """What decoding found, as lines; a code that stands over a window's end is one, and a long text some."""
    found: dict[str, list[TranscriptLine]] = {}
    going: dict[tuple[str, str, str], TranscriptLine] = {}
    for row in sorted(pieces.rows("found", contents).to_pylist(), key=lambda row: int(row["start_ms"])):
        for unit in units(row["text"]) if row["form"] == WRITTEN else _cut_lines(row["text"]):
            key = (row["content_sha256"], row["source"], unit)
            before = going.get(key)
            line = _found_line(row, unit)
            own = found.setdefault(row["content_sha256"], [])
            if before and row["form"] == SHOWN and line.start_ms <= before.end_ms:
                own.remove(before)
                line = replace(before, end_ms=max(before.end_ms, line.end_ms))
            own.append(line)
            going[key] = line
    return found


def _cut_lines(text: str) -> Iterator[str]:
    """The lines of a code's payload: in an address a question mark ends no sentence."""
    for line in filter(None, map(str.strip, text.splitlines())):
        for start in range(0, len(line), LONGEST_UNIT):
            yield line[start : start + LONGEST_UNIT]


def _found_line(row: dict[str, Any], text: str) -> TranscriptLine:
    known = {name: row[name] for name in ("form", "start_ms", "end_ms", "confidence", "source")}
    box = row["box"]
    place = "at {:.2f} {:.2f} to {:.2f} {:.2f} of the picture".format(*box) if box else ""
    return TranscriptLine(text=text, language=row["language"] or "", place=place, **known)


def _line(row: dict[str, Any]) -> Line:
    """A stored LINE."""
    words = tuple(Word(**word) for word in row["words"] or ())
    return Line(
        row["text"].replace(JOIN, " "), row["confidence"], row["language"] or "", row["start_ms"], row["end_ms"], words
    )


def written(row: dict[str, Any], duration_ms: int) -> list[TranscriptLine]:
    """Title and description of a manifest row, sentence by sentence; they speak of the whole video."""
    texts = [row.get("title") or "", row.get("description") or ""]
    return [TranscriptLine(WRITTEN, 0, duration_ms, unit) for text in texts for unit in units(text)]


def units(text: str) -> Iterator[str]:
    """Cut a text into sentences, and what is still too long into equal lengths."""
    for sentence in (match.group().strip() for match in SENTENCE.finditer(text.replace(JOIN, " "))):
        for start in range(0, len(sentence), LONGEST_UNIT):
            yield sentence[start : start + LONGEST_UNIT]


def manifest_rows(manifest: Place, at_once: int = CONTENTS_AT_ONCE) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of a night's manifest, some at once."""
    with opened(manifest) as source, pq.ParquetFile(source) as file:
        for batch in file.iter_batches(at_once):
            yield batch.to_pylist()


def videos_of_night(
    manifest: Place, contents: pa.Table, pieces: Pieces
) -> Iterator[tuple[str, str | None, list[TranscriptLine]]]:
    """Yield (account, content, lines) of every video; who has no uploader is an account of its own."""
    whose = dict(zip(contents["video_id"].to_pylist(), contents["content_sha256"].to_pylist(), strict=True))
    for rows in manifest_rows(manifest):
        hashed = {whose.get(row["video_id"]) or "" for row in rows}
        lines = spoken_and_shown(pieces, hashed & pieces.contents.keys())
        for row in rows:
            sha256 = whose.get(row["video_id"])
            yield account_of(row), sha256, [*lines.get(sha256 or "", ()), *written(row, 0)]


def lines_of_night(manifest: Place, contents: pa.Table, pieces: Pieces) -> Iterator[NightLine]:
    """Yield (account, content, line) for every line of every video."""
    for account, sha256, lines in videos_of_night(manifest, contents, pieces):
        for line in lines:
            yield account, sha256, line


def account_of(row: dict[str, Any]) -> str:
    """Who uploaded a video, or else the video itself."""
    return str(row.get("uploader_id") or row["video_id"])
