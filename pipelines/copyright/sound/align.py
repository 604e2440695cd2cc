"""From a guess where two sounds agree to the stretches they share: fit a line, weigh every peak, cut where it stops."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.copyright.sound.landmarks import Peaks

CATCH_MS, CATCH_CENTS = 150, 40  # how far beside a guessed line the peaks may lie that then move it
LEANS = np.linspace(-0.01, 0.01, 9)  # what may be wrong with a guessed speed: half a step of the grid and some more
STRIP_MS = 40  # the best line is the one whose strip this wide holds the most pairs

MEET_MS, MEET_CENTS = 22, 25  # how near a peak must lie to be the copy of another
AROUND_MS = 3000  # chance is what this much of the reference on both sides gives
FEW = 0.25  # peaks that might have lain around, where none did
COPIED = 0.35  # of a copy's peaks, as many still meet their original under an equally loud voice
OUTSTANDING = 8.0  # standard deviations; copies have ten and more, half of all chance lines fewer
RIVAL_MS = 100  # farther aside runs a rival line,
RIVAL_SHARE = 0.25  # if as many of the meeting peaks meet there too
RIVALS = 4  # are looked for: a loop comes again a round and two rounds later and sooner
MOMENT_MS, MOMENT_NATS = 100, 4.0  # a chord on the same beat is one event, not ten
LOSS_NATS = 30.0  # a stretch ends where it has lost as much, some three seconds without a meeting
SILENCE_MS = 4000  # or where for so long there is no peak at all

WAYS = 6  # times that a stretch may grow threefold
MORE_MS = 8000  # that it looks ahead at least
STILL_MS = 500  # a stretch that grows less has grown enough


@dataclass(frozen=True)
class Line:
    """What is heard at t in the query, at pitch p, is heard in the reference at speed * t + offset_ms, at p - pitch."""

    speed: float
    offset_ms: float
    pitch: float  # cents

    def at(self, query_ms: float) -> int:
        """The time in the reference."""
        return round(self.speed * query_ms + self.offset_ms)


@dataclass(frozen=True)
class Stretch:
    """A part of the query whose peaks follow a line."""

    start_ms: int
    end_ms: int
    votes: int  # peaks that meet one of the reference
    nats: float  # log likelihood of a copy against chance


@dataclass(frozen=True)
class Pairs:
    """Peaks of the query and the reference near a line."""

    query: NDArray[np.int64]  # index of the query's peak
    late_ms: NDArray[np.float64]  # how much later than the line says the reference's peak comes
    high: NDArray[np.float64]  # and how much higher it is, in cents


def pairs_near(query: Peaks, reference: Peaks, line: Line, within_ms: float, within_cents: float) -> Pairs:
    """Return every pair that lies near a line, in the order of the query."""
    expected_ms = query.time_ms * line.speed + line.offset_ms
    expected = query.pitch.astype(np.float64) - line.pitch
    first = np.searchsorted(reference.time_ms, expected_ms - within_ms)
    counts = np.searchsorted(reference.time_ms, expected_ms + within_ms, "right") - first
    index = np.repeat(np.arange(len(query)), counts)
    other = np.arange(len(index)) + np.repeat(first - np.cumsum(counts) + counts, counts)
    high = reference.pitch[other] - expected[index]
    near = np.abs(high) <= within_cents
    index, other = index[near], other[near]
    return Pairs(index, reference.time_ms[other] - expected_ms[index], high[near])


def fitted(query: Peaks, reference: Peaks, guess: Line) -> Line:
    """Turn and move a guessed line until its strip holds the most pairs, then draw it through them."""
    near = pairs_near(query, reference, guess, CATCH_MS, CATCH_CENTS)
    if not len(near.query):
        return guess
    along_ms = query.time_ms[near.query] - query.time_ms[near.query].mean()
    strips = [_fullest(near.late_ms - lean * along_ms) for lean in LEANS]
    fullest = max(range(len(LEANS)), key=lambda n: (strips[n].sum(), -abs(LEANS[n])))
    inside = strips[fullest]
    return _through(query, Pairs(near.query[inside], near.late_ms[inside], near.high[inside]), guess)


def _fullest(late_ms: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which values lie in the strip that holds the most, the earliest of equals."""
    ordered = np.sort(late_ms)
    low = ordered[int((np.searchsorted(ordered, ordered + STRIP_MS, "right") - np.arange(len(ordered))).argmax())]
    return np.asarray((late_ms >= low) & (late_ms <= low + STRIP_MS))


def _through(query: Peaks, pairs: Pairs, line: Line) -> Line:
    """Least squares; a slope that a few pairs close together cannot know stays within bounds."""
    time_ms = query.time_ms[pairs.query].astype(np.float64)
    along_ms = time_ms - time_ms.mean()
    slope = float((along_ms * pairs.late_ms).sum() / max(1.0, (along_ms**2).sum()))
    slope = min(max(slope, LEANS[0]), LEANS[-1])
    offset_ms = float(pairs.late_ms.mean()) - slope * float(time_ms.mean())
    return Line(float(line.speed + slope), float(line.offset_ms + offset_ms), line.pitch - float(np.median(pairs.high)))


def stands_out(query: Peaks, reference: Peaks, line: Line) -> bool:
    """Whether more peaks meet along a line than right beside it, by far; a cheap look before a thorough one."""
    near = pairs_near(query, reference, line, CATCH_MS, CATCH_CENTS)
    meets = int(((np.abs(near.late_ms) <= MEET_MS) & (np.abs(near.high) <= MEET_CENTS)).sum())
    share = MEET_MS * MEET_CENTS / (CATCH_MS * CATCH_CENTS)
    expected = (len(near.query) - meets) * share / (1 - share)
    return meets >= expected + OUTSTANDING * math.sqrt(max(1.0, expected))


def weights(query: Peaks, reference: Peaks, line: Line) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """What each of the query's peaks says for a copy, nats [P], and whether it meets one of the reference, bool [P].

    A meeting says little where the reference is full of peaks of that pitch, as under a hum, and nothing where the peak
    meets another along a rival line as well: under two songs with one drum loop, that is a beat or a bar aside.
    """
    meets = np.zeros(len(query), np.bool_)
    meets[pairs_near(query, reference, line, MEET_MS, MEET_CENTS).query] = True
    meeting = Peaks(query.time_ms[meets], query.pitch[meets])
    near = pairs_near(meeting, reference, line, AROUND_MS, MEET_CENTS)
    aside = np.abs(near.late_ms) > MEET_MS
    around = np.bincount(near.query[aside], minlength=len(meeting)) + FEW
    chance = np.minimum(1 - np.exp(-around * MEET_MS / (AROUND_MS - MEET_MS)), COPIED)
    nats = np.full(len(query), math.log(1 - COPIED))
    nats[meets] = np.where(_meets_aside(near, len(meeting)), 0.0, np.log(COPIED / chance))
    return nats, meets


def _meets_aside(pairs: Pairs, count: int) -> NDArray[np.bool_]:
    """Which peaks meet one along a rival line as well, bool [count]."""
    order = np.argsort(pairs.late_ms, kind="stable")
    order = order[np.abs(pairs.late_ms[order]) > RIVAL_MS]
    aside = np.zeros(count, np.bool_)
    for _ in range(RIVALS):
        late_ms = pairs.late_ms[order]
        sizes = np.searchsorted(late_ms, late_ms + 2 * MEET_MS, "right") - np.arange(len(order))
        if sizes.max(initial=0) < RIVAL_SHARE * count:
            break
        first = int(sizes.argmax())
        aside[pairs.query[order[first : first + sizes[first]]]] = True
        order = order[np.abs(late_ms - late_ms[first] - MEET_MS) > RIVAL_MS]
    return aside


def stretches(query: Peaks, reference: Peaks, line: Line) -> list[Stretch]:
    """Cut a line where the evidence for it stops, in order of time."""
    if not len(query):
        return []
    nats, meets = weights(query, reference, line)
    starts = np.flatnonzero(np.diff(query.time_ms // MOMENT_MS, prepend=-1))
    gains = np.minimum(np.add.reduceat(nats, starts), MOMENT_NATS)
    silent = np.diff(query.time_ms[starts], prepend=query.time_ms[0]) > SILENCE_MS
    bounds = [*starts.tolist(), len(query)]
    found = []
    for first, last, total in _runs(gains.tolist(), silent.tolist()):
        heard = bounds[first] + np.flatnonzero(meets[bounds[first] : bounds[last + 1]])
        start_ms, end_ms = query.time_ms[heard[[0, -1]]].tolist()
        found.append(Stretch(start_ms, end_ms, len(heard), total))
    return found


def _runs(gains: list[float], silent: list[bool]) -> Iterator[tuple[int, int, float]]:
    """First and last moment and sum of each run that never falls LOSS_NATS below its best, and what it was at best."""
    first = last = 0
    now = best = 0.0
    for moment, (gain, after_silence) in enumerate(zip([*gains, 0.0], [*silent, True], strict=True)):
        if after_silence or now <= 0 or now < best - LOSS_NATS:
            if best > 0:
                yield first, last, best
            first, now, best = moment, 0.0, 0.0
        now += gain
        if now > best:
            last, best = moment, now


def followed(query: Peaks, reference: Peaks, line: Line, seed: Stretch) -> Line:
    """Fit a line over all of the stretch around a seed, which alone leaves the speed vague for what is far away."""
    start_ms, end_ms = seed.start_ms, seed.end_ms
    for _ in range(WAYS):
        more_ms = max(MORE_MS, end_ms - start_ms)
        part = query.between(start_ms - more_ms, end_ms + more_ms)
        best = max(stretches(part, reference, line), key=lambda stretch: stretch.nats, default=seed)
        inside = query.between(best.start_ms, best.end_ms + 1)
        pairs = pairs_near(inside, reference, line, MEET_MS, MEET_CENTS)
        if len(pairs.query):
            line = _through(inside, pairs, line)
        if start_ms - best.start_ms < STILL_MS and best.end_ms - end_ms < STILL_MS:
            break
        start_ms, end_ms = min(start_ms, best.start_ms), max(end_ms, best.end_ms)
    return line
