"""Tell a container by its first bytes, before any decoder sees the file, and refuse what is none.

A demuxer that may guess can be led to other files: HLS, concat and SDP playlists name what to open next, under
any file name. So the format is decided here from an allow-list, and the demuxer is told.
"""

from __future__ import annotations

import codecs
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipelines.decode.limits import Limits
from pipelines.decode.mpeg_audio import mpeg_audio, tag_bytes
from pipelines.rows import ErrorCode, MediaError

HEAD_BYTES = 4096
PROBE_BYTES = 2048  # what decord reads before it first makes up its mind


@dataclass(frozen=True)
class Format:
    """A container on the allow-list."""

    demuxer: str  # FFmpeg's name; "" for a still picture, which Pillow reads
    decord: bool = False  # the first bytes leave decord's own probe no choice: it cannot be told

    @property
    def is_picture(self) -> bool:
        """Whether it is a still picture."""
        return not self.demuxer


PICTURE = Format("")
MAGIC: tuple[tuple[bytes, Format], ...] = (
    (b"FLV\x01", Format("flv")),
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
EBML = b"\x1a\x45\xdf\xa3"
DOCTYPES = (b"matroska", b"webm")
RIFF = {b"AVI ": Format("avi", decord=True), b"WAVE": Format("wav"), b"WEBP": PICTURE}
BOXES = {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"}  # ISO/IEC 14496-12 and QuickTime
PICTURE_BRANDS = {b"avif", b"avis"}
HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"mif1"}  # stills in tiles, of which FFmpeg shows one
PLAYLISTS = (b"#EXTM3U", b"ffconcat", b"v=0", b"[playlist]", b"<?xml", b"<MPD", b"<smil")


def check_file(path: Path, limits: Limits) -> int:
    """Return the size of a regular, readable file within the limits; symbolic links are followed first.

    Raises MediaError for a folder, a pipe, a device, a missing, empty, unreadable or outsized file.
    """
    try:
        found = path.stat()
    except FileNotFoundError as error:
        raise MediaError(ErrorCode.NOT_FOUND, "there is no such file") from error
    except OSError as error:
        raise MediaError(ErrorCode.NOT_READABLE, f"the file cannot be reached: {error.strerror}") from error
    except ValueError as error:  # a zero byte, or half a surrogate pair
        raise MediaError(ErrorCode.NOT_FOUND, "no file can have such a name") from error
    _check_kind(found, limits)
    if not os.access(path, os.R_OK):
        raise MediaError(ErrorCode.NOT_READABLE, "permission to read the file is denied")
    return found.st_size


def _check_kind(found: os.stat_result, limits: Limits) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise MediaError(ErrorCode.NOT_A_FILE, f"it is a {_kind(found.st_mode)}, not a file")
    limits.check_bytes(found.st_size)


def _kind(mode: int) -> str:
    kinds = {stat.S_IFDIR: "folder", stat.S_IFIFO: "named pipe", stat.S_IFSOCK: "socket"}
    return kinds.get(stat.S_IFMT(mode), "device")


def sniff(head: bytes) -> Format:
    """Return the format of a file that begins with `head`, or raise MediaError."""
    if head[4:8] in BOXES:
        return _sniff_boxes(head)
    if head[:4] == EBML:
        return Format("matroska", decord=any(name in _ebml_header(head) for name in DOCTYPES))
    if head[:4] == b"RIFF" and head[8:12] in RIFF:
        return RIFF[head[8:12]]
    if _is_transport_stream(head):
        return Format("mpegts")
    for magic, found in MAGIC:
        if head.startswith(magic):
            return found
    if frames := mpeg_audio(head):  # rarer kinds of frames, which only the next one tells from chance
        return Format(frames)
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith(PLAYLISTS):
        raise MediaError(ErrorCode.PLAYLIST, "it is a playlist or a description that names other files")
    kind = "text" if _is_text(head) else "no known video, sound or picture format"
    raise MediaError(ErrorCode.UNSUPPORTED, f"the content is {kind}")


def _sniff_boxes(head: bytes) -> Format:
    """ISO media: the brands of `ftyp` tell films from stills; a zero byte in front tells decord that it is no text."""
    if head[4:8] == b"ftyp":
        end = min(int.from_bytes(head[:4]), len(head))
        if {head[at : at + 4] for at in (8, *range(16, end, 4))} & PICTURE_BRANDS:
            return PICTURE
        if head[8:12] in HEIF_BRANDS:
            raise MediaError(ErrorCode.UNSUPPORTED, "the content is a HEIF picture")
    return Format("mov", decord=head[0] == 0)


def _ebml_header(head: bytes) -> bytes:
    """Return the header's content if all of it is here; its length says first how many bytes it has itself."""
    octets = 9 - head[4].bit_length() if len(head) > 4 else 9
    begin = 4 + octets
    length = int.from_bytes(head[4:begin]) & ((1 << 7 * octets) - 1)
    return head[begin : begin + length] if octets < 9 and begin + length <= PROBE_BYTES else b""


def _is_transport_stream(head: bytes) -> bool:
    """A sync byte every 188 bytes, or every 192 with four bytes of arrival time in front (cameras, Blu-ray)."""
    return any(
        len(head) > at + 2 * step and {head[at], head[at + step], head[at + 2 * step]} == {0x47}
        for at, step in ((0, 188), (4, 192))
    )


def _is_text(head: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)  # the last character may be cut
    except UnicodeDecodeError:
        return False
    return b"\x00" not in head


@contextmanager
def lent(path: Path, limits: Limits) -> Iterator[Path]:
    """Lend a nameless path to the very file that was checked; raises MediaError.

    FFmpeg reads names: `%03d.jpg` is a sequence of files to it, `.m3u8` a playlist. The lent path has none, and
    the file behind it cannot be exchanged for another.
    """
    check_file(path, limits)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise MediaError(ErrorCode.NOT_FOUND, "there is no such file") from error
    except OSError as error:
        raise MediaError(ErrorCode.NOT_READABLE, f"the file cannot be read: {error.strerror}") from error
    try:
        _check_kind(os.fstat(descriptor), limits)
        yield Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


@contextmanager
def opened(path: Path, limits: Limits) -> Iterator[tuple[Path, Format]]:
    """Lend a nameless path to the file, with its format; raises MediaError."""
    with lent(path, limits) as nameless:
        yield nameless, sniff_file(nameless)


def sniff_file(path: Path) -> Format:
    """Return the format of a file, or raise MediaError."""
    try:
        with path.open("rb", buffering=0) as file:
            head = file.read(HEAD_BYTES)
            if not (tagged := tag_bytes(head)):
                return sniff(head)
            file.seek(tagged)
            head = file.read(HEAD_BYTES)
    except OSError as error:
        raise MediaError(ErrorCode.NOT_READABLE, f"the file cannot be read: {error.strerror}") from error
    return _behind_tag(head)


def _behind_tag(head: bytes) -> Format:
    """FLAC or AAC may follow a tag of ID3; whatever else does is MP3 to a player, which looks for its next frame."""
    return Format("flac") if head.startswith(b"fLaC") else Format(mpeg_audio(head) or "mp3")


def format_of(path: Path, limits: Limits) -> Format:
    """Check the file and sniff its first bytes."""
    with opened(path, limits) as (_, found):
        return found
