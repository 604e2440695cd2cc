"""What a look at keyframes settles: which contents score surely low under a policy, and which need a dense look.

A cascade in the manner of Viola and Jones (CVPR 2001, section 4): the cheap pass may only say no. Whatever it does not
turn down goes on, so nothing is flagged on a keyframe's word alone; what it costs is recall, between the keyframes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from pipelines.copyright.picture.views import View
from pipelines.pieces import Pieces
from pipelines.places import each, read_table
from pipelines.risk.policy import Policy, Suggestion
from pipelines.risk.segments import DIGITS
from pipelines.risk.signals import Signal
from pipelines.rows import SIGNAL

AT_ONCE = 500  # contents whose rows are held together
MOVING = "video"  # other media have nothing between keyframes
SIGNAL_NAMES = [field.name for field in SIGNAL]


class Doubt(StrEnum):
    """Why a content needs a dense look."""

    FAILED = "failed"  # it was not wholly looked at
    SCORE = "score"  # a keyframe scores too high to be let go
    GAP = "long_gap"  # too much of it lies between two keyframes, or it has none


@dataclass(frozen=True)
class Screened:
    """What the keyframes of one content came to; without a doubt it is settled."""

    doubt: Doubt | None
    keyframes: int
    longest_gap_ms: int  # during which nobody looked


def screen(pieces: Pieces, contents: Collection[str], policy: Policy) -> dict[str, Screened]:
    """Judge the keyframes of contents that are all in `pieces`."""
    ordered = sorted(contents, key=lambda sha256: (pieces.contents[sha256].pieces, sha256))  # each piece is read once
    found: dict[str, Screened] = {}
    for start in range(0, len(ordered), AT_ONCE):
        found |= _screen_some(pieces, ordered[start : start + AT_ONCE], policy)
    return found


def _screen_some(pieces: Pieces, contents: list[str], policy: Policy) -> dict[str, Screened]:
    signals, times, moving = _signals(pieces, contents), _frame_times(pieces, contents), _moving(pieces, contents)
    found = {}
    for sha256 in contents:
        content, times_ms = pieces.contents[sha256], times[sha256]
        gap_ms = longest_gap_ms(times_ms, content.duration_ms) if sha256 in moving else 0
        why = doubt(times_ms, gap_ms, signals[sha256], policy) if sha256 in moving else None
        found[sha256] = Screened(Doubt.FAILED if content.error_code else why, len(times_ms), gap_ms)
    return found


def _signals(pieces: Pieces, contents: Iterable[str]) -> dict[str, list[Signal]]:
    signals: dict[str, list[Signal]] = {sha256: [] for sha256 in contents}
    for row in pieces.rows("signals", signals).to_pylist():
        signals[row["content_sha256"]].append(Signal(**{name: row[name] for name in SIGNAL_NAMES}))
    return signals


def _frame_times(pieces: Pieces, contents: Iterable[str]) -> dict[str, list[int]]:
    """When frames were looked at, by content: each has one view that is the whole frame."""
    times: dict[str, list[int]] = {sha256: [] for sha256 in contents}
    views = pieces.rows("views", times).select(["content_sha256", "frame_ms", "view"])
    for sha256, frame_ms, view in zip(*(column.to_pylist() for column in views.columns), strict=True):
        if view == View.FRAME:
            times[sha256].append(frame_ms)
    return {sha256: sorted(own) for sha256, own in times.items()}


def _moving(pieces: Pieces, contents: Iterable[str]) -> set[str]:
    """Those that are videos, which only their last windows say."""
    lasts = {sha256: pieces.contents[sha256].pieces[-1] for sha256 in contents}
    paths = [pieces.folder / f"windows-{piece}.parquet" for piece in sorted(set(lasts.values()))]
    tables = each(lambda path: read_table(path, columns=["content_sha256", "media"]), paths)
    media = {
        (path.stem.removeprefix("windows-"), sha256): kind
        for path, table in zip(paths, tables, strict=True)
        for sha256, kind in zip(*(column.to_pylist() for column in table.columns), strict=True)
        if kind
    }
    return {sha256 for sha256, piece in lasts.items() if media.get((piece, sha256), MOVING) == MOVING}


def longest_gap_ms(times_ms: Sequence[int], duration_ms: int) -> int:
    """Return the longest stretch in which nobody looked, from the start, a look to the next, or the last to the end."""
    edges = [0, *times_ms, max(duration_ms, *times_ms, 0)]
    return max(later - earlier for earlier, later in pairwise(edges))


def doubt(times_ms: Sequence[int], gap_ms: int, signals: Iterable[Signal], policy: Policy) -> Doubt | None:
    """Return why keyframes looked at at these times do not settle a video, None where they do."""
    if any(leaves_doubt(signal, policy) for signal in signals):
        return Doubt.SCORE
    unseen = not times_ms or gap_ms > policy.keyframes.longest_gap_ms
    return Doubt.GAP if unseen else None


def leaves_doubt(signal: Signal, policy: Policy) -> bool:
    """Tell whether a rule might come to a suggestion if there were a little more of what this frame shows.

    One frame counts as it is: neither smoothed nor held to a duration, of which keyframes know nothing.
    """
    rule = policy.rule_for(signal)
    if rule is None or rule.action is Suggestion.PASS:
        return False
    return round(signal.score, DIGITS) >= policy.keyframes.unsure_from * rule.abstain[0]
