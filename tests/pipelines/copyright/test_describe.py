"""Describing references: a drawn film through the real decoder and tower, and nothing of it done twice."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from model_registry.errors import UsageError
from pipelines.contents import Hash
from pipelines.copyright.describe import KEPT, copy_stages, describe
from pipelines.copyright.picture.space import Space
from pipelines.copyright.picture.views import View
from pipelines.decode.limits import Limits, Sampling
from pipelines.nightly import SOURCE, Machines
from pipelines.stage import check, run_local
from tests.footage import Tone, write_film, write_sound
from tests.pipelines.copyright.drawn import on_black, picture

pytestmark = pytest.mark.usefixtures("ray_cluster")
SECONDS, EVERY_MS = 5, 500
DEEP = 16


def bordered(index, width, height):
    """A picture between black bars that changes each second."""
    return on_black(index // 10, height, width)


def plain(index, width, height):
    return picture(index // 10, height, width)


@pytest.fixture(scope="module")
def contents(tmp_path_factory):
    """A bordered film with sound, a plain and silent one, sound alone, and a file that is no film."""
    folder = tmp_path_factory.mktemp("films")
    tone = Tone(SECONDS, hertz=700)
    files = [
        write_film(folder / "bordered.mp4", seconds=SECONDS, size=(256, 256), draw=bordered, tone=tone),
        write_film(folder / "plain.mp4", seconds=SECONDS, size=(320, 240), draw=plain),
        write_sound(folder / "sound.m4a", tone),
        folder / "broken.mp4",
    ]
    files[-1].write_bytes(b"no film at all")
    manifest = pa.table({"video_id": [path.stem for path in files], "uri": [str(path) for path in files]})
    return run_local([Hash(limits=Limits())], manifest)


@pytest.fixture(scope="module")
def space(lite):
    wide = lite.tower.spec.embedding_dim
    projection_ED = np.random.default_rng(0).normal(size=(wide, DEEP)).astype(np.float32)
    return Space(lite.tower.source, np.zeros(wide, np.float32), projection_ED, np.zeros((0, DEEP), np.float32))


def described_in(folder, contents, lite, space):
    """What was found by name, and the receipts of the windows that were done."""
    receipts = []
    sampling = Sampling(interval_ms=EVERY_MS, frame_side=lite.frame_side)
    pairs = contents.select(SOURCE)
    rows = describe(pairs, lite, space, sampling, Limits(), Machines(), folder, receipts.append)
    names = dict(zip(contents["content_sha256"].to_pylist(), contents["video_id"].to_pylist(), strict=True))
    return {names[sha256]: rest for sha256, *rest in rows}, sum(table.num_rows for table in receipts)


@pytest.fixture(scope="module")
def staging(tmp_path_factory):
    return tmp_path_factory.mktemp("staging")


@pytest.fixture(scope="module")
def described(staging, contents, lite, space):
    found, receipts = described_in(staging, contents, lite, space)
    assert receipts == 4
    return found


def times_of(print_, view):
    return print_.frame_ms[print_.view == view].tolist()


def test_each_file_has_its_print_or_its_reason(described):
    codes = {name: code for name, (_, code, _) in described.items()}

    assert codes.keys() == {"bordered", "plain", "sound", "broken"}
    assert (codes["bordered"], codes["plain"]) == (None, None)
    assert codes["broken"] == "unsupported_format"
    assert described["broken"][2]


@pytest.mark.parametrize("name", ["bordered", "plain"])
def test_every_sampled_frame_has_a_view_as_it_is_and_one_stretched(described, name):
    print_, _, _ = described[name]
    frames = times_of(print_, View.FRAME)

    assert frames == times_of(print_, View.WHOLE)
    assert frames == pytest.approx(list(range(0, 1000 * SECONDS, EVERY_MS)), abs=100)
    assert print_.duration_ms == pytest.approx(1000 * SECONDS, abs=150)
    assert (np.diff(print_.frame_ms) >= 0).all()


def test_the_picture_between_the_bars_is_a_view_of_its_own(described):
    bordered_print, plain_print = described["bordered"][0], described["plain"][0]

    assert len(times_of(bordered_print, View.FOUND)) >= 8
    assert times_of(plain_print, View.FOUND) == []


def test_descriptors_are_of_the_space(described):
    for name in ("bordered", "plain"):
        vectors_ND = described[name][0].descriptors_ND.astype(np.float32)
        assert vectors_ND.shape[1] == DEEP
        assert np.linalg.norm(vectors_ND, axis=1) == pytest.approx(1, abs=5e-3)
    assert described["sound"][0].descriptors_ND.shape == (0, DEEP)


def test_sound_has_peaks_and_silence_none(described):
    heard = described["bordered"][0].peaks

    assert len(heard)
    assert heard.time_ms.max() <= 1000 * SECONDS + 100
    assert abs(np.median(heard.pitch) - (6900 + 1200 * np.log2(700 / 440))) < 30
    assert len(described["plain"][0].peaks) == 0
    assert len(described["sound"][0].peaks)


def test_the_stills_are_pictures_of_the_frames_in_order(described):
    """The film changes each second and is looked at twice in it: of equal frames the first is kept."""
    stills = described["bordered"][0].stills
    times = stills.frame_ms.tolist()
    pictures = [Image.open(io.BytesIO(jpeg)) for jpeg in stills.pictures]

    assert times == sorted(times)
    assert set(times) <= set(times_of(described["bordered"][0], View.FRAME))
    assert len(times) == SECONDS
    assert {(one.format, one.size) for one in pictures} == {("JPEG", (256, 256))}
    assert np.asarray(pictures[0].convert("L"))[0].mean() < 20, "the black bar is on top"
    assert len(described["sound"][0].stills) == 0


def test_a_second_time_reads_what_is_there(described, staging, contents, lite, space):
    again, receipts = described_in(staging, contents, lite, space)

    assert receipts == 0
    assert again.keys() == described.keys()
    for name, (print_, *ended) in again.items():
        assert ended == described[name][1:]
        assert np.array_equal(print_.descriptors_ND, described[name][0].descriptors_ND)
        assert print_.stills.pictures == described[name][0].stills.pictures


def test_a_space_of_another_tower_is_refused_before_anything_is_decoded(tmp_path, contents, lite, space):
    with pytest.raises(UsageError, match="come from another@1"):
        described_in(tmp_path / "none", contents, lite, replace(space, tower="another@1"))
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("whole", [True, False])
def test_the_stages_give_what_is_kept_and_nothing_heavy(lite, tmp_path, whole):
    stages = copy_stages(lite, Sampling(frame_side=lite.frame_side), Limits(), Machines(), tmp_path, whole=whole)
    *before, commit = stages
    columns = check(before, SOURCE)

    assert set(KEPT) <= columns
    assert not {"frames_THWC", "audio_16k", "embedding_TD"} & columns
    assert set(commit.reads) <= columns
