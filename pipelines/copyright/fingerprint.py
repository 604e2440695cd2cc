"""A fingerprint: what is kept of one content so that copies of it can be found, and where in it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipelines.copyright.picture.space import Space
from pipelines.copyright.verification.stills import NO_STILLS, Stills
from pipelines.rows import PDQ_BYTES

if TYPE_CHECKING:
    from pipelines.copyright.sound.landmarks import Peaks


@dataclass(frozen=True)
class Fingerprint:
    """Picture and sound of one content; either may be empty.

    A frame has one row for each view of it: descriptors_ND holds unit descriptors in some space, or, before a space is
    chosen, the tower's embeddings. A row whose PDQ hash is of no use (a flat picture) has a quality of 0.
    """

    duration_ms: int
    frame_ms: NDArray[np.int64]  # [N]
    view: NDArray[np.uint8]  # [N], a number of pipelines.copyright.picture.views.View
    descriptors_ND: NDArray[np.float16]
    pdq_NB: NDArray[np.uint8]  # [N, 32]
    pdq_quality: NDArray[np.uint8]  # [N], 0 to 100
    peaks: Peaks
    stills: Stills = NO_STILLS  # on which a nominated span is verified; nomination does without
    track: int = 0  # which sound of the file the peaks are of: see pipelines/tracks.py
    more_peaks: tuple[tuple[int, Peaks], ...] = ()  # of its other sounds, by track; a bank keeps the first sound only

    def __post_init__(self) -> None:
        """Refuse columns of different lengths."""
        rows = {len(self.frame_ms), len(self.view), len(self.descriptors_ND), len(self.pdq_NB), len(self.pdq_quality)}
        if len(rows) > 1 or self.pdq_NB.shape[1:] != (PDQ_BYTES,):
            raise ValueError(f"a fingerprint's columns have {sorted(rows)} rows and PDQ hashes of {self.pdq_NB.shape}")

    @property
    def tracks(self) -> tuple[tuple[int, Peaks], ...]:
        """Every sound with its number."""
        return (self.track, self.peaks), *self.more_peaks

    def within(self, space: Space) -> Fingerprint:
        """Turn the tower's embeddings into descriptors of a space."""
        wide = len(space.mean_E)
        embeddings_NE = self.descriptors_ND.reshape(-1, wide) if len(self.descriptors_ND) else np.zeros((0, wide))
        return replace(self, descriptors_ND=space.describe(embeddings_NE).astype(np.float16))
