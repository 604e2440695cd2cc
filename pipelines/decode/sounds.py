"""Everything that is heard in a file, window by window: every track's mix, and the channels that their mix hides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.decode import ogg
from pipelines.decode.audio_reader import AudioReader, Channels
from pipelines.decode.channels import MOST_CHANNELS, mixed
from pipelines.decode.limits import Limits
from pipelines.decode.probe import MediaInfo
from pipelines.decode.sniff import Format
from pipelines.rows import AUDIO_HZ, BEFORE_MS, ErrorCode, MediaError, Sound
from pipelines.tracks import MIX, number

MOST_TRACKS = 8  # dubbed films have a dozen, of which a viewer hears one; each costs as much as the first
SAYS_DURATION = {"mov", "matroska", "flac", "wav"}  # the file itself; of others FFmpeg guesses by the bit rate
MISSING_MS, MISSING_SHARE = 500, 0.05  # sound that ends this much before the file says is cut off

Samples = NDArray[np.int16]
SILENCE: Samples = np.zeros(0, np.int16)


class Sounds:
    """The tracks of a file side by side, each read by itself, so that one that ends early costs no memory."""

    def __init__(self, path: Path, media: Format, info: MediaInfo, limits: Limits) -> None:
        self.path, self.media, self.info = path, media, info
        heard = info.sound_tracks[:MOST_TRACKS] if info.has_audio else ()
        self._tracks = [_Track(AudioReader(path, media, info, limits, place), place + 1) for place in heard]

    @property
    def end_ms(self) -> int:
        """How far the longest track was taken."""
        return max((track.reader.end_ms for track in self._tracks), default=0)

    def take(self, samples: int) -> tuple[Sound, ...]:
        """Return the next window of each sound, the preferred track's mix first.

        A sound that has just ended still comes with what it had before: nobody has listened to its last breath.
        """
        return tuple(sound for track in self._tracks for sound in track.take(samples))

    def cut_short(self) -> MediaError | None:
        """What is missing of a file that has nothing but sound and says how long it is."""
        promised_ms = self.info.duration_ms if self.media.demuxer in SAYS_DURATION else 0
        if promised_ms - self.end_ms > max(MISSING_MS, MISSING_SHARE * promised_ms):
            ends = f"the sound ends at {self.end_ms / 1000:.1f} s of {promised_ms / 1000:.1f} s"
            return MediaError(ErrorCode.TRUNCATED, ends)
        return None

    def damage(self) -> MediaError | None:
        """What was wrong with the sound on the way, and what nobody listened to; None for nothing."""
        if self.media.demuxer == "ogg" and (cut := ogg.cut_short(self.path)):
            return MediaError(ErrorCode.TRUNCATED, cut)
        if bad := sum(track.reader.bad_packets for track in self._tracks):
            return MediaError(ErrorCode.DAMAGED, f"{bad} packets or frames of the sound are damaged")
        if left := len(self.info.sound_tracks) - len(self._tracks):
            unheard = f"{left} of {len(self.info.sound_tracks)} sound tracks were not listened to"
            return MediaError(ErrorCode.UNSUPPORTED, unheard)
        if (widest := max((track.widest for track in self._tracks), default=0)) > MOST_CHANNELS:
            unheard = f"of {widest} channels only the mix was listened to, allowed are {MOST_CHANNELS}"
            return MediaError(ErrorCode.UNSUPPORTED, unheard)
        if unknown := len(self.info.unknown_tracks):
            return MediaError(ErrorCode.UNSUPPORTED, f"{unknown} sound tracks are in a codec that cannot be decoded")
        return None


def audible(sounds: tuple[Sound, ...]) -> bool:
    """Whether any of them has samples."""
    return any(len(sound.samples) for sound in sounds)


class _Track:
    """The sounds of one track; remembers the end of each for the window that follows."""

    def __init__(self, reader: AudioReader, track: int) -> None:
        self.reader, self.track = reader, track
        self.widest = 0  # channels
        self._ends: dict[int, Samples] = {}  # by channel

    @property
    def before(self) -> Samples:
        """The end of the mix so far."""
        return self._ends.get(MIX, SILENCE)

    def take(self, samples: int) -> list[Sound]:
        """The mix, and besides it those channels that differ here, or did at the end of the window before."""
        parts = self.reader.take(samples)
        self.widest = max([self.widest, *(len(part.names) for part in parts)])
        found = _sounds(parts)
        length = len(found[MIX])
        wanted = {MIX, *found, *(channel for channel, end in self._ends.items() if end.any())}
        whole = {channel: found.get(channel, np.zeros(length, np.int16)) for channel in sorted(wanted)}
        ends = {channel: self._ends.get(channel, np.zeros(len(self.before), np.int16)) for channel in whole}
        most = BEFORE_MS * AUDIO_HZ // 1000
        self._ends = {channel: own[-most:] for channel, own in whole.items() if length}
        return [Sound(number(self.track, channel), own, ends[channel]) for channel, own in whole.items()]


def _sounds(parts: list[Channels]) -> dict[int, Samples]:
    """By channel, the mix always among them; what is silent for a part is silence there."""
    done = [mixed(part.sound_CN, part.names) for part in parts]
    lengths = [len(part) for part in parts]
    channels = {channel for one in done for channel in one.others}
    found = {MIX: np.concatenate([SILENCE, *(one.mix for one in done)])}
    for channel in channels:
        pieces = [
            one.others.get(channel, np.zeros(length, np.int16)) for one, length in zip(done, lengths, strict=True)
        ]
        found[channel] = np.concatenate(pieces)
    return found
