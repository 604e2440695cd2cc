"""PDQ: 256 bits of a picture's coarse structure; the cheap tier that finds what is almost the same.

"The TMK+PDQF video-hashing algorithm and the PDQ image-hashing algorithm" (Facebook, 2019): bit (i, j) says whether a
coefficient of the cosine transform of the 64 x 64 luminance is above the median. Mirroring and quarter turns only flip
signs of coefficients and transpose them, so their hashes can be read off the bits, some 7 of them wrong; with the
reference code's own, lopsided, shrinking it would be 15 to 33. The picture is therefore shrunk to 64 x 64 before: a
third of the cost, and some 17 bits from the hash that the reference code gives of the whole picture.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

BITS = 256
SIDE = 64
NEAR = 31  # bits; the paper's distance for a match at quality 50 and more
GOOD = 50  # quality from which a hash says something

FLAT_ROWS = 200_000  # up to here an index compares with everything
CELLS = 4.0  # times the square root of the number of rows
PROBED = 1 / 24  # share of the cells that one query looks into

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
    return HashIndex(bank_NB, flat_rows=len(bank_NB)).search(queries_QB, k)


class HashIndex:
    """Hashes to look up again and again: exact while few, then in inverted lists (IVF).

    A cell is the hashes nearest to one of 4 sqrt(N) that were drawn evenly from the bank: k-means finds no better cells
    and takes a minute. A query that looks into one in 24 finds 95 of 100 neighbours at 16 bits and 85 at 40.
    Searches may run side by side.
    """

    def __init__(self, bank_NB: NDArray[np.uint8], flat_rows: int = FLAT_ROWS) -> None:
        import faiss

        self._cells = 0 if len(bank_NB) <= flat_rows else round(CELLS * math.sqrt(len(bank_NB)))
        self._index: Any = faiss.IndexBinaryFlat(BITS)
        if self._cells:
            self._index.add(bank_NB[np.linspace(0, len(bank_NB) - 1, self._cells).astype(np.int64)])
            self._index = faiss.IndexBinaryIVF(self._index, BITS, self._cells)
            self._index.nprobe = math.ceil(PROBED * self._cells)
            self._index.is_trained = True
        if len(bank_NB):
            self._index.add(np.ascontiguousarray(bank_NB))

    def __len__(self) -> int:
        """N."""
        return int(self._index.ntotal)

    @property
    def nbytes(self) -> int:
        """The memory of the hashes, their row numbers and the cells."""
        return BITS // 8 * (len(self) + self._cells) + (8 * len(self) if self._cells else 0)

    def search(self, queries_QB: NDArray[np.uint8], k: int) -> Neighbours:
        """Return what `nearest` does, or nearly; a query whose cells hold too little has row 0 at BITS for the rest."""
        k = min(k, len(self))
        if not k or not len(queries_QB):
            return np.zeros((len(queries_QB), k), np.int32), np.zeros((len(queries_QB), k), np.int64)
        distances, rows = self._index.search(np.ascontiguousarray(queries_QB), k)
        return np.where(rows < 0, np.int32(BITS), distances), np.maximum(rows, 0)


def nearest_plain(queries_QB: NDArray[np.uint8], bank_NB: NDArray[np.uint8], k: int) -> Neighbours:
    """The slow, obvious reference of `nearest`; equal distances in the order of rows."""
    distances = np.bitwise_count(queries_QB[:, None] ^ bank_NB[None]).sum(axis=2, dtype=np.int32)
    rows = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(distances, rows, axis=1), rows.astype(np.int64)
