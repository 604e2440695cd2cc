"""Real videos, where a folder of them is at hand: all engines agree with each other and with the manifest."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.decode.limits import Sampling
from pipelines.rows import ErrorCode
from tests.media import RealMedia, real_files
from tests.watching import only, watch

SAMPLING = Sampling(interval_ms=500, frame_side=64)
VIDEOS = [media for media in real_files("video") if media.path.stat().st_size < 1_600_000]
CLIPS = real_files("clip", "game_clip", "photo_clip")[::12]
PICTURES, SOUNDS = real_files("image")[::4], real_files("audio")
NONE = pytest.param(None, marks=pytest.mark.skip(reason="no folder of real media; see tests/media.py"))


@pytest.mark.parametrize("media", [*VIDEOS, *CLIPS] or [NONE], ids=str)
def test_a_real_video(media: RealMedia, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = watch(media.path, SAMPLING)
    assert seen.error is None
    assert seen.end is not None
    assert seen.end.duration_ms == pytest.approx(media.duration_ms, abs=120)
    assert (len(seen.sound) > 0) == media.has_audio
    assert np.diff(seen.frame_ms).min(initial=10**6) > 0
    assert len(seen.frame_ms) >= media.duration_ms // 500 - 1
    height, width = seen.frames_THWC.shape[1:3]
    assert min(height, width) == 64
    by_sparse = seen.end.decoder == "sparse"
    for engine in ("decord", "pyav"):
        only(engine, monkeypatch)
        other = watch(media.path, SAMPLING)
        assert other.error is None
        assert other.frame_ms == seen.frame_ms
        furthest = np.abs(other.frames_THWC.astype(int) - seen.frames_THWC)
        assert furthest.max() == 0 if by_sparse and other.end.decoder == "pyav" else furthest.mean() < 1.5


@pytest.mark.parametrize("media", PICTURES or [NONE], ids=str)
def test_a_real_picture(media: RealMedia) -> None:
    seen = watch(media.path, SAMPLING)
    assert seen.error is None
    height, width = seen.frames_THWC.shape[1:3]
    sides = sorted((media.width, media.height))  # the manifest does not turn them upright
    assert max(width, height) / min(width, height) == pytest.approx(sides[1] / sides[0], rel=0.05)


@pytest.mark.parametrize("media", SOUNDS or [NONE], ids=str)
def test_real_sound(media: RealMedia) -> None:
    seen = watch(media.path, SAMPLING)
    assert seen.code == ErrorCode.NO_VIDEO
    assert len(seen.sound) == pytest.approx(media.duration_ms * 16, rel=0.01)
    assert seen.sound.std() > 100
