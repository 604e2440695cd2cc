"""Quiet sound as loud as speech usually is: models were taught with speech that nobody had to strain to hear."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model_registry.models.speech.sound import AUDIBLE, AUDIO_HZ, FULL_SCALE

Sound = NDArray[np.int16]
STEP = AUDIO_HZ // 2  # samples whose peak is taken
AROUND = 8  # steps to either side whose loudest decides, 4 s: pauses stay pauses
QUIET = 3300  # peak, -20 dB of full scale, up to which sound is raised to it
MOST = 100.0  # times, 40 dB


def levelled(sound: Sound) -> Sound:
    """Raise what is quiet for seconds; sound that is loud enough somewhere near is returned as it is."""
    gains = _gains(sound)
    if (gains == 1).all():
        return sound
    centres = (np.arange(len(gains)) + 0.5) * STEP
    raised = sound * np.interp(np.arange(len(sound)), centres, gains).astype(np.float32)
    return np.clip(np.rint(raised), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)


def _gains(sound: Sound) -> NDArray[np.float64]:
    """How much each step is raised; what is no louder than the hiss of a converter is left."""
    padded = np.zeros(max(1, -(-len(sound) // STEP)) * STEP, np.int32)
    padded[: len(sound)] = sound
    peaks = np.abs(padded).reshape(-1, STEP).max(1)
    wide = np.pad(peaks, AROUND)
    loudest = np.lib.stride_tricks.sliding_window_view(wide, 2 * AROUND + 1).max(1)
    wanted = np.clip(QUIET / np.maximum(loudest, 1), 1.0, MOST)
    return np.where(loudest >= AUDIBLE, wanted, 1.0)
