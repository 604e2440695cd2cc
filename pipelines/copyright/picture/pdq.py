"""PDQ: 256 bits of a picture's coarse structure; the cheap tier that finds what is almost the same.

"The TMK+PDQF video-hashing algorithm and the PDQ image-hashing algorithm" (Facebook, 2019): bit (i, j) says whether a
coefficient of the cosine transform of the 64 x 64 luminance is above the median. Mirroring and quarter turns only flip
signs of coefficients and transpose them, so their hashes can be read off the bits, some 7 of them wrong; with the
reference code's own, lopsided, shrinking it would be 15 to 33. The picture is therefore shrunk to 64 x 64 before: a
third of the cost, and some 17 bits from the hash that the reference code gives of the whole picture.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

BITS = 256
SIDE = 64
NEAR = 31  # bits; the paper's distance for a match at quality 50 and more
GOOD = 50  # quality from which a hash says something

Neighbours = tuple[NDArray[np.int32], NDArray[np.int64]]  # distances and rows, [Q, k]

_ODD = np.arange(16) % 2 == 1
_ROWS = np.repeat(_ODD[:, None], 16, axis=1)  # what flipping top and bottom changes the sign of
_BOTH = _ROWS ^ _ROWS.T


def pdq(pixels_HWC: NDArray[np.uint8]) -> tuple[bytes, int]:
    """Return the 32 bytes and the quality, 0 to 100, of uint8 [H, W, 3]."""
    import pdqhash

    small = Image.fromarray(np.ascontiguousarray(pixels_HWC)).resize((SIDE, SIDE), Image.Resampling.BOX)
    bits, quality = pdqhash.compute(np.asarray(small))
    return np.packbits(bits.astype(np.uint8)).tobytes(), int(quality)


def turns(hashes_NB: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the hashes of the pictures as they are, mirrored, and turned by 90, 180 and 270 degrees: [5, N, 32]."""
    bits = np.unpackbits(hashes_NB, axis=1).astype(bool).reshape(-1, 16, 16)
    across = bits.transpose(0, 2, 1)
    turned = [bits, bits ^ _ROWS.T, across ^ _ROWS, bits ^ _BOTH, across ^ _ROWS.T]
    return np.stack([np.packbits(each.reshape(-1, BITS), axis=1) for each in turned])


def nearest(queries_QB: NDArray[np.uint8], bank_NB: NDArray[np.uint8], k: int) -> Neighbours:
    """Return the Hamming distances and rows, [Q, min(k, N)], of the nearest bank hashes, nearest first."""
    import faiss

    k = min(k, len(bank_NB))
    if not k or not len(queries_QB):
        return np.zeros((len(queries_QB), k), np.int32), np.zeros((len(queries_QB), k), np.int64)
    index = faiss.IndexBinaryFlat(BITS)
    index.add(np.ascontiguousarray(bank_NB))
    distances, rows = index.search(np.ascontiguousarray(queries_QB), k)
    return distances, rows


def nearest_plain(queries_QB: NDArray[np.uint8], bank_NB: NDArray[np.uint8], k: int) -> Neighbours:
    """The slow, obvious reference of `nearest`; equal distances in the order of rows."""
    distances = np.bitwise_count(queries_QB[:, None] ^ bank_NB[None]).sum(axis=2, dtype=np.int32)
    rows = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(distances, rows, axis=1), rows.astype(np.int64)
