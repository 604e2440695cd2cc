"""The stage: what is shown in each window, with spans, from as few readings as that takes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.subtitles import TEXTS as SUBTITLES
from benchmarks.subtitles import subtitled
from model_registry.model import ModelRef, read_all
from pipelines.decode.limits import Sampling
from pipelines.ocr.junk import legible
from pipelines.ocr.merge import Reading, merge
from pipelines.ocr.shown import ReadFrames, language_of
from pipelines.rows import LINE, WINDOWS
from pipelines.stage import check
from tests.footage import write_film
from tests.media import real_files
from tests.pipelines.ocr.reader import REF, FakeReader, frame
from tests.watching import watch

STAGE = ReadFrames(ref=REF)
SCHEMA = pa.schema([WINDOWS.field(name) for name in (*STAGE.reads, "window_index")])


def window(frames: Sequence[np.ndarray], start_ms: int = 0, end_ms: int | None = None) -> dict[str, object]:
    """One a second from `start_ms` on."""
    height, width = frames[0].shape[:2] if len(frames) else (None, None)
    times = [start_ms + 1000 * number for number in range(len(frames))]
    return {
        "window_index": start_ms // 30_000,
        "frame_ms": times,
        "frame_height": height,
        "frame_width": width,
        "frames_THWC": np.stack(frames).tobytes() if len(frames) else None,
        "end_ms": start_ms + 1000 * len(frames) if end_ms is None else end_ms,
    }


def film(*captions: int, start_ms: int = 0) -> dict[str, object]:
    """A moving picture with these captions, one a second."""
    return window([frame(text, shift) for shift, text in enumerate(captions)], start_ms)


def shown(stage: ReadFrames, *windows: dict[str, object]) -> list[list[dict[str, object]]]:
    FakeReader.batches.clear()
    (out,) = stage.open()(pa.Table.from_pylist(list(windows), SCHEMA))
    assert out.schema.field("shown").type == pa.list_(LINE)
    assert out.drop_columns("shown").schema == SCHEMA
    found: list[list[dict[str, object]]] = out["shown"].to_pylist()
    return found


def spans(lines: Sequence[dict[str, object]]) -> list[tuple[object, object, object]]:
    return [(line["text"], line["start_ms"], line["end_ms"]) for line in lines]


class TestSpans:
    def test_a_caption_lasts_while_it_is_there_though_it_is_read_once(self):
        [lines] = shown(STAGE, film(0, 1, 1, 1, 0, 0, 2, 2))

        assert spans(lines) == [("ADD ME ON LINE", 1000, 4000), ("FREE GIFT TODAY", 6000, 8000)]
        assert FakeReader.batches == [2]

    def test_a_line_has_all_columns(self):
        [[line]] = shown(STAGE, film(3))

        assert line.pop("confidence") == pytest.approx(0.97)
        text = {"text": "CALL US NOW", "language": "en", "words": [], "track": None}
        assert line == {"start_ms": 0, "end_ms": 1000, **text}

    def test_times_are_those_of_the_video(self):
        [lines] = shown(STAGE, film(0, 2, 2, start_ms=60_000))

        assert spans(lines) == [("FREE GIFT TODAY", 61_000, 63_000)]

    def test_a_caption_that_takes_the_place_of_another_ends_it(self):
        [lines] = shown(STAGE, film(1, 1, 2, 2, 3))

        assert spans(lines) == [
            ("ADD ME ON LINE", 0, 2000),
            ("FREE GIFT TODAY", 2000, 4000),
            ("CALL US NOW", 4000, 5000),
        ]

    def test_the_bars_that_a_reader_sees_are_left_out(self):
        [lines] = shown(STAGE, film(1))

        assert [line["text"] for line in lines] == ["ADD ME ON LINE"]


class TestRows:
    def test_the_frames_of_all_windows_go_through_the_model_together(self):
        found = shown(STAGE, film(1, 1), film(0, 0), window([]), film(2, 3, start_ms=30_000))

        assert [spans(lines) for lines in found] == [
            [("ADD ME ON LINE", 0, 2000)],
            [],
            [],
            [("FREE GIFT TODAY", 30_000, 31_000), ("CALL US NOW", 31_000, 32_000)],
        ]
        assert FakeReader.batches == [2, 1]

    def test_a_window_of_nothing_but_sound_and_no_window_at_all(self):
        assert shown(STAGE, {**window([]), "end_ms": None}) == [[]]
        assert shown(STAGE) == []
        assert FakeReader.batches == []

    def test_no_more_frames_are_read_than_may_be(self):
        captions = [1, 2, 3] * 4
        [lines] = shown(ReadFrames(ref=REF, most=3), film(*captions))

        assert sum(FakeReader.batches) == 3
        assert lines
        [lines] = shown(STAGE, film(*captions))
        assert sum(FakeReader.batches) == len(lines) == 12

    def test_the_frames_stay_for_who_comes_next(self):
        assert check([STAGE], SCHEMA.names) == {*SCHEMA.names, "shown"}
        assert STAGE.name == "fake_reader"


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Add me", "en"),
        ("加我微信", "zh"),
        ("加我 WeChat", "zh"),
        ("こんにちは世界", ""),
        ("안녕", ""),
        ("Привет", ""),
        ("12:30", ""),
        ("", ""),
    ],
)
def test_the_script_tells_the_language(text, language):
    assert language_of(text) == language


class TestWithTheRealReader:
    @pytest.fixture(scope="class")
    def ref(self, ref_of) -> ModelRef:
        found: ModelRef = ref_of("rapid_ocr")
        return found

    def test_subtitles_in_an_encoded_film(self, ref, tmp_path: Path):
        texts = [SUBTITLES["zh"][0], SUBTITLES["en"][0], SUBTITLES["zh"][3]]

        def draw(index: int, width: int, height: int) -> np.ndarray:
            wave = frame(0, index)
            base = np.kron(wave, np.ones((3, 3, 1), np.uint8))[:height, :width]
            return subtitled(base, [texts[index // 12]], 22)

        path = write_film(tmp_path / "film.mp4", seconds=9, fps=4, size=(512, 288), draw=draw)
        frames_THWC = watch(path, Sampling()).frames_THWC
        stage = ReadFrames(ref=ref)
        [lines] = shown(stage, window(list(frames_THWC), end_ms=9000))

        assert spans(lines) == [(text, 3000 * n, 3000 * n + 3000) for n, text in enumerate(texts)]
        assert [line["language"] for line in lines] == ["zh", "en", "zh"]

    def test_reading_changed_frames_finds_what_reading_all_finds(self, ref):
        media = [each for each in real_files("clip") if "trailer" in each.path.name][:3]
        if not media:
            pytest.skip("no folder of real media; see tests/media.py")
        model = ref.load("cpu")
        captions = {unspaced(text) for text in SUBTITLES["en"]}
        for each in media:
            frames = list(watch(each.path, Sampling()).frames_THWC)
            for number in range(len(frames)):
                frames[number] = subtitled(frames[number], [SUBTITLES["en"][number // 3]], 16)
            readings = [Reading(1000 * n, legible(lines)) for n, lines in enumerate(read_all(model, frames))]
            plain = {unspaced(line.text) for line in merge(readings, 1000 * len(frames))} & captions
            [lines] = shown(ReadFrames(ref=ref), window(frames))

            assert plain == {unspaced(text) for text in SUBTITLES["en"][: (len(frames) + 2) // 3]}
            assert {unspaced(str(line["text"])) for line in lines} & captions == plain


def unspaced(text: str) -> str:
    """A reader may miss a narrow space."""
    return "".join(text.split())
