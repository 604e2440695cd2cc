"""The listening stage: sound to landmarks; the last reader of the sound lets it go."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipelines.copyright.sound.landmarks import peaks_of
from pipelines.rows import PEAK, SOUND_COLUMNS, Sound, sounds_of_windows
from pipelines.stage import Stage, Work


@dataclass(frozen=True, kw_only=True)
class Listen(Stage):
    """Add the spectral peaks of each window, of every sound in it; a window without sound has none."""

    reads: tuple[str, ...] = (*SOUND_COLUMNS, "start_ms")
    writes: tuple[str, ...] = ("peaks",)
    drops: tuple[str, ...] = SOUND_COLUMNS

    def open(self) -> Work:
        """Nothing to load."""

        def work(table: pa.Table) -> Iterator[pa.Table]:
            rows = zip(sounds_of_windows(table), table["start_ms"].to_pylist(), strict=True)
            found = [pa.concat_arrays([_peaks(sound, start_ms) for sound in sounds]) for sounds, start_ms in rows]
            yield table.append_column("peaks", pa.chunked_array([_lists(found)])).drop_columns(list(SOUND_COLUMNS))

        return work


def _peaks(sound: Sound, start_ms: int) -> pa.StructArray:
    peaks = peaks_of(sound.samples, start_ms)
    track = np.full(len(peaks), sound.track)
    columns = [pa.array(peaks.time_ms, pa.int32()), pa.array(peaks.pitch, pa.uint16()), pa.array(track, pa.uint16())]
    return pa.StructArray.from_arrays(columns, fields=list(PEAK))


def _lists(found: list[pa.StructArray]) -> pa.ListArray:
    offsets = np.concatenate([[0], np.cumsum([len(peaks) for peaks in found])])
    flat = pa.concat_arrays(found) if found else pa.array([], PEAK)
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), flat)
