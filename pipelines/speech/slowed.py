"""Voices at twice their pitch and speed, a usual effect and disguise: listened to once more at half the speed.

Voice activity does not take them for speech, or the speech model writes down nonsense that it is unsure of. Only where
there is sound as strong as speech where speech lies, and that is all that was heard, is it worth a second time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from model_registry.model import Line
from model_registry.models.speech.sound import AUDIO_HZ, FULL_SCALE, to_16k

Sound = NDArray[np.int16]
SLOWER = 2
BAND_HZ = (300, 3400)  # of a telephone, twice as high where the voice is
FRAME = 1024  # samples, 64 ms
LEAST_S = 0.6  # of sound in the band
LEAST_DB = -50.0  # of full scale, in the band
SURE = 0.6  # confidence of a line that only the second listening brought
DOUBTFUL = 0.55  # mean confidence of what was heard first, below which it may be nonsense


def worth_slowing(sound: Sound) -> bool:
    """Whether there is enough sound where a voice that was raised would lie."""
    frames_NF = sound[: len(sound) // FRAME * FRAME].reshape(-1, FRAME).astype(np.float32) / np.float32(FULL_SCALE)
    if len(frames_NF) == 0:
        return False
    spectrum_NB = np.abs(np.fft.rfft(frames_NF * np.hanning(FRAME).astype(np.float32), axis=1)) ** 2
    low, high = (round(hertz * FRAME / AUDIO_HZ) for hertz in (BAND_HZ[0], BAND_HZ[1] * SLOWER))
    power_N = spectrum_NB[:, low:high].sum(1) / (FRAME**2 / 8)
    loud_s = float((power_N > 10 ** (LEAST_DB / 10)).sum()) * FRAME / AUDIO_HZ
    return loud_s >= LEAST_S


def is_doubtful(lines: Sequence[Line]) -> bool:
    """Whether nothing was heard, or nothing that the model is sure of."""
    letters = sum(len(line.text) for line in lines)
    return sum(line.confidence * len(line.text) for line in lines) < DOUBTFUL * letters if letters else True


def slowed(sound: Sound) -> Sound:
    """The same at half its pitch and speed."""
    return to_16k(sound, AUDIO_HZ // SLOWER)


def quicker(line: Line) -> Line:
    """A line of slowed sound in the time of the sound itself."""
    words = tuple(replace(word, start_ms=word.start_ms // SLOWER, end_ms=word.end_ms // SLOWER) for word in line.words)
    return replace(line, start_ms=line.start_ms // SLOWER, end_ms=line.end_ms // SLOWER, words=words)
