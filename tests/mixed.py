"""A hundred files as they come in: good videos of many kinds, sound, pictures, text, damage, junk and lies."""

from __future__ import annotations

import random
import struct
import wave
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from PIL import Image

from tests.footage import same_scheduling

VIDEO = {  # name -> (container, encoder, pixel format)
    "mp4-h264": ("mp4", "libx264", "yuv420p"),
    "mov-h264": ("mov", "libx264", "yuv420p"),
    "mkv-h264": ("matroska", "libx264", "yuv420p"),
    "ts-h264": ("mpegts", "libx264", "yuv420p"),
    "flv-h264": ("flv", "libx264", "yuv420p"),
    "mp4-hevc": ("mp4", "libx265", "yuv420p"),
    "mp4-av1": ("mp4", "libsvtav1", "yuv420p"),
    "mp4-mpeg4": ("mp4", "mpeg4", "yuv420p"),
    "avi-mpeg4": ("avi", "mpeg4", "yuv420p"),
    "mpg-mpeg2": ("mpeg", "mpeg2video", "yuv420p"),
    "webm-vp8": ("webm", "libvpx", "yuv420p"),
    "webm-vp9": ("webm", "libvpx-vp9", "yuv420p"),
    "asf-wmv2": ("asf", "wmv2", "yuv420p"),
    "avi-mjpeg": ("avi", "mjpeg", "yuvj420p"),
}
SOUND = {"m4a": ("ipod", "aac"), "mp3": ("mp3", "libmp3lame"), "flac": ("flac", "flac"), "opus": ("ogg", "libopus")}


@dataclass(frozen=True)
class Sample:
    """One file and what may become of it."""

    path: Path
    codes: frozenset[str | None]  # allowed error codes; None is a video wholly seen


@same_scheduling()
def write_video(
    path: Path, kind: str, *, seconds: float = 2.0, size: tuple[int, int] = (160, 96), seed: int = 0
) -> None:
    """Encode a moving gradient at 10 frames a second."""
    container, encoder, pixels = VIDEO[kind]
    width, height = size
    ramp = np.linspace(0, 255, width, dtype=np.float32)[None, :, None]
    with av.open(str(path), "w", format=container) as out:
        stream = out.add_stream(encoder, rate=10)
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        for index in range(int(seconds * 10)):
            level = (ramp + 9 * index + 31 * seed) % 256
            picture = np.broadcast_to(level, (height, width, 3)).astype(np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                out.mux(packet)
        for packet in stream.encode():
            out.mux(packet)


def write_sound(path: Path, kind: str, *, seconds: float = 1.0) -> None:
    """Encode a tone of 440 Hz."""
    container, encoder = SOUND[kind]
    tone = (8000 * np.sin(2 * np.pi * 440 * np.arange(int(48000 * seconds)) / 48000)).astype(np.int16)
    with av.open(str(path), "w", format=container) as out:
        stream = out.add_stream(encoder, rate=48000, layout="mono")
        resampler = av.AudioResampler(
            format=stream.format, layout="mono", rate=48000, frame_size=stream.frame_size or 0
        )
        frame = av.AudioFrame.from_ndarray(tone[None], format="s16", layout="mono")
        frame.sample_rate = 48000
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            for packet in stream.encode(part):
                out.mux(packet)
        for packet in stream.encode():
            out.mux(packet)


def write_hundred(folder: Path) -> list[Sample]:
    """Fill `folder`; the same bytes every time."""
    folder.mkdir(parents=True, exist_ok=True)
    samples = [*_good(folder), *_sound(folder), *_pictures(folder), *_texts(folder), *_empty(folder)]
    samples += [*_truncated(folder), *_junk(folder), *_lies(folder)]
    samples += _flipped(folder, 100 - len(samples))
    return samples


def _sample(path: Path, *codes: str | None) -> Sample:
    return Sample(path, frozenset(codes))


def _good(folder: Path) -> list[Sample]:
    samples = []
    for seed, kind in enumerate(VIDEO):
        for turn, size in enumerate(((160, 96), (96, 160))):
            path = folder / f"good-{turn}-{kind}.{kind.partition('-')[0]}"
            write_video(path, kind, size=size, seed=seed + 20 * turn)
            samples.append(_sample(path, None))
    return samples


def _sound(folder: Path) -> list[Sample]:
    samples = []
    for kind in SOUND:
        write_sound(folder / f"sound.{kind}", kind)
        samples.append(_sample(folder / f"sound.{kind}", None))
    path = folder / "sound.wav"
    with wave.open(str(path), "wb") as out:
        out.setparams((1, 2, 16000, 0, "NONE", ""))
        out.writeframes(b"\1\2" * 16000)
    return [*samples, _sample(path, None)]


def _pictures(folder: Path) -> list[Sample]:
    samples = []
    for index, kind in enumerate(("jpg", "png", "webp", "bmp")):
        for side in (64, 400):
            path = folder / f"picture-{side}.{kind}"
            Image.new("RGB", (side, side // 2), (40 * index, 90, 200)).save(path)
            samples.append(_sample(path, None))
    return samples


def _texts(folder: Path) -> list[Sample]:
    playlist = "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\ngood-0-mp4-h264.mp4\n#EXT-X-ENDLIST\n"
    texts = {
        "notes.txt": ("buy milk\n", "unsupported_format"),
        "page.html": ("<html><body>hello</body></html>", "unsupported_format"),
        "data.json": ('{"video_id": 1}', "unsupported_format"),
        "subtitles.srt": ("1\n00:00:01,000 --> 00:00:02,000\nhello\n", "unsupported_format"),
        "中文.txt": ("你好", "unsupported_format"),
        "list.m3u8": (playlist, "playlist_refused"),
        "list-as-video.mp4": (playlist, "playlist_refused"),
        "concat.mp4": ("ffconcat version 1.0\nfile good-0-mp4-h264.mp4\n", "playlist_refused"),
        "session.sdp": ("v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\n", "playlist_refused"),
        "manifest.mpd": ('<?xml version="1.0"?><MPD></MPD>', "playlist_refused"),
    }
    for name, (text, _) in texts.items():
        (folder / name).write_text(text, "utf-8")
    return [_sample(folder / name, code) for name, (_, code) in texts.items()]


def _empty(folder: Path) -> list[Sample]:
    names = ["empty.mp4", "empty.webm", "empty.jpg", "empty", "empty file with spaces.mov"]
    for name in names:
        (folder / name).touch()
    return [_sample(folder / name, "empty_file") for name in names]


def _truncated(folder: Path) -> list[Sample]:
    """Cut files whose index comes last, first or nowhere: none may pass as wholly seen while it is short."""
    samples = []
    for kind in ("mp4-h264", "mkv-h264", "webm-vp9"):
        whole = folder / "whole.tmp"
        write_video(whole, kind, seconds=8, seed=7)
        content = whole.read_bytes()
        whole.unlink()
        for tenth in (1, 3, 5, 7):
            path = folder / f"cut-{tenth}-{kind}.{kind.partition('-')[0]}"
            path.write_bytes(content[: len(content) * tenth // 10])
            samples.append(_sample(path, "truncated", "damaged", "no_video"))
    return samples


def _junk(folder: Path) -> list[Sample]:
    noise = random.Random(7)
    samples = []
    for name in ("junk.mp4", "junk.webm", "junk.avi", "junk.jpg", "junk"):
        (folder / name).write_bytes(b"\x07" + noise.randbytes(5000))
        samples.append(_sample(folder / name, "unsupported_format"))
    (folder / "head-only.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + noise.randbytes(5000))
    (folder / "head-only.mkv").write_bytes(b"\x1a\x45\xdf\xa3" + noise.randbytes(5000))
    (folder / "head-only.png").write_bytes(b"\x89PNG\r\n\x1a\n" + noise.randbytes(5000))
    return [*samples, *[_sample(folder / f"head-only.{end}", "damaged", "no_video") for end in ("mp4", "mkv", "png")]]


def _lies(folder: Path) -> list[Sample]:
    """Names that say something else than the content does: the content counts."""
    (folder / "video.txt").write_bytes((folder / "good-0-mp4-h264.mp4").read_bytes() + b"\0\0\0\x08free")
    (folder / "picture.mp4").write_bytes((folder / "picture-64.png").read_bytes() + b"\0")
    with zipfile.ZipFile(folder / "archive.mp4", "w") as archive:
        archive.writestr(zipfile.ZipInfo("inside.txt"), "hello")
    (folder / "bomb.png").write_bytes(_png_header(100_000, 100_000))
    return [
        _sample(folder / "video.txt", None),
        _sample(folder / "picture.mp4", None),
        _sample(folder / "archive.mp4", "unsupported_format"),
        _sample(folder / "bomb.png", "too_many_pixels"),
    ]


def _png_header(width: int, height: int) -> bytes:
    """A picture that claims to be huge and holds next to nothing."""
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"")),
        (b"IEND", b""),
    ]
    body = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def _flipped(folder: Path, count: int) -> list[Sample]:
    """Good videos with flipped bits: anything may come of them, but one row each and no crash of the job."""
    noise = random.Random(11)
    sources = [folder / f"good-0-{kind}.{kind.partition('-')[0]}" for kind in ("mp4-h264", "webm-vp9", "avi-mpeg4")]
    anything = (None, "truncated", "damaged", "no_video", "timeout", "decoder_crashed", "too_long", "too_many_pixels")
    samples = []
    for index in range(count):
        content = bytearray(sources[index % len(sources)].read_bytes())
        for _ in range(12):
            content[noise.randrange(16, len(content))] ^= 1 << noise.randrange(8)
        path = folder / f"flipped-{index:02}{sources[index % len(sources)].suffix}"
        path.write_bytes(content)
        samples.append(_sample(path, *anything))
    return samples
