"""Clip vectors of contents that nobody filmed: most are alone, some are copies, excerpts or links of chains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.clusters.links import Basis, Link, Stretch
from pipelines.clusters.windows import Clip, Vectors
from pipelines.rows import PDQ_BYTES

DIMENSIONS = 256
NOISE = 0.6  # length of the random vector that an edit adds to a unit vector: two copies are alike by 0.74
COPIES = 0.05  # of all contents are in a group
GROUP = 5  # contents
VIRAL = 2000  # contents of one group
CHAINS, LINKS = 1000, 3  # A holds a part of B and B a part of C
PART_MS = 10_000
AT_ONCE, BLOCK = 50_000, 4096  # films made together
Parts = tuple[int, ...]  # the films of which a content shows PART_MS each, one after the other


@dataclass(frozen=True)
class Planted:
    """Contents by number, what each shows, and which pairs must not end in one cluster."""

    vectors: Vectors
    shows: Sequence[Parts]
    chained: Sequence[tuple[int, int]]

    def compare(self, medoid: int, others: Sequence[int]) -> dict[int, Link]:
        """Say what is true, at no cost: aligning and verifying is measured elsewhere."""
        found = {other: _shared(self.shows[other], self.shows[medoid]) for other in others}
        return {other: link for other, link in found.items() if link}

    def pairs(self) -> int:
        """How many pairs of contents show the same film."""
        shown: dict[int, int] = {}
        for parts in self.shows:
            for film in parts:
                shown[film] = shown.get(film, 0) + 1
        return sum(count * (count - 1) // 2 for count in shown.values())


def planted(contents: int, seed: int = 0) -> Planted:
    """Make so many contents, in an order in which copies do not stand together."""
    generator = np.random.default_rng(seed)
    shows, chained = _plan(contents)
    order = generator.permutation(len(shows))
    place = np.argsort(order)
    shows = [shows[number] for number in order.tolist()]
    chained = [(int(place[one]), int(place[other])) for one, other in chained]
    return Planted(_vectors(shows, generator), shows, chained)


def _plan(contents: int) -> tuple[list[Parts], list[tuple[int, int]]]:
    shows: list[Parts] = []
    chained: list[tuple[int, int]] = []
    film = 0
    for _ in range(CHAINS):
        shows += [(film, film + 1), (film + 1, film + 2), (film + 2, film + 3)]
        chained.append((len(shows) - LINKS, len(shows) - 1))
        film += LINKS + 1
    shows += [(film,)] * min(VIRAL, contents // 50)
    for _ in range(int(COPIES * contents) // GROUP):
        film += 1
        shows += [(film,)] * GROUP
    alone = range(film + 1, film + 1 + contents - len(shows))
    return [*shows, *((one,) for one in alone)], chained


def _vectors(shows: Sequence[Parts], generator: np.random.Generator) -> Vectors:
    """One vector a content; those with two parts have one a part too."""
    parts = np.array([len(one) for one in shows])
    rows = np.where(parts > 1, 1 + parts, 1)
    owner = np.repeat(np.arange(len(shows)), rows)
    first = np.cumsum(rows) - rows
    films = np.array([film for one in shows for film in one])
    shown = np.repeat(first, parts) + np.concatenate([np.arange(count) + (count > 1) for count in parts.tolist()])
    vectors_VD = np.zeros((len(owner), DIMENSIONS), np.float16)
    order = np.argsort(films, kind="stable")
    for begin in range(0, len(films), AT_ONCE):
        some = order[begin : begin + AT_ONCE]
        names, place = np.unique(films[some], return_inverse=True)
        bases = _bases(names)[place]
        vectors_VD[shown[some]] = _unit(bases + NOISE * _unit(generator.standard_normal((len(some), DIMENSIONS))))
    several = np.flatnonzero(parts > 1)
    vectors_VD[first[several]] = _unit(sum(vectors_VD[first[several] + 1 + at].astype(np.float64) for at in range(2)))
    whole = np.zeros(len(owner), np.bool_)
    whole[first] = True
    at = np.arange(len(owner)) - np.repeat(first, rows)
    start_ms = np.where(whole, 0, (at - 1) * PART_MS)
    end_ms = np.where(whole, np.repeat(parts, rows) * PART_MS, at * PART_MS)
    hashes = np.zeros((len(owner), PDQ_BYTES), np.uint8)
    clip = Clip(start_ms, end_ms, vectors_VD, hashes, np.zeros(len(owner), np.bool_))
    return Vectors(tuple(f"{number:064x}" for number in range(len(shows))), owner, whole, clip)


def _bases(films: NDArray[np.int64]) -> NDArray[np.float64]:
    """The vector of each film: what follows from its number, wherever it is asked for."""
    blocks = np.unique(films // BLOCK)
    made = {block: np.random.default_rng(block).standard_normal((BLOCK, DIMENSIONS)) for block in blocks.tolist()}
    return _unit(np.stack([made[film // BLOCK][film % BLOCK] for film in films.tolist()]))


def _unit(rows_ND: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(rows_ND / np.linalg.norm(rows_ND, axis=1, keepdims=True))


def _shared(one: Parts, other: Parts) -> Link | None:
    stretches = [
        Stretch("Image", mine * PART_MS, (mine + 1) * PART_MS, its * PART_MS, (its + 1) * PART_MS)
        for mine, film in enumerate(one)
        for its, its_film in enumerate(other)
        if film == its_film
    ]
    return Link.of(stretches, 1.0, Basis.VERIFIED) if stretches else None
