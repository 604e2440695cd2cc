"""Files made to break the night: fuzzed, cut, bombs, endless, out of reach, written to for ever, misnamed.

The same bytes every time, from a fixed seed; real videos are fuzzed where there are some, generated ones where not.
"""

from __future__ import annotations

import gzip
import io
import os
import random
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from tests.media import real_files
from tests.mixed import _png_header as png_header
from tests.mixed import write_sound, write_video

NINETY_HOURS_S = 90 * 3600
REAL_BYTES = 120_000  # of a real video, at most
BROKEN = ("truncated", "damaged", "no_video", "unsupported_format")
ANYTHING = (None, *BROKEN, "timeout", "decoder_crashed", "too_long", "too_many_pixels")
HUGE = ("too_many_pixels", "damaged")
NAMES = {  # what it is -> a file name
    "Chinese": "视频 测试.mp4",
    "Arabic": "فيديو.mp4",
    "emoji": "😀👨‍👩‍👧.mp4",
    "right to left": "\u202e4pm.olleh.mp4",
    "a new line": "new\nline.mp4",
    "a tab": "tab\there.mp4",
    "a dash": "-dash.mp4",
    "percent signs": "100%25 %s %03d.mp4",
    "spaces": "  two  spaces  .mp4",
    "quotes": "'quote\"s` $(touch no) ;&|.mp4",
    "a pattern": "*?[x].mp4",
    "a query": "a.mp4?b=c#d",
    "a backslash": "a\\b.mp4",
    "combining marks": "e\u0301\u0327.mp4",
    "not UTF-8": os.fsdecode(b"\xff\xfe\x80.mp4"),
    "as long as names may be": "x" * 251 + ".mp4",
}


@dataclass(frozen=True)
class Poison:
    """One row of the manifest and what may become of it."""

    name: str
    path: Path
    codes: frozenset[str | None]  # allowed error codes; None is a video wholly seen

    @property
    def uri(self) -> str:
        """The path where it is text, else as a file URI."""
        text = str(self.path)
        return text if text.isprintable() and text.encode("utf-8", "replace").decode() == text else self.path.as_uri()


def write_poison(folder: Path) -> list[Poison]:
    """Fill a folder of its own."""
    folder.mkdir(parents=True)
    clean = folder / "clean.mp4"
    write_video(clean, "mp4-h264", seconds=3, seed=3)
    makers = (_fuzzed, _cut, _clocks, _frames, _pictures, _boxes, _archives, _endless, _misnamed, _out_of_reach, _named)
    return [_poison("clean", clean, None), *[one for make in makers for one in make(folder, clean.read_bytes())]]


def _poison(name: str, path: Path, *codes: str | None) -> Poison:
    return Poison(name, path, frozenset(codes))


def written(folder: Path, name: str, content: bytes, *codes: str | None) -> Poison:
    (folder / name).write_bytes(content)
    return _poison(name, folder / name, *codes)


def _bases(folder: Path) -> dict[str, bytes]:
    """Small videos to spoil: two real ones where there are any, and one a container."""
    kinds = ("mp4-h264", "mkv-h264", "webm-vp9", "avi-mpeg4", "ts-h264", "flv-h264")
    real = [one for one in real_files("clip", "video") if one.path.stat().st_size < REAL_BYTES]
    bases = {f"real-{n}.mp4": one.path.read_bytes() for n, one in enumerate(real[:: max(1, len(real) - 1)][:2])}
    whole = folder / "whole.tmp"
    for seed, kind in enumerate(kinds):
        write_video(whole, kind, seconds=2, seed=seed)
        bases[f"made.{kind.partition('-')[0]}"] = whole.read_bytes()
    whole.unlink()
    return bases


def _fuzzed(folder: Path, clean: bytes) -> list[Poison]:
    """Every base with its header, its body, and both overwritten here and there."""
    noise = random.Random(20261121)
    made = []
    for name, content in _bases(folder).items():
        head = min(2000, len(content) // 4)
        for part, (start, end) in {"head": (12, head), "body": (head, len(content)), "all": (12, len(content))}.items():
            spoilt = bytearray(content)
            for _ in range(max(8, (end - start) // 200)):
                spoilt[noise.randrange(start, end)] = noise.randrange(256)
            made.append(written(folder, f"fuzzed-{part}-{name}", bytes(spoilt), *ANYTHING))
    return made


def _cut(folder: Path, clean: bytes) -> list[Poison]:
    """At every tenth: what is left may not pass as the whole."""
    write_video(folder / "whole.tmp", "mkv-h264", seconds=16, seed=5)
    wholes = {"made.mkv": (folder / "whole.tmp").read_bytes()} | dict([next(iter(_bases(folder).items()))])
    (folder / "whole.tmp").unlink(missing_ok=True)
    return [
        written(folder, f"cut-{tenth}-{name}", whole[: len(whole) * tenth // 10], *BROKEN)
        for name, whole in wholes.items()
        for tenth in range(1, 10)
    ]


def _set(content: bytes, mark: bytes, offset: int, kind: str, *values: int) -> bytes:
    """Overwrite numbers some bytes behind every mark."""
    spoilt, at = bytearray(content), content.find(mark)
    assert at >= 0, f"no {mark!r} to spoil"
    while at >= 0:
        struct.pack_into(kind, spoilt, at + offset, *values)
        at = content.find(mark, at + 1)
    return bytes(spoilt)


def _clocks(folder: Path, clean: bytes) -> list[Poison]:
    """Headers that claim ninety hours, no time at all, or a billion frames a second."""
    (ticks,) = struct.unpack_from(">I", clean, clean.index(b"mdhd") + 16)
    slow = _set(clean, b"stts", 16, ">I", ticks * NINETY_HOURS_S // 30).replace(b"elst", b"free")
    long = folder / "long.tmp"
    write_video(long, "mkv-h264", seconds=1)
    mkv = _set(long.read_bytes(), b"\x44\x89\x88", 3, ">d", NINETY_HOURS_S * 1000)
    write_video(long, "avi-mpeg4", seconds=1)
    avi = long.read_bytes()
    long.unlink()
    write_sound(folder / "sound.mp3", "mp3", seconds=1)
    return [
        written(folder, "ninety-hours.mp4", slow, "too_long"),
        written(folder, "ninety-hours.mkv", mkv, "too_long"),
        written(folder, "no-time.mp4", _set(clean, b"stts", 16, ">I", 0), *ANYTHING),
        written(folder, "fast-clock.mp4", _set(clean, b"mdhd", 16, ">I", 0xFFFFFFFF), *ANYTHING),
        written(folder, "fast-frames.avi", _set(avi, b"vids", 20, "<II", 1, 0xFFFFFFFF), *ANYTHING),
        written(folder, "endless.wav", _wav(0xFFFFFFFF), *ANYTHING),
    ]


def _wav(claimed: int) -> bytes:
    kind = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 8000, 16000, 2, 16)
    return b"RIFF" + struct.pack("<I", claimed) + b"WAVE" + kind + b"data" + struct.pack("<I", claimed) + bytes(8000)


def _frames(folder: Path, clean: bytes) -> list[Poison]:
    """Frames of 16k x 16k, as the container claims, as the frame itself claims, and as both do."""
    small = folder / "small.tmp"
    write_video(small, "avi-mjpeg", seconds=1)
    avi = small.read_bytes()
    small.unlink()
    header = _set(avi, b"strf", 12, "<II", 16384, 16384)
    return [
        written(folder, "huge-header.avi", header, None, *HUGE),
        written(folder, "huge-frames.avi", _set(avi, b"\xff\xc0\x00", 5, ">HH", 16384, 16384), *HUGE),
        written(folder, "huge.avi", _set(header, b"\xff\xc0\x00", 5, ">HH", 16384, 16384), *HUGE),
        written(folder, "huge-entry.mp4", _set(clean, b"avc1\0\0\0\0\0\0", 28, ">HH", 16384, 16384), *ANYTHING),
        written(folder, "flat.avi", _set(avi, b"\xff\xc0\x00", 5, ">HH", 0, 0), *ANYTHING),
    ]


def _pictures(folder: Path, clean: bytes) -> list[Poison]:
    """Pictures that claim to be huge, and small ones that unpack to a lot."""
    saved = {}
    for kind in ("jpeg", "gif", "bmp", "webp", "png"):
        picture = io.BytesIO()
        Image.new("RGB", (64, 64), (9, 90, 200)).save(picture, kind)
        saved[kind] = picture.getvalue()
    webp = b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + 2 * (16_777_214).to_bytes(3, "little")
    text = zlib.compress(bytes(64 << 20), 9)
    chunk = struct.pack(">I", 5 + len(text)) + b"zTXta\0\0\0\0" + text
    return [
        written(folder, "huge.png", png_header(100_000, 100_000), *HUGE),
        written(folder, "huge.jpg", _set(saved["jpeg"], b"\xff\xc0\x00", 5, ">HH", 65500, 65500), *HUGE),
        written(folder, "huge.gif", _set(saved["gif"], b"GIF8", 6, "<HH", 65535, 65535), *ANYTHING),
        written(folder, "huge.bmp", _set(saved["bmp"], b"BM", 18, "<ii", 2**31 - 1, 2**31 - 1), *HUGE),
        written(folder, "huge.webp", webp, *HUGE),
        written(folder, "chatty.png", saved["png"][:33] + chunk + bytes(4) + saved["png"][33:], None, *BROKEN),
    ]


def _boxes(folder: Path, clean: bytes) -> list[Poison]:
    """Sizes that no file has, tables of two thousand million entries, boxes in boxes in boxes."""
    ftyp = b"\0\0\0\x18ftypisom\0\0\2\0isommp41"
    deep = b""
    for kind in (b"moov", b"trak", b"mdia", b"minf") * 500:
        deep = struct.pack(">I", len(deep) + 8) + kind + deep
    ebml = b"\x1a\x45\xdf\xa3\x8b\x42\x82\x88matroska"
    segment = b"\x18\x53\x80\x67\x01" + b"\xff" * 6 + b"\xfe"  # 2**56 - 2 bytes
    cluster = b"\x1f\x43\xb6\x75\x01" + b"\xff" * 6 + b"\xfe\xe7\x81\0\xa3\x08" + b"\xff" * 4
    info = b"\x15\x49\xa9\x66\x08\xff\xff\xff\xff"
    return [
        written(folder, "moov-of-4-GB.mp4", ftyp + b"\xff\xff\xff\xf0moov" + clean[-400:], *BROKEN),
        written(folder, "mdat-of-4-EB.mp4", ftyp + b"\0\0\0\1mdat" + struct.pack(">Q", 2**62) + clean, *BROKEN),
        written(folder, "deep.mp4", ftyp + deep, *BROKEN),
        written(folder, "many-samples.mp4", _set(clean, b"stsz", 8, ">II", 1, 0x7FFFFFFF), *ANYTHING),
        written(folder, "many-times.mp4", _set(clean, b"stts", 8, ">II", 0x0FFFFFFF, 0x7FFFFFFF), *ANYTHING),
        written(folder, "segment-of-64-PB.mkv", ebml + segment + cluster, *BROKEN),
        written(folder, "info-of-32-GB.mkv", ebml + segment + info + bytes(4000), *BROKEN),
    ]


def _archives(folder: Path, clean: bytes) -> list[Poison]:
    """What unpacks to a lot, for whoever unpacks."""
    with zipfile.ZipFile(folder / "zip-bomb.mp4", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("zeros"), bytes(64 << 20), zipfile.ZIP_DEFLATED)
    return [
        _poison("zip-bomb.mp4", folder / "zip-bomb.mp4", "unsupported_format"),
        written(folder, "gzip-bomb.mp4", gzip.compress(bytes(64 << 20), mtime=0), "unsupported_format"),
        written(folder, "zeros.mp4", bytes(1 << 20), "unsupported_format"),
    ]


def _endless(folder: Path, clean: bytes) -> list[Poison]:
    """What can be read for ever; `tampering.restless` writes into the first three."""
    os.mkfifo(folder / "pipe.mp4")
    (folder / "zero.mp4").symlink_to("/dev/zero")
    (folder / "random.mp4").symlink_to("/dev/urandom")
    with (folder / "sparse.mp4").open("wb") as sparse:
        sparse.write(clean)
        sparse.truncate(1 << 40)
    return [
        _poison("pipe.mp4", folder / "pipe.mp4", "not_a_file"),
        written(folder, "grows.mp4", clean + b"grows", "changed"),
        written(folder, "rewritten.mp4", clean + b"rewritten", "changed"),
        _poison("zero.mp4", folder / "zero.mp4", "not_a_file"),
        _poison("random.mp4", folder / "random.mp4", "not_a_file"),
        _poison("sparse.mp4", folder / "sparse.mp4", "too_large"),
    ]


def _misnamed(folder: Path, clean: bytes) -> list[Poison]:
    """The content counts."""
    playlist = b"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nclean.mp4\n#EXT-X-ENDLIST\n"
    return [
        *[written(folder, f"video.{end}", unlike(clean, end), None) for end in ("txt", "m3u8", "jpg", "exe", "")],
        written(folder, "playlist.mp4", playlist, "playlist_refused"),
        written(folder, "concat.mkv", b"ffconcat version 1.0\nfile clean.mp4\n", "playlist_refused"),
        written(folder, "page.mp4", b"<html><body>hello</body></html>", "unsupported_format"),
        written(folder, "empty.mp4", b"", "empty_file"),
    ]


def unlike(clean: bytes, mark: str) -> bytes:
    """The same video with other bytes: behind it a box that says nothing."""
    padding = mark.encode("utf-8", "surrogateescape")
    return clean + struct.pack(">I", 8 + len(padding)) + b"free" + padding


def _out_of_reach(folder: Path, clean: bytes) -> list[Poison]:
    """What not even root can read, and what root alone can."""
    (folder / "loop-1.mp4").symlink_to("loop-2.mp4")
    (folder / "loop-2.mp4").symlink_to("loop-1.mp4")
    (folder / "dangling.mp4").symlink_to("nowhere.mp4")
    (folder / "folder.mp4").mkdir()
    shut = written(folder, "shut.mp4", unlike(clean, "shut"))
    shut.path.chmod(0)
    return [
        _poison("loop-1.mp4", folder / "loop-1.mp4", "not_readable"),
        _poison("dangling.mp4", folder / "dangling.mp4", "not_found"),
        _poison("folder.mp4", folder / "folder.mp4", "not_a_file"),
        _poison("shut.mp4", shut.path, None if os.access(shut.path, os.R_OK) else "not_readable"),
        _poison("below a file", folder / "clean.mp4" / "a.mp4", "not_readable", "not_found"),
        _poison("a name too long", folder / ("y" * 300 + ".mp4"), "not_readable", "not_found"),
        _poison("never there", folder / "never.mp4", "not_found"),
    ]


def _named(folder: Path, clean: bytes) -> list[Poison]:
    """Good videos whose names are in any script, or in none."""
    (folder / "names").mkdir()
    made = []
    for what, name in NAMES.items():
        (folder / "names" / name).write_bytes(unlike(clean, what))
        text = name.encode("utf-8", "backslashreplace").decode()
        made.append(_poison(f"named {what}: {text}", folder / "names" / name, None))
    return made
