"""Open a container with the demuxer it was sniffed as, network off, and say what is in it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import av
from av.container import InputContainer

from pipelines.decode.limits import Limits
from pipelines.decode.sniff import Format
from pipelines.rows import ErrorCode, MediaError

FIRST_FRAME_PACKETS = 64
OPTIONS = {"protocol_whitelist": "file", "enable_drefs": "0", "use_absolute_path": "0"}


@dataclass(frozen=True)
class MediaInfo:
    """What a container claims before it is decoded; times count from its first timestamp."""

    has_video: bool
    has_audio: bool
    width: int = 0  # as coded: before rotation
    height: int = 0
    duration_ms: int = 0  # 0 where the container does not say
    video_ms: int = 0  # of the video stream alone, 0 where unknown
    start_s: float = 0.0
    codec: str = ""
    quarter_turns: int = 0  # counter-clockwise, to set the coded picture upright

    @property
    def upright_size(self) -> tuple[int, int]:
        """(width, height) after rotation."""
        return (self.height, self.width) if self.quarter_turns % 2 else (self.width, self.height)


def open_container(path: Path, media: Format) -> InputContainer:
    """Open for reading, or raise MediaError."""
    options = {**OPTIONS} if media.demuxer == "mov" else {"protocol_whitelist": "file"}
    try:
        return av.open(str(path), mode="r", format=media.demuxer, options=options, metadata_errors="replace")
    except (av.FFmpegError, ValueError) as error:
        raise MediaError(ErrorCode.DAMAGED, f"the {media.demuxer} container cannot be opened: {error}") from error


def first_video(container: InputContainer) -> av.VideoStream | None:
    """Return the first stream of moving pictures; cover art is none."""
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            return stream
    return None


def probe(path: Path, media: Format, limits: Limits) -> MediaInfo:
    """Read the headers and hold them to the limits; raises MediaError."""
    with open_container(path, media) as container:
        video = first_video(container)
        duration_ms = (container.duration or 0) // 1000
        start_s = (container.start_time or 0) / 1e6
        has_audio = any(stream.codec_context for stream in container.streams.audio)
        if video is None or video.codec_context is None:
            if not has_audio:
                raise MediaError(ErrorCode.NO_VIDEO, "the container has neither pictures nor sound that can be read")
            limits.check_duration(duration_ms)
            return MediaInfo(has_video=False, has_audio=True, duration_ms=duration_ms, start_s=start_s)
        video_ms = int(video.duration * video.time_base * 1000) if video.duration and video.time_base else 0
        limits.check_duration(max(duration_ms, video_ms))
        limits.check_pixels(video.width, video.height)
        return MediaInfo(
            has_video=True,
            has_audio=has_audio,
            width=video.width,
            height=video.height,
            duration_ms=duration_ms or video_ms,
            video_ms=video_ms,
            start_s=start_s,
            codec=video.codec_context.name,
            quarter_turns=_quarter_turns(container, video),
        )


def _quarter_turns(container: InputContainer, video: av.VideoStream) -> int:
    """Read the display matrix off the first frame; the stream itself does not tell."""
    video.codec_context.thread_count = 1  # more threads would hold the first frame back
    try:
        for packet in islice(container.demux(video), FIRST_FRAME_PACKETS):
            for frame in packet.decode():
                return round(frame.rotation / 90) % 4
    except av.FFmpegError:
        pass  # a damaged start; the reader will say so
    return 0
