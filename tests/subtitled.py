"""Films with what files carry beside their pictures: subtitle tracks, chapters and tags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import av
from av.subtitles.subtitle import SubtitleSet

THOUSANDTH = Fraction(1, 1000)
HEADER = (
    b"[Script Info]\nScriptType: v4.00+\n[V4+ Styles]\nFormat: Name, Fontname, Fontsize\nStyle: Default,Arial,16\n"
    b"[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
)
Cue = tuple[int, int, str]  # from, to, in milliseconds; text


def carrying(
    source: Path,
    into: Path,
    *,
    tracks: Sequence[tuple[str, str, Sequence[Cue]]] = (),
    tags: Mapping[str, str] | None = None,
    chapters: Sequence[Cue] = (),
) -> Path:
    """Copy the pictures of a film and add (codec, language, cues) tracks, tags and chapters."""
    with av.open(str(source)) as film, av.open(str(into), "w") as out:
        pictures = out.add_stream_from_template(film.streams.video[0])
        written = [(_track(out, codec, language), cues) for codec, language, cues in tracks]
        out.metadata.update(tags or {})
        out.set_chapters(
            [
                {"id": n, "start": start, "end": end, "time_base": THOUSANDTH, "metadata": {"title": title}}
                for n, (start, end, title) in enumerate(chapters)
            ]
        )
        for packet in film.demux(video=0):
            if packet.dts is not None:
                packet.stream = pictures
                out.mux(packet)
        for stream, cues in written:
            for number, cue in enumerate(cues):
                out.mux(_packet(stream, number, cue))
    return into


def _track(out: av.container.OutputContainer, codec: str, language: str) -> av.subtitles.stream.SubtitleStream:
    stream = out.add_stream(codec)
    stream.codec_context.subtitle_header = HEADER
    stream.time_base = THOUSANDTH
    stream.metadata["language"] = language
    return stream


def _packet(stream: av.subtitles.stream.SubtitleStream, number: int, cue: Cue) -> av.Packet:
    start_ms, end_ms, text = cue
    line = f"{number},0,Default,,0,0,0,,{text}".encode()
    subtitle = SubtitleSet.create(text=line, start=0, end=end_ms - start_ms, pts=start_ms * 1000)
    packet = stream.codec_context.encode_subtitle(subtitle)
    packet.stream, packet.time_base = stream, THOUSANDTH
    packet.pts = packet.dts = start_ms
    packet.duration = end_ms - start_ms
    return packet
