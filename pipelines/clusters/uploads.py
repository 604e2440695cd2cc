"""Uploads of one content or of many, and which of them came first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True)
class Upload:
    """One row of a night's manifest, with whose content it has."""

    video_id: str
    content_sha256: str
    night: str  # name of the night's folder
    uri: str = ""
    uploader_id: str | None = None
    uploaded_at: str | None = None  # as the manifest says it

    @property
    def time(self) -> datetime | None:
        """When it was uploaded, in UTC, as far as that can be read."""
        return parse_time(self.uploaded_at)


def parse_time(text: str | None) -> datetime | None:
    """Read an ISO 8601 time or date, or whole seconds or milliseconds since 1970; None where it says nothing.

    A time without a zone is in UTC, a date is its midnight.
    """
    words = (text or "").strip()
    try:
        if words.isdecimal() and len(words) in (9, 10, 12, 13):
            return datetime.fromtimestamp(int(words) / (1000 if len(words) > 10 else 1), UTC)
        found = datetime.fromisoformat(words)
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def in_order(uploads: Iterable[Upload]) -> list[Upload]:
    """Sort by when they were uploaded: those of which nobody knows come last, and ties go by id, then by night."""
    last = datetime.max.replace(tzinfo=UTC)
    return sorted(uploads, key=lambda one: (one.time or last, one.video_id, one.night))


def is_repost(upload: Upload, first: Upload) -> bool:
    """Whether somebody else uploaded it before; where a time or an uploader is missing that cannot be said."""
    if not (upload.uploader_id and first.uploader_id and upload.time and first.time):
        return False
    return upload.uploader_id != first.uploader_id and upload.time > first.time
