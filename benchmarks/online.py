"""Online matching: a minute's upload against hours of references in memory, by the indices and as the night matches.

Both hold the same synthetic bank and answer the same uploads in turn; half of the uploads hold 20 seconds of a
reference's picture, changed. Their sound is nobody's; the sound of the bank is that of audio_matching.py, and the same
index searches it either way.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.audio_matching import SONG_S, SONGS, bank_of
from benchmarks.copy_search import DIMENSIONS, walks
from benchmarks.registry import Result
from benchmarks.songs import song
from model_registry.errors import NightjarError
from pipelines.copyright.claims import ReferenceMatch
from pipelines.copyright.fingerprint import Fingerprint
from pipelines.copyright.indexed import IndexedShard
from pipelines.copyright.match import Shard, matches
from pipelines.copyright.picture.pdq import BITS
from pipelines.copyright.picture.space import Space
from pipelines.copyright.sound.landmarks import Peaks, peaks_of

HOURS = 100
A_SECOND = 2  # views of a reference's frame
UPLOADS, UPLOAD_S = 16, 60
COPIED_S, COPY_TO_S = 20, 25
NOISE = 0.5  # length of the random vector added to a descriptor
CHANGED_BITS, STEP_BITS = 24, 8  # of a copied hash, and of 256 from one frame to the next
SAMPLE_MS = 1000
SURE = 0.5  # score of a match that is compared; fainter ones are noise, and the noise is not the same
NOTES = (
    f"Descriptors are walks as in copy_search.py, hashes walks of {STEP_BITS} bits a frame; a copy has a random vector "
    f"of length {NOISE} added to its descriptors and {CHANGED_BITS} bits of its hashes flipped.",
    f"`agree` is the share of uploads for which both name the same references with a score of {SURE} or more, at the "
    "same times of the upload to within a second; below 1 the benchmark fails.",
    "`sound_ms` is the part of `online_ms` that sound takes, which is searched in the same way by day and by night; "
    "`speed_of_pictures` is the ratio of what is left. The night's way has all cores, the indices have one.",
)
Prints = Sequence[Fingerprint]


def run(videos: Sequence[Path], repeat: int) -> Result:  # noqa: ARG001 - descriptors are made, not decoded
    """Alternate the two after one upload each."""
    references = _references()
    space = Space("synthetic@1", *_plain())
    exact = Shard(references, space)
    build_s, indexed = _timed(lambda: IndexedShard(references, space))
    durations_ms = {number: print_.duration_ms for number, print_ in references}
    uploads = [_upload(references, number) for number in range(UPLOADS)]
    _each(indexed, uploads[:1], durations_ms)
    rounds = [_round(exact, indexed, uploads, durations_ms) for _ in range(repeat)]
    metrics: dict[str, Sequence[float]] = {name: [each[name] for each in rounds] for name in rounds[0]}
    metrics |= {"build_s": [build_s], "mb_an_hour": [indexed.nbytes / 1e6 / HOURS]}
    setup = {
        "hours": HOURS,
        "uploads": UPLOADS,
        "upload_s": UPLOAD_S,
        "dimensions": DIMENSIONS,
        "cores": os.cpu_count(),
    }
    return Result(metrics, setup, NOTES)


def _plain() -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """A space whose descriptors are the embeddings themselves."""
    wide = DIMENSIONS
    return np.zeros(wide, np.float32), np.eye(wide, dtype=np.float32), np.zeros((0, wide), np.float32)


def _references() -> list[tuple[int, Fingerprint]]:
    """An hour each."""
    rows = 3600 * A_SECOND
    descriptors_ND = walks(HOURS * rows).astype(np.float16)
    hashes_NB = _hashes(HOURS * rows)
    heard = bank_of([peaks_of(song(seed, SONG_S)) for seed in range(SONGS)], HOURS)
    of_hour = [heard[number::HOURS] for number in range(HOURS)]
    return [
        (number, _print(descriptors_ND[part], hashes_NB[part], A_SECOND, _joined(of_hour[number])))
        for number, part in ((number, slice(number * rows, (number + 1) * rows)) for number in range(HOURS))
    ]


def _hashes(rows: int) -> NDArray[np.uint8]:
    """Walks, as descriptors are, [rows, 32]."""
    generator = np.random.default_rng(4)
    out_NB = np.empty((rows, BITS // 8), np.uint8)
    for first in range(0, rows, 3600):
        bits = generator.random((3600, BITS)) < STEP_BITS / BITS
        bits[::100] = generator.random((36, BITS)) < 0.5
        walked = np.logical_xor.accumulate(bits.reshape(36, 100, BITS), axis=1)
        out_NB[first : first + 3600] = np.packbits(walked.reshape(-1, BITS), axis=1)[: rows - first]
    return out_NB


def _joined(parts: Sequence[Peaks]) -> Peaks:
    """One after the other, a second apart, as much as an hour holds."""
    starts = np.cumsum([0, *(part.end_ms + 1000 for part in parts)])[:-1]
    times = np.concatenate([part.time_ms + start for part, start in zip(parts, starts, strict=True)])
    pitches = np.concatenate([part.pitch for part in parts])
    return Peaks(times.astype(np.int32), pitches)


def _print(descriptors_ND: NDArray[Any], hashes_NB: NDArray[np.uint8], views: int, peaks: Peaks) -> Fingerprint:
    seconds = len(descriptors_ND) // views
    return Fingerprint(
        duration_ms=1000 * seconds,
        frame_ms=np.repeat(np.arange(seconds, dtype=np.int64) * 1000, views),
        view=np.tile(np.arange(views, dtype=np.uint8), seconds),
        descriptors_ND=descriptors_ND.astype(np.float16),
        pdq_NB=hashes_NB,
        pdq_quality=np.full(len(descriptors_ND), 100, np.uint8),
        peaks=peaks,
    )


def _upload(references: Sequence[tuple[int, Fingerprint]], number: int) -> tuple[int, Fingerprint]:
    """A minute of nobody's; every second one holds some of a reference's picture."""
    generator = np.random.default_rng(100 + number)
    vectors_TD = _units(generator, UPLOAD_S)
    bits = generator.random((UPLOAD_S, BITS)) < 0.5
    if number % 2 == 0:
        own = references[int(generator.integers(len(references)))][1]
        first_s = int(generator.integers(3600 - COPIED_S))
        copied = slice(COPY_TO_S, COPY_TO_S + COPIED_S)
        rows = A_SECOND * np.arange(first_s, first_s + COPIED_S)
        vectors_TD[copied] = own.descriptors_ND[rows] + NOISE * _units(generator, COPIED_S)
        bits[copied] = np.unpackbits(own.pdq_NB[rows], axis=1).astype(bool)
        bits[copied] ^= generator.random((COPIED_S, BITS)) < CHANGED_BITS / BITS
    vectors_TD /= np.linalg.norm(vectors_TD, axis=1, keepdims=True)
    return number, _print(vectors_TD, np.packbits(bits, axis=1), 1, peaks_of(song(SONGS + number, UPLOAD_S)))


def _units(generator: np.random.Generator, rows: int) -> NDArray[np.float32]:
    vectors = generator.standard_normal((rows, DIMENSIONS), dtype=np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def _round(
    exact: Shard, indexed: Shard, uploads: Sequence[tuple[int, Fingerprint]], durations_ms: dict[int, int]
) -> dict[str, float]:
    exact_ms, wanted = _each(exact, uploads, durations_ms)
    online_ms, found = _each(indexed, uploads, durations_ms)
    heard_ms = statistics.median(1000 * _timed(partial(indexed.sound.match, one.peaks))[0] for _, one in uploads)
    agree = float(np.mean([_same(*pair) for pair in zip(found, wanted, strict=True)]))
    if agree < 1:
        raise NightjarError(f"online and exact matching agree on {agree:.1%} of the uploads, wanted all")
    return {
        "speed_vs_exact": statistics.median(exact_ms) / statistics.median(online_ms),
        "speed_of_pictures": (statistics.median(exact_ms) - heard_ms) / (statistics.median(online_ms) - heard_ms),
        "agree": agree,
        "online_ms": statistics.median(online_ms),
        "exact_ms": statistics.median(exact_ms),
        "sound_ms": heard_ms,
        "slowest_online_ms": max(online_ms),
    }


def _each(
    shard: Shard, uploads: Sequence[tuple[int, Fingerprint]], durations_ms: dict[int, int]
) -> tuple[list[float], list[list[ReferenceMatch]]]:
    """Match one by one: milliseconds and what was found of each."""
    timed = [_timed(partial(_match, shard, one, durations_ms)) for one in uploads]
    return [1000 * seconds for seconds, _ in timed], [found for _, found in timed]


def _match(shard: Shard, one: tuple[int, Fingerprint], durations_ms: dict[int, int]) -> list[ReferenceMatch]:
    return matches([shard.find([one])], [one], durations_ms)[one[0]]


def _same(found: Sequence[ReferenceMatch], wanted: Sequence[ReferenceMatch]) -> bool:
    mine, others = _sure(found), _sure(wanted)
    return [one.reference for one in mine] == [one.reference for one in others] and all(
        abs(one.match.start_ms - other.match.start_ms) <= SAMPLE_MS
        and abs(one.match.end_ms - other.match.end_ms) <= SAMPLE_MS
        for one, other in zip(mine, others, strict=True)
    )


def _sure(found: Sequence[ReferenceMatch]) -> list[ReferenceMatch]:
    sure = [one for one in found if one.match.score >= SURE]
    return sorted(sure, key=lambda one: (one.reference, one.match.form, one.match.start_ms))


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result
