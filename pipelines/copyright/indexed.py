"""A shard of a bank for one upload at a time: its frames are looked up in indices instead of compared one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipelines.copyright.fingerprint import Fingerprint
from pipelines.copyright.match import Shard
from pipelines.copyright.picture.ann import AnnIndex
from pipelines.copyright.picture.hits import NEAREST, NEAREST_HASHES, Frames
from pipelines.copyright.picture.pdq import HashIndex, Neighbours
from pipelines.copyright.picture.search import Hits
from pipelines.copyright.picture.space import Space


class IndexedShard(Shard):
    """A shard whose indices hold the descriptors and the hashes; finds may run side by side.

    An hour of references takes about 7 MB with descriptors of 256 numbers: 3.9 for pictures, two views a second, and
    2.8 for sound. While it is made, its pictures stand in memory three times.
    """

    def __init__(self, references: Sequence[tuple[int, Fingerprint]], space: Space, threads: int = 1) -> None:
        super().__init__(references, space)
        self.nearest = self.index = Indexed(self.frames, threads)
        none = np.zeros((0, 0))
        self.frames = replace(
            self.frames, descriptors_ND=none.astype(np.float16), pdq_NB=none.astype(np.uint8), hashed=none.astype(bool)
        )

    @property
    def nbytes(self) -> int:
        """The memory of its arrays and indices."""
        return self.index.nbytes + self.frames.owner.nbytes + self.frames.frame_ms.nbytes + self.sound.nbytes


class Indexed:
    """Looks frames up without comparing them with every one of the bank, on so many threads a call."""

    def __init__(self, bank: Frames, threads: int = 1) -> None:
        self._threads = threads
        self._held = np.flatnonzero(bank.hashed)
        self._descriptors = AnnIndex(bank.descriptors_ND)
        self._hashes = HashIndex(bank.pdq_NB[self._held])

    @property
    def nbytes(self) -> int:
        """The memory of both indices."""
        return self._held.nbytes + self._descriptors.nbytes + self._hashes.nbytes

    def descriptors(self, queries_QD: NDArray[np.float32]) -> Hits:
        """The NEAREST rows of each, nearly all of them right."""
        self._keep_to_threads()
        return self._descriptors.search(queries_QD, NEAREST)

    def hashes(self, queries_QB: NDArray[np.uint8]) -> Neighbours:
        """The NEAREST_HASHES rows of each, nearly all of them right where they are near."""
        self._keep_to_threads()
        distances, rows = self._hashes.search(queries_QB, NEAREST_HASHES)
        return distances, self._held[rows]

    def _keep_to_threads(self) -> None:
        """OpenMP's setting is that of the calling thread; by default each caller would keep every core spinning."""
        import faiss

        faiss.omp_set_num_threads(self._threads)
