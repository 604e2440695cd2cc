"""Nearest descriptors for the few queries of one upload: a faiss index, exact while small, then inverted lists.

Scores and their order are those of search.py: an inner product summed in float64, the lower row first of equals.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.copyright.picture.search import ROUNDING, Hits, checked, search_tiled

FLAT_ROWS = 50_000  # up to here faiss scans everything
CELLS = 4.0  # times the square root of the number of rows
PROBED = 1 / 24  # share of the cells that one query looks into
TRAINED = 40  # rows for each cell that k-means sees; faiss wants at least 39
ROUNDS = 8  # of k-means
NEAR = 256  # queries whose neighbours are copied out of faiss together
PART = 65_536  # rows that are turned into float32 together


class AnnIndex:
    """A faiss index over a bank: exact while small, then inverted lists (IVF).

    Up to `flat_rows` rows hits are those of `search_plain`. Above, a query looks into one in 24 of 4 sqrt(N) cells
    (Johnson, Douze and Jegou, "Billion-scale similarity search with GPUs", 2017, section 2.2) and finds about 97 of 100
    of the true hits among changed copies of frames (`ann_recall` of benchmarks/copy_search.py). Scores are exact either
    way. A query whose cells hold too little looks everywhere, so that every row of hits is full and no row is -1. The
    index holds a copy of the bank, in float32 while small, then in the bank's own type. Searches may run side by side;
    `add` needs the index for itself.
    """

    def __init__(self, bank_ND: NDArray[np.floating], flat_rows: int = FLAT_ROWS) -> None:
        checked(bank_ND, bank_ND, 1)
        self._longest = _longest("the bank", bank_ND)
        self._cells = 0 if len(bank_ND) <= flat_rows else round(CELLS * math.sqrt(len(bank_ND)))
        self._holds = bank_ND.dtype if self._cells else np.dtype(np.float32)
        self._index = _inverted(bank_ND, self._cells) if self._cells else _flat(bank_ND.shape[1])
        self._enough = 2 * max(len(bank_ND), flat_rows)
        self._fill(bank_ND)

    def __len__(self) -> int:
        """N."""
        return int(self._index.ntotal)

    @property
    def nbytes(self) -> int:
        """The memory of the vectors, their row numbers and the middles of the cells."""
        beside = 8 * len(self) + 4 * self._cells * self._index.d if self._cells else 0
        return int(len(self) * self._index.d * self._holds.itemsize + beside)

    @property
    def outgrown(self) -> bool:
        """Whether so many rows were added that a new index would be better; `add` builds none, it would take long."""
        return len(self) > self._enough

    def add(self, rows_ND: NDArray[np.floating]) -> None:
        """Append references; the first gets the row number len(self). Raises ValueError as the search does."""
        checked(rows_ND, rows_ND, 1)
        if rows_ND.shape[1] != self._index.d:
            raise ValueError(f"rows have {rows_ND.shape[1]} dimensions and the index {self._index.d}; wanted the same")
        if rows_ND.dtype.itemsize > self._holds.itemsize:
            raise ValueError(f"rows are {rows_ND.dtype} and the index holds {self._holds}; wanted the same")
        self._longest = max(self._longest, _longest("rows", rows_ND))
        self._fill(rows_ND)

    def _fill(self, rows_ND: NDArray[np.floating]) -> None:
        for part_ND in _parts(rows_ND):
            self._index.add(part_ND)

    def search(self, queries_QD: NDArray[np.floating], k: int) -> Hits:
        """Return the hits of each query; ties at the kth score are settled exactly while the index is flat."""
        k = checked(queries_QD, np.empty((0, self._index.d), np.float32), k, len(self))
        _longest("queries", queries_QD)
        queries_QD = np.ascontiguousarray(queries_QD, np.float32)
        hits = Hits(np.empty((len(queries_QD), k), np.float32), np.empty((len(queries_QD), k), np.int64))
        for first in range(0, len(queries_QD) if k else 0, NEAR):
            part = slice(first, first + NEAR)
            found = self._near(queries_QD[part], k)
            hits.scores[part], hits.rows[part] = found.scores, found.rows
        return hits

    def _near(self, queries_QD: NDArray[np.float32], k: int) -> Hits:
        """Ask faiss for one row more than wanted: where that one is as good as the last, it was faiss who chose."""
        wanted = min(k + 1, len(self))
        if self._cells:
            return _ranked(queries_QD, *self._probe(queries_QD, wanted), k)
        scores, rows, vectors = self._index.search_and_reconstruct(queries_QD, wanted)
        hits = _ranked(queries_QD, rows, vectors, k)
        slack = 2.2 * (self._index.d + 4) * ROUNDING * np.linalg.norm(queries_QD, axis=1) * self._longest
        unsure = np.flatnonzero(scores[:, k - 1] - scores[:, -1] <= slack) if wanted > k else np.empty(0, np.int64)
        if len(unsure):
            exact = search_tiled(queries_QD[unsure], self._bank(), k)
            hits.scores[unsure], hits.rows[unsure] = exact.scores, exact.rows
        return hits

    def _probe(self, queries_QD: NDArray[np.float32], k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        import faiss

        few, every = faiss.SearchParametersIVF(), faiss.SearchParametersIVF()
        few.nprobe, every.nprobe = math.ceil(PROBED * self._cells), self._cells
        _, rows, vectors = self._index.search_and_reconstruct(queries_QD, k, params=few)
        if len(short := np.flatnonzero(rows[:, -1] < 0)):
            _, rows[short], vectors[short] = self._index.search_and_reconstruct(queries_QD[short], k, params=every)
        return rows, vectors

    def _bank(self) -> NDArray[np.float32]:
        """The rows of a flat index, not copied."""
        import faiss

        values: NDArray[np.float32] = faiss.rev_swig_ptr(self._index.get_xb(), len(self) * self._index.d)
        return values.reshape(len(self), self._index.d)


def _flat(dimensions: int) -> Any:
    import faiss

    return faiss.IndexFlatIP(dimensions)


def _inverted(bank_ND: NDArray[np.floating], cells: int) -> Any:
    """Cells by k-means over evenly spaced rows."""
    index = _lists(_flat(bank_ND.shape[1]), cells, bank_ND.dtype == np.float16)
    index.cp.niter, index.cp.max_points_per_centroid = ROUNDS, TRAINED
    some = np.linspace(0, len(bank_ND) - 1, min(len(bank_ND), TRAINED * cells)).astype(np.int64)
    index.train(np.ascontiguousarray(bank_ND[some], np.float32))
    return index


def _lists(middles: Any, cells: int, half: bool) -> Any:
    """Empty lists, which keep vectors of float16 to the bit: whole ones, not what is left of them beside a middle."""
    import faiss

    if not half:
        return faiss.IndexIVFFlat(middles, middles.d, cells, faiss.METRIC_INNER_PRODUCT)
    kind, by_residual = faiss.ScalarQuantizer.QT_fp16, False
    return faiss.IndexIVFScalarQuantizer(middles, middles.d, cells, kind, faiss.METRIC_INNER_PRODUCT, by_residual)


def _ranked(queries_QD: NDArray[np.float32], rows: NDArray[np.int64], vectors_QMD: NDArray[np.float32], k: int) -> Hits:
    """Score what was found as the exact searches do, and keep the best."""
    scores = np.einsum("qd,qmd->qm", queries_QD, vectors_QMD, dtype=np.float64).astype(np.float32)
    order = np.lexsort((rows, -scores), axis=1)[:, :k]
    return Hits(np.take_along_axis(scores, order, axis=1), np.take_along_axis(rows, order, axis=1))


def _parts(matrix: NDArray[np.floating]) -> Iterator[NDArray[np.float32]]:
    """Rows as faiss wants them, some at a time."""
    for first in range(0, len(matrix), PART):
        yield np.ascontiguousarray(matrix[first : first + PART], np.float32)


def _longest(name: str, matrix: NDArray[np.floating]) -> float:
    """The length of the longest row; raises ValueError at a number that is not finite."""
    longest = 0.0
    for number, part_ND in enumerate(_parts(matrix)):
        lengths = np.linalg.norm(part_ND, axis=1)
        if len(bad := np.flatnonzero(~np.isfinite(lengths))):
            row = number * PART + bad[0]
            raise ValueError(f"row {row} of {name} has a number that is not finite; wanted unit vectors, or zeros")
        longest = max(longest, float(lengths.max()))
    return longest
