"""Clip vectors: one of the whole, one a shot; what shows nothing has none."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.clusters.windows import Vectors, clip_of
from tests.pipelines.copyright.drawn import WIDE, fingerprint, footage


def shots(*lengths):
    """Shots of so many seconds, each of one picture that no other is like."""
    return np.concatenate(
        [np.repeat(np.eye(WIDE, dtype=np.float32)[[n]], length, axis=0) for n, length in enumerate(lengths)]
    )


def test_a_window_is_a_shot():
    clip = clip_of(fingerprint(shots(5, 8, 7)))

    assert list(zip(clip.start_ms, clip.end_ms, strict=True)) == [
        (0, 20_000),
        (0, 5000),
        (5000, 13_000),
        (13_000, 20_000),
    ]
    assert np.allclose(clip.vectors_WD[1:] @ shots(1, 1, 1).T, np.eye(3), atol=1e-3)
    assert clip.vectors_WD[0] @ clip.vectors_WD[2] == pytest.approx(8 / np.sqrt(25 + 64 + 49), abs=1e-3)


def test_a_long_shot_has_a_window_every_half_minute():
    clip = clip_of(fingerprint(shots(70)))

    assert list(zip(clip.start_ms, clip.end_ms, strict=True))[1:] == [(0, 30_000), (30_000, 60_000), (60_000, 70_000)]


def test_quick_cuts_share_windows():
    assert len(clip_of(fingerprint(footage(0, 20)))) == 1 + 7  # three seconds each at least


@pytest.mark.parametrize("print_", [fingerprint(np.zeros((0, WIDE), np.float32)), fingerprint(footage(0), quality=5)])
def test_what_shows_nothing_has_no_vectors(print_):
    assert len(clip_of(print_)) == 0


def test_vectors_lie_in_the_order_of_contents():
    clips = {
        "b": clip_of(fingerprint(shots(5, 5))),
        "c": clip_of(fingerprint(footage(0), quality=0)),
        "a": clip_of(fingerprint(shots(4))),
    }
    vectors = Vectors.of(clips, WIDE)

    assert vectors.contents == ("a", "b", "c")
    assert vectors.owner.tolist() == [0, 0, 1, 1, 1]
    assert vectors.whole.tolist() == [True, False, True, False, False]
