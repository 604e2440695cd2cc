"""Pictures that are attached to a film: cover art, which players show in lists and before the film."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av

from pipelines.decode.limits import Limits, Sampling
from pipelines.decode.pixels import Picture, Pixels
from pipelines.decode.probe import MediaInfo, attached_pictures, demux, open_container
from pipelines.decode.sniff import Format

MOST = 16  # of one file


def covers_of(path: Path, media: Format, sampling: Sampling, limits: Limits) -> Iterator[Picture]:
    """Yield them, uint8 [H, W, 3]; one that cannot be decoded, or is too large, is left out."""
    with open_container(path, media) as container:
        for stream in attached_pictures(container)[:MOST]:
            try:
                yield from _frames(container, stream, sampling, limits)
            except av.FFmpegError:
                continue


def _frames(
    container: av.container.InputContainer, stream: av.VideoStream, sampling: Sampling, limits: Limits
) -> Iterator[Picture]:
    stream.codec_context.options = {"max_pixels": str(limits.max_pixels)}
    container.seek(0)
    for packet in demux(container, stream):
        for frame in packet.decode():
            yield Pixels(MediaInfo(True, False, width=frame.width, height=frame.height), sampling).of(frame)
            return
