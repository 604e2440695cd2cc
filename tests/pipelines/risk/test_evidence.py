"""Evidence: pictures of the frames a policy may point at, a poster of every video, and the frames go."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from pipelines.risk.evidence import (
    EVIDENCE_FLOOR,
    LONGEST_MS,
    SHOWN_SIDE,
    KeepStills,
    Thumbnails,
    jpeg,
    shown_small,
    webp,
)
from pipelines.rows import SIGNAL, STILL, THUMBNAIL
from tests.windows import seen

HEIGHT, WIDTH = 36, 64


def window(frame_ms, *signals, index=0, height=HEIGHT, width=WIDTH) -> dict:
    """One window whose n-th frame is grey 40 n, from the seventh on black to grey again."""
    frames_THWC = np.stack([np.full((height, width, 3), 40 * (n % 7), np.uint8) for n in range(len(frame_ms))] or [[]])
    return {
        "window_index": index,
        "frame_ms": frame_ms,
        "frame_height": height if frame_ms else None,
        "frame_width": width if frame_ms else None,
        "frames_THWC": frames_THWC.astype(np.uint8).tobytes() if frame_ms else None,
        "signals": [vars(signal) for signal in signals],
    }


def table_of(rows) -> pa.Table:
    schema = pa.schema(
        [
            ("window_index", pa.int32()),
            ("frame_ms", pa.list_(pa.int64())),
            ("frame_height", pa.int32()),
            ("frame_width", pa.int32()),
            ("frames_THWC", pa.large_binary()),
            ("signals", pa.list_(SIGNAL)),
        ]
    )
    return pa.Table.from_pylist(list(rows), schema)


def thumbnails(*rows) -> pa.Table:
    (out,) = Thumbnails().open()(table_of(rows))
    return out


def stills(*rows) -> pa.Table:
    (out,) = KeepStills().open()(table_of(rows))
    return out


def times(table: pa.Table) -> list[list[int]]:
    return [[picture["frame_ms"] for picture in row] for row in table["thumbnails"].to_pylist()]


class TestWhichFrames:
    def test_those_that_score_high_enough(self):
        enough, little = seen(EVIDENCE_FLOOR, 1000, 2000), seen(EVIDENCE_FLOOR - 0.01, 2000, 3000)

        assert times(thumbnails(window([0, 1000, 2000], enough, little, index=1))) == [[1000]]

    def test_each_once_however_many_labels_it_has(self):
        both = seen(0.5, 0, 1000), seen(0.9, 0, 1000, "Alcohol")

        assert times(thumbnails(window([0, 1000], *both, index=1))) == [[0]]

    def test_the_first_window_gives_a_poster_from_its_middle(self):
        assert times(thumbnails(window([0, 1000, 2000]), window([30_000], index=1))) == [[1000], []]

    def test_the_poster_is_not_kept_twice(self):
        assert times(thumbnails(window([0], seen(0.9, 0, 1000)))) == [[0]]

    def test_no_frames_no_pictures(self):
        out = thumbnails(window([]), window([30_000], seen(0.9, 30_000, 31_000), index=1))

        assert times(out) == [[], [30_000]]
        assert out["thumbnails"].type == pa.list_(THUMBNAIL)


def test_a_picture_is_the_frame_it_is_named_after():
    (row,) = thumbnails(window([0, 1000, 2000], seen(0.9, 2000, 3000)))["thumbnails"].to_pylist()
    pictures = {picture["frame_ms"]: Image.open(io.BytesIO(picture["webp"])) for picture in row}

    assert {ms: picture.size for ms, picture in pictures.items()} == {1000: (WIDTH, HEIGHT), 2000: (WIDTH, HEIGHT)}
    assert {ms: picture.format for ms, picture in pictures.items()} == {1000: "WEBP", 2000: "WEBP"}
    assert np.asarray(pictures[1000].convert("L")).mean() == pytest.approx(40, abs=4)
    assert np.asarray(pictures[2000].convert("L")).mean() == pytest.approx(80, abs=4)


def test_the_frames_go():
    assert "frames_THWC" not in thumbnails(window([0])).column_names


def test_a_picture_is_small():
    ramp_HWC = np.linspace(0, 255, 256 * 455 * 3).astype(np.uint8).reshape(256, 455, 3)

    assert len(webp(ramp_HWC)) < 10_000


class TestStills:
    def test_every_frame_that_shows_something_else(self):
        out = stills(window(list(range(0, 8000, 1000))), window([40_000, 40_001], index=1))

        assert [[still["frame_ms"] for still in row] for row in out["stills"].to_pylist()] == [
            list(range(0, 8000, 1000)),
            [40_000, 40_001],
        ]

    def test_a_frame_that_looks_as_the_last_still_is_left_out_for_some_seconds(self):
        one = window(list(range(0, LONGEST_MS + 1000, 1000)))
        one["frames_THWC"] = np.full((len(one["frame_ms"]), HEIGHT, WIDTH, 3), 90, np.uint8).tobytes()

        assert [still["frame_ms"] for still in stills(one)["stills"][0].as_py()] == [0, LONGEST_MS]

    def test_a_small_thing_that_moves_is_another_picture(self):
        one = window([0, 1000])
        frames_THWC = np.full((2, HEIGHT, WIDTH, 3), 90, np.uint8)
        frames_THWC[1, 4:9, 4:9] = 255
        one["frames_THWC"] = frames_THWC.tobytes()

        assert len(stills(one)["stills"][0].as_py()) == 2

    @pytest.mark.parametrize(("height", "width"), [(256, 455), (455, 256), (36, 64)])
    def test_a_still_is_the_frame_as_it_was_sampled(self, height, width):
        (still,) = stills(window([0], height=height, width=width))["stills"][0].as_py()
        picture = Image.open(io.BytesIO(still["jpeg"]))

        assert (picture.format, picture.size) == ("JPEG", (width, height))

    def test_people_see_it_small(self):
        shown = Image.open(io.BytesIO(shown_small(jpeg(np.zeros((240, 480, 3), np.uint8)))))

        assert (shown.format, shown.size) == ("WEBP", (2 * SHOWN_SIDE, SHOWN_SIDE))

    def test_the_frames_stay_for_others(self):
        out = stills(window([0]), window([]))

        assert "frames_THWC" in out.column_names
        assert out["stills"].type == pa.list_(STILL)
        assert out["stills"].to_pylist()[1] == []
