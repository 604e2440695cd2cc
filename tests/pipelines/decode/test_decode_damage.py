"""A damaged file gives what can be seen and says what is missing. It is never complete in silence."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pyarrow as pa
import pytest

import pipelines.decode.pyav_reader
from pipelines.decode.child import DecodeChild
from pipelines.decode.limits import Limits, Sampling
from pipelines.decode.read import MISSING_SHARE
from pipelines.decode.worker import Request
from pipelines.rows import ErrorCode
from tests.footage import Tone, box_at, corners, noise, write_film
from tests.watching import LIMITS, SMALL, Seen, watch

INCOMPLETE = {ErrorCode.TRUNCATED, ErrorCode.DAMAGED}
WHOLE_MS = 8000
TOLERATED_MS = MISSING_SHARE * WHOLE_MS


def variant(source: Path, change: Callable[[bytearray], object], into: Path) -> Path:
    data = bytearray(source.read_bytes())
    change(data)
    path = into / f"damaged{source.suffix}"
    path.write_bytes(data)
    return path


def assert_not_silent(seen: Seen) -> None:
    """Without an error the last second that was seen lies near the end."""
    if seen.error is None:
        assert seen.frame_ms[-1] + 1000 >= WHOLE_MS - TOLERATED_MS
    else:
        assert seen.code in INCOMPLETE


FORMATS = {
    "mp4": ("libx264", "faststart"),
    "fragmented.mp4": ("libx264", "frag_keyframe+empty_moov"),
    "hevc.mp4": ("libx265", "faststart"),
    "mpeg4.mp4": ("mpeg4", "faststart"),
    "av1.mp4": ("libsvtav1", "faststart"),
    "vp9.webm": ("libvpx-vp9", ""),
    "vp8.webm": ("libvpx", ""),
    "mkv": ("libx264", ""),
    "avi": ("mpeg4", ""),
    "flv": ("libx264", ""),
}


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """One film of eight seconds in each format, made when it is first asked for."""
    folder = tmp_path_factory.mktemp("noisy")

    def film(name: str) -> Path:
        path, (codec, flags) = folder / f"a.{name}", FORMATS[name]
        return path if path.exists() else write_film(path, seconds=8, draw=noise, codec=codec, flags=flags)

    return film


@pytest.mark.parametrize("name", FORMATS)
def test_a_film_cut_at_any_tenth(tmp_path: Path, noisy: Callable[[str], Path], name: str) -> None:
    source = noisy(name)
    counts = []
    for tenth in range(1, 10):
        size = source.stat().st_size * tenth // 10
        seen = watch(variant(source, lambda data, size=size: data.__delitem__(slice(size, None)), tmp_path))
        assert_not_silent(seen)
        counts.append(len(seen.frame_ms))
    assert counts == sorted(counts)
    assert 1 <= counts[2] < 8
    assert counts[-1] >= 7


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "fragmented.mp4"])
def test_a_film_that_was_never_filled_up(tmp_path: Path, noisy: Callable[[str], Path], name: str) -> None:
    """A download that reserved its space and broke off: zeros to the end."""
    source = noisy(name)
    for tenth in (3, 6):
        size = source.stat().st_size * tenth // 10
        seen = watch(variant(source, lambda data, size=size: _blank(data, size, len(data)), tmp_path))
        assert seen.code in INCOMPLETE
        assert 1 <= len(seen.frame_ms) < 8


def _blank(data: bytearray, begin: int, end: int) -> None:
    data[begin:end] = bytes(end - begin)


def test_a_fragmented_film_with_a_hole_does_not_end_in_peace_at_the_hole(
    tmp_path: Path, noisy: Callable[[str], Path]
) -> None:
    source = noisy("fragmented.mp4")
    size = source.stat().st_size
    seen = watch(variant(source, lambda data: _blank(data, size // 4, size // 3), tmp_path))
    assert seen.code == ErrorCode.DAMAGED
    assert "could not be read" in str(seen.error)


def test_an_index_at_the_end_that_was_cut_off(tmp_path: Path) -> None:
    source = write_film(tmp_path / "a.mp4")
    seen = watch(variant(source, lambda data: data.__delitem__(slice(len(data) // 2, None)), tmp_path))
    assert (seen.code, seen.windows) == (ErrorCode.DAMAGED, ())
    assert str(seen.error).startswith("the mov container cannot be opened: ")


def test_a_start_that_cannot_be_decoded_is_missed(tmp_path: Path, noisy_mp4: Path) -> None:
    begin, end = box_at(noisy_mp4.read_bytes(), "mdat")
    seen = watch(variant(noisy_mp4, lambda data: _blank(data, begin, (begin + end) // 2), tmp_path))
    assert seen.frame_ms[0] >= 3000
    assert seen.code == ErrorCode.DAMAGED


def test_one_bad_packet_of_sound_costs_that_packet_only(tmp_path: Path) -> None:
    source = write_film(tmp_path / "a.mp4", seconds=6, tone=Tone(6.0))
    with av.open(str(source)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(audio=0) if packet.size]
    at, size = packets[len(packets) // 2]
    seen = watch(variant(source, lambda data: _fill(data, at, size), tmp_path))
    assert seen.code == ErrorCode.DAMAGED
    assert "sound" in str(seen.error)
    assert len(seen.sound) > 5.8 * 16_000


def _fill(data: bytearray, at: int, size: int) -> None:
    data[at : at + size] = b"\xff" * size


def test_pictures_that_do_not_decode_leave_the_sound_and_a_reason(tmp_path: Path) -> None:
    source = write_film(tmp_path / "a.mp4", seconds=3)
    begin, end = box_at(source.read_bytes(), "mdat")
    seen = watch(variant(source, lambda data: _blank(data, begin, end), tmp_path))
    assert (seen.code, seen.frame_ms) == (ErrorCode.DAMAGED, [])
    assert str(seen.error) == "no frame of the h264 video could be decoded"


def test_a_frozen_picture_over_damage_is_found_out(tmp_path: Path, noisy_mp4: Path) -> None:
    """decord repeats the last good frame without an error: seeds 0 and 28 froze all eight ticks."""
    for seed in (0, 28):
        random = np.random.default_rng(seed + 100)
        seen = watch(variant(noisy_mp4, lambda data, random=random: _flip(data, random, 300, 4000), tmp_path))
        assert seen.code == ErrorCode.DAMAGED
        assert seen.end is not None
        assert seen.end.decoder == "pyav"


def _flip(data: bytearray, random: np.random.Generator, count: int, begin: int = 0) -> None:
    for at in random.integers(begin, len(data), count):
        data[at] ^= 1 << int(random.integers(8))


def test_two_recordings_in_one_file_are_both_seen(tmp_path: Path) -> None:
    one = write_film(tmp_path / "one.ts", seconds=4).read_bytes()
    two = write_film(tmp_path / "two.ts", seconds=4, draw=lambda _, *size: corners(7, *size)).read_bytes()
    path = tmp_path / "a.ts"
    path.write_bytes(one + two)
    seen = watch(path)
    assert len(seen.frame_ms) == 8
    assert seen.frame_ms == sorted(seen.frame_ms)
    assert seen.code == ErrorCode.DAMAGED
    assert str(seen.error) == "the clock of the video jumps back, 1 times"
    greys = seen.frames_THWC[:, 8:24, -16:-8].mean(axis=(1, 2, 3))
    assert np.ptp(greys[4:]) < 3 < np.ptp(greys[:4])


@pytest.mark.parametrize("name", ["mp4", "vp9.webm", "mkv", "avi", "flv"])
def test_flipped_bits_in_the_index(tmp_path: Path, noisy: Callable[[str], Path], name: str) -> None:
    """The head of a file, where lengths and counts stand: whatever they say, it ends in rows and a reason."""
    source = noisy(name)
    for seed in range(25):
        random = np.random.default_rng(seed)
        path = variant(source, lambda data, random=random: _flip_head(data, random), tmp_path)
        seen = watch(path, replace(SMALL, window_ms=2000), replace(LIMITS, max_duration_ms=600_000))
        assert seen.error or seen.frame_ms
        assert str(tmp_path) not in str(seen.error)


def _flip_head(data: bytearray, random: np.random.Generator) -> None:
    for at in random.integers(12, 3000, 3):
        data[at] ^= 1 << int(random.integers(8))


# Through the child, as in the night.


@pytest.fixture(scope="module")
def child() -> Iterator[DecodeChild]:
    child = DecodeChild(Limits(stall_seconds=30))
    yield child
    child.close()


def rows(child: DecodeChild, path: Path, sampling: Sampling = SMALL) -> list[dict[str, object]]:
    batches = list(child.windows(Request("0" * 64, str(path), path.stat().st_size, sampling, child.limits)))
    return pa.Table.from_batches(batches).to_pylist()


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("name", ["mp4", "vp9.webm"])
def test_flipped_bits_anywhere(
    tmp_path: Path, noisy: Callable[[str], Path], child: DecodeChild, name: str, seed: int
) -> None:
    random = np.random.default_rng(seed)
    path = variant(noisy(name), lambda data: _flip(data, random, (1, 10, 100, 1000)[seed % 4]), tmp_path)
    found = rows(child, path, replace(SMALL, window_ms=4000))
    assert [row["last"] for row in found] == [False] * (len(found) - 1) + [True]
    assert [row["window_index"] for row in found] == list(range(len(found)))
    for row in found:
        assert (
            len(row["frames_THWC"] or b"")
            == len(row["frame_ms"]) * (row["frame_height"] or 0) * (row["frame_width"] or 0) * 3
        )


def test_a_file_that_grew_after_it_was_hashed(tmp_path: Path, film: Path, child: DecodeChild) -> None:
    path = tmp_path / "film.mp4"
    shutil.copy(film, path)
    request = Request("0" * 64, str(path), path.stat().st_size - 1, SMALL, child.limits)
    (row,) = pa.Table.from_batches(child.windows(request)).to_pylist()
    size = path.stat().st_size
    assert (row["error_code"], row["last"], row["frame_ms"]) == ("changed", True, [])
    assert row["error_message"] == f"the file has {size:,} bytes, it was hashed with {size - 1:,}"


def test_a_file_that_vanished_after_it_was_hashed(tmp_path: Path, child: DecodeChild) -> None:
    request = Request("0" * 64, str(tmp_path / "gone.mp4"), 100, SMALL, child.limits)
    (row,) = pa.Table.from_batches(child.windows(request)).to_pylist()
    assert (row["error_code"], row["last"]) == ("not_found", True)


def test_what_a_decoder_raises_besides_is_a_row_and_the_child_lives(
    film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this process: `rows` is what the child runs."""
    from pipelines.decode import worker

    def explode(*_: object) -> None:
        raise TypeError("as libraries do")

    for engine in ("SparseReader", "PyAVReader"):
        monkeypatch.setattr(pipelines.decode.read, engine, explode)
    request = Request("0" * 64, str(film), film.stat().st_size, SMALL, LIMITS)
    (row,) = list(worker.rows(request))
    assert (row["error_code"], row["error_message"]) == ("decoder_crashed", "the decoder failed with TypeError")
    assert row["last"]
