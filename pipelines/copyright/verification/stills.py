"""Stills: the sampled frames of one content as small JPEGs, on which a nominated span is verified."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

    from pipelines.pieces import Pieces


HELD_MS = 600  # a still further away than this is not what was seen then


@dataclass(frozen=True)
class Stills:
    """Pictures of one content in the order of time; a frame that looked as the one before it was left out."""

    frame_ms: NDArray[np.int64]  # [N], ascending
    pictures: tuple[bytes, ...]  # [N] JPEG, 256 pixels on the shorter side

    def __post_init__(self) -> None:
        """Refuse times and pictures of different number."""
        if len(self.frame_ms) != len(self.pictures):
            raise ValueError(f"{len(self.pictures)} stills have {len(self.frame_ms)} times")

    def __len__(self) -> int:
        """N."""
        return len(self.pictures)

    def at(self, ms: float) -> int:
        """The number of the still that shows what was seen at a time; there must be one.

        That is the closest; where none is near, frames were left out because they looked as the one before.
        """
        near = int(np.argmin(np.abs(self.frame_ms - ms)))
        if abs(float(self.frame_ms[near]) - ms) <= HELD_MS:
            return near
        return max(0, int(np.searchsorted(self.frame_ms, ms, side="right")) - 1)


NO_STILLS = Stills(np.zeros(0, np.int64), ())


def stored_stills(pieces: Pieces, contents: Iterable[str]) -> dict[str, Stills]:
    """Return the stills of finished contents; one that has none (only sound, an older format) is left out."""
    rows = pieces.rows("stills", sorted(set(contents) & pieces.contents.keys()))
    return stills_of(rows)


def stills_of(rows: pa.Table) -> dict[str, Stills]:
    """Cut rows of the kind `stills` into one value a content."""
    ordered = rows.sort_by([("content_sha256", "ascending"), ("frame_ms", "ascending")])
    owners = np.asarray(ordered["content_sha256"].to_pylist(), object)
    frame_ms, pictures = ordered["frame_ms"].to_numpy(), ordered["jpeg"]
    starts = np.flatnonzero(np.r_[True, owners[1:] != owners[:-1]]) if len(owners) else np.zeros(0, np.int64)
    return {
        str(owners[first]): Stills(frame_ms[first:past], tuple(pictures.slice(first, past - first).to_pylist()))
        for first, past in zip(starts.tolist(), [*starts[1:].tolist(), len(owners)], strict=bool(len(owners)))
    }
