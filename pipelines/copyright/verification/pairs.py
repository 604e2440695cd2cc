"""Which frames of an upload are held against which of a reference: a few along the aligned line, spread in time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.copyright.claims import Match
from pipelines.copyright.verification.stills import Stills

MOST_PAIRS = 5  # a span


@dataclass(frozen=True)
class Moment:
    """One still of the upload and the still of the reference that the line puts there."""

    upload: int
    reference: int
    off_ms: float  # how far the two are apart on the line


def chosen(upload: Stills, reference: Stills, match: Match, most: int = MOST_PAIRS) -> list[Moment]:
    """Return at most `most` moments in the order of time: the closest pair of each part of the span."""
    inside = np.flatnonzero((upload.frame_ms >= match.start_ms - 1) & (upload.frame_ms <= match.end_ms + 1))
    if not len(inside):
        inside = np.array([upload.at((match.start_ms + match.end_ms) / 2)])
    moments = [_moment(upload, reference, match, int(number)) for number in inside]
    parts = np.array_split(np.arange(len(moments)), min(most, len(moments)))
    return [min((moments[at] for at in part), key=lambda moment: moment.off_ms) for part in parts]


def _moment(upload: Stills, reference: Stills, match: Match, number: int) -> Moment:
    goal = match.place(int(upload.frame_ms[number]))
    there = reference.at(goal)
    return Moment(number, there, abs(float(reference.frame_ms[there]) - goal))
