"""Which packets are decoded: worked by hand, and held to what a whole decode gives."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.decode import sparse_reader
from pipelines.decode.limits import Sampling
from pipelines.decode.packets import plan_keyframes, plan_packets
from tests.footage import noise, write_film
from tests.watching import only, watch


def plan(starts_ms: list[int], keys: list[int], interval_ms: int = 1000) -> tuple[list[int], list[int]]:
    is_key = np.isin(np.arange(len(starts_ms)), keys)
    found = plan_packets(np.array(starts_ms), is_key, interval_ms)
    return found.wanted.tolist(), np.flatnonzero(found.needed).tolist()


def test_a_frame_needs_all_from_its_keyframe_on_and_nothing_behind_it():
    starts_ms = [0, 400, 800, 1200, 1600, 2000, 2400]
    assert plan(starts_ms, keys=[0, 4]) == ([0, 2, 5], [0, 1, 2, 4, 5])


def test_a_keyframe_alone_where_it_is_on_screen_at_the_tick():
    assert plan([0, 500, 1000, 1500], keys=[0, 2]) == ([0, 2], [0, 2])


def test_packets_are_counted_as_they_are_decoded():
    """I P B B: the third shown is the last decoded."""
    assert plan([0, 1500, 500, 1000], keys=[0]) == ([0, 3], [0, 1, 2, 3])


def test_a_picture_before_its_keyframe_needs_the_group_before():
    """The second keyframe, of 2100 ms, is followed by pictures shown before it: an open group."""
    assert plan([0, 900, 2100, 1800, 2000, 2900], keys=[0, 2]) == ([0, 1, 4], [0, 1, 2, 3, 4])


def test_keyframes_alone_need_themselves_alone():
    starts_ms, is_key = np.array([0, 500, 1000, 1500, 2000, 2500]), np.array([1, 0, 1, 0, 1, 0], np.bool_)
    found = plan_keyframes(starts_ms, is_key, 2000)
    assert (found.wanted.tolist(), np.flatnonzero(found.needed).tolist()) == ([0, 4], [0, 4])


def test_without_a_keyframe_everything_before_is_needed():
    assert plan([0, 500, 1000], keys=[]) == ([0, 2], [0, 1, 2])


@given(
    gaps_ms=st.lists(st.integers(1, 900), min_size=1, max_size=60),
    keys=st.sets(st.integers(0, 59)),
    interval_ms=st.integers(1, 3000),
)
def test_every_wanted_frame_can_be_decoded(gaps_ms: list[int], keys: set[int], interval_ms: int):
    starts_ms = np.cumsum([0, *gaps_ms])
    is_key = np.isin(np.arange(len(starts_ms)), list(keys))
    found = plan_packets(starts_ms, is_key, interval_ms)
    for packet in found.wanted.tolist():
        first = max((key for key in keys if key <= packet), default=0)
        assert found.needed[first : packet + 1].all()


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libvpx"])
@pytest.mark.parametrize("interval_ms", [200, 700, 1000, 2300])
@pytest.mark.parametrize("threads", [1, 2])
def test_the_frames_are_those_of_a_whole_decode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: str, interval_ms: int, threads: int
):
    suffix = "webm" if codec == "libvpx" else "mp4"
    path = write_film(tmp_path / f"a.{suffix}", codec=codec, draw=noise, seconds=5, fps=10, bframes=3, gop=13)
    sampling = Sampling(interval_ms=interval_ms, frame_side=64, threads=threads)
    sparse = watch(path, sampling)
    only("pyav", monkeypatch)
    whole = watch(path, sampling)
    assert (sparse.end.decoder, whole.end.decoder) == ("sparse", "pyav")
    assert sparse.frame_ms == whole.frame_ms
    assert np.array_equal(sparse.frames_THWC, whole.frames_THWC)


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libvpx"])  # FFmpeg's VP9 skips no frame
@pytest.mark.parametrize("interval_ms", [500, 2500])
def test_keyframes_are_those_of_a_decode_of_all_keyframes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: str, interval_ms: int
):
    suffix = "webm" if codec.startswith("libvpx") else "mp4"
    path = write_film(tmp_path / f"a.{suffix}", codec=codec, draw=noise, seconds=6, fps=10, gop=7)
    sampling = Sampling(interval_ms=interval_ms, frame_side=64, keyframes_only=True)
    sparse = watch(path, sampling)
    only("pyav", monkeypatch)
    every = watch(path, sampling)
    assert (sparse.end.decoder, every.end.decoder) == ("sparse", "pyav")
    assert sparse.frame_ms == every.frame_ms
    assert np.array_equal(sparse.frames_THWC, every.frames_THWC)


def test_less_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = write_film(tmp_path / "a.mp4", draw=noise, seconds=5, fps=10, bframes=2, gop=13)
    shown: list[av.VideoFrame] = []
    decoded = sparse_reader.SparseReader._decoded

    def counted(*args):
        for frame in decoded(*args):
            shown.append(frame)
            yield frame

    monkeypatch.setattr(sparse_reader.SparseReader, "_decoded", counted)
    assert watch(path, Sampling(interval_ms=2500, frame_side=64)).frame_ms == [0, 2500]
    assert 2 <= len(shown) < 15  # of 50; some of the pictures between are referred to


def test_damage_under_a_sampled_frame_goes_to_the_whole_decode(tmp_path: Path):
    path = write_film(tmp_path / "a.mp4", draw=noise, seconds=5, fps=10, gop=10, flags="faststart")
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = bytes(3000)
    path.write_bytes(data)
    seen = watch(path, Sampling(interval_ms=100, frame_side=64))
    assert (seen.end.decoder, seen.code) == ("pyav", "damaged")
