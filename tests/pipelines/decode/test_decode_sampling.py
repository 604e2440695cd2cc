"""Which frames stand for a video: the fast choice, the choice frame by frame, and the slow obvious one agree."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.decode.limits import MAX_ASPECT, Limits, Sampling
from pipelines.decode.sampling import TickFilter, frames_at_ticks, window_slices
from pipelines.rows import MediaError

starts = st.lists(st.integers(1, 5000), max_size=60).map(lambda gaps: np.cumsum([0, *gaps]).astype(np.int64))
intervals = st.sampled_from([1, 7, 40, 333, 1000, 4000])


def on_screen(starts_ms: list[int], interval_ms: int) -> list[int]:
    """Ask at every tick which frame came last; nothing is asked after the last frame has come."""
    chosen = []
    for tick_ms in range(0, starts_ms[-1] + 1, interval_ms):
        shown = max(index for index, start_ms in enumerate(starts_ms) if start_ms <= tick_ms)
        if shown not in chosen:
            chosen.append(shown)
    return chosen


def one_by_one(starts_ms: list[int], interval_ms: int) -> list[int]:
    due = TickFilter(interval_ms)
    pairs = zip(starts_ms, [*starts_ms[1:], None], strict=True)
    return [index for index, (start_ms, next_ms) in enumerate(pairs) if due.is_due(start_ms, next_ms)]


@given(starts, intervals)
def test_the_three_choices_agree(starts_ms: np.ndarray, interval_ms: int) -> None:
    fast = frames_at_ticks(starts_ms, interval_ms).tolist()
    assert fast == on_screen(starts_ms.tolist(), interval_ms)
    assert fast == one_by_one(starts_ms.tolist(), interval_ms)


def test_a_frame_that_stays_is_taken_once() -> None:
    assert frames_at_ticks(np.array([0, 40, 80, 1500, 1540, 3100, 3200, 5000]), 1000).tolist() == [0, 2, 4, 6, 7]


def test_no_frames_no_choice() -> None:
    assert frames_at_ticks(np.empty(0, np.int64), 1000).tolist() == []


@given(starts, st.sampled_from([1, 100, 30_000]))
def test_windows_hold_every_frame_once_in_order(frame_ms: np.ndarray, window_ms: int) -> None:
    slices = window_slices(frame_ms, window_ms)
    assert [at for _, first, end in slices for at in range(first, end)] == list(range(len(frame_ms)))
    for index, first, end in slices:
        assert set(frame_ms[first:end] // window_ms) == {index}
    assert [index for index, *_ in slices] == sorted({index for index, *_ in slices})


@pytest.mark.parametrize(
    ("width", "height", "size"),
    [
        (640, 360, (455, 256)),
        (360, 640, (256, 455)),
        (256, 256, (256, 256)),
        (10_000, 10, (1024, 256)),
        (1, 5000, (256, 1024)),
        (1, 1, (256, 256)),
    ],
)
def test_the_shorter_side_is_scaled_and_the_aspect_kept(width: int, height: int, size: tuple[int, int]) -> None:
    assert Sampling(frame_side=256).frame_size(width, height) == size
    assert max(size) <= MAX_ASPECT * 256


@pytest.mark.parametrize("name", ["interval_ms", "frame_side", "window_ms", "threads"])
def test_a_sampling_without_frames_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is 0, must be at least 1"):
        Sampling(**{name: 0})


def test_the_id_names_what_changes_features() -> None:
    assert Sampling().id == "frames/1000ms/256px"
    assert Sampling(keyframes_only=True, interval_ms=500).id == "keyframes/500ms/256px"
    assert Sampling(threads=4, window_ms=1000).id == Sampling().id


@pytest.mark.parametrize("size", [(0, 10), (10, 0), (-1, 10)])
def test_a_frame_without_area_is_damaged(size: tuple[int, int]) -> None:
    with pytest.raises(MediaError, match="pixels"):
        Limits().check_pixels(*size)
