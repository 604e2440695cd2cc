"""RapidOCR: captions that were drawn are read, whatever else is in the batch, and nothing is fetched meanwhile."""

from __future__ import annotations

import socket

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from benchmarks.subtitles import TEXTS, subtitled
from model_registry.errors import NightjarError
from model_registry.model import Line, read_all
from model_registry.models.ocr.crops import RUN_WIDTH, Crop, crop_out, for_detection, runs, strips
from model_registry.models.ocr.lines import Piece, joined, needs_space
from model_registry.models.ocr.rapid_ocr import DETECTION, MAX_BOXES, RECOGNITION, RapidOcr

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def model(loaded):
    return loaded("rapid_ocr")


def blank(height: int = 256, width: int = 455) -> np.ndarray:
    return np.full((height, width, 3), (30, 60, 90), np.uint8)


def written(*texts: tuple[str, int, int], height: int = 256, width: int = 455, size: int = 20) -> np.ndarray:
    """Each (text, left, top), drawn with the font that comes with Pillow."""
    picture = Image.fromarray(blank(height, width))
    for text, left, top in texts:
        ImageDraw.Draw(picture).text((left, top), text, font=ImageFont.load_default(size), fill="white")
    return np.array(picture)


def texts_of(lines: tuple[Line, ...]) -> list[str]:
    return [line.text for line in lines]


class TestReading:
    @pytest.mark.parametrize("language", TEXTS)
    @pytest.mark.parametrize("height_px", [12, 16, 32])
    def test_a_subtitle_is_read_letter_by_letter(self, model, language, height_px):
        wanted = TEXTS[language][:3]
        found = model.predict([subtitled(blank(), [text], height_px) for text in wanted])

        assert ["".join(texts_of(lines)).replace(" ", "") for lines in found] == [
            text.replace(" ", "") for text in wanted
        ]
        assert min(line.confidence for lines in found for line in lines) > 0.9

    def test_the_box_is_where_the_text_stands(self, model):
        [[line]] = model.predict([written(("WIN 500", 182, 128))])

        left, top, right, bottom = line.box
        assert (left, top) == pytest.approx((0.4, 0.51), abs=0.03)
        assert 0.5 < right < 0.65
        assert 0.57 < bottom < 0.63

    def test_lines_come_from_top_to_bottom_and_from_left_to_right(self, model):
        frame = written(("third", 20, 200), ("second", 300, 60), ("first", 20, 62))

        assert texts_of(model.predict([frame])[0]) == ["first", "second", "third"]

    def test_no_text_is_no_line(self, model):
        assert model.predict([blank(), np.zeros((2, 2, 3), np.uint8)]) == [(), ()]

    @pytest.mark.parametrize("size", [(256, 144), (64, 256), (1024, 256), (1080, 1920), (256, 4000)])
    def test_frames_of_any_shape_are_read(self, model, size):
        height, width = size
        frame = written(("HELLO", width // 3, height // 3), height=height, width=width, size=min(size) // 6)

        assert "HELLO" in "".join(texts_of(model.predict([frame])[0])) or max(size) / min(size) > 4

    def test_what_is_read_does_not_depend_on_the_company(self, model):
        frames = [written((f"caption number {number}" * (1 + number % 2), 10, 40 + number)) for number in range(5)]
        alone = [model.predict([frame])[0] for frame in frames]
        together = read_all(model, frames)

        assert [texts_of(lines) for lines in together] == [texts_of(lines) for lines in alone]
        for ours, theirs in zip(together, alone, strict=True):
            assert [line.confidence for line in ours] == pytest.approx([line.confidence for line in theirs], abs=1e-3)
            assert [line.box for line in ours] == [line.box for line in theirs]

    def test_a_page_full_of_text_is_bounded(self, model, monkeypatch):
        monkeypatch.setattr("model_registry.models.ocr.rapid_ocr.MAX_BOXES", 2)
        page = written(("small", 10, 10), ("another line", 10, 100), ("the longest line of all", 10, 190))

        assert texts_of(model.predict([page])[0]) == ["another line", "the longest line of all"]
        assert MAX_BOXES >= 64

    @pytest.mark.parametrize("frame", [np.zeros((8, 8, 3), np.float32), np.zeros((8, 8), np.uint8), blank()[:1]])
    def test_what_is_no_frame_is_refused(self, model, frame):
        with pytest.raises(ValueError, match=r"wanted uint8 \(height, width, 3\)"):
            model.predict([frame])


class TestLoading:
    def test_nothing_is_asked_of_the_network(self, ref_of, monkeypatch):
        ref = ref_of("rapid_ocr")

        def refuse(*_: object, **__: object) -> None:
            raise AssertionError("the network was asked")

        monkeypatch.setattr(socket.socket, "connect", refuse)
        monkeypatch.setattr(socket, "getaddrinfo", refuse)
        assert texts_of(ref.load("cpu").predict(RapidOcr.examples())[0]) == ["ADD ME NOW"]

    def test_files_that_are_not_there_are_not_downloaded(self, tmp_path):
        missing = {DETECTION: tmp_path / "d.onnx", RECOGNITION: tmp_path / "r.onnx"}
        with pytest.raises(NightjarError, match=r"d\.onnx is not an ONNX graph"):
            RapidOcr.load(missing, "cpu")
        assert list(tmp_path.iterdir()) == []

    def test_a_graph_without_letters_is_named(self, ref_of):
        detection = dict(ref_of("rapid_ocr").weights)[DETECTION]
        with pytest.raises(NightjarError, match=r"is not a graph that names its letters: 'character'"):
            RapidOcr.load({DETECTION: detection, RECOGNITION: detection}, "cpu")

    def test_the_sessions_keep_to_the_threads_of_torch(self, ref_of):
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            model = ref_of("rapid_ocr").load("cpu")
        finally:
            torch.set_num_threads(before)
        for session in (model.detection, model.recognition):
            options = session.get_session_options()
            assert options.intra_op_num_threads == 1
            assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"

    def test_it_says_nothing_meanwhile(self, ref_of, capfd):
        ref_of("rapid_ocr").load("cpu").predict(RapidOcr.examples())

        assert capfd.readouterr() == ("", "")


class TestCrops:
    def test_the_shorter_side_is_256_and_both_are_steps_of_32(self):
        sizes = {(256, 455): (256, 448), (224, 224): (256, 256), (1920, 1080): (448, 256), (2, 900): (256, 1024)}

        for (height, width), wanted in sizes.items():
            assert for_detection(np.zeros((height, width, 3), np.uint8)).shape == (1, 3, *wanted)

    def test_red_is_the_last_channel_and_black_is_minus_one(self):
        red = np.zeros((256, 256, 3), np.uint8)
        red[:, :, 0] = 255

        assert for_detection(red)[0, :, 0, 0].tolist() == [-1, -1, 1]

    def test_an_upright_box_is_cut_out_as_it_is(self):
        frame = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
        corners = np.array([[10, 20], [40, 20], [40, 30], [10, 30]], np.float32)

        crop = crop_out(7, frame, corners)

        assert (crop.frame, crop.box) == (7, (10, 20, 40, 30))
        np.testing.assert_array_equal(crop.pixels_HWC, frame[20:30, 10:40])

    def test_a_strip_is_48_high_and_padded_with_zeros_to_its_own_width(self):
        crop = Crop(0, np.full((24, 50, 3), 255, np.uint8), (0, 0, 50, 24))
        [strip_CHW] = strips([crop])

        assert (crop.width, crop.padded, strip_CHW.shape) == (100, 128, (3, 48, 128))
        assert (strip_CHW[:, :, :100] == 1).all()
        assert (strip_CHW[:, :, 100:] == 0).all()

    def test_a_run_has_one_width_and_is_bounded_and_every_crop_is_in_one(self):
        widths = [10, 300, 20, 1900, *[640] * 20]
        crops = [Crop(0, np.zeros((48, width, 3), np.uint8), (0, 0, 0, 0)) for width in widths]
        found = list(runs(crops))

        assert sorted(number for run in found for number in run) == list(range(len(crops)))
        for run in found:
            assert len({crops[number].padded for number in run}) == 1
            assert sum(crops[number].padded for number in run) <= RUN_WIDTH


class TestLines:
    def piece(self, text: str, left: float, top: float, width: float = 40, height: float = 10) -> Piece:
        return Piece(text, 0.9, (left, top, left + width, top + height))

    def test_neighbours_of_one_height_are_one_line(self):
        [line] = joined([self.piece("now", 52, 21), self.piece("Add", 10, 20)], 100, 200)

        assert line.text == "Add now"
        assert line.box == (0.05, 0.2, 0.46, 0.31)

    @pytest.mark.parametrize(
        "other",
        [(80, 20, 40, 10), (52, 27, 40, 10), (52, 15, 40, 20)],
        ids=["behind a gutter", "half a line lower", "twice as high"],
    )
    def test_what_stands_apart_is_another_line(self, other):
        assert len(joined([self.piece("Add", 10, 20), self.piece("now", *other)], 100, 200)) == 2

    def test_chinese_is_joined_without_a_space(self):
        assert joined([self.piece("加我", 10, 20), self.piece("微信", 52, 20)], 100, 200)[0].text == "加我微信"
        assert [needs_space(*pair) for pair in (("a", "b"), ("加", "b"), ("a", "加"), ("9", "%"))] == [
            True,
            False,
            False,
            True,
        ]

    def test_letters_weigh_in_the_confidence(self):
        pieces = [Piece("abc", 1.0, (0, 0, 30, 10)), Piece("d", 0.2, (32, 0, 40, 10))]

        assert joined(pieces, 100, 100)[0].confidence == pytest.approx(0.8)

    def test_an_empty_text_is_nothing(self):
        assert joined([self.piece("", 0, 0)], 100, 100) == ()
