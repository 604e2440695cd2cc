"""Changes: a caption is noticed when it comes or goes over to another, not while it stays, whatever moves below it."""

from __future__ import annotations

import time

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from benchmarks.subtitles import TEXTS, subtitled
from pipelines.decode.limits import Sampling
from pipelines.ocr.changes import CELL_WIDTH, Strokes, frames_to_read, in_runs, new_text, still_there, strokes_of
from tests.media import RealMedia, real_files
from tests.watching import watch

HEIGHT, WIDTH = 256, 448
BOTTOM = (0.0, 0.7, 1.0, 0.95)
FOOTAGE = [media for media in real_files("clip", "photo_clip") if media.width >= media.height][::3]
NONE = pytest.param(None, marks=pytest.mark.skip(reason="no folder of real media; see tests/media.py"))


def sky(shift: int = 0) -> np.ndarray:
    """A soft picture that moves: brightness in slow waves."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    wave = 110 + 60 * np.sin((columns + 3 * shift) / 40) * np.cos((rows + shift) / 25)
    return np.repeat(wave.astype(np.uint8)[:, :, None], 3, axis=2)


def captioned(frame: np.ndarray, text: str, top: int = 200, left: int = 60, fill: str = "white") -> np.ndarray:
    picture = Image.fromarray(frame)
    face = ImageFont.load_default(22)
    ImageDraw.Draw(picture).text((left, top), text, fill, face, stroke_width=1, stroke_fill="black")
    return np.array(picture)


def strokes(*frames: np.ndarray) -> list[Strokes]:
    return [strokes_of(frame) for frame in frames]


class TestSteps:
    def test_by_hand(self):
        frame = np.zeros((3, 4, 3), np.uint8)
        frame[1, 1] = 200  # brighter from column 0 to 1 and row 0 to 1, darker after

        found = strokes_of(frame).sharp_HW

        assert found.tolist() == [[0, 4, 0, 0], [1, 2 | 8, 0, 0], [0, 0, 0, 0]]

    def test_a_faint_step_counts_only_as_one_that_may_be_the_same(self):
        frame = np.zeros((2, 3, 3), np.uint8)
        frame[:, 2] = 40
        found = strokes_of(frame)

        assert not found.sharp_HW.any()
        assert found.faint_HW[0].tolist() == [0, 1, 0]

    def test_runs_by_hand(self):
        cells = np.array([[1, 1, 0, 1, 0, 1, 1, 1]], bool)

        assert in_runs(cells, 2).astype(int).tolist() == [[1, 1, 0, 0, 0, 1, 1, 1]]
        assert in_runs(cells, 3).astype(int).tolist() == [[0, 0, 0, 0, 0, 1, 1, 1]]
        assert not in_runs(cells[:, :1], 2).any()

    @pytest.mark.parametrize("size", [(2, 2), (7, 300), (300, 7), (8, CELL_WIDTH), (720, 1280)])
    def test_frames_of_any_size(self, size):
        assert new_text(strokes_of(np.zeros((*size, 3), np.uint8)), None) == 0

    def test_a_large_frame_is_looked_at_in_small(self):
        small = captioned(sky(), "WIN 500 TODAY")
        large = np.kron(small, np.ones((3, 3, 1), np.uint8))

        np.testing.assert_array_equal(strokes_of(large).like_text_RC, strokes_of(small).like_text_RC)


class TestNewText:
    def test_a_picture_without_text_is_not_read(self):
        assert frames_to_read(strokes(*(sky(shift) for shift in range(9))), 12) == []

    def test_stripes_are_no_text(self):
        fence = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        fence[:, ::4] = 255

        assert frames_to_read(strokes(fence, fence.transpose(1, 0, 2).copy()), 12) == []

    def test_a_caption_is_read_once_while_the_picture_moves(self):
        frames = [captioned(sky(shift), "ADD ME ON LINE") for shift in range(9)]

        assert frames_to_read(strokes(*frames), 12) == [0]

    def test_on_a_still_picture_each_caption_is_read(self):
        texts = ["", "ADD ME ON LINE", "ADD ME ON LINE", "FREE GIFT TODAY", "FREE GIFT TODAY", "", "CALL US NOW"]

        assert frames_to_read(strokes(*(captioned(sky(), text) for text in texts)), 12) == [1, 3, 6]

    def test_letters_typed_one_after_the_other_are_all_read_in_the_end(self):
        whole = "MY NUMBER IS 555 0199 88"
        frames = strokes(*(captioned(sky(), whole[:length]) for length in range(0, len(whole) + 1, 3)))
        last = frames_to_read(frames, 30)[-1]

        assert len(whole) - 3 * last <= 3  # not more than a cell or two is left

    def test_of_more_than_may_be_read_some_of_each_part_are(self):
        frames = strokes(*(captioned(sky(), f"CAPTION {number * 7919 % 997} NEW", 20 * number) for number in range(12)))

        assert frames_to_read(frames, 12) == list(range(12))
        chosen = frames_to_read(frames, 4)
        assert [index // 3 for index in chosen] == [0, 1, 2, 3]

    def test_of_a_group_the_frame_with_the_most_text_is_read(self):
        texts = ["GIFT", "TAKE THE GIFT TODAY", "LINK", "CALL", "WIN", "CALL NOW AND WIN 500"]
        frames = strokes(*(captioned(sky(), text, 30 * number) for number, text in enumerate(texts)))

        assert frames_to_read(frames, 2) == [1, 5]


class TestStillThere:
    def test_until_it_is_gone_or_another_one_stands_there(self):
        first, moved, other, gone = strokes(
            captioned(sky(), "ADD ME ON LINE"),
            captioned(sky(5), "ADD ME ON LINE"),
            captioned(sky(5), "FREE GIFT NOW"),
            sky(),
        )

        assert still_there(BOTTOM, first, moved)
        assert not still_there(BOTTOM, first, other)
        assert not still_there(BOTTOM, first, gone)

    def test_what_has_no_strokes_is_taken_to_stay(self):
        assert still_there(BOTTOM, *strokes(sky(), captioned(sky(), "NEW")))


def test_a_frame_costs_little():
    frame = captioned(sky(), "ADD ME ON LINE")
    before = strokes_of(frame)
    took_s = []
    for _ in range(20):
        began = time.thread_time()
        new_text(strokes_of(frame), before)
        took_s.append(time.thread_time() - began)
    assert min(took_s) < 0.002


class TestRealFootage:
    @pytest.fixture(scope="class")
    def footage(self) -> list[np.ndarray]:
        frames = [watch(media.path, Sampling()).frames_THWC for media in FOOTAGE]
        if not frames:
            pytest.skip("no folder of real media; see tests/media.py")
        return [frames_THWC for frames_THWC in frames if len(frames_THWC) >= 3]

    def test_few_of_its_frames_are_read(self, footage):
        read = sum(len(frames_to_read(strokes(*frames_THWC), 99)) for frames_THWC in footage)

        assert read / sum(map(len, footage)) < 0.2

    @pytest.mark.parametrize("height_px", [12, 18, 28])
    def test_subtitles_on_it_are_noticed(self, footage, height_px):
        came = changed = 0
        for number, frames_THWC in enumerate(footage):
            old, new = (TEXTS["zh" if number % 2 else "en"][(number + step) % 10] for step in (0, 3))
            bare = strokes_of(frames_THWC[0])
            first = strokes_of(subtitled(frames_THWC[0], [old], height_px))
            second = strokes_of(subtitled(frames_THWC[1], [new], height_px))
            came += new_text(first, bare) > 0
            changed += new_text(second, first) > 0

        assert came / len(footage) >= 0.97
        assert changed / len(footage) >= 0.97


@pytest.mark.parametrize("media", FOOTAGE[:1] or [NONE], ids=str)
def test_what_stays_on_real_footage_is_still_there(media: RealMedia):
    frames_THWC = watch(media.path, Sampling()).frames_THWC
    first, *others = strokes(*(subtitled(frame, [TEXTS["zh"][0]], 20) for frame in frames_THWC))

    assert all(still_there((0.2, 0.82, 0.8, 0.92), first, other) for other in others)


class TestSmallAndLargeText:
    @staticmethod
    def shown(text: str, size: int) -> np.ndarray:
        picture = Image.new("RGB", (456, 256), (40, 70, 90))
        ImageDraw.Draw(picture).text((33, 100), text, font=ImageFont.load_default(size), fill="white")
        return np.array(picture)

    @pytest.mark.parametrize("size", [16, 20, 24, 28, 38, 44])
    def test_one_digit_of_a_caption_that_changes_is_read_again(self, size):
        frames = [strokes_of(self.shown(f"CODE {digit}", size)) for digit in "44771199224"]
        assert frames_to_read(frames, 12) == [0, 2, 4, 6, 8, 10]

    def test_a_caption_that_stays_is_not(self):
        assert frames_to_read([strokes_of(self.shown("CODE 4", 26))] * 5, 12) == [0]

    @pytest.mark.parametrize("size", [48, 60, 80])
    def test_text_of_a_quarter_of_the_height_is_seen(self, size):
        assert frames_to_read([strokes_of(self.shown("CODE 4", size))], 12) == [0]
