"""Edits of single frames: each gives a picture, leaves the one it was given alone, and repeats itself from a seed."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pipelines.copyright.picture.frame_edits import EDITS, SINGLE
from tests.pipelines.copyright.drawn import picture

SIZES = [(256, 256), (256, 455), (455, 256), (32, 40)]
NUMBERED = list(enumerate(EDITS))


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize(("number", "edit"), NUMBERED, ids=[str(number) for number, _ in NUMBERED])
def test_it_gives_a_picture(number, edit, height, width):
    pixels = picture(number, height, width)
    for seed in range(4):
        given = Image.fromarray(pixels)
        edited = np.asarray(edit(given, np.random.default_rng(seed)))

        assert (edited.dtype, edited.ndim, edited.shape[2]) == (np.uint8, 3, 3)
        assert min(edited.shape[:2]) >= 16
        assert edited.std() > 5, "something is still to be seen"
        assert np.array_equal(np.asarray(given), pixels), "the picture given is as it was"


@pytest.mark.parametrize(("number", "edit"), NUMBERED, ids=[str(number) for number, _ in NUMBERED])
def test_it_changes_something_and_the_same_for_the_same_seed(number, edit):
    given = Image.fromarray(picture(number, 96, 128))
    one, again = (np.asarray(edit(given, np.random.default_rng(7))) for _ in range(2))

    assert np.array_equal(one, again)
    assert one.shape != (96, 128, 3) or not np.array_equal(one, np.asarray(given))


def test_the_last_ones_do_several_at_once():
    assert EDITS[: len(SINGLE)] == SINGLE
    assert len(EDITS) > len(SINGLE)
