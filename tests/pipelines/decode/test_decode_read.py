"""The ordinary case, by every engine: the right frames, at their true times, upright, in whole windows."""

from __future__ import annotations

import os
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.decode.limits import Sampling
from pipelines.rows import ErrorCode
from tests.footage import Tone, corners, noise, shade, write_film
from tests.watching import ENGINES, SMALL, only, watch

RED, BLUE = (220, 20, 20), (20, 20, 220)
VARIABLE = [0, 40, 80, 1500, 1540, 3100, 3200, 5000]


def indices_of(frames_THWC: NDArray[np.uint8]) -> list[int]:
    """Read off the grey at the right edge which frames these are."""
    greys = frames_THWC[:, 8:-8, -16:-8].mean(axis=(1, 2, 3))
    return [min(range(8), key=lambda index: abs(shade(index) - grey)) for grey in greys]


def assert_color(pixel: NDArray[np.uint8], color: tuple[int, int, int]) -> None:
    assert np.abs(pixel.astype(int) - color).max() < 30, f"{pixel} is not {color}"


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "mov"])
@pytest.mark.parametrize("bframes", [0, 2])
def test_a_variable_frame_rate_is_sampled_by_its_timestamps(
    tmp_path: Path, decoder: str, suffix: str, bframes: int
) -> None:
    path = write_film(tmp_path / f"a.{suffix}", times_ms=VARIABLE, bframes=bframes)
    seen = watch(path)
    assert seen.error is None
    assert seen.end is not None
    assert seen.end.decoder == decoder
    assert seen.frame_ms == [0, 80, 1540, 3200, 5000]
    assert indices_of(seen.frames_THWC) == [0, 2, 4, 6, 7]


@pytest.mark.parametrize("fps", [10, 24, 30, 60])
def test_a_constant_frame_rate(tmp_path: Path, decoder: str, fps: int) -> None:
    seen = watch(write_film(tmp_path / "a.mp4", seconds=2.5, fps=fps), Sampling(interval_ms=500, frame_side=64))
    assert seen.frame_ms == [0, 500, 1000, 1500, 2000]


def test_the_frame_before_the_tick_is_taken_where_no_frame_falls_on_it(tmp_path: Path, decoder: str) -> None:
    times_ms = [round(index * 1001 / 30) for index in range(75)]  # 29.97 frames a second
    seen = watch(write_film(tmp_path / "a.mp4", times_ms=times_ms))
    assert seen.frame_ms == [0, 968, 1969]


@pytest.mark.parametrize(
    ("suffix", "codec", "takes"),
    [
        ("mp4", "libx264", "sparse"),
        ("mp4", "libx265", "sparse"),
        ("webm", "libvpx", "sparse"),
        ("webm", "libvpx-vp9", "sparse"),
        ("avi", "mpeg4", "sparse"),
        ("avi", "msmpeg4", "decord"),
    ],
)
def test_all_engines_see_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, codec: str, takes: str
) -> None:
    path = write_film(tmp_path / f"a.{suffix}", codec=codec, draw=noise, fps=25, bframes=2 * (codec == "libx264"))
    seen = []
    for engine in ENGINES[ENGINES.index(takes) :]:
        only(engine, monkeypatch)
        seen.append((engine, watch(path, Sampling(interval_ms=400, frame_side=96))))
    by_pyav = seen[-1][1]
    for engine, found in seen:
        assert (found.end.decoder, found.end.duration_ms) == (engine, by_pyav.end.duration_ms)
        assert found.frame_ms == by_pyav.frame_ms
        furthest = np.abs(found.frames_THWC.astype(int) - by_pyav.frames_THWC)
        assert furthest.mean() < 1.5 if engine == "decord" else furthest.max() == 0


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_pictures_that_begin_after_the_sound_keep_their_times(tmp_path: Path, decoder: str, suffix: str) -> None:
    path = write_film(tmp_path / f"a.{suffix}", times_ms=range(2000, 5000, 100), tone=Tone(5.0))
    seen = watch(path)
    assert seen.error is None
    assert seen.frame_ms == pytest.approx([2000, 3000, 4000], abs=25)  # AAC begins 21 ms before it starts
    assert seen.end is not None
    assert seen.end.duration_ms == pytest.approx(5000, abs=50)


@pytest.mark.parametrize("suffix", ["mkv", "ts"])
def test_a_clock_that_does_not_begin_at_zero(tmp_path: Path, decoder: str, suffix: str) -> None:
    path = write_film(tmp_path / f"a.{suffix}", times_ms=range(500_000, 503_000, 100))
    seen = watch(path)
    assert seen.frame_ms == [0, 1000, 2000]
    assert seen.error is None


def test_av1_goes_to_pyav(tmp_path: Path) -> None:
    scheduling = os.sched_getscheduler(0)
    seen = watch(write_film(tmp_path / "a.mp4", codec="libsvtav1"))
    assert os.sched_getscheduler(0) == scheduling
    assert seen.end is not None
    assert (seen.end.decoder, seen.error, seen.frame_ms) == ("pyav", None, [0, 1000, 2000])


def test_a_still_film_stays_with_its_engine_and_is_complete(tmp_path: Path, decoder: str) -> None:
    still = write_film(tmp_path / "a.mp4", draw=lambda _, width, height: corners(0, width, height))
    seen = watch(still)
    assert seen.end is not None
    assert (seen.end.decoder, seen.error, seen.frame_ms) == (decoder, None, [0, 1000, 2000])


# Keyframes only.


def test_keyframes_only_shows_only_keyframes(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.mp4", seconds=6, gop=20, tone=Tone(6.0))
    with av.open(str(path)) as container:
        keys_ms = [
            round(packet.pts * packet.time_base * 1000) for packet in container.demux(video=0) if packet.is_keyframe
        ]
    seen = watch(path, Sampling(interval_ms=100, frame_side=64, keyframes_only=True))
    assert seen.frame_ms == keys_ms == [0, 2000, 4000]
    assert seen.error is None
    assert seen.end is not None
    assert seen.end.duration_ms == pytest.approx(6000, abs=50)
    assert len(watch(path, Sampling(interval_ms=100, frame_side=64)).frame_ms) == 60


def test_keyframes_only_keeps_to_the_interval(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.mp4", seconds=4, gop=5)
    assert watch(path, Sampling(frame_side=64, keyframes_only=True)).frame_ms == [0, 1000, 2000, 3000]


# Upright.

CORNERS = {  # counter-clockwise turn: what stands top left and bottom left, top right and bottom right
    0: (RED, BLUE, None, None),
    90: (None, RED, None, BLUE),
    180: (None, None, BLUE, RED),
    270: (BLUE, None, RED, None),
}


@pytest.mark.parametrize("turn", CORNERS)
def test_turned_films_are_shown_upright(tmp_path: Path, decoder: str, turn: int) -> None:
    seen = watch(write_film(tmp_path / "a.mp4", turn=turn, size=(128, 64)))
    assert seen.end is not None
    assert seen.end.decoder == decoder
    height, width = seen.frames_THWC.shape[1:3]
    assert (width, height) == ((64, 128) if turn % 180 else (128, 64))
    picture = seen.frames_THWC[0]
    for color, (y, x) in zip(CORNERS[turn], [(8, 8), (-8, 8), (8, -8), (-8, -8)], strict=True):
        if color:
            assert_color(picture[y, x], color)


def test_both_decoders_turn_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_film(tmp_path / "a.mp4", turn=90, draw=noise)
    turned = watch(path)
    only("pyav", monkeypatch)
    assert np.abs(turned.frames_THWC.astype(int) - watch(path).frames_THWC).mean() < 1.5


@pytest.mark.parametrize(("mirror", "top_left", "top_right"), [((True, False), None, RED), ((False, True), BLUE, None)])
def test_mirrored_films_are_shown_as_meant(
    tmp_path: Path,
    decoder: str,
    mirror: tuple[bool, bool],
    top_left: tuple[int, int, int] | None,
    top_right: tuple[int, int, int],
) -> None:
    seen = watch(write_film(tmp_path / "a.mp4", mirror=mirror))
    assert seen.end is not None
    assert seen.end.decoder == ("sparse" if decoder == "sparse" else "pyav")  # decord knows no mirrors
    for color, x in ((top_left, 8), (top_right, -8)):
        if color:
            assert_color(seen.frames_THWC[0][8, x], color)


def test_a_crooked_turn_is_shown_as_coded(tmp_path: Path) -> None:
    seen = watch(write_film(tmp_path / "a.mp4", turn=30))
    assert seen.error is None
    assert_color(seen.frames_THWC[0][8, 8], RED)


@pytest.mark.parametrize(
    ("size", "shape"),
    [
        ((128, 64), (64, 128)),
        ((64, 128), (128, 64)),
        ((640, 64), (64, 256)),
        ((64, 640), (256, 64)),
        ((32, 16), (64, 128)),
    ],
)
def test_the_shorter_side_is_what_was_asked(
    tmp_path: Path, decoder: str, size: tuple[int, int], shape: tuple[int, int]
) -> None:
    seen = watch(write_film(tmp_path / "a.mp4", size=size, seconds=1))
    assert seen.frames_THWC.shape[1:3] == shape
    assert_color(seen.frames_THWC[0][8, 8], RED)


# Windows.


@pytest.mark.parametrize(("seconds", "counts"), [(29, [29]), (30, [30]), (31, [30, 1]), (65, [30, 30, 5])])
def test_windows(tmp_path: Path, decoder: str, seconds: int, counts: list[int]) -> None:
    seen = watch(write_film(tmp_path / "a.mp4", seconds=seconds, fps=2))
    assert [len(window.frame_ms) for window in seen.windows] == counts
    assert [window.index for window in seen.windows] == list(range(len(counts)))
    assert [window.start_ms for window in seen.windows] == [30_000 * index for index in range(len(counts))]
    assert seen.frame_ms == list(range(0, seconds * 1000, 1000))
    assert all(window.audio_16k is None for window in seen.windows)
    assert seen.end is not None
    assert seen.end.duration_ms == seconds * 1000


def test_a_frame_of_a_later_window_leaves_no_gap_in_the_windows(tmp_path: Path, decoder: str) -> None:
    seen = watch(write_film(tmp_path / "a.mp4", times_ms=[0, 100, 95_000, 95_100]))
    assert [window.index for window in seen.windows] == [0, 1, 2, 3]
    assert [window.frame_ms for window in seen.windows] == [(0, 100), (), (), (95_000,)]
    assert seen.error is None


def test_a_window_may_be_shorter(film: Path) -> None:
    seen = watch(film, Sampling(window_ms=1000, interval_ms=500, frame_side=64))
    assert [window.frame_ms for window in seen.windows[:3]] == [(0, 500), (1000, 1500), (2000, 2500)]
    sounds = [0 if window.audio_16k is None else len(window.audio_16k) for window in seen.windows]
    assert sounds[:3] == [16_000] * 3
    assert sum(sounds[3:]) < 1000  # AAC fills up its last packet


# What is in the container.


def test_a_second_track_of_pictures_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as out:
        streams = [out.add_stream("libx264", rate=10) for _ in range(2)]
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for index in range(30):
            for at, stream in enumerate(streams):
                picture = corners(index, 96, 64) if at == 0 else noise(index, 96, 64)
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                out.mux(stream.encode(frame))
        for stream in streams:
            out.mux(stream.encode(None))
    seen = watch(path)
    assert seen.frame_ms == [0, 1000, 2000]
    assert_color(seen.frames_THWC[0][8, 8], RED)
    assert seen.code == ErrorCode.UNSUPPORTED
    assert str(seen.error) == "only the first of 2 picture tracks was looked at"


def test_reading_again_gives_the_same(film: Path) -> None:
    one, two = watch(film), watch(film)
    assert np.array_equal(one.frames_THWC, two.frames_THWC)
    assert np.array_equal(one.sound, two.sound)


def test_a_gif(tmp_path: Path) -> None:
    seen = watch(write_film(tmp_path / "a.gif", codec="gif"))
    assert (seen.frame_ms, seen.error) == ([0, 1000, 2000], None)
    assert indices_of(seen.frames_THWC[:1]) == [0]


def test_threads_change_nothing(film: Path, decoder: str) -> None:
    threaded = watch(film, Sampling(frame_side=64, threads=2))
    assert np.array_equal(threaded.frames_THWC, watch(film, SMALL).frames_THWC)
