"""Open a container with the demuxer it was sniffed as, network off, and say what is in it."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import TypeVar, cast

import av
from av.container import InputContainer
from av.stream import Stream

from pipelines.decode.limits import Limits
from pipelines.decode.orientation import Orientation, orientation_of
from pipelines.decode.sniff import Format
from pipelines.rows import ErrorCode, MediaError

FIRST_FRAME_PACKETS = 64
OPTIONS = {"protocol_whitelist": "file", "enable_drefs": "0", "use_absolute_path": "0"}
GUESSES_DURATION = {"mpeg", "mpegts", "mpegvideo"}  # FFmpeg's guess from bit rate or last packets, not the file's word

Track = TypeVar("Track", bound=Stream)
MATROSKA_DURATION = re.compile(r"(\d{1,6}):(\d\d):(\d\d(?:\.\d+)?)")


@dataclass(frozen=True)
class MediaInfo:
    """What a container claims before it is decoded; times count from its first timestamp."""

    has_video: bool
    has_audio: bool
    video_tracks: int = 0
    width: int = 0  # as coded: before it is turned upright
    height: int = 0
    duration_ms: int = 0  # 0 where the container does not say
    video_end_ms: int = 0  # of the picture track alone, 0 where unknown
    start_us: int = 0
    codec: str = ""
    orientation: Orientation | None = None  # None where no frame could be decoded to tell
    sound_tracks: tuple[int, ...] = ()  # places of those that can be decoded among all, as a player prefers them
    unknown_tracks: tuple[int, ...] = ()  # of sound in a codec that nobody here decodes

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) as coded."""
        return self.width, self.height


def clock_ms(pts: int, time_base: Fraction, start_us: int) -> int:
    """Return the milliseconds since the container's first timestamp, in whole numbers so that all readers agree."""
    return (pts * time_base.numerator * 1_000_000 // time_base.denominator - start_us + 500) // 1000


def open_container(path: Path, media: Format) -> InputContainer:
    """Open for reading, or raise MediaError."""
    options = {**OPTIONS} if media.demuxer == "mov" else {"protocol_whitelist": "file"}
    try:
        return av.open(str(path), mode="r", format=media.demuxer, options=options, metadata_errors="replace")
    except (av.FFmpegError, ValueError) as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        raise MediaError(ErrorCode.DAMAGED, f"the {media.demuxer} container cannot be opened: {why}") from error


def video_tracks(container: InputContainer) -> list[av.VideoStream]:
    """Return the tracks of moving pictures that can be decoded; cover art is none."""
    return [
        stream
        for stream in container.streams.video
        if stream.codec_context and not stream.disposition & av.stream.Disposition.attached_pic
    ]


def audio_tracks(container: InputContainer) -> list[av.AudioStream]:
    """Return the tracks of sound that can be decoded."""
    return [stream for stream in container.streams.audio if stream.codec_context]


def _sound_order(container: InputContainer) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Places of the tracks of sound that can be decoded, default and forced ones first, and of those that cannot."""
    flags = av.stream.Disposition
    known = {place: stream for place, stream in enumerate(container.streams.audio) if stream.codec_context}
    order = sorted(
        known, key=lambda n: (not known[n].disposition & flags.default, not known[n].disposition & flags.forced, n)
    )
    return tuple(order), tuple(n for n in range(len(container.streams.audio)) if n not in known)


def demux(container: InputContainer, *tracks: Track) -> Iterator[av.Packet[Track]]:
    """Yield the packets of some tracks, then an empty one for each; raises av.FFmpegError.

    A track that appears on the way, as in a transport stream, makes PyAV stumble after the last packet.
    """
    with suppress(IndexError):
        yield from cast("Iterator[av.Packet[Track]]", container.demux(list(tracks)))


def probe(path: Path, media: Format, limits: Limits) -> MediaInfo:
    """Read the headers and hold them to the limits; raises MediaError."""
    with open_container(path, media) as container:
        videos, audios = video_tracks(container), audio_tracks(container)
        duration_ms = (container.duration or 0) // 1000
        start_us = container.start_time or 0
        limits.check_duration(duration_ms)
        if not videos and not audios:
            raise MediaError(ErrorCode.NO_VIDEO, "the container has neither pictures nor sound that can be read")
        order, unknown = _sound_order(container)
        if not videos:
            return MediaInfo(
                has_video=False,
                has_audio=True,
                duration_ms=duration_ms,
                start_us=start_us,
                sound_tracks=order,
                unknown_tracks=unknown,
            )
        video = videos[0]
        width, height = video.width, video.height  # a refused frame sets them to 0
        limits.check_pixels(width, height)
        first_us, orientation = _first_picture(container, video)
        start_us = min(start_us, first_us)  # FFmpeg may have missed the start of a track of few packets
        end_ms = _end_ms(video, media, start_us)
        limits.check_duration(end_ms)
        says = media.demuxer not in GUESSES_DURATION
        return MediaInfo(
            has_video=True,
            has_audio=bool(audios),
            video_tracks=len(videos),
            width=width,
            height=height,
            duration_ms=duration_ms if says else 0,
            video_end_ms=end_ms if says else 0,
            start_us=start_us,
            codec=video.codec_context.name,
            orientation=orientation,
            sound_tracks=order,
            unknown_tracks=unknown,
        )


def _end_ms(video: av.VideoStream, media: Format, start_us: int) -> int:
    """When the picture track says that it ends; 0 where it does not say."""
    if media.demuxer == "matroska":
        return _tagged_ms(video) - start_us // 1000 if _tagged_ms(video) else 0
    if not video.time_base or not video.duration:
        return 0
    return clock_ms((video.start_time or 0) + video.duration, video.time_base, start_us)


def _tagged_ms(video: av.VideoStream) -> int:
    """Read a track's tag, 00:00:05.000000000. What FFmpeg says of a Matroska track it took from its neighbours."""
    tag = MATROSKA_DURATION.fullmatch(video.metadata.get("DURATION") or "0:00:00")
    hours, minutes, seconds = tag.groups() if tag else (0, 0, 0)
    return round((int(hours) * 3600 + int(minutes) * 60 + float(seconds)) * 1000)


def _first_picture(container: InputContainer, video: av.VideoStream) -> tuple[int, Orientation | None]:
    """Return when the pictures begin, in microseconds, and the display matrix, which only a decoded frame tells."""
    video.codec_context.thread_count = 1  # more threads would hold the first frame back
    first_us = sys.maxsize
    try:
        for packet in islice(demux(container, video), FIRST_FRAME_PACKETS):
            if packet.pts is not None and packet.time_base and not packet.is_discard:
                first_us = min(first_us, int(packet.pts * packet.time_base * 1_000_000))
            for frame in packet.decode():
                return first_us, orientation_of(frame)
    except av.FFmpegError:
        pass  # a damaged start; the reader will say so
    return first_us, None
