"""Mirrored text: what was read without confidence, or not at all, is read once more the other way round."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from model_registry.model import Line
from pipelines.ocr.changes import strokes_of
from pipelines.ocr.mirrored import better_of, other_way, read_both_ways

LEFT, RIGHT = (0.1, 0.5, 0.4, 0.6), (0.6, 0.5, 0.9, 0.6)


def shown(text: str, mirrored: bool = False) -> NDArray[np.uint8]:
    picture = Image.new("RGB", (456, 256), (40, 70, 90))
    ImageDraw.Draw(picture).text((30, 100), text, font=ImageFont.load_default(26), fill="white")
    pixels = np.array(picture)
    return np.ascontiguousarray(pixels[:, ::-1] if mirrored else pixels)


class Reader:
    """Reads a frame by its first pixel: the words, or when turned round what it then has for a first pixel."""

    def __init__(self, *lines: tuple[Line, ...]) -> None:
        self.lines, self.frames = lines, 0

    def __call__(self, frames):
        self.frames += len(frames)
        return [self.lines[frame[0, 0, 0]] for frame in frames]


def marked(plain: int, turned: int, text: str = "ADD ME ON TELEGRAM") -> NDArray[np.uint8]:
    frame = shown(text)
    frame[0, 0], frame[0, -1] = plain, turned
    return frame


def read(frames, reader, windows=None):
    return read_both_ways(frames, [strokes_of(frame) for frame in frames], reader, windows or [0] * len(frames))


CLEAR, GARBAGE, TURNED = Line("add me", 0.99, box=LEFT), Line("sm bbA", 0.8, box=LEFT), Line("Add me", 0.99, box=RIGHT)


def test_a_clear_line_is_read_once():
    reader = Reader((CLEAR,), ())
    assert read([marked(0, 1)], reader) == [(CLEAR,)]
    assert reader.frames == 1


def test_garbage_gives_way_to_what_is_read_the_other_way_round():
    found = read([marked(0, 1)], Reader((GARBAGE,), (TURNED,)))
    assert [[line.text for line in lines] for lines in found] == [["Add me"]]
    assert found[0][0].box == pytest.approx(LEFT)


def test_where_nothing_is_read_and_text_seems_to_be_it_is_looked_for_too():
    assert [line.text for line in read([marked(0, 1)], Reader((), (TURNED,)))[0]] == ["Add me"]
    plain = Reader((), (TURNED,))
    blank = marked(0, 1, text="")
    assert read([blank], plain) == [()]
    assert plain.frames == 1


def test_a_doubtful_line_stays_where_the_other_way_is_no_better():
    unsure = Line("adol me", 0.8, box=LEFT)
    assert read([marked(0, 1)], Reader((unsure,), (Line("em lobe", 0.7, box=RIGHT),))) == [(unsure,)]


def test_an_upright_caption_stays_beside_a_mirrored_shirt():
    caption = Line("Good morning", 0.99, box=(0.1, 0.8, 0.9, 0.9))
    assert better_of((caption, GARBAGE), other_way((TURNED,)))[0] == caption
    assert [line.text for line in better_of((caption, GARBAGE), other_way((TURNED,)))] == ["Good morning", "Add me"]


def test_two_frames_of_a_window_tell_whether_the_others_are_read_again():
    reader = Reader((GARBAGE,), ())
    read([marked(0, 1)] * 6, reader)
    assert reader.frames == 6 + 2
    mirrored = Reader((GARBAGE,), (TURNED,))
    found = read([marked(0, 1)] * 6, mirrored)
    assert mirrored.frames == 6 + 6
    assert all(line.text == "Add me" for lines in found for line in lines)


def test_one_window_does_not_speak_for_another():
    reader = Reader((GARBAGE,), (TURNED,), ())
    found = read([marked(0, 1)] * 3 + [marked(0, 2)] * 3, reader, [0, 0, 0, 1, 1, 1])
    assert [lines[0].text for lines in found] == ["Add me"] * 3 + ["sm bbA"] * 3
    assert reader.frames == 6 + 4 + 1


@pytest.mark.parametrize("text", ["ADD ME ON TELEGRAM", "win 500 dollars today", "Follow the red link"])
def test_a_real_reader_reads_mirrored_text(loaded, text):
    model = loaded("rapid_ocr")
    upright, mirrored = read([shown(text), shown(text, mirrored=True)], model.predict)
    assert [line.text.replace(" ", "") for line in upright] == [text.replace(" ", "")]
    assert [line.text.replace(" ", "") for line in mirrored] == [text.replace(" ", "")]
