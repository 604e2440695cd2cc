"""Stills of uploads for people: the kept one that is closest to a time, small, so that a claim can be looked at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from pipelines.pieces import Pieces

BATCH_MS = 4 * 3_600_000  # of video whose stills are read together, some 190 MB


def shown_small(picture: bytes) -> bytes:
    """Shrink a still. Judging that shows no still then loads no library of pictures."""
    from pipelines.risk.evidence import shown_small as shrunk

    return shrunk(picture)


def nearest_pictures(pieces: Pieces, wanted: Iterable[tuple[str, int]]) -> dict[tuple[str, int], tuple[int, bytes]]:
    """Return for each content and time the still that is closest, shrunk: (frame_ms, WebP).

    A content that is not finished or has no pictures is left out; the earlier of two pictures equally far wins.
    """
    times: dict[str, list[int]] = {}
    for sha256, ms in set(wanted):
        if sha256 in pieces.contents:
            times.setdefault(sha256, []).append(ms)
    found: dict[tuple[str, int], tuple[int, bytes]] = {}
    for batch in _batches(pieces, sorted(times)):
        found |= _nearest(pieces, {sha256: times[sha256] for sha256 in batch})
    return found


def _batches(pieces: Pieces, contents: list[str]) -> Iterator[list[str]]:
    """Cut contents into batches of about BATCH_MS, so that long uploads do not fill the memory."""
    batch: list[str] = []
    filled_ms = 0
    for sha256 in contents:
        batch.append(sha256)
        filled_ms += pieces.contents[sha256].duration_ms
        if filled_ms >= BATCH_MS:
            yield batch
            batch, filled_ms = [], 0
    if batch:
        yield batch


def _nearest(pieces: Pieces, times: dict[str, list[int]]) -> dict[tuple[str, int], tuple[int, bytes]]:
    stills = pieces.rows("stills", times)
    owners, frame_ms = (stills[name].to_numpy() for name in ("content_sha256", "frame_ms"))
    found: dict[tuple[str, int], tuple[int, bytes]] = {}
    for sha256, wanted in times.items():
        rows = np.flatnonzero(owners == sha256)
        rows = rows[np.argsort(frame_ms[rows], kind="stable")]
        for ms in wanted if len(rows) else ():
            row = int(rows[np.argmin(np.abs(frame_ms[rows] - ms))])
            found[sha256, ms] = (int(frame_ms[row]), shown_small(stills["jpeg"][row].as_py()))
    return found
