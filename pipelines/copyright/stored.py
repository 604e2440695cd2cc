"""Fingerprints out of stored pieces: what `bank add` has described and what a night has kept of its uploads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipelines.copyright.fingerprint import Fingerprint
from pipelines.copyright.sound.landmarks import Peaks, joined
from pipelines.pieces import Pieces
from pipelines.rows import PDQ_BYTES


def stored_fingerprints(pieces: Pieces, contents: Iterable[str]) -> dict[str, Fingerprint]:
    """Return what was kept of some finished contents; descriptors_ND are the tower's embeddings, float16 [N, E]."""
    wanted = sorted(set(contents))
    views = _by_content(pieces.rows("views", wanted), "frame_ms")
    peaks = _by_content(pieces.rows("peaks", wanted), "time_ms")
    return {
        sha256: _fingerprint(pieces.contents[sha256].duration_ms, views.get(sha256), peaks.get(sha256))
        for sha256 in wanted
    }


def fingerprint_of(duration_ms: int, views: pa.Table, peaks: pa.Table) -> Fingerprint:
    """The same of one content, from its rows as `Pieces.rows` has them."""
    tables = (_by_content(views, "frame_ms"), _by_content(peaks, "time_ms"))
    return _fingerprint(duration_ms, *(next(iter(found.values()), None) for found in tables))


def _by_content(table: pa.Table, time: str) -> dict[str, pa.Table]:
    """Cut rows into one table a content, each in the order of time."""
    ordered = table.sort_by([("content_sha256", "ascending"), (time, "ascending")]).combine_chunks()
    shas = ordered["content_sha256"].to_numpy(zero_copy_only=False)
    return {sha256: ordered.slice(first, past - first) for sha256, first, past in _runs(shas)}


def _runs(values: NDArray[np.object_]) -> Iterator[tuple[str, int, int]]:
    """Each value of a sorted array with where it starts and ends."""
    if len(values):
        starts = np.flatnonzero(np.r_[True, values[1:] != values[:-1]])
        for first, past in zip(starts, [*starts[1:], len(values)], strict=True):
            yield str(values[first]), int(first), int(past)


def _fingerprint(duration_ms: int, views: pa.Table | None, peaks: pa.Table | None) -> Fingerprint:
    if views is None:
        pictures = (np.zeros(0, np.int64), np.zeros(0, np.uint8), np.zeros((0, 0), np.float16))
        hashes = (np.zeros((0, PDQ_BYTES), np.uint8), np.zeros(0, np.uint8))
    else:
        numbers = views["frame_ms"].to_numpy(), views["view"].to_numpy()
        pictures = (*numbers, _vectors(views["embedding"]))
        hashes = (_hashes(views["pdq"]), views["pdq_quality"].to_numpy())
    (track, first), *more = _by_track(peaks) or [(0, joined([]))]
    return Fingerprint(duration_ms, *pictures, *hashes, first, track=track, more_peaks=tuple(more))


def _vectors(column: pa.ChunkedArray) -> NDArray[np.float16]:
    array = column.combine_chunks()
    return np.asarray(array.flatten().to_numpy(zero_copy_only=False), np.float16).reshape(len(array), -1)


def _hashes(column: pa.ChunkedArray) -> NDArray[np.uint8]:
    return np.frombuffer(b"".join(column.to_pylist()), np.uint8).reshape(-1, PDQ_BYTES)


def _by_track(table: pa.Table | None) -> list[tuple[int, Peaks]]:
    """The peaks of each sound by its number, so that the mix of the first track comes first."""
    if table is None:
        return []
    time_ms, pitch, track = (pc.fill_null(table[name], 0).to_numpy() for name in ("time_ms", "pitch", "track"))
    own = [(int(number), track == number) for number in np.unique(track)]
    return [(number, Peaks(time_ms[of], pitch[of])) for number, of in own]
