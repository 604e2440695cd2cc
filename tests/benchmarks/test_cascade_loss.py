"""What a cascade loses, counted by hand; clips of one video are one witness."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.cascades.clips import distinct
from benchmarks.cascades.loss import Finding, Seen, findings, is_lost, loss
from pipelines.risk.policy import Keyframes

RULE = Keyframes(unsure_from=0.5, longest_gap_ms=4000)


def look(*frames: tuple[int, float, float], duration_ms: int = 8000) -> Seen:
    """Each frame with its time and the scores of two labels."""
    table = np.array(frames, np.float32)
    return Seen(table[:, 0].astype(np.int64), table[:, 1:], duration_ms)


def test_a_finding_is_a_label_that_some_frame_shows():
    dense = {"a": look((0, 0.1, 0.6), (1000, 0.4, 0.7)), "b": look((0, 0.1, 0.1))}
    assert findings(dense, 0.5) == [Finding("a", 1, 2)]


@pytest.mark.parametrize(
    ("keyframes", "lost"),
    [
        (look((0, 0.0, 0.24), (4000, 0.9, 0.1)), True),  # another label's doubt is not its own
        (look((0, 0.0, 0.25), (4000, 0.0, 0.1)), False),
        (look((0, 0.0, 0.0), (3000, 0.0, 0.0)), False),  # a gap of 5 s
    ],
)
def test_it_is_lost_where_keyframes_leave_no_doubt_of_it(keyframes, lost):
    assert is_lost(Finding("a", 1, 1), {"a": keyframes}, 0.5, RULE) is lost


def test_the_interval_counts_videos_and_not_their_clips():
    low, high = look((0, 0.0, 0.0), (4000, 0.0, 0.0)), look((0, 0.0, 0.9), (4000, 0.0, 0.0))
    keyframes = {str(n): low if n < 10 else high for n in range(20)}
    found = [Finding(str(n), 1, 1) for n in range(20)]

    apart = loss(found, keyframes, 0.5, RULE, {str(n): str(n) for n in range(20)})
    of_two = loss(found, keyframes, 0.5, RULE, {str(n): str(n // 10) for n in range(20)})

    assert (apart.lost, apart.findings, apart.share) == (10, 20, 0.5)
    assert 0.2 < apart.low < 0.5 < apart.high < 0.8
    assert (of_two.low, of_two.high) == (0.0, 1.0)
    assert str(of_two) == "10 of 20 (50%, 0% to 100%)"


def test_of_nothing_found_nothing_is_known():
    none = loss([], {}, 0.5, RULE, {})
    assert (none.share, none.low, none.high) == (0.0, 0.0, 1.0)


def test_what_is_cut_from_another_video_is_left_out(tmp_path: Path):
    rows = "path,kind\na/one.mp4,video\na/two.mp4,clip\n"
    (tmp_path / "manifest.csv").write_text(rows)
    videos = [tmp_path / "a" / name for name in ("one.mp4", "two.mp4", "unknown.mp4")]
    assert [path.stem for path in distinct(videos)] == ["one", "unknown"]
