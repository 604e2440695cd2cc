"""One model over one column: a vector for each frame of each window, whatever the windows look like."""

import numpy as np
import pyarrow as pa
import pytest

from model_registry.errors import NightjarError
from pipelines.predict import Predict
from pipelines.rows import lists_of_vectors, vectors_of, windows_of_frames
from pipelines.stage import Together, check, run_local
from tests.fakes import FailingHead, FakeFrameHead, FakeHead, FakeTower, MiscountingHead, NanHead, fake_ref

TOWER, HEAD = fake_ref(FakeTower), fake_ref(FakeHead)
COLUMNS = ("frames_THWC", "frame_ms", "frame_height", "frame_width")
EMBED = Predict.of(TOWER, "frames_THWC", "embedding_TD")


def window(*frames):
    """One row: frames of one size and their times; none is a window of sound alone."""
    height, width = frames[0].shape[:2] if frames else (None, None)
    return {
        "frames_THWC": np.stack(frames).tobytes() if frames else None,
        "frame_ms": [1000 * index for index in range(len(frames))],
        "frame_height": height,
        "frame_width": width,
    }


def table_of(*windows):
    types = pa.large_binary(), pa.list_(pa.int64()), pa.int32(), pa.int32()
    return pa.Table.from_pylist(list(windows), pa.schema(list(zip(COLUMNS, types, strict=True))))


def noise(seed, height, width):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


FRAMES = [noise(seed, 4 + seed, 6) for seed in range(4)]
MIXED = table_of(
    window(FRAMES[0], FRAMES[0] // 2),
    window(),
    window(FRAMES[1]),
    window(),
    window(*[FRAMES[2]] * 7),
    window(FRAMES[3]),
    window(),
)
COUNTS = [2, 0, 1, 0, 7, 1, 0]


def test_a_stage_names_what_it_reads_and_is_called_like_its_model():
    assert EMBED.reads == ("frames_THWC", "frame_ms", "frame_height", "frame_width")
    assert EMBED.writes == ("embedding_TD",)
    score = Predict.of(HEAD, "embedding_TD", "scores/fake_head")
    assert score.reads == ("embedding_TD", "frame_ms")
    assert (EMBED.name, score.name) == ("fake_tower", "fake_head")
    assert check([EMBED, score], COLUMNS) == {*COLUMNS, "embedding_TD", "scores/fake_head"}


def test_each_frame_of_each_window_gets_its_vector():
    found = run_local([EMBED], MIXED)
    assert [len(vectors) for vectors in found["embedding_TD"]] == COUNTS
    assert found["embedding_TD"].type == pa.list_(pa.list_(pa.float32(), 4))
    frames = [frame for window in windows_of_frames(MIXED) for frame in window]
    np.testing.assert_array_equal(vectors_of(found["embedding_TD"]), np.stack(FakeTower().predict(frames)))
    assert found.select(COLUMNS).equals(MIXED)


def test_windows_give_the_same_alone():
    together = run_local([EMBED], MIXED)["embedding_TD"].to_pylist()
    alone = [run_local([EMBED], MIXED.slice(row, 1))["embedding_TD"].to_pylist()[0] for row in range(MIXED.num_rows)]
    assert alone == together


def test_a_slice_and_several_chunks_are_read_as_they_are():
    """Blocks of Ray are slices; a concatenated table has chunks."""
    middle = MIXED.slice(1, 4)
    found = run_local([EMBED, Predict.of(HEAD, "embedding_TD", "scores")], middle)
    assert [len(vectors) for vectors in found["scores"]] == COUNTS[1:5]
    chunked = pa.concat_tables([MIXED.slice(0, 3), MIXED.slice(3)])
    assert chunked["frame_ms"].num_chunks == 2
    assert (
        run_local([EMBED], chunked)["embedding_TD"].to_pylist() == run_local([EMBED], MIXED)["embedding_TD"].to_pylist()
    )


def test_a_head_reads_the_embedding_and_leaves_it():
    found = run_local([EMBED, Predict.of(HEAD, "embedding_TD", "scores")], MIXED)
    embeddings_ND, scores_NL = vectors_of(found["embedding_TD"]), vectors_of(found["scores"])
    np.testing.assert_array_equal(scores_NL, embeddings_ND[:, :2])
    assert [len(vectors) for vectors in found["scores"]] == COUNTS


def test_a_sliced_embedding_column_is_scored_as_its_rows():
    found = run_local([EMBED], MIXED).slice(2, 3)
    scored = run_local([Predict.of(HEAD, "embedding_TD", "scores")], found)
    assert [len(vectors) for vectors in scored["scores"]] == COUNTS[2:5]
    np.testing.assert_array_equal(vectors_of(scored["scores"])[0], FakeTower().predict([FRAMES[1]])[0][:2])


def test_a_frame_model_beside_the_tower_scores_frames():
    found = run_local([Predict.of(fake_ref(FakeFrameHead), "frames_THWC", "scores")], MIXED)
    np.testing.assert_allclose(vectors_of(found["scores"]).sum(axis=1), 1.0, rtol=1e-6)


@pytest.mark.parametrize("table", [table_of(), table_of(window(), window())], ids=["no rows", "no frames"])
def test_nothing_to_look_at_gives_empty_columns_of_the_right_type(table):
    found = run_local([EMBED, Predict.of(HEAD, "embedding_TD", "scores")], table)
    assert found.num_rows == table.num_rows
    assert [len(vectors) for vectors in found["scores"]] == [0] * table.num_rows
    assert found["scores"].type == pa.list_(pa.list_(pa.float32(), 2))


@pytest.mark.parametrize(
    ("fake", "error", "sentence"),
    [
        (MiscountingHead, NightjarError, "model miscounting_head returned 4 results for 5 items"),
        (NanHead, NightjarError, "model nan_head returned a value that is not a finite number"),
        (FailingHead, RuntimeError, "the fake fails"),
    ],
)
def test_a_model_that_breaks_its_promise_stops_the_pipeline(fake, error, sentence):
    with pytest.raises(error, match=f"^{sentence}$"):
        run_local([EMBED, Predict.of(fake_ref(fake), "embedding_TD", "scores")], MIXED)


def test_lists_of_vectors_and_back():
    vectors_ND = np.arange(12, dtype=np.float32).reshape(4, 3)
    column = lists_of_vectors(vectors_ND, [1, 0, 3])
    assert column.to_pylist() == [[[0, 1, 2]], [], [[3, 4, 5], [6, 7, 8], [9, 10, 11]]]
    np.testing.assert_array_equal(vectors_of(column), vectors_ND)
    np.testing.assert_array_equal(vectors_of(column.slice(2)), vectors_ND[1:])


def test_frames_are_viewed_and_not_copied():
    [view] = windows_of_frames(table_of(window(FRAMES[0])))
    assert not view.flags.writeable
    assert not view.flags.owndata
    np.testing.assert_array_equal(view[0], FRAMES[0])


def test_an_actor_on_ray_gives_what_this_process_gives(ray_cluster):
    """Windows of several sizes and of none, in two blocks, through a tower and its heads."""
    import ray

    from pipelines.stage import run

    score = Predict.of(HEAD, "embedding_TD", "scores")
    group = Together.of(EMBED, score, source=(*COLUMNS, "row"), actors=1, cpus=0.5, gpus=0.0)
    table = MIXED.append_column("row", pa.array(range(MIXED.num_rows)))
    blocks = [table.slice(0, 3).combine_chunks(), table.slice(3).combine_chunks()]
    batches = run([group], ray.data.from_arrow(blocks)).iter_batches(batch_size=None, batch_format="pyarrow")
    found = pa.concat_tables(list(batches)).sort_by("row")
    wanted = run_local([group], table)
    for column in ("row", "embedding_TD", "scores"):
        assert found[column].to_pylist() == wanted[column].to_pylist()
