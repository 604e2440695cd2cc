"""Which sounds go through a speech encoder together: those of one length class, so many seconds at once.

An item's class depends on its own length alone, so what is heard does not depend on its neighbours in a batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from model_registry.models.speech.sound import AUDIO_HZ, LONGEST_S

# Seconds a sound is padded to with silence. Whisper was trained on 30 s (Radford et al. 2022, section 2.2); without
# silence after the last word it says the last words again, with two seconds of it, it stops as after thirty. Clips of
# two to four seconds lose words below ten.
CLASSES_S = (10, 14, 18, 22, 26, LONGEST_S)
MARGIN_S = 2


@dataclass(frozen=True)
class Batch:
    """Places of the list that go together, and the seconds that each is padded to."""

    seconds: int
    places: tuple[int, ...]


def class_s(samples: int) -> int:
    """The seconds a sound is padded to."""
    wanted = samples / AUDIO_HZ + MARGIN_S
    return next((seconds for seconds in CLASSES_S if seconds >= wanted), LONGEST_S)


def batches(lengths: Sequence[int], longest_s: int) -> Iterator[Batch]:
    """Cut a list of lengths in samples into batches of at most `longest_s` padded seconds, and at least one sound."""
    classes: dict[int, list[int]] = {}
    for place in sorted(range(len(lengths)), key=lengths.__getitem__):  # similar texts end at similar steps
        classes.setdefault(class_s(lengths[place]), []).append(place)
    for seconds, places in classes.items():
        size = max(1, longest_s // seconds)
        yield from (Batch(seconds, tuple(places[start : start + size])) for start in range(0, len(places), size))
