"""The night as one list: with one pool or two, with parts left out, every kind of piece is there."""

import pyarrow as pa
import pytest

from model_registry.bundles import bundle_named, pin
from pipelines.contents import Hash
from pipelines.decode.limits import Limits, Sampling
from pipelines.nightly import Machines, nightly_stages
from pipelines.pieces import KINDS, Pieces
from pipelines.stage import run_local
from tests.footage import Tone, write_film
from tests.mixed import write_sound


@pytest.fixture
def contents(tmp_path):
    film = write_film(tmp_path / "film.mp4", seconds=1.0, fps=5, size=(320, 180), tone=Tone(1.0))
    sound = tmp_path / "sound.m4a"
    write_sound(sound, "m4a")
    manifest = pa.table({"video_id": ["film", "sound"], "uri": [str(film), str(sound)]})
    return run_local([Hash(limits=Limits())], manifest).select(["content_sha256", "uri", "bytes"])


def looked_at(bundle, contents, folder, machines=None, *, copies=True):
    stages = nightly_stages(bundle, Sampling(), Limits(), machines or Machines(), str(folder), copies=copies)
    run_local(stages, contents)
    pieces = Pieces(folder)
    rows = {kind: pieces.rows(kind, pieces.contents).num_rows for kind in KINDS}
    return pieces, rows


def codes(pieces, contents):
    return [pieces.contents[sha256].error_code for sha256 in contents["content_sha256"].to_pylist()]


def test_ears_in_a_pool_of_their_own_hear_the_same(lite, contents, tmp_path):
    one, rows = looked_at(lite, contents, tmp_path / "one")
    two, again = looked_at(lite, contents, tmp_path / "two", Machines(speech_actors=1))
    assert rows == again
    assert rows["views"]
    assert codes(one, contents) == codes(two, contents) == [None, None]


@pytest.mark.parametrize("gone", [("speech",), ("ocr",), ("speech", "ocr", "text")])
def test_what_is_left_out_leaves_no_lines_and_harms_nothing_else(lite, contents, tmp_path, gone):
    bundle = pin(bundle_named("lite").without(*gone))
    pieces, rows = looked_at(bundle, contents, tmp_path / "out")
    assert rows["views"]
    assert rows["peaks"]
    assert rows["said"] == rows["shown"] == rows["voices"] == 0
    heard = None if "speech" not in gone else "no_video"
    assert codes(pieces, contents) == [None, heard]


def test_without_copies_only_what_matching_needs_is_left_out(lite, contents, tmp_path):
    every, rows = looked_at(lite, contents, tmp_path / "every")
    some, fewer = looked_at(lite, contents, tmp_path / "some", copies=False)
    assert rows["peaks"]
    assert {kind for kind in rows if rows[kind] != fewer[kind]} - {"views"} == {"peaks"}
    assert fewer["peaks"] == 0
    assert fewer["views"]
    assert codes(every, contents) == codes(some, contents) == [None, None]
