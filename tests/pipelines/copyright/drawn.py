"""Pictures and fingerprints made on the spot. What follows from a seed can be checked."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipelines.copyright.fingerprint import Fingerprint
from pipelines.copyright.picture.space import Space
from pipelines.copyright.sound.landmarks import Peaks
from pipelines.copyright.verification.stills import Stills
from pipelines.risk.evidence import jpeg
from tests.windows import window

WIDE, MOST_FRAMES = 512, 64
NO_PEAKS = Peaks(np.zeros(0, np.int32), np.zeros(0, np.uint16))


def picture(seed: int, height: int = 256, width: int = 256) -> NDArray[np.uint8]:
    """Draw soft blots of colour, uint8 [H, W, 3]: there is no straight edge in them."""
    blots = np.random.default_rng(seed).integers(0, 256, (max(2, height // 16), max(2, width // 16), 3), np.uint8)
    return np.asarray(Image.fromarray(blots).resize((width, height), Image.Resampling.BICUBIC))


def on_black(seed: int, height: int = 256, width: int = 256) -> NDArray[np.uint8]:
    """The middle half of the rows is a picture, the rest is black."""
    frame_HWC = np.zeros((height, width, 3), np.uint8)
    frame_HWC[height // 4 : height // 4 + height // 2] = picture(seed, height // 2, width)
    return frame_HWC


def plain_space(background_BD: NDArray[np.float32] | None = None, tower: str = "fake_tower@1") -> Space:
    """A space whose descriptors are the embeddings themselves at length 1."""
    background = np.zeros((0, WIDE), np.float32) if background_BD is None else background_BD
    return Space(tower, np.zeros(WIDE, np.float32), np.eye(WIDE, dtype=np.float32), background)


def footage(film: int, frames: int = 20) -> NDArray[np.float32]:
    """Descriptors of frames, [T, WIDE], none of which is like another of this film or any other."""
    if not 0 <= film < WIDE // MOST_FRAMES or frames > MOST_FRAMES:
        raise ValueError(f"film {film} of {frames} frames, wanted 0 to 7 and at most {MOST_FRAMES}")
    return np.eye(WIDE, dtype=np.float32)[MOST_FRAMES * film :][:frames]


def fingerprint(
    vectors_TD: NDArray[np.float32],
    *,
    duration_ms: int | None = None,
    quality: int = 100,
    peaks: Peaks = NO_PEAKS,
    frame_ms: Sequence[int] | None = None,
) -> Fingerprint:
    """A frame a second, one view of each; equal descriptors have equal hashes, and all others far ones."""
    stored = vectors_TD.astype(np.float16)
    hashes = [np.frombuffer(hashlib.sha256(vector.tobytes()).digest(), np.uint8) for vector in stored]
    count = len(stored)
    return Fingerprint(
        duration_ms=1000 * count if duration_ms is None else duration_ms,
        frame_ms=np.arange(count, dtype=np.int64) * 1000 if frame_ms is None else np.array(frame_ms, np.int64),
        view=np.zeros(count, np.uint8),
        descriptors_ND=stored,
        pdq_NB=np.stack(hashes) if count else np.zeros((0, 32), np.uint8),
        pdq_quality=np.full(count, quality, np.uint8),
        peaks=peaks,
    )


def as_window(content: str, print_: Fingerprint) -> dict[str, object]:
    """A fingerprint as the one window of a content."""
    columns = (print_.frame_ms, print_.view, print_.descriptors_ND, print_.pdq_NB, print_.pdq_quality)
    views = [
        {
            "frame_ms": int(ms),
            "view": int(number),
            "embedding": list(vector),
            "pdq": bits.tobytes(),
            "pdq_quality": int(quality),
        }
        for ms, number, vector, bits, quality in zip(*columns, strict=True)
    ]
    times = sorted(set(print_.frame_ms.tolist()))
    heard = list(zip(print_.peaks.time_ms.tolist(), print_.peaks.pitch.tolist(), strict=True))
    stills = dict(zip(print_.stills.frame_ms.tolist(), print_.stills.pictures, strict=True))
    row = window(content, duration_ms=print_.duration_ms, peaks=heard, stills=stills)
    return row | {"views": views, "frame_ms": times}


def with_stills(print_: Fingerprint) -> Fingerprint:
    """Equal descriptors have equal stills, and all others stills of which nothing agrees."""
    pictures = tuple(_still(vector.tobytes()) for vector in print_.descriptors_ND)
    return replace(print_, stills=Stills(print_.frame_ms, pictures))


@cache
def _still(descriptor: bytes) -> bytes:
    seed = int.from_bytes(hashlib.sha256(descriptor).digest()[:4], "big")
    return jpeg(picture(seed))


def tune(seed: int, seconds: int = 20) -> Peaks:
    """Twenty peaks a second at random pitches."""
    generator = np.random.default_rng(seed)
    times = np.sort(generator.integers(0, 1000 * seconds, 20 * seconds, np.int32))
    return Peaks(times, generator.integers(5900, 10_900, 20 * seconds).astype(np.uint16))
