"""Fingerprints out of pieces: what was committed comes back in the order of time, also of contents without anything."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.copyright.fingerprint import Fingerprint
from pipelines.copyright.sound.landmarks import Peaks
from pipelines.copyright.stored import stored_fingerprints
from pipelines.pieces import Pieces, write_piece
from tests.pipelines.copyright.drawn import WIDE, as_window, fingerprint, footage, plain_space, tune
from tests.windows import looked_at, view, window


def same(one: Fingerprint, other: Fingerprint) -> bool:
    columns = ("frame_ms", "view", "descriptors_ND", "pdq_NB", "pdq_quality")
    pictures = all(np.array_equal(getattr(one, name), getattr(other, name)) for name in columns)
    sounds = all(np.array_equal(getattr(one.peaks, name), getattr(other.peaks, name)) for name in ("time_ms", "pitch"))
    return pictures and sounds and one.duration_ms == other.duration_ms


@pytest.fixture
def commit(tmp_path):
    def made(*rows) -> Pieces:
        write_piece(tmp_path, looked_at(*rows))
        return Pieces(tmp_path)

    return made


def test_what_was_committed_comes_back(commit):
    prints = {name: fingerprint(footage(seed, 5), peaks=tune(seed, 3)) for seed, name in enumerate("abc")}
    found = stored_fingerprints(commit(*[as_window(name, print_) for name, print_ in prints.items()]), "cab")

    assert sorted(found) == ["a", "b", "c"]
    assert all(same(found[name], prints[name]) for name in prints)
    assert found["a"].descriptors_ND.dtype == np.float16


def test_only_those_asked_for_and_each_once(commit):
    pieces = commit(*[as_window(name, fingerprint(footage(1, 2))) for name in "ab"])

    assert list(stored_fingerprints(pieces, ["b", "b"])) == ["b"]
    assert stored_fingerprints(pieces, []) == {}


def test_windows_in_any_order_make_one_print_in_the_order_of_time(commit):
    """The second window was committed first."""
    late = window("a", 1, frame_ms=[30_000], embedding=[[2.0] * 4], peaks=[(30_100, 7000)])
    early = window("a", 0, last=False, frame_ms=[0, 1000], embedding=[[0.0] * 4, [1.0] * 4], peaks=[(5, 6000)])
    commit(late)
    found = stored_fingerprints(commit(early), "a")["a"]

    assert found.frame_ms.tolist() == [0, 1000, 30_000]
    assert found.descriptors_ND.tolist() == [[0] * 4, [1] * 4, [2] * 4]
    assert found.peaks.time_ms.tolist() == [5, 30_100]
    assert found.peaks.pitch.tolist() == [6000, 7000]
    assert found.duration_ms == 60_000


def test_several_views_of_a_frame_stay_together(commit):
    row = window("a") | {"views": [view(0, [1, 1, 1, 1]), view(0, [2, 2, 2, 2], 2, 7)], "frame_ms": [0]}
    found = stored_fingerprints(commit(row), "a")["a"]

    assert (found.frame_ms.tolist(), found.view.tolist()) == ([0, 0], [0, 2])
    assert found.pdq_quality.tolist() == [100, 7]


def test_a_content_without_frames_or_sound(commit):
    pieces = commit(window("silent", frame_ms=[0]), window("dark", peaks=[(1, 6000)]), window("nothing"))
    found = stored_fingerprints(pieces, ["silent", "dark", "nothing"])

    assert {name: (len(one.frame_ms), len(one.peaks)) for name, one in found.items()} == {
        "silent": (1, 0),
        "dark": (0, 1),
        "nothing": (0, 0),
    }


class TestFingerprint:
    def test_embeddings_become_descriptors_of_a_space(self):
        raw = fingerprint(3 * footage(1, 4))
        described = raw.within(plain_space())

        assert described.descriptors_ND.dtype == np.float16
        assert np.linalg.norm(described.descriptors_ND.astype(np.float32), axis=1) == pytest.approx(1, abs=2e-3)
        assert described.pdq_NB is raw.pdq_NB

    def test_also_where_there_are_none(self, commit):
        described = stored_fingerprints(commit(window("a")), "a")["a"].within(plain_space())

        assert described.descriptors_ND.shape == (0, WIDE)

    def test_columns_of_different_lengths_are_refused(self):
        none = Peaks(np.zeros(0, np.int32), np.zeros(0, np.uint16))
        with pytest.raises(ValueError, match=r"have \[1, 2\] rows"):
            Fingerprint(
                1000,
                np.zeros(2, np.int64),
                np.zeros(1, np.uint8),
                np.zeros((2, 4), np.float16),
                np.zeros((2, 32), np.uint8),
                np.zeros(2, np.uint8),
                none,
            )
