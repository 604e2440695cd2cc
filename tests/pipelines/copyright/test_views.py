"""Views: each frame as the tower saw it, and what is found inside it, each with an embedding and a hash."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from model_registry.model import ModelRef
from pipelines.copyright.picture.pdq import pdq
from pipelines.copyright.picture.views import GROUP_FRAMES, DescribeViews, View, found_in
from pipelines.rows import VIEW, lists_of_vectors
from pipelines.stage import check, run_local
from tests.fakes import FakeTower, fake_ref
from tests.pipelines.copyright.drawn import on_black, picture

TOWER: ModelRef = fake_ref(FakeTower)
DIM = FakeTower.spec.embedding_dim


def table_of(*windows) -> pa.Table:
    """Windows of frames, and as the tower's embedding of the n-th frame n, n, n, n: no pixel gives that."""
    count = sum(len(frames) for frames in windows)
    vectors_ND = np.repeat(np.arange(1, count + 1, dtype=np.float32)[:, None], DIM, axis=1)
    stacked = [np.stack(frames) if len(frames) else np.zeros((0, 0, 0, 3), np.uint8) for frames in windows]
    return pa.table(
        {
            "frame_ms": pa.array([[1000 * n for n in range(len(frames))] for frames in windows], pa.list_(pa.int64())),
            "frame_height": pa.array([frames.shape[1] or None for frames in stacked], pa.int32()),
            "frame_width": pa.array([frames.shape[2] or None for frames in stacked], pa.int32()),
            "frames_THWC": pa.array([frames.tobytes() or None for frames in stacked], pa.large_binary()),
            "embedding_TD": lists_of_vectors(vectors_ND, [len(frames) for frames in windows]),
        }
    )


def views_of(*windows, whole=False, inside=True) -> list[list[dict]]:
    stage = DescribeViews(ref=TOWER, whole=whole, inside=inside)
    return run_local([stage], table_of(*windows))["views"].to_pylist()


def numbers(views: list[dict]) -> list[tuple[int, int]]:
    return [(view["frame_ms"], view["view"]) for view in views]


PLAIN = [picture(n, 96, 128) for n in range(3)]
BORDERED = [on_black(n) for n in range(2)]


def test_a_plain_frame_has_one_view_with_the_towers_own_embedding():
    (views,) = views_of(PLAIN)

    assert numbers(views) == [(0, View.FRAME), (1000, View.FRAME), (2000, View.FRAME)]
    assert [view["embedding"] for view in views] == [[n] * DIM for n in (1, 2, 3)]
    assert [(view["pdq"], view["pdq_quality"]) for view in views] == [pdq(frame) for frame in PLAIN]


def test_a_picture_inside_has_its_own_embedding_and_hash():
    (views,) = views_of(BORDERED)
    found = [view for view in views if view["view"] == View.FOUND]
    inside = [frame[66:190] for frame in BORDERED]

    assert [view["frame_ms"] for view in found] == [0, 1000]
    assert np.array([view["embedding"] for view in found]) == pytest.approx(
        np.array(FakeTower().predict(inside)), abs=0.02
    )
    assert [view["pdq"] for view in found] == [pdq(cut)[0] for cut in inside]
    assert {view["view"] for view in views} >= {View.FRAME, View.FOUND}


def test_who_matches_nothing_need_not_look_inside():
    (every,), (views,) = views_of(BORDERED), views_of(BORDERED, inside=False)

    assert views == [view for view in every if view["view"] == View.FRAME] != every


def test_a_reference_has_the_whole_frame_stretched_too():
    (views,) = views_of(PLAIN, whole=True)
    whole = [view for view in views if view["view"] == View.WHOLE]

    assert numbers(views) == [(ms, view) for ms in (0, 1000, 2000) for view in (View.FRAME, View.WHOLE)]
    assert np.array([view["embedding"] for view in whole]) == pytest.approx(
        np.array(FakeTower().predict(PLAIN)), abs=0.02
    )
    assert [view["pdq"] for view in whole] == [pdq(frame)[0] for frame in PLAIN]


@pytest.mark.parametrize("whole", [False, True])
def test_windows_of_several_sizes_and_windows_without_frames(whole):
    windows = views_of([], PLAIN, [], BORDERED, [], whole=whole)

    assert [bool(views) for views in windows] == [False, True, False, True, False]
    assert windows[1] == views_of(PLAIN, whole=whole)[0]
    frames = [view for views in windows for view in views if view["view"] == View.FRAME]
    assert [view["embedding"] for view in frames] == [[n] * DIM for n in (1, 2, 3, 4, 5)]


def test_nothing_but_windows_without_frames():
    out = run_local([DescribeViews(ref=TOWER)], table_of([], []))

    assert out["views"].to_pylist() == [[], []]


def test_the_column_is_what_pieces_keep_and_the_embedding_goes():
    stage = DescribeViews(ref=TOWER)
    out = run_local([stage], table_of(PLAIN))
    struct = out["views"].type.value_type

    assert set(out.column_names) == check([stage], table_of(PLAIN).column_names)
    assert "embedding_TD" not in out.column_names
    assert "frames_THWC" in out.column_names
    assert [field.name for field in struct] == [field.name for field in VIEW]
    assert struct.field("embedding").type == pa.list_(pa.float16(), DIM)
    assert all(struct.field(name).type == VIEW.field(name).type for name in ("frame_ms", "view", "pdq", "pdq_quality"))


def test_neighbours_share_a_layout_and_the_next_group_has_its_own():
    frames = [on_black(n) for n in range(GROUP_FRAMES)] + [picture(n) for n in range(GROUP_FRAMES)]
    found = found_in(np.stack(frames))

    assert len(found) == 2 * GROUP_FRAMES
    assert found[0]
    assert all(boxes == found[0] for boxes in found[:GROUP_FRAMES])
    assert found[GROUP_FRAMES:] == [[]] * GROUP_FRAMES
