"""Layout: the picture inside borders, in a corner or in a stack is found where it was put, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from pipelines.copyright.picture.layout import Rectangle, _best_runs, inner, rectangles
from tests.footage import corners
from tests.pipelines.copyright.drawn import on_black, picture

FRAMES = 4


def over_blur(seed):
    """A landscape picture over an enlarged and blurred copy of itself, as phones show it."""
    shown = picture(seed, 144, 256)
    behind = Image.fromarray(shown).resize((456, 256)).filter(ImageFilter.GaussianBlur(12)).crop((100, 0, 356, 256))
    frame_HWC = np.array(behind)
    frame_HWC[56:200] = shown
    return frame_HWC


def in_a_corner(seed):
    frame_HWC = picture(100 + seed).copy()
    frame_HWC[12:108, 12:140] = picture(seed, 96, 128)
    return frame_HWC


def stacked(seed):
    return np.concatenate([picture(seed, 128, 256), picture(50 + seed, 128, 256)])


def film(draw):
    return np.stack([draw(seed) for seed in range(FRAMES)])


@pytest.mark.parametrize(
    ("draw", "wanted"),
    [
        (on_black, [Rectangle(64, 0, 192, 256)]),
        (over_blur, [Rectangle(56, 0, 200, 256)]),
        (in_a_corner, [Rectangle(12, 12, 108, 140)]),
        (stacked, [Rectangle(0, 0, 128, 256), Rectangle(128, 0, 256, 256)]),
    ],
)
def test_a_pasted_picture_is_found_where_it_was_put(draw, wanted):
    found = rectangles(film(draw))

    for box in wanted:
        assert max(box.overlap(other) for other in found) > 0.95
    assert found[0].overlap(wanted[0]) > 0.95


@pytest.mark.parametrize("seed", range(5))
def test_a_plain_film_holds_none(seed):
    assert rectangles(np.stack([picture(FRAMES * seed + n) for n in range(FRAMES)])) == []


def test_flat_panels_are_no_pictures():
    """The panels of the drawn film are one grey level each."""
    assert rectangles(np.stack([corners(n, 96, 64) for n in range(FRAMES)])) == []


def test_a_still_picture_in_a_border_is_found_too():
    assert rectangles(np.stack([on_black(3)] * FRAMES))[0].overlap(Rectangle(64, 0, 192, 256)) > 0.95


def test_no_more_than_asked_for():
    assert len(rectangles(film(stacked), most=1)) == 1


def test_icons_are_too_small_to_hold_anything():
    assert rectangles(np.stack([picture(n, 24, 256) for n in range(FRAMES)])) == []


def test_a_frame_of_the_whole_is_not_among_them():
    for draw in (on_black, over_blur, in_a_corner, stacked):
        assert Rectangle(0, 0, 256, 256) not in rectangles(film(draw))


def test_overlap_is_shared_area_over_both():
    assert Rectangle(0, 0, 10, 10).overlap(Rectangle(0, 5, 10, 15)) == pytest.approx(1 / 3)
    assert Rectangle(0, 0, 10, 10).overlap(Rectangle(20, 20, 30, 30)) == 0
    assert Rectangle(0, 0, 10, 10).overlap(Rectangle(0, 0, 10, 10)) == 1


def test_the_margin_is_left_out_only_inside_the_frame():
    cut = inner(Rectangle(10, 0, 90, 256), 100, 256)

    assert (cut.left, cut.right) == (0, 256)
    assert 10 < cut.top < 15
    assert 85 < cut.bottom < 90
    assert inner(Rectangle(0, 0, 100, 256), 100, 256) == Rectangle(0, 0, 100, 256)


def test_cutting_out():
    frame_HWC = picture(1)

    assert np.array_equal(Rectangle(10, 20, 30, 50).of(frame_HWC), frame_HWC[10:30, 20:50])


columns = st.lists(st.lists(st.integers(-4, 4), min_size=6, max_size=6), min_size=1, max_size=3)


@settings(max_examples=200, deadline=None)
@given(columns)
def test_the_best_run_of_a_column_gains_as_much_as_any(columns):
    gain_HW = np.array(columns, float).T
    best, start, end = _best_runs(gain_HW)

    for x, column in enumerate(gain_HW.T):
        every = [column[first:past].sum() for first in range(7) for past in range(first, 7)]
        assert best[x] == max(every)
        assert column[start[x] : end[x]].sum() == best[x]
