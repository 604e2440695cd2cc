"""Where a window's speech ends and the next one's begins: in the longest pause before the border between them.

Both windows hold the sound right before the border and choose alike from it alone, whoever works on them and when.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from model_registry.model import AnyModel, Span, read_all
from model_registry.models.speech.sound import SAMPLES_A_MS, may_hold_speech
from pipelines.rows import BEFORE_MS
from pipelines.speech.chunks import LONGEST_MS, quietest_ms
from pipelines.speech.level import levelled

Sound = NDArray[np.int16]
NOTHING: Sound = np.zeros(0, np.int16)
REACH = BEFORE_MS * SAMPLES_A_MS  # samples before a border that both windows know


@dataclass(frozen=True)
class Take:
    """One sound of one window, the end of that sound in the window before, and whether no window follows."""

    sound: Sound
    before: Sound = field(default_factory=lambda: NOTHING)
    last: bool = True


@dataclass(frozen=True)
class Part:
    """As much of one take as a model takes; its time counts from the take's start, and may be before it."""

    take: int
    start_ms: int
    sound: Sound


def parts_of(vad: AnyModel, takes: Sequence[Take]) -> list[Part]:
    """Give each take the speech that belongs to it, whole, in parts of at most 30 s."""
    ends = [NOTHING if take.last else take.sound[-REACH:] for take in takes]
    cuts = pauses(vad, [*(take.before for take in takes), *ends])
    parts: list[Part] = []
    for number, (take, end, first, last) in enumerate(zip(takes, ends, cuts, cuts[len(takes) :], strict=False)):
        lead = take.before[first:]
        own = take.sound[: len(take.sound) - len(end) + last]
        parts += _parts(vad, number, -(len(lead) // SAMPLES_A_MS), np.concatenate([lead, own]))
    return parts


def _parts(vad: AnyModel, take: int, start_ms: int, sound: Sound) -> list[Part]:
    parts: list[Part] = []
    longest = LONGEST_MS * SAMPLES_A_MS
    while len(sound) > longest:
        [pause] = pauses(vad, [sound[longest - REACH : longest]])
        cut = longest - REACH + pause
        parts.append(Part(take, start_ms, sound[:cut]))
        start_ms, sound = start_ms + cut // SAMPLES_A_MS, sound[cut:]
    return [*parts, Part(take, start_ms, sound)] if len(sound) else parts


def pauses(vad: AnyModel, regions: Sequence[Sound]) -> list[int]:
    """The sample of each region at which to cut it; its end where nobody speaks in it."""
    places = [place for place, region in enumerate(regions) if len(region) and may_hold_speech(region)]
    heard = read_all(vad, [levelled(regions[place]) for place in places])
    cuts = [len(region) for region in regions]
    for place, spans in zip(places, heard, strict=True):
        cuts[place] = min(cuts[place], _pause_ms(spans, regions[place]) * SAMPLES_A_MS)
    return cuts


def _pause_ms(spans: Sequence[Span], region: Sound) -> int:
    """The middle of the longest pause, the last of several; the very end where speech ends long before it."""
    end_ms = -(-len(region) // SAMPLES_A_MS)
    if not spans:
        return end_ms
    edges = [(0, spans[0].start_ms), *((one.end_ms, other.start_ms) for one, other in pairwise(spans))]
    inner = max((edge for edge in edges if edge[1] > 0), key=lambda edge: (edge[1] - edge[0], edge[0]), default=None)
    if end_ms - spans[-1].end_ms > (inner[1] - inner[0] if inner else 0):
        return end_ms
    return (inner[0] + inner[1]) // 2 if inner else quietest_ms(region, 0, end_ms)
