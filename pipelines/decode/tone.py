"""High dynamic range to what an ordinary screen shows: PQ and HLG to BT.709, as a player brings them down.

The light is worked out (SMPTE ST 2084; ITU-R BT.2100), what is brighter than reference white of 203 cd/m2 (ITU-R
BT.2408) is rolled off by the curve of ITU-R BT.2390, 5.4.1, colours outside BT.709 are clipped, and BT.1886 gives the
values for the screen. A frame without highlights comes out as it was before somebody put it into HDR.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

PQ, HLG, BT2020 = 16, 18, 9  # color_trc and color_primaries (ITU-T H.273, tables 3 and 2)
WHITE, HLG_PEAK, BRIGHTEST = 203.0, 1000.0, 10_000.0  # cd/m2
GAMMA, HLG_GAMMA = 2.4, 1.2
PEAK_SHARE = 99.9  # percentile of a frame that is its peak: one hot pixel is none
LUMA = np.array([0.2627, 0.6780, 0.0593], np.float32)  # of BT.2020
TO_709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
)  # ITU-R BT.2087
M1, M2, C1, C2, C3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128  # SMPTE ST 2084
A, B, C = 0.17883277, 0.28466892, 0.55991073  # of HLG (BT.2100, table 5)

Light = NDArray[np.float32]


def is_hdr(transfer: int) -> bool:
    """Whether a frame's `color_trc` is one of high dynamic range."""
    return transfer in (PQ, HLG)


def to_sdr(coded_HWC: NDArray[Any], transfer: int, primaries: int) -> NDArray[np.uint8]:
    """Return uint8 [H, W, 3] of full-range uint16 R'G'B'."""
    light_HWC = _curve(transfer)[coded_HWC]
    if transfer == HLG:
        luma_HW1 = (light_HWC @ LUMA)[..., None]
        light_HWC = HLG_PEAK * light_HWC * np.maximum(luma_HW1, 1e-6) ** np.float32(HLG_GAMMA - 1)
    brightest_HW1 = light_HWC.max(axis=2, keepdims=True)
    shown_HW1 = _rolled_off(brightest_HW1)
    light_HWC = light_HWC * (shown_HW1 / np.maximum(brightest_HW1, 1e-3)) / np.float32(WHITE)
    if primaries == BT2020:
        light_HWC = light_HWC @ TO_709.T
    return np.asarray(np.rint(255 * np.clip(light_HWC, 0, 1) ** np.float32(1 / GAMMA)), np.uint8)


def pq(light: Light) -> Light:
    """From cd/m2 to the code value, 0 to 1."""
    power = np.clip(light / np.float32(BRIGHTEST), 0, 1) ** np.float32(M1)
    return np.asarray(((C1 + C2 * power) / (1 + C3 * power)) ** M2, np.float32)


def light_of_pq(code: Light) -> Light:
    """From the code value to cd/m2."""
    power = code ** np.float32(1 / M2)
    return np.asarray(BRIGHTEST * (np.maximum(power - C1, 0) / (C2 - C3 * power)) ** (1 / M1), np.float32)


def light_of_hlg(code: Light) -> Light:
    """From the code value to scene light, 0 to 1."""
    return np.asarray(np.where(code <= 0.5, code**2 / 3, (np.exp((code - C) / A) + B) / 12), np.float32)


@cache
def _curve(transfer: int) -> Light:
    code = np.arange(1 << 16, dtype=np.float32) / np.float32(65535)
    return light_of_pq(code) if transfer == PQ else light_of_hlg(code)


def _rolled_off(light: Light) -> Light:
    """BT.2390's Hermite spline, from the frame's own peak to white; what is below its knee stays."""
    peak = float(np.percentile(light, PEAK_SHARE))
    if peak <= WHITE:
        return light
    ceiling = pq(np.array([peak], np.float32))
    code = np.minimum(pq(light) / ceiling, 1)
    most = float((pq(np.array([WHITE], np.float32)) / ceiling)[0])
    knee = 1.5 * most - 0.5
    t = (code - knee) / (1 - knee)
    spline = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (-2 * t**3 + 3 * t**2) * most
    return light_of_pq(np.asarray(np.where(code < knee, code, spline) * ceiling, np.float32))
