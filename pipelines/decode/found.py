"""Text that the decoder itself finds: codes in pictures, and what a file carries beside its pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

SHOWN, WRITTEN = "OCR", "Text"  # forms of a line: on the picture, or beside it


@dataclass(frozen=True)
class Found:
    """One line with a span; see FOUND in pipelines/rows.py."""

    start_ms: int
    end_ms: int
    text: str
    form: str
    source: str  # "code QRCode", "subtitles 0 (mov_text, eng)", "tag title", "chapter"
    language: str = ""
    confidence: float = 1.0
    box: tuple[float, float, float, float] | None = None  # left, top, right, bottom as shares of the coded frame
    raw: bytes | None = None  # of a code, before anybody guessed a character set

    def as_row(self) -> dict[str, Any]:
        """A FOUND struct."""
        return {**vars(self), "box": list(self.box) if self.box else None, "words": []}
