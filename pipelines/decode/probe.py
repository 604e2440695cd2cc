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

from pipelines.decode.carried import described
from pipelines.decode.clock import clock_ms
from pipelines.decode.found import Found
from pipelines.decode.limits import Limits
from pipelines.decode.orientation import Orientation, orientation_of
from pipelines.decode.sniff import Format
from pipelines.decode.tone import is_hdr
from pipelines.decode.transparency import has_alpha
from pipelines.rows import ErrorCode, MediaError

__all__ = [
    "MediaInfo",
    "attached_pictures",
    "audio_tracks",
    "clock_ms",
    "demux",
    "open_container",
    "probe",
    "video_tracks",
]

FIRST_FRAME_PACKETS = 64
OPTIONS = {"protocol_whitelist": "file", "enable_drefs": "0", "use_absolute_path": "0"}
ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
MAX_PIXEL_ASPECT = 32
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
    pixel_aspect: Fraction = Fraction(1)  # width to height of one pixel
    orientation: Orientation | None = None  # None where no frame could be decoded to tell
    sound_tracks: tuple[int, ...] = ()  # places of those that can be decoded among all, as a player prefers them
    unknown_tracks: tuple[int, ...] = ()  # of sound in a codec that nobody here decodes
    turned: int = 0  # degrees, as PyAV says it of the same frame
    is_plain: bool = True  # neither transparent nor of high dynamic range
    has_alpha_track: bool = False  # WebM: only libvpx reads it
    texts: tuple[Found, ...] = ()  # tags and titles of chapters
    subtitle_tracks: int = 0
    covers: int = 0  # attached pictures

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) that are to each other as those shown, before it is turned upright."""
        return self.width * self.pixel_aspect.numerator, self.height * self.pixel_aspect.denominator


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


def attached_pictures(container: InputContainer) -> list[av.VideoStream]:
    """Return the pictures that go with the file: cover art."""
    attached = av.stream.Disposition.attached_pic
    return [stream for stream in container.streams.video if stream.codec_context and stream.disposition & attached]


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
        texts = described(container, start_us, duration_ms)
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
                texts=texts,
            )
        video = videos[0]
        width, height = video.width, video.height  # a refused frame sets them to 0
        limits.check_pixels(width, height)
        first_us, frame = _first_picture(container, video)
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
            pixel_aspect=_pixel_aspect(video),
            orientation=orientation_of(frame) if frame else None,
            turned=frame.rotation if frame else 0,
            is_plain=frame is None or not (is_hdr(frame.color_trc) or has_alpha(frame.format)),
            has_alpha_track=video.metadata.get("alpha_mode") == "1" and video.codec_context.name in ALPHA_DECODERS,
            texts=texts,
            subtitle_tracks=len(container.streams.subtitles),
            covers=len(attached_pictures(container)),
            sound_tracks=order,
            unknown_tracks=unknown,
        )


def _pixel_aspect(video: av.VideoStream) -> Fraction:
    """What the container says or else the stream; no screen has pixels as long as some headers claim."""
    found = video.sample_aspect_ratio or video.codec_context.sample_aspect_ratio or Fraction(1)
    return found if 1 / MAX_PIXEL_ASPECT <= found <= MAX_PIXEL_ASPECT else Fraction(1)


def decoder_of(stream: av.VideoStream) -> av.VideoCodecContext:
    """The stream's own decoder, or for transparent WebM libvpx: FFmpeg's own leaves the transparency out."""
    name = ALPHA_DECODERS.get(stream.codec_context.name)
    if name is None or stream.metadata.get("alpha_mode") != "1":
        return stream.codec_context
    return cast("av.VideoCodecContext", av.CodecContext.create(name, "r"))


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


def _first_picture(container: InputContainer, video: av.VideoStream) -> tuple[int, av.VideoFrame | None]:
    """Return when the pictures begin, in microseconds, and the first one: only that tells how it is shown."""
    codec = decoder_of(video)
    codec.thread_count = 1  # more threads would hold the first frame back
    first_us = sys.maxsize
    try:
        for packet in islice(demux(container, video), FIRST_FRAME_PACKETS):
            if packet.pts is not None and packet.time_base and not packet.is_discard:
                first_us = min(first_us, int(packet.pts * packet.time_base * 1_000_000))
            for frame in codec.decode(packet):
                return first_us, frame
    except av.FFmpegError:
        pass  # a damaged start; the reader will say so
    return first_us, None
