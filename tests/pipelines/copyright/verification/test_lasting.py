"""What is another at every moment, by worked blocks: a grid of places, and what each of them shows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipelines.copyright.verification.detail import BLOCK, Blocks
from pipelines.copyright.verification.lasting import Lasting, Look, lasting

SIDE = 6  # places to a side
STANDS = np.zeros(SIDE * SIDE, np.bool_)
SHARP = np.full(SIDE * SIDE, 10.0)
SEEDS, BESIDE = [7, 8], [13, 14, 15]  # a row of two, and three below it


def places(*numbers: int) -> np.ndarray:
    flags = STANDS.copy()
    flags[list(numbers)] = True
    return flags


def blocks(likeness: np.ndarray, nowhere: np.ndarray) -> Blocks:
    """As they come of two pictures of one size, laid exactly on each other."""
    row, column = np.divmod(np.arange(SIDE * SIDE), SIDE)
    centres = np.stack([column + 0.5, row + 0.5], axis=1) * BLOCK
    same_place = np.array([[1.0, 0, 0], [0, 1, 0]])
    rich = np.ones(SIDE * SIDE, np.bool_)
    shift = np.zeros((SIDE * SIDE, 2))
    return Blocks(
        centres, shift, likeness, SHARP, SHARP, rich, nowhere & (likeness < 0.5), nowhere, same_place, same_place
    )


def look(*, walks: np.ndarray = STANDS, nowhere: np.ndarray | None = None, stays: np.ndarray = STANDS) -> Look:
    """All is the same but two places that are clearly another, and three below them that are merely not the same."""
    likeness = np.full(SIDE * SIDE, 0.95)
    likeness[SEEDS], likeness[BESIDE] = 0.2, 0.6
    found = blocks(likeness, likeness < 0.7 if nowhere is None else nowhere)
    return Look(found, walks, walks | stays, found)


def test_what_is_merely_not_the_same_counts_around_what_is_clearly_another():
    assert lasting([look()] * 3) == Lasting(told=36, other=2, largest=2, around=5)


def test_a_place_that_was_the_same_once_is_no_other():
    once = look()
    same = replace(once.blocks, likeness=np.full(SIDE * SIDE, 0.95), nowhere=STANDS, other=STANDS)
    assert lasting([once, once, replace(once, blocks=same)]) == Lasting(told=36, other=0, largest=0, around=0)


def test_what_lies_over_a_copy_is_no_other():
    """The upload stays there while the reference moves: a caption."""
    over = look(stays=places(*SEEDS, *BESIDE))
    assert lasting([over] * 3) == Lasting(told=36, other=0, largest=0, around=0)


@pytest.mark.parametrize(("further_away", "around"), [(True, 2), (False, 5)])
def test_what_moves_in_both_counts_only_if_it_is_nowhere_near(further_away, around):
    """Somebody who walks is elsewhere half a second later; other furniture is not."""
    nowhere = places(*SEEDS) if further_away else places(*SEEDS, *BESIDE)
    walking = look(walks=places(*BESIDE), nowhere=nowhere)
    assert lasting([walking] * 3).around == around


def test_one_place_alone_is_a_flaw():
    alone = look()
    likeness = alone.blocks.likeness.copy()
    likeness[SEEDS[1]] = 0.6
    flaw = replace(alone.blocks, likeness=likeness, other=places(SEEDS[0]))
    assert lasting([replace(alone, blocks=flaw)] * 3).around == 0
