"""Lay one reference frame on one upload frame: the placement by which most of both agree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipelines.copyright.verification.detail import Blocks, coarse_likeness, compared, refined
from pipelines.copyright.verification.features import Picture
from pipelines.copyright.verification.placement import Placement, guesses, modelled

GOOD_BLOCKS, GOOD_SHARE = 16, 0.6  # so much that agrees needs no other placement
LIKELY = 0.3  # coarse likeness of a guess worth a close look
GUESSES, MODELS = 2, 3  # that are looked at closely
EVERY = 3  # block that is compared at first
HOPE = 0.08  # share of these that must agree before all are compared


@dataclass(frozen=True)
class Laid:
    """A placement and what it shows of two pictures."""

    placement: Placement
    blocks: Blocks

    @property
    def worth(self) -> float:
        """Blocks that are the same, weighed with their share."""
        return float(self.blocks.same.sum()) * (0.25 + self.blocks.agreement)

    @property
    def good(self) -> bool:
        """Whether no better one needs to be looked for."""
        return int(self.blocks.same.sum()) >= GOOD_BLOCKS and self.blocks.agreement >= GOOD_SHARE


def laid(upload: Picture, reference: Picture) -> Laid | None:
    """Return the best placement found, None where nothing at all agrees."""
    best: Laid | None = None
    for placement in _candidates(upload, reference):
        first = compared(upload, reference, placement, EVERY)
        if first is None or first.same.sum() < max(2, HOPE * first.told.sum()):
            continue
        found, blocks = refined(upload, reference, placement)
        if blocks is not None and (best is None or Laid(found, blocks).worth > best.worth):
            best = Laid(found, blocks)
            if best.good:
                break
    return best


def again(upload: Picture, reference: Picture, placement: Placement) -> Laid | None:
    """The same placement at another moment."""
    blocks = compared(upload, reference, placement)
    return None if blocks is None else Laid(placement, blocks)


def _candidates(upload: Picture, reference: Picture) -> Iterator[Placement]:
    """Cheapest first: the likeliest guesses from layout, then models from features by their points."""
    scored = [(coarse_likeness(upload, reference, guess), guess) for guess in guesses(upload, reference)]
    likely = sorted((pair for pair in scored if pair[0] >= LIKELY), key=lambda pair: -pair[0])
    yield from (guess for _, guess in likely[:GUESSES])
    yield from _by_points(modelled(upload, reference))


def _by_points(models: Iterator[Placement]) -> Sequence[Placement]:
    return sorted(models, key=lambda model: -len(model.points_N2))[:MODELS]
