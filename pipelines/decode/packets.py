"""Which packets of a picture track have to be decoded for some of its frames: from the keyframe before each, to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.decode.sampling import frames_at_ticks


@dataclass(frozen=True)
class PacketPlan:
    """Numbers of packets, in the order in which the file has them, which is the order of decoding."""

    wanted: NDArray[np.int64]  # whose frames are taken, as they are shown
    needed: NDArray[np.bool_]  # of all packets: without these, nothing can be made of the wanted ones


def plan_keyframes(starts_ms: NDArray[np.int64], is_key: NDArray[np.bool_], interval_ms: int) -> PacketPlan:
    """Choose among keyframes alone, as if there were nothing between them: each needs no packet but its own."""
    keys = np.flatnonzero(is_key)
    shown = keys[np.argsort(starts_ms[keys], kind="stable")]
    wanted = shown[frames_at_ticks(starts_ms[shown] - starts_ms[shown[:1]], interval_ms)]
    return PacketPlan(wanted, np.isin(np.arange(len(starts_ms)), wanted))


def plan_packets(starts_ms: NDArray[np.int64], is_key: NDArray[np.bool_], interval_ms: int) -> PacketPlan:
    """Choose the frames on screen at every tick, and what they are predicted from.

    `starts_ms` and `is_key` are of the packets in decoding order. A picture shown before the keyframe that it follows
    in the file may be predicted from the pictures before that keyframe too (an open group of pictures, ISO/IEC
    23008-2, 3.1: leading pictures), so it is decoded from one keyframe earlier.
    """
    shown = np.argsort(starts_ms, kind="stable")
    wanted = shown[frames_at_ticks(starts_ms[shown] - starts_ms[shown[:1]], interval_ms)]
    keys = np.flatnonzero(is_key)
    needed = np.zeros(len(starts_ms), np.bool_)
    for packet in wanted.tolist():
        needed[_first_needed(packet, starts_ms, keys) : packet + 1] = True
    return PacketPlan(wanted, needed)


def _first_needed(packet: int, starts_ms: NDArray[np.int64], keys: NDArray[np.int64]) -> int:
    before = keys[: np.searchsorted(keys, packet, side="right")]
    settled = before[starts_ms[before] <= starts_ms[packet]]
    return int(settled[-1]) if len(settled) else 0
