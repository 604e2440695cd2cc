"""The decode stage: contents in, windows out, through this worker's own child process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa

from pipelines.decode.child import DecodeChild, lost_row
from pipelines.decode.limits import Limits, Sampling
from pipelines.decode.worker import Request
from pipelines.rows import WINDOWS, MediaError
from pipelines.stage import Stage, Work
from pipelines.storage import held_copy

_idle: list[DecodeChild] = []  # of this worker: tasks come and go, children stay warm, one for each at a time


@dataclass(frozen=True, kw_only=True)
class Decode(Stage):
    """One content to its windows; what cannot be read is one window that says why."""

    sampling: Sampling
    limits: Limits
    reads: tuple[str, ...] = ("content_sha256", "uri", "bytes")
    writes: tuple[str, ...] = tuple(WINDOWS.names)
    drops: tuple[str, ...] = ("uri", "bytes")

    def open(self) -> Work:
        """Nothing to load: a child is borrowed for each table."""

        def work(table: pa.Table) -> Iterator[pa.Table]:
            with _borrowed(self.limits) as child:
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


@contextmanager
def _borrowed(limits: Limits) -> Iterator[DecodeChild]:
    """Lend a warm child, or one that starts at its first use; those of other limits end."""
    child = None
    while child is None and _idle:
        child = _idle.pop()  # atomic, whichever threads ask
        if child.limits != limits:
            child.close()
            child = None
    child = child or DecodeChild(limits)
    try:
        yield child
    finally:
        _idle.append(child)
