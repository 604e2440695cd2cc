"""Sound without a picture is wholly examined once somebody has listened to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.rows import ErrorCode
from pipelines.stage import Stage, Work


@dataclass(frozen=True, kw_only=True)
class Heard(Stage):
    """Take back decode's complaint that there was nothing to look at; every other one stands."""

    reads: tuple[str, ...] = ("said", "media", "error_code", "error_message")
    writes: tuple[str, ...] = ("error_code", "error_message")

    def open(self) -> Work:
        """Nothing to load."""

        def work(table: pa.Table) -> Iterator[pa.Table]:
            no_picture = pc.equal(table["error_code"], ErrorCode.NO_VIDEO.value)
            unseen = pc.fill_null(pc.and_(no_picture, pc.equal(table["media"], "audio")), False)
            for name in self.writes:
                cleared = pc.if_else(unseen, pa.scalar(None, pa.string()), table[name])
                table = table.set_column(table.schema.get_field_index(name), name, cleared)
            yield table

        return work
