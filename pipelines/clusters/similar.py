"""Every pair of vectors that is similar enough, exact and in tiles; pairs are handed out as they are found.

A score is the inner product summed in float64 and rounded once to float32, as in picture/search.py. A product in
bfloat16, where the processor has units for it (AMX or AVX-512), or in float32 is the screen: it is off by no more than
a bound that is known, so what lies below the threshold by more than that is out, and what is left is scored again.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipelines.clusters.joined import Matrix

QUERY_TILE, ROW_TILE = 2048, 4096  # 16 MiB of products in bfloat16
BLOCK, STRIP = 8, 16  # tiles of queries and of rows that a task of a thread visits: 0.5 s or more
WAITING = 2  # tasks a thread that may be ready before their turn
RESCORED = 1 << 14  # pairs scored again together: 64 MiB at 256 dimensions
BFLOAT16, FLOAT32 = 2.0**-9, 2.0**-24  # unit roundoffs
LONGEST = 1.01  # length that a unit vector may have after rounding to float16


@dataclass(frozen=True)
class Pairs:
    """Rows of two matrices, or of one, and how similar they are, in order of `first` and then of `second`."""

    first: NDArray[np.int64]  # [P]
    second: NDArray[np.int64]  # [P]
    score: NDArray[np.float32]  # [P]

    def __len__(self) -> int:
        return len(self.first)

    @classmethod
    def joined(cls, parts: list[Pairs]) -> Pairs:
        """One after the other."""
        none = cls(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))
        columns = zip(*((part.first, part.second, part.score) for part in [none, *parts]), strict=True)
        return cls(*(np.concatenate(column) for column in columns))


def similar_plain(queries_QD: NDArray[Any], rows_ND: NDArray[Any], least: float, *, within: bool = False) -> Pairs:
    """The slow, obvious reference: every score. `within` one matrix, each pair once and no row with itself."""
    scores_QN = (queries_QD.astype(np.float64) @ rows_ND.astype(np.float64).T).astype(np.float32)
    wanted = scores_QN >= np.float32(least)
    first, second = np.nonzero(np.triu(wanted, 1) if within else wanted)
    return Pairs(first, second, scores_QN[first, second])


def similar_within(rows_ND: Matrix, least: float, threads: int = 0) -> Iterator[Pairs]:
    """Yield every pair of different rows with a score of `least` or more, each once, the lower row first."""
    yield from _searched(rows_ND, rows_ND, least, threads, within=True)


def similar_between(queries_QD: Matrix, rows_ND: Matrix, least: float, threads: int = 0) -> Iterator[Pairs]:
    """Yield every pair of a query and a row with a score of `least` or more.

    Rows are unit vectors or zeros, float16 or float32, and may lie in memory maps: a tile is read when it is needed.
    Memory is that of a few tiles a thread, about 100 MiB, and of the pairs in flight. By default there is a thread for
    each of torch's. Raises ValueError where `least` is not above 0.02, from where on the screen tells something.
    """
    yield from _searched(queries_QD, rows_ND, least, threads, within=False)


def _searched(queries_QD: Matrix, rows_ND: Matrix, least: float, threads: int, *, within: bool) -> Iterator[Pairs]:
    if not 0.02 < least <= 1:
        raise ValueError(f"least is {least}, wanted more than 0.02 and at most 1")
    threads = threads or torch.get_num_threads()
    screen = _Screen.of(least, queries_QD.shape[1])
    with _one_thread(), ThreadPoolExecutor(threads) as pool:
        waiting: list[Future[Pairs]] = []
        for first, row in _tasks(len(queries_QD), len(rows_ND), within=within):
            waiting.append(pool.submit(screen.visit, queries_QD, rows_ND, first, row, within))
            if len(waiting) > threads * WAITING:
                yield from _some(waiting.pop(0).result())
        for task in waiting:
            yield from _some(task.result())


def _some(found: Pairs) -> Iterator[Pairs]:
    if len(found):
        yield found


def _tasks(queries: int, rows: int, *, within: bool) -> Iterator[tuple[int, int]]:
    """Where a tile of queries and a strip of rows begin."""
    for first in range(0, queries, QUERY_TILE * BLOCK):
        for row in range(first if within else 0, rows, ROW_TILE * STRIP):
            yield first, row


@contextmanager
def _one_thread() -> Iterator[None]:
    """A product of a small tile on one thread, many at once: threads that wait for each other would spin."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def has_bfloat16() -> bool:
    """Whether the processor multiplies matrices of bfloat16 faster than of float32."""
    known = (getattr(torch.cpu, name, None) for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"))
    return any(bool(ask()) for ask in known if ask)


@dataclass(frozen=True)
class _Screen:
    """A product in a cheap type and the least of it that a pair may have."""

    least: np.float32
    kind: torch.dtype
    bits: torch.dtype  # integers as wide: of two numbers the larger has the larger bits, if it is above 0
    floor: int  # those of the least product

    @classmethod
    def of(cls, least: float, deep: int) -> _Screen:
        """Rounding of both sides, of the sum and of the product (Higham, 2002, section 3.1) is taken off."""
        narrow = has_bfloat16()
        kind, bits, unit = (torch.bfloat16, torch.int16, BFLOAT16) if narrow else (torch.float32, torch.int32, FLOAT32)
        slack = LONGEST**2 * (2 * unit + unit**2 + unit + 1.1 * (deep + 4) * FLOAT32)
        floor = torch.tensor([least - 1.1 * slack], dtype=kind).view(bits).item()
        return cls(np.float32(least), kind, bits, int(floor) - 1)

    def visit(self, queries_QD: Matrix, rows_ND: Matrix, first: int, row: int, within: bool) -> Pairs:
        """A block of queries against a strip of rows; each tile of either is turned to the cheap type once."""
        queries = [
            (start, _narrow(queries_QD[start : start + QUERY_TILE], self.kind))
            for start in range(first, min(first + QUERY_TILE * BLOCK, len(queries_QD)), QUERY_TILE)
        ]
        out = torch.empty(QUERY_TILE * ROW_TILE, dtype=self.kind)
        found = []
        for start in range(row, min(row + ROW_TILE * STRIP, len(rows_ND)), ROW_TILE):
            rows = _narrow(rows_ND[start : start + ROW_TILE], self.kind).T
            for begin, some in queries:
                if within and start + rows.shape[1] <= begin:
                    continue
                product = out[: len(some) * rows.shape[1]].view(len(some), rows.shape[1])
                torch.mm(some, rows, out=product)
                query, other = self._near(product)
                query, other = query + begin, other + start
                if within:
                    query, other = query[query < other], other[query < other]
                found.append(self._scored(queries_QD, rows_ND, query, other))
        joined = Pairs.joined(found)
        order = np.lexsort((joined.second, joined.first))
        return Pairs(joined.first[order], joined.second[order], joined.score[order])

    def _near(self, product: torch.Tensor) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where a product is high enough; integers are compared, which numpy does many at once."""
        bits = product.view(self.bits).numpy()
        some = np.flatnonzero(bits.max(axis=1) >= self.floor)
        query, other = np.nonzero(bits[some] >= self.floor)
        return some[query], other

    def _scored(self, queries_QD: Matrix, rows_ND: Matrix, query: NDArray[np.int64], other: NDArray[np.int64]) -> Pairs:
        scores = np.empty(len(query), np.float32)
        for begin in range(0, len(query), RESCORED):
            part = slice(begin, begin + RESCORED)
            sides = queries_QD[query[part]].astype(np.float64), rows_ND[other[part]].astype(np.float64)
            scores[part] = np.einsum("pd,pd->p", *sides)
        high = scores >= self.least
        return Pairs(query[high], other[high], scores[high])


def _narrow(rows_ND: NDArray[Any], kind: torch.dtype) -> torch.Tensor:
    """A tile in the cheap type; one of a file that is only read is copied, since torch takes none of these."""
    tile = np.ascontiguousarray(rows_ND)
    return torch.from_numpy(tile if tile.flags.writeable else tile.copy()).to(kind)
