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
FILLED = 0.9  # share of a block that both pictures must cover
LEAST_BLOCKS = 6  # that agree, to lay the reference anew
SMALLEST = 40  # pixels of the shorter side of what is compared
SMALLER = (1, 2, 4)  # times that both pictures are shrunk, as long as they show too little
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
    frame = _common(upload, reference, placement)
    if frame is None:
        return None
    ours, theirs, frame = _banded(frame)
    tops, lefts = (side[::every] for side in _grid(frame.filled))
    if not len(tops):
        return None
    spreads = [_spread(band)[tops, lefts] for band in (ours, theirs)]
    agreed = np.zeros((len(tops), 3))
    for at in np.flatnonzero(np.minimum(*spreads) >= TEXTURED):
        agreed[at] = _agreed(ours, theirs, int(tops[at]), int(lefts[at]), SEARCH)
    foreign = (np.minimum(*spreads) >= TEXTURED) & (agreed[:, 0] < DIFFERS)
    for at in np.flatnonzero(foreign) if wide else ():
        foreign[at] = _agreed(ours, theirs, int(tops[at]), int(lefts[at]), WIDE)[0] < AGREES
    rich = _richness(ours)[tops + BLOCK // 2, lefts + BLOCK // 2] >= RICH
    centres = np.stack([lefts + BLOCK / 2 - 0.5, tops + BLOCK / 2 - 0.5], axis=1).astype(np.float64)
    maps = frame.to_upload_23, frame.to_ref_23
    soft = frame.times > 1
    return Blocks(centres, agreed[:, 1:], agreed[:, 0], spreads[0], spreads[1], rich, foreign, *maps, soft)


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


@dataclass(frozen=True)
class _Frame:
    """Both pictures in one frame, the coarser of the two."""

    ours: Grey
    theirs: Grey
    filled: NDArray[np.bool_]
    to_upload_23: Affine
    to_ref_23: Affine
    times: int = 1  # that both were shrunk

    def shrunk(self, times: int) -> _Frame | None:
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
        return _Frame(ours, theirs, filled > FILLED, to_upload, to_ref, times)


def _banded(frame: _Frame) -> tuple[Grey, Grey, _Frame]:
    """Both band-passed, and the frame they are in: a smaller one where they show too little, as a soft picture does."""
    for times in SMALLER:
        smaller = frame if times == 1 else frame.shrunk(times)
        if smaller is None:
            break
        sigma = _finest(smaller)
        for each in SIGMAS if times > 1 else (sigma,):
            if each >= sigma:
                ours, theirs = _band(smaller.ours, each), _band(smaller.theirs, each)
                tops, lefts = _grid(smaller.filled)
                shows = np.maximum(_spread(ours)[tops, lefts], _spread(theirs)[tops, lefts]) >= TEXTURED
                if int(shows.sum()) >= SHOWS:
                    return ours, theirs, smaller
    sigma = _finest(frame)
    return _band(frame.ours, sigma), _band(frame.theirs, sigma), frame


def _common(upload: Picture, reference: Picture, placement: Placement) -> _Frame | None:
    import cv2

    affine, identity = placement.affine_23, np.array([[1.0, 0, 0], [0, 1, 0]])
    inverse = np.asarray(cv2.invertAffineTransform(affine), np.float64)
    onto_upload = placement.scale <= 1
    width, height = upload.size if onto_upload else reference.size
    if onto_upload:
        theirs, there = _warped(reference.grey, affine, (width, height), placement.scale)
        ours, maps = upload.grey, (identity, inverse)
    else:
        ours, there = _warped(upload.grey, inverse, (width, height), 1 / placement.scale)
        theirs, maps = reference.grey, (affine, identity)
    rows, columns = np.flatnonzero(there.any(axis=1)), np.flatnonzero(there.any(axis=0))
    if len(rows) < SMALLEST or len(columns) < SMALLEST:
        return None
    top, left = int(rows[0]), int(columns[0])
    part = slice(top, int(rows[-1]) + 1), slice(left, int(columns[-1]) + 1)
    moved = [np.column_stack([m[:, :2], m[:, :2] @ np.array([left, top]) + m[:, 2]]) for m in maps]
    return _Frame(ours[part], theirs[part], there[part], moved[0], moved[1])


def _warped(grey: Grey, affine: Affine, size: tuple[int, int], scale: float) -> tuple[Grey, NDArray[np.bool_]]:
    """Draw a picture in another frame, without the detail that a smaller scale cannot hold; and where it is."""
    import cv2

    if scale < 0.8:
        grey = cv2.GaussianBlur(grey, (0, 0), 0.5 * np.sqrt(1 / scale**2 - 1))
    drawn = cv2.warpAffine(grey, affine, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    there = cv2.warpAffine(np.ones(grey.shape, np.uint8), affine, size, flags=cv2.INTER_NEAREST)
    return np.asarray(drawn, np.float32), there.astype(bool)


def _finest(frame: _Frame) -> float:
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


def _grid(filled: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
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
    drawn, there = _warped(theirs, affine, size, placement.scale * up / down)
    if there.sum() < 64:
        return -1.0
    one, other = ours[there], drawn[there]
    one, other = one - one.mean(), other - other.mean()
    return float((one * other).sum() / max(1e-6, np.linalg.norm(one) * np.linalg.norm(other)))
