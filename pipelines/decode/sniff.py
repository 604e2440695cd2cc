"""Tell a container by its first bytes, before any decoder sees the file, and refuse what is none.

A demuxer that may guess can be led to other files: HLS, concat and SDP playlists name what to open next, under
any file name. So the format is decided here from an allow-list, and the demuxer is told.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from pipelines.decode.limits import Limits
from pipelines.rows import ErrorCode, MediaError

HEAD_BYTES = 4096


@dataclass(frozen=True)
class Format:
    """A container on the allow-list."""

    demuxer: str  # FFmpeg's name; "" for a still picture, which Pillow reads
    decord: bool = False  # its magic at offset 0 leaves decord's own probe no choice

    @property
    def is_picture(self) -> bool:
        """Whether it is a still picture."""
        return not self.demuxer


MOV = Format("mov", decord=True)
PICTURE = Format("")
MAGIC: tuple[tuple[bytes, Format], ...] = (
    (b"\x1a\x45\xdf\xa3", Format("matroska", decord=True)),
    (b"FLV\x01", Format("flv", decord=True)),
    (b"OggS", Format("ogg")),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", Format("asf")),
    (b"\x00\x00\x01\xba", Format("mpeg")),
    (b"\x00\x00\x01\xb3", Format("mpegvideo")),
    (b"DKIF", Format("ivf")),
    (b"GIF8", Format("gif")),
    (b"fLaC", Format("flac")),
    (b"ID3", Format("mp3")),
    (b"\xff\xfb", Format("mp3")),
    (b"\xff\xf3", Format("mp3")),
    (b"\xff\xf1", Format("aac")),
    (b"\xff\xf9", Format("aac")),
    (b"\xff\xd8\xff", PICTURE),
    (b"\x89PNG\r\n\x1a\n", PICTURE),
    (b"BM", PICTURE),
)
RIFF = {b"AVI ": Format("avi", decord=True), b"WAVE": Format("wav"), b"WEBP": PICTURE}
BOXES = {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"}  # ISO/IEC 14496-12 and QuickTime
PICTURE_BRANDS = {b"avif", b"avis"}
PLAYLISTS = (b"#EXTM3U", b"ffconcat", b"v=0", b"[playlist]", b"<?xml", b"<MPD", b"<smil")


def check_file(path: Path, limits: Limits) -> int:
    """Return the size of a regular, readable file within the limits; symbolic links are followed first.

    Raises MediaError for a folder, a pipe, a device, a missing, empty, unreadable or outsized file.
    """
    try:
        found = path.resolve(strict=True).stat()
    except FileNotFoundError as error:
        raise MediaError(ErrorCode.NOT_FOUND, "there is no such file") from error
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
        raise MediaError(ErrorCode.NOT_READABLE, f"the file cannot be reached: {error}") from error
    if not stat.S_ISREG(found.st_mode):
        raise MediaError(ErrorCode.NOT_A_FILE, f"it is a {_kind(found.st_mode)}, not a file")
    if not os.access(path, os.R_OK):
        raise MediaError(ErrorCode.NOT_READABLE, "permission to read the file is denied")
    limits.check_bytes(found.st_size)
    return found.st_size


def _kind(mode: int) -> str:
    kinds = {stat.S_IFDIR: "folder", stat.S_IFIFO: "named pipe", stat.S_IFSOCK: "socket"}
    return kinds.get(stat.S_IFMT(mode), "device")


def sniff(head: bytes) -> Format:
    """Return the format of a file that begins with `head`, or raise MediaError."""
    if head[4:8] in BOXES:
        return PICTURE if head[8:12] in PICTURE_BRANDS else MOV
    if head[:4] == b"RIFF" and head[8:12] in RIFF:
        return RIFF[head[8:12]]
    if len(head) > 376 and {head[0], head[188], head[376]} == {0x47}:
        return Format("mpegts")
    for magic, found in MAGIC:
        if head.startswith(magic):
            return found
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith(PLAYLISTS):
        raise MediaError(ErrorCode.PLAYLIST, "it is a playlist or a description that names other files")
    kind = "text" if _is_text(head) else "no known video, sound or picture format"
    raise MediaError(ErrorCode.UNSUPPORTED, f"the content is {kind}")


def _is_text(head: bytes) -> bool:
    try:
        head[: HEAD_BYTES - 4].decode("utf-8")
    except UnicodeDecodeError:
        return False
    return b"\x00" not in head


def format_of(path: Path, limits: Limits) -> Format:
    """Check the file and sniff its first bytes."""
    check_file(path, limits)
    try:
        with path.open("rb") as file:
            return sniff(file.read(HEAD_BYTES))
    except OSError as error:
        raise MediaError(ErrorCode.NOT_READABLE, f"the file cannot be read: {error.strerror}") from error
