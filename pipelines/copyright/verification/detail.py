"""Fine detail: block by block, whether the upload shows what the reference shows once the one is laid on the other.

Local features say that something of both pictures is alike: a logo, a frame, a roof. Here all of the picture has to
answer. Both are brought into one frame, band-passed alike (what an upload's blur or noise took is left out on both
sides) and compared in blocks by normalised cross-correlation within a few pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipelines.copyright.verification.features import Grey, Picture
from pipelines.copyright.verification.frames import FILLED, Frame, common, warped
from pipelines.copyright.verification.placement import REACH, Affine, Placement, applied, sane

BLOCK = 24  # pixels
SEARCH = 5  # pixels to every side that a block may lie off
WIDE = 18  # the same of what moves
SIGMAS = (0.8, 1.6, 3.0)  # of the finest detail compared, in pixels
ALIKE_ENERGY = (0.45, 2.2)  # of the upload's finest detail to the reference's, where it can be compared
TEXTURED = 2.5  # grey levels of a block's spread, band-passed, from which it shows something
RICH = 0.2  # lesser eigenvalue of a block's structure tensor, as OpenCV scales it
AGREES = 0.7  # correlation of a block that is the same
DIFFERS = 0.5  # correlation below which it is another
LEAST_BLOCKS = 6  # that agree, to lay the reference anew
SMALLER = (2, 4)  # times that both pictures are shrunk, as long as they show too little
SHOWS = 8  # blocks that show something, from which a picture says enough at its size


@dataclass(frozen=True)
class Blocks:
    """Blocks of the common frame, one an entry; those that neither picture covers are left out."""

    centre_N2: NDArray[np.float64]  # in the common frame
    shift_N2: NDArray[np.float64]  # of the reference against the upload where they agree best, pixels
    likeness: NDArray[np.float64]  # correlation there, -1 to 1
    upload_spread: NDArray[np.float64]  # grey levels, band-passed
    ref_spread: NDArray[np.float64]
    rich: NDArray[np.bool_]  # where the upload shows more than straight bars and ramps
    other: NDArray[np.bool_]  # where both show something, and not the same
    nowhere: NDArray[np.bool_]  # where both show something, and the same is not even further away
    to_upload_23: Affine  # common frame to upload
    to_ref_23: Affine
    soft: bool = False  # both show so little detail that they were shrunk first

    @property
    def shown(self) -> NDArray[np.bool_]:
        """Blocks in which the reference shows something."""
        return self.ref_spread >= TEXTURED

    @property
    def seen(self) -> NDArray[np.bool_]:
        """Blocks in which the upload shows something."""
        return self.upload_spread >= TEXTURED

    @property
    def same(self) -> NDArray[np.bool_]:
        """Blocks in which both show the same."""
        return self.shown & self.seen & (self.likeness >= AGREES)

    @property
    def told(self) -> NDArray[np.bool_]:
        """Blocks in which either shows something."""
        return self.shown | self.seen

    @property
    def agreement(self) -> float:
        """Share of the blocks showing something, in the reference or the upload, that are the same; 0 for none."""
        told = int(self.told.sum())
        return float(self.same.sum() / told) if told else 0.0


def compared(
    upload: Picture, reference: Picture, placement: Placement, every: int = 1, *, wide: bool = False
) -> Blocks | None:
    """Compare block by block, or every so manyth block; None where too little of the two lies on each other.

    With `wide` a block that is another is looked for further away: who walks is elsewhere half a second later.
    """
    frame = common(upload, reference, placement)
    if frame is None:
        return None
    banded = _banded(frame)
    frame, ours, theirs = banded.frame, banded.ours, banded.theirs
    tops, lefts = (side[::every] for side in banded.places)
    if not len(tops):
        return None
    spreads = [spread[::every] for spread in banded.spreads]
    agreed = np.zeros((len(tops), 3))
    for at in np.flatnonzero(np.minimum(*spreads) >= TEXTURED):
        agreed[at] = _agreed(ours, theirs, int(tops[at]), int(lefts[at]), SEARCH)
    nowhere = (np.minimum(*spreads) >= TEXTURED) & (agreed[:, 0] < AGREES)
    for at in np.flatnonzero(nowhere) if wide else ():
        nowhere[at] = _agreed(ours, theirs, int(tops[at]), int(lefts[at]), WIDE)[0] < AGREES
    foreign = nowhere & (agreed[:, 0] < DIFFERS)
    rich = _richness(ours)[tops + BLOCK // 2, lefts + BLOCK // 2] >= RICH
    centres = np.stack([lefts + BLOCK / 2 - 0.5, tops + BLOCK / 2 - 0.5], axis=1).astype(np.float64)
    maps = frame.to_upload_23, frame.to_ref_23
    soft = frame.times > 1
    return Blocks(centres, agreed[:, 1:], agreed[:, 0], spreads[0], spreads[1], rich, foreign, nowhere, *maps, soft)


def refined(
    upload: Picture, reference: Picture, placement: Placement, times: int = 2
) -> tuple[Placement, Blocks | None]:
    """Lay the reference anew by the blocks that agree, as long as more of them do."""
    best, blocks = placement, compared(upload, reference, placement)
    for _ in range(times):
        if blocks is None or (moved := _relaid(best, blocks)) is None:
            break
        again = compared(upload, reference, moved)
        if again is None or again.same.sum() <= blocks.same.sum():
            break
        best, blocks = moved, again
    return best, blocks


def _relaid(placement: Placement, blocks: Blocks) -> Placement | None:
    import cv2

    same = blocks.same
    if int(same.sum()) < LEAST_BLOCKS:
        return None
    ours = applied(blocks.to_upload_23, blocks.centre_N2[same])
    theirs = applied(blocks.to_ref_23, (blocks.centre_N2 + blocks.shift_N2)[same])
    affine, _ = cv2.estimateAffine2D(theirs, ours, method=cv2.RANSAC, ransacReprojThreshold=REACH)
    return replace(placement, affine_23=np.asarray(affine, np.float64)) if affine is not None and sane(affine) else None


Places = tuple[NDArray[np.int64], NDArray[np.int64]]  # tops and lefts of blocks


@dataclass(frozen=True)
class _Banded:
    """Two pictures band-passed, and what they show in each block: grey levels of spread."""

    frame: Frame
    ours: Grey
    theirs: Grey
    places: Places
    spreads: tuple[NDArray[np.float64], NDArray[np.float64]]

    @property
    def says_enough(self) -> bool:
        return int((np.maximum(*self.spreads) >= TEXTURED).sum()) >= SHOWS


def _banded(frame: Frame) -> _Banded:
    """Both as they are compared: shrunk where they show too little at their size, as what is soft does."""
    first = _banded_by(frame, _finest(frame))
    if first.says_enough:
        return first
    for smaller in (frame.shrunk(times) for times in SMALLER):
        if smaller is None:
            break
        finest = _finest(smaller)
        for sigma in SIGMAS:
            if sigma >= finest and (found := _banded_by(smaller, sigma)).says_enough:
                return found
    return first


def _banded_by(frame: Frame, sigma: float) -> _Banded:
    places = _grid(frame.filled)
    ours, theirs = _band(frame.ours, sigma), _band(frame.theirs, sigma)
    return _Banded(frame, ours, theirs, places, (_spread(ours)[places], _spread(theirs)[places]))


def _finest(frame: Frame) -> float:
    """The finest detail that both have alike, set against their coarse detail: blur takes it, noise adds to it."""
    coarse = [_energy(_coarse(grey), frame.filled) for grey in (frame.ours, frame.theirs)]
    for sigma in SIGMAS[:-1]:
        fine = [_energy(_band(grey, sigma), frame.filled) for grey in (frame.ours, frame.theirs)]
        if ALIKE_ENERGY[0] <= (fine[0] * coarse[1]) / (fine[1] * coarse[0]) <= ALIKE_ENERGY[1]:
            return sigma
    return SIGMAS[-1]


def _energy(band: Grey, filled: NDArray[np.bool_]) -> float:
    return float(np.square(band[filled]).mean()) + 1e-3


def _band(grey: Grey, sigma: float) -> Grey:
    import cv2

    around = 2 * round(4 * sigma) + 1  # a box costs the same whatever its size
    return np.asarray(cv2.GaussianBlur(grey, (0, 0), sigma) - cv2.blur(grey, (around, around)), np.float32)


def _coarse(grey: Grey) -> Grey:
    import cv2

    return np.asarray(cv2.blur(grey, (15, 15)) - cv2.blur(grey, (61, 61)), np.float32)


def _grid(filled: NDArray[np.bool_]) -> Places:
    """Tops and lefts of blocks that are filled, evenly laid, closer where there is little room."""
    import cv2

    height, width = filled.shape
    share = cv2.boxFilter(filled.astype(np.float32), -1, (BLOCK, BLOCK), anchor=(0, 0), borderType=cv2.BORDER_CONSTANT)
    step = BLOCK if min(height, width) >= 6 * BLOCK else BLOCK * 2 // 3
    tops, lefts = (np.arange((side - BLOCK) % step // 2, side - BLOCK + 1, step) for side in (height, width))
    top, left = (grid.reshape(-1) for grid in np.meshgrid(tops, lefts, indexing="ij"))
    keep = share[top, left] >= FILLED
    return top[keep], left[keep]


def _spread(band: Grey) -> NDArray[np.float64]:
    """Standard deviation of the block that has its top left corner there."""
    import cv2

    mean, square = (
        cv2.boxFilter(values, cv2.CV_64F, (BLOCK, BLOCK), anchor=(0, 0), borderType=cv2.BORDER_REFLECT)
        for values in (band, band * band)
    )
    return np.asarray(np.sqrt(np.maximum(square - mean**2, 0)), np.float64)


def _richness(band: Grey) -> NDArray[np.float32]:
    """How much a block around a pixel changes in the direction in which it changes least: nothing in bars and ramps.

    The lesser eigenvalue of its structure tensor, as J. Shi and C. Tomasi, "Good Features to Track", CVPR 1994.
    """
    import cv2

    return np.asarray(cv2.cornerMinEigenVal(band, BLOCK, ksize=3), np.float32)


def _agreed(ours: Grey, theirs: Grey, top: int, left: int, search: int) -> tuple[float, float, float]:
    """Correlation of a block, and the shift in x and y of the reference where it is highest."""
    import cv2

    height, width = ours.shape
    block = ours[top : top + BLOCK, left : left + BLOCK]
    first_row, first_column = max(0, top - search), max(0, left - search)
    around = theirs[first_row : min(height, top + BLOCK + search), first_column : min(width, left + BLOCK + search)]
    _, likeness, _, (x, y) = cv2.minMaxLoc(cv2.matchTemplate(around, block, cv2.TM_CCOEFF_NORMED))
    return float(likeness), float(x + first_column - left), float(y + first_row - top)


COARSE = 48  # pixels of the shorter side


def coarse_likeness(upload: Picture, reference: Picture, placement: Placement) -> float:
    """Correlation of the two pictures laid on each other, shrunk and band-passed: a cheap look, -1 to 1."""
    ours, theirs = upload.coarse(COARSE), reference.coarse(COARSE)
    up, down = ours.shape[1] / upload.size[0], theirs.shape[1] / reference.size[0]
    affine = placement.affine_23.copy()
    affine[:, :2] *= up / down
    affine[:, 2] *= up
    size = ours.shape[1], ours.shape[0]
    drawn, there = warped(theirs, affine, size, placement.scale * up / down)
    if there.sum() < 64:
        return -1.0
    one, other = ours[there], drawn[there]
    one, other = one - one.mean(), other - other.mean()
    return float((one * other).sum() / max(1e-6, np.linalg.norm(one) * np.linalg.norm(other)))
