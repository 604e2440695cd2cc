"""Audio matching: minutes of sound against 10 and 100 hours of references, peaks and every speed and pitch included.

The references are variants of some songs' landmarks: backwards, stretched by up to a fifth, transposed by up to half an
octave. Their hashes are then distributed like those of music, a few common and most rare; backwards, they are no
copies. Time is that of the processor, so that it is one core's.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.registry import Result
from benchmarks.songs import song
from pipelines.copyright.sound.index import AudioIndex
from pipelines.copyright.sound.landmarks import Peaks, peaks_of

FEW_HOURS, MANY_HOURS = 10, 100
SONGS, SONG_S = 12, 60
QUERIES, QUERY_S = 6, 60  # half of them hold 20 s of a reference
COPIED_S, COPIED_FROM_S, COPY_TO_S = 20, 30, 25
STRETCH, TRANSPOSE = 0.2, 600


def run(videos: Sequence[Path], repeat: int) -> Result:  # noqa: ARG001 - every benchmark is given the videos
    """Match the same queries with both banks."""
    songs = [song(seed, SONG_S) for seed in range(SONGS)]
    originals = [peaks_of(sound) for sound in songs]
    few, many = (AudioIndex(enumerate(bank_of(originals, hours))) for hours in (FEW_HOURS, MANY_HOURS))
    queries = [_query(number, songs) for number in range(QUERIES)]
    turns = [_turn(queries, few, many) for _ in range(repeat + 1)][1:]  # the first warms up
    metrics: dict[str, Sequence[float]] = {name: [turn[name] for turn in turns] for name in turns[0]}
    metrics = {**metrics, "index_mb_an_hour": [many.nbytes / 1e6 / MANY_HOURS]}
    setup = {"hours": [FEW_HOURS, MANY_HOURS], "references": len(many), "queries": QUERIES, "query_s": QUERY_S}
    return Result(metrics, setup, [f"references are variants of the landmarks of {SONGS} songs made from seeds"])


def _turn(queries: Sequence[NDArray[np.int16]], few: AudioIndex, many: AudioIndex) -> dict[str, float]:
    """The metrics of one repetition."""
    began = time.process_time()
    peaks = [peaks_of(query) for query in queries]
    peaks_s = time.process_time() - began
    few_s, _ = _seconds_of(few, peaks)
    many_s, found = _seconds_of(many, peaks)
    heard_s = len(queries) * QUERY_S
    return {
        "times_real_time": heard_s / (peaks_s + many_s),
        "peaks_times_real_time": heard_s / peaks_s,
        "cost_100h_vs_10h": many_s / few_s,
        "right": float(np.mean([(own in names) if own % 2 == 0 else not names for own, names in enumerate(found)])),
    }


def _seconds_of(index: AudioIndex, peaks: Sequence[Peaks]) -> tuple[float, list[set[int]]]:
    began = time.process_time()
    found = [index.match(query) for query in peaks]
    return time.process_time() - began, [{span.reference for span in spans} for spans in found]


def bank_of(originals: Sequence[Peaks], hours: int) -> list[Peaks]:
    """The songs and then variants of them, as many hours as wanted."""
    random = np.random.default_rng(0)
    bank, left_ms = list(originals), hours * 3_600_000 - sum(peaks.end_ms for peaks in originals)
    while left_ms > 0:
        bank.append(_variant(originals[int(random.integers(len(originals)))], random))
        left_ms -= bank[-1].end_ms
    return bank


def _variant(peaks: Peaks, random: np.random.Generator) -> Peaks:
    speed, higher = np.exp(random.uniform(-STRETCH, STRETCH)), random.integers(-TRANSPOSE, TRANSPOSE)
    backwards_ms = (peaks.end_ms - peaks.time_ms[::-1]) * speed
    return Peaks(backwards_ms.astype(np.int32), (peaks.pitch[::-1] + higher).astype(np.uint16))


def _query(number: int, songs: Sequence[NDArray[np.int16]]) -> NDArray[np.int16]:
    """A song of its own, and in the even ones an excerpt of the song of that number."""
    sound = song(SONGS + number, QUERY_S)
    if number % 2 == 0:
        hertz = len(sound) // QUERY_S
        excerpt = songs[number][COPIED_FROM_S * hertz :][: COPIED_S * hertz]
        sound[COPY_TO_S * hertz :][: len(excerpt)] = excerpt
    return sound
