"""From fingerprints to hits: which frames of uploads look like which frames of references, and how surely."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipelines.copyright.fingerprint import Fingerprint
from pipelines.copyright.picture import pdq
from pipelines.copyright.picture.search import Hits, search_tiled
from pipelines.copyright.picture.space import Space

NEAREST = 32  # descriptors of the bank looked at for each of an upload's
NEAREST_HASHES = 8
FLAT = 20  # PDQ quality below which a picture is too plain to be anybody's: black, a fade, a wall
UNUSUAL = 1.0  # how much of its likeness to unrelated footage is taken off a similarity
SURE_SIMILARITY, STEEPNESS = 0.28, 10.0  # evidence is 1/2 at the first and rises with the second
SURE_BITS, BITS_A_STEP = 36.0, 3.0  # the same for hashes
LEAST = 0.15  # less evidence is no hit: unrelated pictures have some 0.06


@dataclass(frozen=True)
class FrameHits:
    """Hits of many uploads in many references, one an entry."""

    query: NDArray[np.int64]  # which upload
    query_ms: NDArray[np.int64]
    reference: NDArray[np.int64]  # which reference
    ref_ms: NDArray[np.int64]
    evidence: NDArray[np.float64]  # 0 to 1

    def where(self, keep: NDArray[np.bool_] | NDArray[np.int64]) -> FrameHits:
        """Those that stay."""
        return FrameHits(*(getattr(self, field.name)[keep] for field in fields(self)))

    @classmethod
    def joined(cls, parts: Sequence[FrameHits]) -> FrameHits:
        """One after the other."""
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))


@dataclass(frozen=True)
class Frames:
    """Described frames of many contents, one row a view."""

    owner: NDArray[np.int64]  # which content
    frame_ms: NDArray[np.int64]
    descriptors_ND: NDArray[np.float16]
    pdq_NB: NDArray[np.uint8]
    hashed: NDArray[np.bool_]  # whether the hash says something

    @classmethod
    def of(cls, contents: Sequence[tuple[int, Fingerprint]], dimensions: int) -> Frames:
        """Lay fingerprints end to end; pictures too plain to be anybody's are left out."""
        parts = [(number, print_, print_.pdq_quality >= FLAT) for number, print_ in contents]
        return cls(
            _joined([np.full(int(keep.sum()), number) for number, _, keep in parts], np.zeros(0, np.int64)),
            _joined([one.frame_ms[keep] for _, one, keep in parts], np.zeros(0, np.int64)),
            _joined([one.descriptors_ND[keep] for _, one, keep in parts], np.zeros((0, dimensions), np.float16)),
            _joined([one.pdq_NB[keep] for _, one, keep in parts], np.zeros((0, pdq.BITS // 8), np.uint8)),
            _joined([one.pdq_quality[keep] >= pdq.GOOD for _, one, keep in parts], np.zeros(0, np.bool_)),
        )


def _joined(parts: list[NDArray[Any]], empty: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate([empty, *(part for part in parts if len(part))])


class Nearest(Protocol):
    """Looks the frames of a bank up: rows are those of the whole bank."""

    def descriptors(self, queries_QD: NDArray[np.float32]) -> Hits:
        """The NEAREST rows of each."""

    def hashes(self, queries_QB: NDArray[np.uint8]) -> pdq.Neighbours:
        """The NEAREST_HASHES rows of each, among those whose hash says something."""


@dataclass(frozen=True)
class Exact:
    """Compares with every frame of the bank: as the night does."""

    bank: Frames
    device: str = "cpu"

    def descriptors(self, queries_QD: NDArray[np.float32]) -> Hits:
        """In tiles."""
        return search_tiled(queries_QD, self.bank.descriptors_ND, NEAREST, self.device)

    def hashes(self, queries_QB: NDArray[np.uint8]) -> pdq.Neighbours:
        """One by one."""
        held = np.flatnonzero(self.bank.hashed)
        distances, rows = pdq.nearest(queries_QB, self.bank.pdq_NB[held], NEAREST_HASHES)
        return distances, held[rows]


def find(queries: Frames, bank: Frames, space: Space, nearest: Nearest | None = None) -> FrameHits:
    """Return every hit, of descriptors and of hashes; at most NEAREST of the first a row of the queries.

    They are looked up exactly unless something else is given for that, an index of the same bank.
    """
    if not len(queries.owner) or not len(bank.owner):
        none = np.zeros(0, np.int64)
        return FrameHits(none, none, none, none, np.zeros(0))
    nearest = nearest or Exact(bank)
    return FrameHits.joined([_by_descriptor(queries, bank, space, nearest), _by_hash(queries, bank, nearest)])


def _by_descriptor(queries: Frames, bank: Frames, space: Space, nearest: Nearest) -> FrameHits:
    descriptors_QD = queries.descriptors_ND.astype(np.float32)
    found = nearest.descriptors(descriptors_QD)
    unusual = found.scores - UNUSUAL * space.common(descriptors_QD)[:, None]
    return _hits(queries, bank, found.rows, picture_evidence(unusual))


def _by_hash(queries: Frames, bank: Frames, nearest: Nearest) -> FrameHits:
    """Hashes of uploads as they are, mirrored and turned, against those of references."""
    asked = np.flatnonzero(queries.hashed)
    turned = pdq.turns(queries.pdq_NB[asked])
    distances, rows = nearest.hashes(turned.reshape(-1, turned.shape[2]))
    evidence = hash_evidence(distances).reshape(len(turned), len(asked), distances.shape[1])
    sides = zip(rows.reshape(evidence.shape), evidence, strict=True)
    return FrameHits.joined([_hits(queries, bank, one, sure, asked) for one, sure in sides])


def _hits(
    queries: Frames,
    bank: Frames,
    rows_QK: NDArray[np.int64],
    evidence_QK: NDArray[np.float64],
    asked: NDArray[np.int64] | None = None,
) -> FrameHits:
    query, column = np.nonzero(evidence_QK >= LEAST)
    row, evidence = rows_QK[query, column], evidence_QK[query, column]
    query = query if asked is None else asked[query]
    return FrameHits(queries.owner[query], queries.frame_ms[query], bank.owner[row], bank.frame_ms[row], evidence)


def picture_evidence(similarity: NDArray[np.float32]) -> NDArray[np.float64]:
    """How sure a similarity of descriptors makes, 0 to 1."""
    return np.asarray(1 / (1 + np.exp(-STEEPNESS * (similarity.astype(np.float64) - SURE_SIMILARITY))))


def hash_evidence(distance: NDArray[np.int32]) -> NDArray[np.float64]:
    """How sure a Hamming distance of PDQ hashes makes, 0 to 1."""
    return np.asarray(1 / (1 + np.exp((distance - SURE_BITS) / BITS_A_STEP)))
