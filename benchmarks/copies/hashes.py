"""What the peers see and hear of a video: PDQ and average hashes of a frame a second, Chromaprint's fingerprint."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import av
import numpy as np
import pdqhash
from av.container import InputContainer
from numpy.typing import NDArray
from PIL import Image

from model_registry.errors import NightjarError

Words = NDArray[np.uint64]
AVERAGE_SIDE = 8
FINGERPRINT_MS = 1365 / 11025 * 1000  # from one sub-fingerprint to the next (chromaprint, fingerprinter_configuration)
HEARD_MS = 2600  # one sub-fingerprint hears about so much: 16 frames of 1365 samples and a window of 4096
SILENCE = 627_964_279  # the sub-fingerprint of silence, which AcoustID leaves out
FPCALC = "fpcalc"


@dataclass(frozen=True)
class FrameHashes:
    """Of the first frame in every second: second, PDQ hash (frames, 4 words), its quality, average hash (frames, 1)."""

    second: NDArray[np.int64]
    pdq: Words
    quality: NDArray[np.int64]
    average: Words


@cache
def frame_hashes(path: Path) -> FrameHashes:
    """Hash one frame a second, as vPDQ does by default, at the size it is stored in."""
    seconds, hashes, qualities, averages = [], [], [], []
    for second, frame_HWC in _frames(path):
        bits, quality = pdqhash.compute(frame_HWC)
        seconds.append(second)
        hashes.append(_words(np.asarray(bits)))
        qualities.append(quality)
        averages.append(_words(average_bits(frame_HWC)))
    if not seconds:
        raise NightjarError(f"no frame of {path.name} could be decoded")
    return FrameHashes(np.array(seconds), np.stack(hashes), np.array(qualities), np.stack(averages))


def average_bits(frame_HWC: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return (64,) bits: which of 8x8 grey means are above their mean (hackerfactor.com, "Looks Like It", 2011)."""
    small = Image.fromarray(frame_HWC).convert("L").resize((AVERAGE_SIDE, AVERAGE_SIDE), Image.Resampling.BOX)
    grey = np.asarray(small, np.float64).ravel()
    return np.asarray(grey > grey.mean())


def _words(bits: NDArray[np.generic]) -> Words:
    return np.packbits(np.asarray(bits, np.bool_)).view(np.uint64)


def _frames(path: Path) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    container: InputContainer
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        wanted = 0
        for frame in container.decode(stream):
            if frame.time is not None and frame.time >= wanted - 1e-6:
                yield wanted, np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
                wanted = int(frame.time) + 1


def distances(one: Words, other: Words) -> NDArray[np.int64]:
    """Hamming distances between two sets of hashes: (n, words) and (m, words) give (n, m)."""
    return np.asarray(np.bitwise_count(one[:, None] ^ other[None]).sum(-1, dtype=np.int64))


def has_fpcalc() -> bool:
    """Whether Chromaprint's command is there."""
    return shutil.which(FPCALC) is not None


@cache
def fingerprint(path: Path) -> NDArray[np.uint32]:
    """Return Chromaprint's sub-fingerprints (n,), one each `FINGERPRINT_MS`; none where there is no sound."""
    command = [FPCALC, "-raw", "-plain", "-length", "0", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    words = done.stdout.strip() if done.returncode in (0, 3) else ""  # 3: decoded, with an error at the end of file
    return np.array([int(word) for word in words.split(",") if word], np.uint32)
