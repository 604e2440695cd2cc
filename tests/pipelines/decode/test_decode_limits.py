"""A file may claim what it likes: it is held to the limits before, and again while, it is decoded."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.decode.limits import Limits, Sampling
from pipelines.rows import ErrorCode
from tests.footage import Tone, box_at, corners, write_film, write_sound
from tests.watching import SMALL, watch

HOUR_MS = 3_600_000


def stretched(film: bytes, factor: float) -> bytes:
    """Patch how long each picture stays (`stts`), which is what FFmpeg believes of an MP4, and the edit list."""
    data = bytearray(film)
    at = box_at(film, "moov/trak/edts/elst")[0] + 8
    struct.pack_into(">I", data, at, round(struct.unpack_from(">I", film, at)[0] * factor))
    begin, _ = box_at(film, "moov/trak/mdia/minf/stbl/stts")
    for at in range(begin + 12, begin + 8 + 8 * struct.unpack_from(">I", film, begin + 4)[0], 8):
        struct.pack_into(">I", data, at, round(struct.unpack_from(">I", film, at)[0] * factor))
    return bytes(data)


def with_claim(film: bytes, seconds: float) -> bytes:
    """Patch the duration of a Matroska segment (element 4489, a float of 8 bytes) and drop the word of its track."""
    at = film.index(b"\x44\x89\x88") + 3
    return (film[:at] + struct.pack(">d", seconds * 1000) + film[at + 8 :]).replace(b"DURATION", b"DURATI0N")


def test_ninety_hours_in_the_index(tmp_path: Path, decoder: str) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(stretched(write_film(tmp_path / "b.mp4").read_bytes(), 90 * 3600 / 3))
    seen = watch(path)
    assert seen.code == ErrorCode.TOO_LONG
    assert len(seen.frame_ms) <= 1


def test_a_header_that_lies_about_ninety_hours(tmp_path: Path, decoder: str) -> None:
    path = tmp_path / "a.mkv"
    path.write_bytes(with_claim(write_film(tmp_path / "b.mkv").read_bytes(), 90 * 3600))
    seen = watch(path)
    assert (seen.code, seen.windows) == (ErrorCode.TOO_LONG, ())
    assert str(seen.error) == "the video lasts 90.0 h, allowed are 6.0 h"


def test_a_header_that_lies_about_five_hours_is_not_believed(tmp_path: Path, decoder: str) -> None:
    path = tmp_path / "a.mkv"
    path.write_bytes(with_claim(write_film(tmp_path / "b.mkv").read_bytes(), 5 * 3600))
    seen = watch(path)
    assert seen.frame_ms == [0, 1000, 2000]
    assert seen.code == ErrorCode.TRUNCATED
    assert str(seen.error) == "pictures end at 3.0 s of 18000.0 s"


def test_a_header_that_claims_too_little(tmp_path: Path, decoder: str) -> None:
    path = tmp_path / "a.mkv"
    path.write_bytes(with_claim(write_film(tmp_path / "b.mkv", seconds=6).read_bytes(), 1))
    assert watch(path).frame_ms == [0, 1000, 2000, 3000, 4000, 5000]
    assert watch(path).error is None
    seen = watch(path, SMALL, Limits(max_duration_ms=3000))
    assert seen.code == ErrorCode.TOO_LONG


def test_sound_longer_than_allowed(tmp_path: Path) -> None:
    limits = Limits(max_duration_ms=40_000)
    assert watch(write_film(tmp_path / "a.mp4", tone=Tone(45.0)), SMALL, limits).code == ErrorCode.TOO_LONG
    film = with_claim(write_film(tmp_path / "a.mkv", tone=Tone(45.0)).read_bytes(), 1)
    (tmp_path / "b.mkv").write_bytes(film)
    seen = watch(tmp_path / "b.mkv", Sampling(window_ms=10_000, frame_side=64), limits)
    assert seen.code == ErrorCode.TOO_LONG
    assert len(seen.windows) <= 4
    sound = write_sound(tmp_path / "a.aac", Tone(45.0))
    assert watch(sound, Sampling(window_ms=10_000), limits).code == ErrorCode.TOO_LONG


@pytest.mark.parametrize(("suffix", "last_ms"), [("mkv", 10 * HOUR_MS), ("mkv", 10**12), ("mp4", 10 * HOUR_MS)])
def test_a_timestamp_far_out_makes_no_million_windows(tmp_path: Path, decoder: str, suffix: str, last_ms: int) -> None:
    path = write_film(tmp_path / f"a.{suffix}", times_ms=[0, 1000, 2000, last_ms])
    seen = watch(path)
    assert seen.code == ErrorCode.TOO_LONG
    assert len(seen.windows) <= 1


def test_a_gap_within_the_limits_is_a_film_of_empty_windows(tmp_path: Path, decoder: str) -> None:
    path = write_film(tmp_path / "a.mkv", times_ms=[0, 1000, 2 * HOUR_MS])
    seen = watch(path, Sampling(frame_side=64, window_ms=600_000))
    assert (len(seen.windows), seen.error) == (13, None)


# Pixels.


def _png(width: int, height: int) -> bytes:
    """A PNG whose header claims a size that its data does not have."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [header, b"IDAT" + zlib.compress(bytes(1000)), b"IEND"]
    sealed = [struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(sealed)


@pytest.mark.parametrize(
    ("size", "code"),
    [((16_000, 16_000), ErrorCode.TOO_MANY_PIXELS), ((0, 100), ErrorCode.DAMAGED), ((2**31 - 1, 1), "any")],
)
def test_the_header_of_a_picture(tmp_path: Path, size: tuple[int, int], code: str) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(_png(*size))
    assert watch(path).code in {code, *([ErrorCode.TOO_MANY_PIXELS, ErrorCode.DAMAGED] if code == "any" else [])}


@pytest.mark.parametrize("size", [(16_000, 16_000), (65_535, 65_535), (0, 0)])
def test_the_header_of_a_film(tmp_path: Path, size: tuple[int, int]) -> None:
    data = bytearray(write_film(tmp_path / "b.gif", codec="gif", seconds=1).read_bytes())
    struct.pack_into("<HH", data, 6, *size)
    path = tmp_path / "a.gif"
    path.write_bytes(data)
    seen = watch(path)
    assert seen.frame_ms == []
    assert seen.code in ({ErrorCode.TOO_MANY_PIXELS} if size == (16_000, 16_000) else {"too_many_pixels", "damaged"})


def _vp8_claims(film: bytes, frame: int, width: int, height: int) -> bytes:
    """Patch the size in one keyframe of VP8 in IVF: 14 bits each behind the start code (RFC 6386, 9.1)."""
    data, at = bytearray(film), 32
    for _ in range(frame):
        at += 12 + struct.unpack_from("<I", film, at)[0]
    assert film[at + 15 : at + 18] == b"\x9d\x01\x2a", "not a keyframe"
    struct.pack_into("<HH", data, at + 18, width, height)
    return bytes(data)


@pytest.mark.parametrize("frame", [0, 40])
def test_a_film_that_grows_beyond_measure(tmp_path: Path, frame: int) -> None:
    film = write_film(tmp_path / "b.ivf", codec="libvpx", gop=20, seconds=6).read_bytes()
    path = tmp_path / "a.ivf"
    path.write_bytes(_vp8_claims(film, frame, 16_383, 16_383))
    seen = watch(path)
    assert seen.code == ErrorCode.DAMAGED
    assert seen.frame_ms == ([0, 1000, 2000, 3000] if frame else [2000, 3000, 4000, 5000])


def test_a_stream_that_grows_over_the_limit_is_not_decoded_from_there(tmp_path: Path) -> None:
    small = write_film(tmp_path / "one.ts", size=(96, 64)).read_bytes()
    large = write_film(tmp_path / "two.ts", times_ms=range(3000, 6000, 100), size=(192, 128)).read_bytes()
    path = tmp_path / "a.ts"
    path.write_bytes(small + large)
    assert watch(path).error is None
    seen = watch(path, SMALL, Limits(max_pixels=160 * 128))
    assert (seen.frame_ms, seen.code) == ([0, 1000, 2000], ErrorCode.DAMAGED)


def test_where_the_size_changes_on_the_way_each_frame_keeps_its_shape(tmp_path: Path) -> None:
    landscape = write_film(tmp_path / "one.ts", size=(128, 64)).read_bytes()
    portrait = write_film(tmp_path / "two.ts", times_ms=range(3000, 6000, 100), size=(64, 128)).read_bytes()
    path = tmp_path / "a.ts"
    path.write_bytes(landscape + portrait)
    seen = watch(path)
    assert seen.frame_ms == [0, 1000, 2000, 3000, 4000, 5000]
    assert seen.frames_THWC.shape == (6, 128, 128, 3)
    for number, picture in enumerate(seen.frames_THWC):
        left, top = (0, 32) if number < 3 else (32, 0)
        assert np.abs(picture[top + 8, left + 8].astype(int) - corners(0, 8, 8)[0, 0]).max() < 30


@pytest.mark.parametrize("size", [(8000, 5001), (5001, 8000)])
def test_the_area_counts_and_not_the_side(tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("1", size).save(tmp_path / "a.png")
    assert watch(tmp_path / "a.png", SMALL, Limits(max_pixels=8_000_000)).code == ErrorCode.TOO_MANY_PIXELS
    assert watch(tmp_path / "a.png", SMALL, Limits(max_pixels=8_002_000)).error is None
