"""Whose content is it? Every manifest row is hashed, because identity is the content and never the path."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from pipelines.decode.limits import Limits
from pipelines.rows import CONTENTS, MediaError
from pipelines.stage import Stage, Work
from pipelines.storage import content_hash, modified_ns


@dataclass(frozen=True, kw_only=True)
class Hash(Stage):
    """video_id, uri -> the content's sha256 and size, or the reason why it cannot be read."""

    limits: Limits
    reads: tuple[str, ...] = ("video_id", "uri")
    writes: tuple[str, ...] = ("content_sha256", "bytes", "modified_ns", "error_code", "error_message")

    def open(self) -> Work:
        """Nothing to load."""

        def work(table: pa.Table) -> Iterator[pa.Table]:
            rows = [self._row(row["video_id"], row["uri"]) for row in table.to_pylist()]
            yield pa.Table.from_pylist(rows, CONTENTS)

        return work

    def _row(self, video_id: str, uri: str) -> dict[str, object]:
        row: dict[str, object] = {"video_id": video_id, "uri": uri, "modified_ns": modified_ns(uri)}
        try:
            sha256, size = content_hash(uri, self.limits)
        except MediaError as error:
            return {**row, "error_code": error.code.value, "error_message": str(error)}
        return {**row, "content_sha256": sha256, "bytes": size}
