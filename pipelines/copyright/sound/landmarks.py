"""Audio landmarks: the peaks of a spectrogram, and hashes of three of them that a speed and a pitch can be read into.

Peaks are those of Wang, "An Industrial-Strength Audio Search Algorithm" (ISMIR 2003), looked for on a logarithmic
frequency axis, where a change of pitch is a shift. Three of them make a hash, as in Six and Leman, "Panako: a scalable
acoustic fingerprinting system handling time-scale and pitch modification" (ISMIR 2014): against two, a chance meeting
is a hundred times rarer, which pays for trying every speed and pitch. Panako's hash is of ratios; this one keeps
pitches and times, and the query is hashed once for each speed and pitch, from its peaks alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

AUDIO_HZ = 16_000
WINDOW, HOP = 1024, 256  # 64 ms tells the harmonics of a voice apart; 16 ms, interpolated, place a peak within 5 ms
LOWEST, HIGHEST = 5900, 10_900  # cents: 247 Hz to 4.4 kHz, what telephones, small speakers and low bitrates leave
ROW_CENTS = 50  # between rows of the logarithmic axis
REACH_ROWS, REACH_FRAMES = 6, 7  # a peak rules 3 semitones and 112 ms around it, which leaves 20 to 30 a second
FLOOR_DB = -80.0  # of a full-scale sine; below lies the hiss of converters
SILENT = 1e-12  # power, so that its logarithm exists
OCTAVE, A4_HZ, A4 = 1200.0, 440.0, 6900.0

ZONE_MS = (100, 1000)  # nearer peaks are one sound, as harmonics are; between farther ones too much may come
ZONE_CENTS = 1200
REFERENCE_FAN, QUERY_FAN = 3, 4  # among a copy's peaks are some of its own, so that it has to look farther
LOOK_AHEAD = 24  # peaks, in which nearly always `fan` are found
PITCH_STEP, TIME_STEP_MS = 40, 20  # three of four peaks that survive an edit stay within 10 cents and 8 ms


@dataclass(frozen=True)
class Peaks:
    """The P peaks of a sound in the order of time, 6 bytes each."""

    time_ms: NDArray[np.int32]  # [P] ascending
    pitch: NDArray[np.uint16]  # [P] cents of the MIDI scale: 6900 is 440 Hz, a semitone is 100

    def __post_init__(self) -> None:
        """Refuse columns of different lengths, and times that descend."""
        if self.time_ms.shape != self.pitch.shape or self.time_ms.ndim != 1:
            raise ValueError(
                f"peaks have {self.time_ms.shape} times and {self.pitch.shape} pitches, wanted [P] of both"
            )
        if (np.diff(self.time_ms) < 0).any():
            raise ValueError("the times of peaks descend, wanted ascending ones")

    def __len__(self) -> int:
        return len(self.time_ms)

    @property
    def end_ms(self) -> int:
        """The time of the last peak, 0 where there is none."""
        return int(self.time_ms[-1]) if len(self) else 0

    def between(self, start_ms: float, end_ms: float) -> Peaks:
        """Return the peaks from `start_ms` to before `end_ms`."""
        first, past = np.searchsorted(self.time_ms, [start_ms, end_ms])
        return Peaks(self.time_ms[first:past], self.pitch[first:past])


def joined(parts: Sequence[Peaks]) -> Peaks:
    """Return the peaks of a track that came in windows, in any order; hashes then reach over the cuts."""
    time_ms = np.concatenate([np.zeros(0, np.int32), *(part.time_ms for part in parts)])
    pitch = np.concatenate([np.zeros(0, np.uint16), *(part.pitch for part in parts)])
    order = np.lexsort((pitch, time_ms))
    return Peaks(time_ms[order], pitch[order])


def peaks_of(audio_16k: NDArray[np.int16], start_ms: int = 0) -> Peaks:
    """Find the peaks of int16 [N] mono samples at 16 kHz; `start_ms` is where they lie in their track.

    A cell of the spectrogram is a peak where nothing within 3 semitones and 112 ms is louder. That depends on nothing
    farther away, so that sound mixed over a track takes away the peaks it drowns and no others.
    """
    if len(audio_16k) < 2 * WINDOW:
        return joined([])
    level_FT = _level(audio_16k)
    rows_RT = _rows(level_FT)
    row, frame = _is_peak(rows_RT).nonzero(as_tuple=True)
    at = frame + _summit(rows_RT[row, frame - 1], rows_RT[row, frame], rows_RT[row, frame + 1])
    time_ms = start_ms + np.rint(at.double().numpy() * HOP * 1000 / AUDIO_HZ).astype(np.int32)
    pitch = np.rint(_pitch(level_FT, row, frame).numpy()).astype(np.uint16)
    order = np.lexsort((pitch, time_ms))
    return Peaks(time_ms[order], pitch[order])


def _level(audio_16k: NDArray[np.int16]) -> Tensor:
    """The spectrogram in dB of a full-scale sine, float32 [F, T]."""
    import torch
    from torchaudio.functional import spectrogram

    wave = torch.from_numpy(audio_16k.astype(np.float32) / -np.iinfo(np.int16).min)
    power_FT = spectrogram(wave, 0, torch.hann_window(WINDOW), WINDOW, HOP, WINDOW, power=2.0, normalized=False)
    level_FT: Tensor = power_FT.clamp_min_(SILENT).log10_().mul_(10).sub_(20 * math.log10(WINDOW / 4))
    return level_FT


def _rows(level_FT: Tensor) -> Tensor:
    """The spectrogram on the logarithmic axis, [R, T]: a row's loudest bin, or a line between the two around it."""
    below_R, share_R, bins_RK = _axis()
    rows_RT = level_FT[below_R].lerp(level_FT[below_R + 1], share_R[:, None])
    wide = bins_RK[:, 0] < bins_RK[:, -1]
    rows_RT[wide] = level_FT[bins_RK[wide]].amax(1)
    return rows_RT


@cache
def _axis() -> tuple[Tensor, Tensor, Tensor]:
    """Of each row the bin below its middle, the share of the next, and the bins within it, the last one repeated."""
    import torch

    middle_R = np.arange(LOWEST, HIGHEST, ROW_CENTS, dtype=np.float64)
    at_R, low_R, high_R = (_bin(middle_R + aside) for aside in (0, -ROW_CENTS / 2, ROW_CENTS / 2))
    first_R, last_R = np.ceil(low_R), np.maximum(np.ceil(low_R), np.floor(high_R))
    bins_RK = np.minimum(first_R[:, None] + np.arange((last_R - first_R).max() + 1), last_R[:, None])
    below_R = np.floor(at_R)
    whole = [torch.from_numpy(bins.astype(np.int64)) for bins in (below_R, bins_RK)]
    return whole[0], torch.from_numpy((at_R - below_R).astype(np.float32)), whole[1]


def _bin(cents: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where in the spectrogram a pitch lies."""
    return np.asarray(A4_HZ * 2 ** ((cents - A4) / OCTAVE) * WINDOW / AUDIO_HZ)


def _is_peak(rows_RT: Tensor) -> Tensor:
    """Bool [R, T]; nothing on the rim, for who knows what lies beyond."""
    from torch.nn.functional import max_pool2d

    high_RT = max_pool2d(rows_RT[None], (1, 2 * REACH_FRAMES + 1), 1, (0, REACH_FRAMES))
    high_RT = max_pool2d(high_RT, (2 * REACH_ROWS + 1, 1), 1, (REACH_ROWS, 0))[0]
    peak_RT: Tensor = (rows_RT == high_RT) & (rows_RT > FLOOR_DB)
    peak_RT[1:] &= rows_RT[1:] > rows_RT[:-1]  # of two that are equal one is enough
    peak_RT[:, 1:] &= rows_RT[:, 1:] > rows_RT[:, :-1]
    peak_RT[0] = peak_RT[-1] = peak_RT[:, 0] = peak_RT[:, -1] = False
    return peak_RT


def _pitch(level_FT: Tensor, row: Tensor, frame: Tensor) -> Tensor:
    """The pitch of peaks in cents, read off the bins: low rows lie between them, high rows hold several."""
    below_R, _, bins_RK = _axis()
    near_PK = below_R.new_zeros(len(row), bins_RK.shape[1] + 2)
    near_PK[:, 0], near_PK[:, 1], near_PK[:, 2:] = below_R[row], below_R[row] + 1, bins_RK[row]
    bin_P = near_PK.gather(1, level_FT[near_PK, frame[:, None]].argmax(1, keepdim=True))[:, 0]
    at = bin_P + _summit(level_FT[bin_P - 1, frame], level_FT[bin_P, frame], level_FT[bin_P + 1, frame])
    return A4 + OCTAVE * (at * (AUDIO_HZ / WINDOW / A4_HZ)).log2()


def _summit(left: Tensor, middle: Tensor, right: Tensor) -> Tensor:
    """How far from the middle, -0.5 to 0.5, the parabola through three levels is highest."""
    bend = (2 * middle - left - right).clamp(min=1e-6)
    return ((right - left) / (2 * bend)).clamp(-0.5, 0.5)


def hashes_of(
    peaks: Peaks, speed: float = 1.0, pitch: int = 0, fan: int = REFERENCE_FAN
) -> tuple[NDArray[np.uint32], NDArray[np.int32]]:
    """Hash each peak with every two of the `fan` next ones in its zone: uint32 [H], and its time, int32 [H] ms.

    Hashes and times are those of the sound before it was played `speed` times as fast and `pitch` cents higher, so that
    a copy's are, up to rounding, those of its original and one offset.
    """
    time_ms = before(peaks.time_ms, speed)
    trios_3H = trios(time_ms, peaks.pitch, fan)
    return hashes(time_ms, peaks.pitch.astype(np.int32) - pitch, trios_3H), time_ms[trios_3H[0]]


def before(time_ms: NDArray[np.int32], speed: float) -> NDArray[np.int32]:
    """Return the times before somebody played the sound `speed` times as fast."""
    return np.asarray(np.rint(time_ms * speed), np.int32)


def trios(time_ms: NDArray[np.int32], pitch: NDArray[np.uint16], fan: int) -> NDArray[np.int64]:
    """Choose the peaks of each hash, int64 [3, H]: one, and two of the first `fan` in the zone after it."""
    later_LP, higher_LP = _ahead(time_ms), _ahead(pitch.astype(np.int32))
    near_LP = (later_LP >= ZONE_MS[0]) & (later_LP < ZONE_MS[1]) & (np.abs(higher_LP) <= ZONE_CENTS)
    rank_LP = near_LP.cumsum(0, dtype=np.int8)
    ahead, anchor = np.divmod(np.flatnonzero(near_LP & (rank_LP <= fan)), max(1, len(time_ms)))
    targets_FP = np.full((fan, len(time_ms)), -1)
    targets_FP[rank_LP[ahead, anchor] - 1, anchor] = anchor + 1 + ahead
    chosen = []
    for second in range(1, fan):
        anchors = np.flatnonzero(targets_FP[second] >= 0)
        for first in range(second):
            chosen.append(np.stack([anchors, targets_FP[first, anchors], targets_FP[second, anchors]]))
    return np.concatenate(chosen, axis=1)


def _ahead(values: NDArray[np.int32]) -> NDArray[np.int32]:
    """How much more the next values are than each, int32 [LOOK_AHEAD, P]; after the last as if they went back to 0."""
    padded = np.concatenate([values, np.zeros(LOOK_AHEAD, np.int32)])
    next_LP = np.lib.stride_tricks.as_strided(padded[1:], (LOOK_AHEAD, len(values)), 2 * padded.strides)
    return np.asarray(next_LP - values)


def hashes(time_ms: NDArray[np.int32], pitch: NDArray[np.int32], trios_3H: NDArray[np.int64]) -> NDArray[np.uint32]:
    """Fold five numbers into one, uint32 [H]: the first peak's pitch; the others' height above it and time after it."""
    first, *others = trios_3H
    folded = (pitch[first] // PITCH_STEP).astype(np.uint32)
    for other in others:
        higher = (pitch[other] - pitch[first] + ZONE_CENTS) // PITCH_STEP
        later = (time_ms[other] - time_ms[first]) // TIME_STEP_MS
        folded = folded * np.uint32(2 * ZONE_CENTS // PITCH_STEP + 1) + higher.astype(np.uint32)
        folded = folded * np.uint32(ZONE_MS[1] // TIME_STEP_MS) + later.astype(np.uint32)
    return np.asarray(folded)
