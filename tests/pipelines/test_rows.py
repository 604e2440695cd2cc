"""Rows: frames and vectors survive their way through Arrow without a copy and without a shift."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.rows import (
    MANIFEST,
    SIGNAL,
    SIGNALS,
    ErrorCode,
    MediaError,
    lists_of_vectors,
    vectors_of,
    windows_of_frames,
)


def windows(*frames_THWC: np.ndarray | None) -> pa.Table:
    """As decode writes them; None is a window without frames."""
    shapes = [(0, None, None) if f is None else f.shape[:3] for f in frames_THWC]
    return pa.table(
        {
            "frame_ms": pa.array([list(range(count)) for count, _, _ in shapes], pa.list_(pa.int64())),
            "frame_height": pa.array([height for _, height, _ in shapes], pa.int32()),
            "frame_width": pa.array([width for _, _, width in shapes], pa.int32()),
            "frames_THWC": pa.array([None if f is None else f.tobytes() for f in frames_THWC], pa.large_binary()),
        }
    )


def pixels(count: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, height, width, 3), np.uint8)


class TestFrames:
    def test_they_come_back_as_they_were(self):
        first, third = pixels(2, 4, 6), pixels(1, 5, 3)
        back = windows_of_frames(windows(first, None, third))

        assert np.array_equal(back[0], first)
        assert back[1].shape == (0, 0, 0, 3)
        assert np.array_equal(back[2], third)

    def test_of_a_slice_and_of_several_chunks(self):
        frames = [pixels(n, 2, 2) for n in (1, 2, 3, 4)]
        table = pa.concat_tables([windows(*frames[:2]), windows(*frames[2:])]).slice(1, 2)

        assert all(np.array_equal(*pair) for pair in zip(windows_of_frames(table), frames[1:3], strict=True))

    def test_they_are_a_view_and_cannot_be_written(self):
        table = windows(None, pixels(1, 2, 2))
        view = windows_of_frames(table)[1]

        assert view.ctypes.data == table["frames_THWC"].chunk(0).buffers()[2].address
        assert not view.flags.writeable

    def test_pixels_that_do_not_fill_the_frames_are_a_fault(self):
        table = windows(pixels(1, 2, 2))
        wider = table.set_column(2, "frame_width", pa.array([3], pa.int32()))

        with pytest.raises(ValueError, match="reshape"):
            windows_of_frames(wider)

    def test_no_windows(self):
        assert windows_of_frames(windows(pixels(1, 2, 2)).slice(0, 0)) == []


class TestVectors:
    @settings(deadline=None)
    @given(st.lists(st.integers(0, 4), max_size=6), st.integers(1, 5))
    def test_cut_into_windows_and_back(self, counts, dim):
        vectors_ND = np.arange(sum(counts) * dim, dtype=np.float32).reshape(-1, dim)
        lists = lists_of_vectors(vectors_ND, counts)

        assert [len(row) for row in lists.to_pylist()] == counts
        assert lists.type == pa.list_(pa.list_(pa.float32(), dim))
        assert np.array_equal(vectors_of(lists), vectors_ND)

    def test_by_hand(self):
        lists = lists_of_vectors(np.array([[1, 2], [3, 4], [5, 6]], np.float32), [1, 0, 2])

        assert lists.to_pylist() == [[[1, 2]], [], [[3, 4], [5, 6]]]

    def test_of_a_slice_and_of_several_chunks(self):
        lists = lists_of_vectors(np.arange(8, dtype=np.float32).reshape(4, 2), [1, 2, 1])
        column = pa.chunked_array([lists, lists]).slice(1, 3)

        assert vectors_of(column).tolist() == [[2, 3], [4, 5], [6, 7], [0, 1]]

    def test_no_frames_at_all_keep_their_width(self):
        assert vectors_of(lists_of_vectors(np.empty((0, 3), np.float32), [0, 0])).shape == (0, 3)

    def test_a_transposed_array_is_not_taken_the_wrong_way(self):
        turned = np.array([[1, 2], [3, 4]], np.float32).T

        assert lists_of_vectors(turned, [2]).to_pylist() == [[[1, 3], [2, 4]]]


def test_a_manifest_must_have_two_columns():
    assert [field.name for field in MANIFEST if not field.nullable] == ["video_id", "uri"]


def test_signals_are_stored_with_whose_they_are():
    assert SIGNALS.names == ["content_sha256", *(field.name for field in SIGNAL)]


def test_an_error_carries_its_code():
    error = MediaError(ErrorCode.TIMEOUT, "it took too long")

    assert (error.code, str(error)) == ("timeout", "it took too long")


def test_error_codes_are_distinct_words():
    assert all(code.value.replace("_", "").isalpha() and code.value.islower() for code in ErrorCode)
