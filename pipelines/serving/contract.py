"""What the parts of the service promise each other: what is asked, what is answered, what is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from model_registry.errors import NightjarError


class Look(StrEnum):
    """A way of looking at an upload; a caller in a hurry asks for some."""

    VISUAL = "visual"  # the tower, the models beside it and their heads
    OCR = "ocr"
    SPEECH = "speech"
    TEXT = "text"  # reads what is said, shown and written
    COPYRIGHT = "copyright"


QUEUE_SIZE = 16  # uploads of one machine that wait for a worker
FIRST_SCREENING = frozenset({Look.VISUAL, Look.TEXT})
EVERY_LOOK = frozenset(Look)


@dataclass(frozen=True)
class Upload:
    """One thing to check: a file, a text, or both."""

    upload_id: str  # as the caller names it, else made up; never a path
    path: Path | None = None  # a private copy of the bytes; whoever wrote it removes it
    title: str = ""
    description: str = ""
    uploader_id: str = ""
    looks: frozenset[Look] = EVERY_LOOK

    def __post_init__(self) -> None:
        """Refuse what there is nothing of."""
        if self.path is None and not (self.title or self.description):
            raise ValueError("an upload has neither a file nor a text")
        if not self.looks:
            raise ValueError("an upload wants none of the looks: " + ", ".join(Look))

    def row(self) -> dict[str, Any]:
        """It as a row of a manifest."""
        written = {name: getattr(self, name) or None for name in ("title", "description", "uploader_id")}
        return {"video_id": self.upload_id, "uri": None, "views": None, **written}


@dataclass(frozen=True)
class Answer:
    """What was found, in the shapes that the nightly job writes."""

    verdict: Mapping[str, Any]  # the columns of verdicts.parquet
    signals: Sequence[Mapping[str, Any]] = ()  # those of signals.parquet, without video_id
    lines: Sequence[Mapping[str, Any]] = ()  # those of transcripts.parquet, without video_id
    matches: Sequence[Mapping[str, Any]] = ()  # those of matches.parquet, without video_id
    evidence: Mapping[int, bytes] = field(default_factory=dict)  # a WebP by evidence_ms
    took_ms: Mapping[str, float] = field(default_factory=dict)  # by step


@dataclass(frozen=True)
class Described:
    """What answers: every version that a verdict depends on."""

    bundle: str  # `name@version+digest`, as in verdicts
    policy: str
    taxonomy: str
    lexicons: str | None
    bank: str | None
    models: tuple[Mapping[str, Any], ...]  # name, version, labels, reads, writes, calibrated, caveat


class Checker(Protocol):
    """Looks at one upload; for any number of callers at once."""

    async def check(self, upload: Upload, deadline_s: float | None = None) -> Answer:
        """Raise Refused where there is no room, or where the deadline passes.

        A damaged file is an answer with `error_code`, never an exception.
        """

    def admit(self) -> None:
        """Raise Refused where `check` would for want of room; costs nothing, and is asked before a body is read."""

    def described(self) -> Described:
        """Say which versions answer now."""


class Refused(NightjarError):  # noqa: N818 it is an answer, no fault
    """A request that gets no verdict: the HTTP status, a code for programs, a sentence for people."""

    def __init__(self, status: int, code: str, sentence: str, retry_after_s: float | None = None) -> None:
        super().__init__(sentence)
        self.status, self.code, self.retry_after_s = status, code, retry_after_s

    def __reduce__(self) -> tuple[type[Refused], tuple[int, str, str, float | None]]:
        """Travel between processes with all it says."""
        return type(self), (self.status, self.code, str(self), self.retry_after_s)


def no_room(what: str, retry_after_s: float = 1.0) -> Refused:
    """429 for a caller who may come back: the queue of `what` is full."""
    return Refused(429, "too_many_requests", f"{what} has no room now; try again", retry_after_s)
