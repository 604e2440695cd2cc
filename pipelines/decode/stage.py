"""The decode stage: contents in, windows out, through this worker's own child process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from pipelines.decode.child import DecodeChild, lost_row
from pipelines.decode.limits import Limits, Sampling
from pipelines.decode.worker import Request
from pipelines.rows import WINDOWS, MediaError
from pipelines.stage import Stage, Work
from pipelines.storage import held_copy

_own = threading.local()  # a child for each thread of a worker: tasks come and go, the child stays warm


@dataclass(frozen=True, kw_only=True)
class Decode(Stage):
    """One content to its windows; what cannot be read is one window that says why."""

    sampling: Sampling
    limits: Limits
    reads: tuple[str, ...] = ("content_sha256", "uri", "bytes")
    writes: tuple[str, ...] = tuple(WINDOWS.names)
    drops: tuple[str, ...] = ("uri", "bytes")

    def open(self) -> Work:
        """Keep this thread's child; other limits get another."""
        child: DecodeChild | None = getattr(_own, "child", None)
        if child is None or child.limits != self.limits:
            if child is not None:
                child.close()
            child = _own.child = DecodeChild(self.limits)

        def work(table: pa.Table) -> Iterator[pa.Table]:
            for row in table.to_pylist():
                for batch in self._windows(child, row):
                    yield pa.Table.from_batches([batch])

        return work

    def _windows(self, child: DecodeChild, row: dict[str, object]) -> Iterator[pa.RecordBatch]:
        sha256, uri, size = str(row["content_sha256"]), str(row["uri"]), int(str(row["bytes"]))
        try:
            with held_copy(uri, self.limits, sha256) as (path, stamp):
                request = Request(sha256, str(path), size, self.sampling, self.limits, stamp=stamp)
                yield from child.windows(request)
        except MediaError as error:
            yield lost_row(sha256, 0, self.sampling, error)
