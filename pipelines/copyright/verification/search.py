"""Lay one reference frame on one upload frame: the placement by which most of both agree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipelines.copyright.verification.detail import Blocks, coarse_likeness, refined
from pipelines.copyright.verification.features import Picture
from pipelines.copyright.verification.placement import Placement, guesses, modelled

GOOD_BLOCKS, GOOD_SHARE = 16, 0.6  # so much that agrees needs no other placement
GUESSES = 2  # of those from layout that are looked at closely
LIKELY = 0.25  # coarse likeness of a guess worth a close look
MODELS = 3


@dataclass(frozen=True)
class Laid:
    """The best placement and what it shows."""

    placement: Placement
    blocks: Blocks
    pictures: tuple[Picture, Picture]  # upload and reference

    @property
    def worth(self) -> float:
        """Blocks that are the same, weighed with their share."""
        return float(self.blocks.same.sum()) * (0.25 + self.blocks.agreement)

    @property
    def good(self) -> bool:
        """Whether no better one needs to be looked for."""
        return int(self.blocks.same.sum()) >= GOOD_BLOCKS and self.blocks.agreement >= GOOD_SHARE


def laid(upload: Picture, reference: Picture, known: Sequence[Placement] = ()) -> Laid | None:
    """Return the best placement found; those `known` from other frames of the span are tried first."""
    best: Laid | None = None
    for placement in _candidates(upload, reference, known):
        found, blocks = refined(upload, reference, placement)
        if blocks is not None and (best is None or Laid(found, blocks, (upload, reference)).worth > best.worth):
            best = Laid(found, blocks, (upload, reference))
            if best.good:
                break
    return best


def _candidates(upload: Picture, reference: Picture, known: Sequence[Placement]) -> Iterator[Placement]:
    """Cheapest first: known ones, the likeliest guesses from layout, models from features by their points."""
    yield from known
    scored = [(coarse_likeness(upload, reference, guess), guess) for guess in guesses(upload, reference)]
    likely = sorted((pair for pair in scored if pair[0] >= LIKELY), key=lambda pair: -pair[0])
    yield from (guess for _, guess in likely[:GUESSES])
    yield from sorted(modelled(upload, reference), key=lambda model: -len(model.points_N2))[:MODELS]
