"""Which sound of a file a line or a match was heard in: a track, and of it the mix or one channel, in one number.

Tracks count from 1 in the order of the file. A number is stored with every line said and every spectral peak.
"""

from __future__ import annotations

PER_TRACK = 64  # numbers: the mix, and one for each channel that a track may have
MIX, SIDE = 0, 63
# FFmpeg's names in the order of its channel mask (libavutil/channel_layout.h).
CHANNELS = (
    *("FL", "FR", "FC", "LFE", "BL", "BR", "FLC", "FRC", "BC", "SL", "SR"),
    *("TC", "TFL", "TFC", "TFR", "TBL", "TBC", "TBR"),
)
UNNAMED = 32  # channels without a name of these count from here


def number(track: int, channel: int = MIX) -> int:
    """Put a track, counted from 1, and one of its channels together."""
    return track * PER_TRACK + channel


def channel_of(name: str, place: int) -> int:
    """The number of a channel by its name, or by its place in the track where it has no known one."""
    return 1 + CHANNELS.index(name) if name in CHANNELS else min(UNNAMED + place, SIDE - 1)


def is_whole(number: int) -> bool:
    """Whether it is a mix of several channels, and not one of them."""
    return number % PER_TRACK in (MIX, SIDE)


def name_of(number: int | None) -> str | None:
    """Say it to people: `1` for the mix of the first track, `2 FR` for the right channel of the second."""
    if not number:
        return None
    track, channel = divmod(number, PER_TRACK)
    if channel == MIX:
        return str(track)
    if channel == SIDE:
        return f"{track} side"
    return f"{track} {CHANNELS[channel - 1] if channel <= len(CHANNELS) else f'channel {channel - UNNAMED + 1}'}"
