"""Nearest neighbours of descriptors by inner product, exact and in tiles, for the night; ann.py is for one upload.

A score is the inner product summed in float64 and rounded once to float32: the order of summation does not show, equal
rows have equal scores wherever they stand, and every search here puts the lower row first where scores are equal. Hits
of the exact searches are therefore the same, number for number. Descriptors are unit vectors, or zeros.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

QUERY_TILE = 2048  # with BANK_TILE 32 MiB of scores: of the sizes measured from 1024 to 16384 the best by a little
BANK_TILE = 4096
GROUP = 128  # neighbouring scores of which only the highest is looked at first
CROWDED = 256  # more rows of a tile left for a query (or 2 k, or a quarter): a product in float64 is cheaper
TOGETHER = 512  # crowded queries in one such product
PAIRS = 2048  # pairs of query and row scored again together: with four times as many each takes three times longer
ROUNDING = 2.0**-24  # of float32, relative


@dataclass(frozen=True)
class Hits:
    """The k best bank rows of each query; all of them where the bank has fewer than k."""

    scores: NDArray[np.float32]  # [Q, min(k, N)], descending
    rows: NDArray[np.int64]  # [Q, min(k, N)], from 0; of equal scores the lower row comes first


def search_plain(queries_QD: NDArray[np.floating], bank_ND: NDArray[np.floating], k: int) -> Hits:
    """The slow, obvious reference: every score, sorted. Raises ValueError where shapes or types do not fit."""
    k = checked(queries_QD, bank_ND, k)
    scores_QN = (queries_QD.astype(np.float64) @ bank_ND.astype(np.float64).T).astype(np.float32)
    rows = np.argsort(-scores_QN, axis=1, kind="stable")[:, :k]
    return Hits(np.take_along_axis(scores_QN, rows, axis=1), rows.astype(np.int64))


def search_tiled(
    queries_QD: NDArray[np.floating],
    bank_ND: NDArray[np.floating],
    k: int,
    device: str = "cpu",
    query_tile: int = QUERY_TILE,
    bank_tile: int = BANK_TILE,
) -> Hits:
    """Return what `search_plain` returns, in bounded memory, on torch's CPU threads or on `cuda`.

    The float32 product of a tile is a screen. It is off by no more than D u |q| |b|, in whatever order it is summed
    (Higham, "Accuracy and Stability of Numerical Algorithms", 2002, section 3.1), so a row whose product is below the
    query's kth score so far by more than that is out, and the few others are scored again in float64. Tiles with a
    running top k are those of Johnson, Douze and Jegou, "Billion-scale similarity search with GPUs" (2017).

    The bank, float16 or float32, is read once from front to back, so a memory map or an Arrow column will do. Memory
    beyond the two matrices and the hits is a float32 copy of the queries and, for the default tiles, k up to 256 and
    512 dimensions, less than 256 MiB, however many rows there are. Where near ties are many, a float64 product takes
    the place of pairs. Raises ValueError where shapes or types do not fit, or a number is not finite.
    """
    import torch

    k = checked(queries_QD, bank_ND, k)
    if min(query_tile, bank_tile) < 1:
        raise ValueError(f"query_tile is {query_tile} and bank_tile {bank_tile}, wanted 1 or more")
    with torch.inference_mode(), _full_precision():
        queries = _part(queries_QD, 0, len(queries_QD), "the queries", device)
        best = _Best(
            torch.full((len(queries), k), -torch.inf, device=device),
            torch.full((len(queries), k), -1, dtype=torch.int64, device=device),
        )
        scratch = torch.empty(
            min(query_tile, len(queries)) * _whole_groups(min(bank_tile, len(bank_ND))), device=device
        )
        for first_row in range(0, len(bank_ND) if best.rows.numel() else 0, bank_tile):
            tile = _part(bank_ND, first_row, bank_tile, "the bank", device)
            for first in range(0, len(queries), query_tile):
                part = slice(first, first + query_tile)
                _Tile(queries[part], tile, first_row, scratch).update(_Best(best.scores[part], best.rows[part]))
        return Hits(best.scores.cpu().numpy(), best.rows.cpu().numpy())


@dataclass(frozen=True)
class _Best:
    """The running top k of some queries; slots not filled yet have a score of -inf."""

    scores: Tensor  # [Q, k]
    rows: Tensor  # [Q, k]

    def merge(self, queries: Tensor, scores: Tensor, rows: Tensor) -> None:
        """Take in [q, M] scores of these queries, in row order: a stable sort then leaves the lower row first."""
        import torch

        k = self.scores.shape[1]
        scores = torch.cat([self.scores[queries], scores], dim=1)
        scores, order = torch.sort(scores, dim=1, descending=True, stable=True)
        rows = torch.cat([self.rows[queries], rows.expand(len(queries), -1)], dim=1)
        self.scores[queries], self.rows[queries] = scores[:, :k], rows.gather(1, order[:, :k])


@dataclass(frozen=True)
class _Tile:
    """Some queries against some rows of the bank."""

    queries: Tensor  # [Q, D] float32
    rows: Tensor  # [R, D] float32
    first_row: int
    scratch: Tensor  # room for the product

    def update(self, best: _Best) -> None:
        """Bring the top k up to date with the rows of this tile, all of them later than those before."""
        import torch

        product, slack = self._product(), self._slack()
        groups = product.view(-1, GROUP)
        a_query = product.shape[1] // GROUP
        highest = groups.amax(dim=1).view(-1, a_query)
        floor = best.scores[:, -1] - slack
        if 2 * int((highest > floor[:, None]).sum()) > highest.numel() and len(self.rows) > best.scores.shape[1]:
            floor = torch.maximum(floor, self._own_floor(product, slack, best.scores.shape[1]))
        near = (highest > floor[:, None]).view(-1).nonzero()[:, 0]
        query = near // a_query
        left = groups[near] > floor[query, None]
        count = torch.zeros(len(floor), dtype=torch.int64, device=floor.device).index_add_(0, query, left.sum(dim=1))
        crowded = count > min(max(CROWDED, 2 * best.scores.shape[1]), len(self.rows) // 4)
        sparse = ~crowded[query]
        group, column = left[sparse].nonzero(as_tuple=True)
        self._score_pairs(best, query[sparse][group], (near[sparse] % a_query)[group] * GROUP + column)
        self._score_rows(best, crowded.nonzero()[:, 0])

    def _product(self) -> Tensor:
        """Float32 scores, [Q, whole groups]; what fills the last group up is -inf."""
        import torch

        many, wide = len(self.queries), _whole_groups(len(self.rows))
        product = self.scratch[: many * wide].view(many, wide)
        torch.mm(self.queries, self.rows.T, out=product[:, : len(self.rows)])
        product[:, len(self.rows) :] = -torch.inf
        return product

    def _slack(self) -> Tensor:
        """How far a float32 score may be from the true one, [Q], with a tenth more for the rounding of bounds."""
        import torch

        lengths = torch.linalg.vector_norm(self.queries, dim=1) * torch.linalg.vector_norm(self.rows, dim=1).max()
        slack: Tensor = lengths * (1.1 * (self.queries.shape[1] + 4) * ROUNDING)
        return slack

    @staticmethod
    def _own_floor(product: Tensor, slack: Tensor, k: int) -> Tensor:
        """Below this no row is among the k best of the tile: its kth product may be too high, the row's too low."""
        import torch

        floor = product.topk(k, dim=1, sorted=False).values.amin(dim=1) - 2 * slack
        return torch.nextafter(floor, torch.full_like(floor, -torch.inf))

    def _score_pairs(self, best: _Best, queries: Tensor, rows: Tensor) -> None:
        """Score pairs, in order of query and row, in float64 and merge them."""
        import torch

        if not len(queries):
            return
        scores = torch.empty(len(queries), device=queries.device)  # one for all: small ones would pin freed memory
        for first in range(0, len(queries), PAIRS):
            part = slice(first, first + PAIRS)
            scores[part] = (self.queries[queries[part]].double() * self.rows[rows[part]].double()).sum(dim=1)
        affected, place, counts = torch.unique_consecutive(queries, return_inverse=True, return_counts=True)
        slot = torch.arange(len(queries), device=queries.device) - (counts.cumsum(0) - counts)[place]
        new = torch.full((len(affected), int(counts.max())), -torch.inf, device=scores.device)
        new_rows = torch.full_like(new, -1, dtype=torch.int64)
        new[place, slot], new_rows[place, slot] = scores, rows + self.first_row
        best.merge(affected, new, new_rows)

    def _score_rows(self, best: _Best, queries: Tensor) -> None:
        """Score all rows for crowded queries: many copies of one frame, say."""
        import torch

        rows_DR = self.rows.T.double() if len(queries) else self.rows.T
        numbers = torch.arange(len(self.rows), device=queries.device) + self.first_row
        for some in torch.split(queries, TOGETHER) if len(queries) else ():
            scores = (self.queries[some].double() @ rows_DR).float()
            better = (scores > best.scores[some, -1:]).any(dim=1)
            best.merge(some[better], scores[better], numbers)


def _whole_groups(rows: int) -> int:
    return -(-rows // GROUP) * GROUP


def _part(matrix: NDArray[np.floating], first: int, rows: int, name: str, device: str) -> Tensor:
    """Copy rows to the device in float32."""
    import torch

    part = torch.from_numpy(np.array(matrix[first : first + rows], np.float32, order="C")).to(device)
    finite = torch.isfinite(torch.linalg.vector_norm(part, dim=1))
    if not bool(finite.all()):
        row = first + int(finite.logical_not().nonzero()[0, 0])
        raise ValueError(f"row {row} of {name} has a number that is not finite; wanted unit vectors, or zeros")
    return part


@contextmanager
def _full_precision() -> Iterator[None]:
    """Products in whole float32: the bound does not hold for TF32 or bfloat16, which a program may have allowed."""
    import torch

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def checked(queries_QD: NDArray[np.floating], bank_ND: NDArray[np.floating], k: int, rows: int | None = None) -> int:
    """Return min(k, N), or raise ValueError."""
    for name, matrix in (("queries", queries_QD), ("bank", bank_ND)):
        if matrix.ndim != 2 or matrix.dtype not in (np.float16, np.float32):
            raise ValueError(f"{name} are {matrix.dtype} {list(matrix.shape)}, wanted float16 or float32 [rows, D]")
    if queries_QD.shape[1] != bank_ND.shape[1]:
        raise ValueError(
            f"queries have {queries_QD.shape[1]} dimensions and the bank {bank_ND.shape[1]}; wanted the same"
        )
    if k < 1:
        raise ValueError(f"k is {k}, wanted 1 or more")
    return min(k, len(bank_ND) if rows is None else rows)
