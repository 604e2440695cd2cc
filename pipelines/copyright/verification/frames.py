"""Two pictures in one frame, the coarser of the two, as far as they lie on each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.copyright.verification.features import Grey, Picture
from pipelines.copyright.verification.placement import Affine, Placement

FILLED = 0.9  # share of a block, or of a pixel that was shrunk, that both pictures must cover
SMALLEST = 40  # pixels of the shorter side of what is compared


@dataclass(frozen=True)
class Frame:
    """Both pictures in one frame, the coarser of the two."""

    ours: Grey
    theirs: Grey
    filled: NDArray[np.bool_]
    to_upload_23: Affine
    to_ref_23: Affine
    times: int = 1  # that both were shrunk

    def shrunk(self, times: int) -> Frame | None:
        """Both, so many times smaller; None where too little is left."""
        import cv2

        height, width = (side // times for side in self.filled.shape)
        if min(height, width) < SMALLEST:
            return None
        back = np.array([[times, 0, (times - 1) / 2], [0, times, (times - 1) / 2], [0, 0, 1.0]])
        part = slice(0, height * times), slice(0, width * times)
        ours, theirs, filled = (
            np.asarray(cv2.resize(side[part], (width, height), interpolation=cv2.INTER_AREA), np.float32)
            for side in (self.ours, self.theirs, self.filled.astype(np.float32))
        )
        to_upload, to_ref = self.to_upload_23 @ back, self.to_ref_23 @ back
        return Frame(ours, theirs, filled > FILLED, to_upload, to_ref, times)


def common(upload: Picture, reference: Picture, placement: Placement) -> Frame | None:
    """Lay the reference on the upload, or the other way round; None where too little of the two lies on each other."""
    import cv2

    affine, identity = placement.affine_23, np.array([[1.0, 0, 0], [0, 1, 0]])
    inverse = np.asarray(cv2.invertAffineTransform(affine), np.float64)
    onto_upload = placement.scale <= 1
    width, height = upload.size if onto_upload else reference.size
    if onto_upload:
        theirs, there = warped(reference.grey, affine, (width, height), placement.scale)
        ours, maps = upload.grey, (identity, inverse)
    else:
        ours, there = warped(upload.grey, inverse, (width, height), 1 / placement.scale)
        theirs, maps = reference.grey, (affine, identity)
    rows, columns = np.flatnonzero(there.any(axis=1)), np.flatnonzero(there.any(axis=0))
    if len(rows) < SMALLEST or len(columns) < SMALLEST:
        return None
    top, left = int(rows[0]), int(columns[0])
    part = slice(top, int(rows[-1]) + 1), slice(left, int(columns[-1]) + 1)
    moved = [np.column_stack([m[:, :2], m[:, :2] @ np.array([left, top]) + m[:, 2]]) for m in maps]
    return Frame(ours[part], theirs[part], there[part], moved[0], moved[1])


def warped(grey: Grey, affine: Affine, size: tuple[int, int], scale: float) -> tuple[Grey, NDArray[np.bool_]]:
    """Draw a picture in another frame, without the detail that a smaller scale cannot hold; and where it is."""
    import cv2

    if scale < 0.8:
        grey = cv2.GaussianBlur(grey, (0, 0), 0.5 * np.sqrt(1 / scale**2 - 1))
    drawn = cv2.warpAffine(grey, affine, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    there = cv2.warpAffine(np.ones(grey.shape, np.uint8), affine, size, flags=cv2.INTER_NEAREST)
    return np.asarray(drawn, np.float32), there.astype(bool)
