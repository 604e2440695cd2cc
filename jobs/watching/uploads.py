"""Whose content it is: the uploads behind a hash, for people who read a log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.rows import CONTENTS

SHOWN = 5  # video ids a content: the same meme may have been uploaded a thousand times
MILLISECONDS_FROM = 1e11  # a number of seconds this large is in the year 5138


class Uploads:
    """The rows of CONTENTS of one night."""

    def __init__(self, contents: pa.Table | None = None) -> None:
        self.contents = CONTENTS.empty_table() if contents is None else contents

    def of(self, hashes: Sequence[str]) -> dict[str, tuple[list[str], int]]:
        """Return the first video ids of each content, and how many it has."""
        found: dict[str, tuple[list[str], int]] = {sha256: ([], 0) for sha256 in hashes}
        if not found:
            return found
        wanted = pc.is_in(self.contents["content_sha256"], value_set=pa.array(list(found), pa.string()))
        owners = self.contents.select(["content_sha256", "video_id"]).filter(wanted)
        for sha256, video_id in zip(*(column.to_pylist() for column in owners.columns), strict=True):
            ids, count = found[sha256]
            found[sha256] = ([*ids, video_id][:SHOWN], count + 1)
        return found

    def unreadable(self) -> Iterator[dict[str, Any]]:
        """Yield the rows whose content could not be hashed."""
        for batch in self.contents.filter(pc.is_valid(self.contents["error_code"])).to_batches():
            yield from batch.to_pylist()


def moment(text: datetime | str | None) -> datetime | None:
    """Read when something was uploaded: ISO 8601, or seconds or milliseconds since 1970; None where it says nothing."""
    try:
        if isinstance(text, str) and text.isdecimal():
            seconds = float(text)
            return datetime.fromtimestamp(seconds / 1000 if seconds >= MILLISECONDS_FROM else seconds, UTC)
        found = datetime.fromisoformat(text) if isinstance(text, str) else text
    except (ValueError, OverflowError, OSError):
        return None
    return found.replace(tzinfo=UTC) if found and found.tzinfo is None else found
