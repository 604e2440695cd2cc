"""The listening stage: sound to landmarks; the last reader of the sound lets it go."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipelines.copyright.sound.landmarks import peaks_of
from pipelines.rows import PEAK
from pipelines.stage import Stage, Work


@dataclass(frozen=True, kw_only=True)
class Listen(Stage):
    """Add the spectral peaks of each window; a window without sound has none."""

    reads: tuple[str, ...] = ("audio_16k", "start_ms")
    writes: tuple[str, ...] = ("peaks",)
    drops: tuple[str, ...] = ("audio_16k",)

    def open(self) -> Work:
        """Nothing to load."""

        def work(table: pa.Table) -> Iterator[pa.Table]:
            sounds = zip(table["audio_16k"], table["start_ms"].to_pylist(), strict=True)
            found = [_peaks(cell, start_ms) for cell, start_ms in sounds]
            yield table.append_column("peaks", pa.chunked_array([_lists(found)])).drop_columns("audio_16k")

        return work


def _peaks(cell: pa.LargeBinaryScalar, start_ms: int) -> pa.StructArray:
    sound = np.frombuffer(cell.as_buffer() if cell.is_valid else b"", np.int16)
    peaks = peaks_of(sound, start_ms)
    columns = [pa.array(peaks.time_ms, pa.int32()), pa.array(peaks.pitch, pa.uint16())]
    return pa.StructArray.from_arrays(columns, fields=list(PEAK))


def _lists(found: list[pa.StructArray]) -> pa.ListArray:
    offsets = np.concatenate([[0], np.cumsum([len(peaks) for peaks in found])])
    flat = pa.concat_arrays(found) if found else pa.array([], PEAK)
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), flat)
