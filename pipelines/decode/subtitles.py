"""Subtitle tracks: their lines with their times. Those made of pictures are said to be unread."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.stream import Discard
from av.subtitles.stream import SubtitleStream
from av.subtitles.subtitle import AssSubtitle

from pipelines.decode.clock import clock_ms
from pipelines.decode.found import WRITTEN, Found
from pipelines.decode.probe import MediaInfo, demux, open_container
from pipelines.decode.sniff import Format

MOST_TRACKS, MOST_LINES = 32, 20_000
LEAST_SECONDS = 1.0  # that may always be spent
PICTURES = {"pgssub", "hdmv_pgs_subtitle", "dvdsub", "dvd_subtitle", "dvbsub", "dvb_subtitle", "xsub"}
OVERRIDES = re.compile(r"\{[^}]*\}")  # of ASS: fonts, places, drawings
MARKUP = re.compile(r"</?[A-Za-z][^<>]{0,80}>")


@dataclass
class Subtitles:
    """What was read, and what was not."""

    lines: list[Found] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)


def subtitles_of(path: Path, media: Format, info: MediaInfo, seconds: float) -> Subtitles:
    """Read all tracks; what takes longer than `seconds`, the time that the pictures took, is said to be unread."""
    read = Subtitles()
    with open_container(path, media) as container:
        tracks = [stream for stream in container.streams.subtitles if _is_text(stream, read)]
        if len(tracks) > MOST_TRACKS:
            read.unread.append(f"{len(tracks) - MOST_TRACKS} of {len(tracks)} subtitle tracks were not read")
        if tracks:
            _read(container, tracks[:MOST_TRACKS], info, time.monotonic() + max(LEAST_SECONDS, seconds), read)
    return read


def plain_text(dialogue: str) -> str:
    """A line of ASS or WebVTT without its markup, on one line."""
    text = MARKUP.sub("", OVERRIDES.sub("", dialogue))
    return " ".join(text.replace("\\N", " ").replace("\\n", " ").replace("\\h", " ").split())


def _is_text(stream: SubtitleStream, read: Subtitles) -> bool:
    codec = stream.codec_context.name if stream.codec_context else ""
    if codec in PICTURES:
        read.unread.append(f"subtitle track {stream.index} ({codec}) is made of pictures and was not read")
    elif not codec:
        read.unread.append(f"subtitle track {stream.index} has no decoder and was not read")
    return bool(codec) and codec not in PICTURES


def _read(
    container: InputContainer, tracks: list[SubtitleStream], info: MediaInfo, until_s: float, read: Subtitles
) -> None:
    seen: set[tuple[int, int, str]] = set()
    for stream in container.streams:
        if stream not in tracks:
            stream.discard = Discard.all  # a file with an index need not be read through
    try:
        for packet in demux(container, *tracks):
            if time.monotonic() > until_s or len(read.lines) > MOST_LINES:
                read.unread.append("the subtitles were not read to their end")
                return
            for line in _lines(packet, info):
                key = (packet.stream_index, line.start_ms, line.text)
                if key not in seen:
                    seen.add(key)
                    read.lines.append(line)
    except av.FFmpegError:
        read.unread.append("the subtitles are damaged")


def _lines(packet: av.Packet[Any], info: MediaInfo) -> Iterator[Found]:
    if packet.size == 0 or packet.pts is None or packet.time_base is None:
        return
    stream = packet.stream
    start_ms = max(0, clock_ms(packet.pts, packet.time_base, info.start_us))
    length_ms = clock_ms(packet.duration or 0, packet.time_base, 0)
    kind = ", ".join(part for part in (stream.codec_context.name, stream.language) if part)
    source = f"subtitles {stream.index} ({kind})"
    for text in _texts(stream.decode(packet)):
        yield Found(start_ms, start_ms + length_ms, text, WRITTEN, source)


def _texts(subtitles: Iterable[Any]) -> Iterator[str]:
    for each in subtitles:
        for one in each if not isinstance(each, AssSubtitle) else (each,):
            if isinstance(one, AssSubtitle):
                text = plain_text((one.dialogue or one.text or one.ass).decode(errors="replace"))
                if text:
                    yield text
