"""Tell a container by its first bytes, before any decoder sees the file, and refuse what is none.

A demuxer that may guess can be led to other files: HLS, concat and SDP playlists name what to open next, under
any file name. So the format is decided here from an allow-list, and the demuxer is told.
"""

from __future__ import annotations

import codecs
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.decode.limits import Limits
from pipelines.decode.mpeg_audio import mpeg_audio, tag_bytes
from pipelines.decode.signatures import (
    AIFF,
    BOXES,
    DOCTYPES,
    EBML,
    HEIF_BRANDS,
    LATE_BOXES,
    MAGIC,
    MOV,
    PICTURE,
    PICTURE_BRANDS,
    PLAYLISTS,
    RIFF,
    RIFFS,
    Format,
    bare_stream,
    sound_frame,
    transport_stream,
)
from pipelines.rows import ErrorCode, MediaError

__all__ = ["PICTURE", "Format", "check_file", "format_of", "lent", "opened", "sniff", "sniff_file"]

HEAD_BYTES = 1 << 16  # in which a transport stream may begin
PROBE_BYTES = 2048  # what decord reads before it first makes up its mind


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
    if found := _by_magic(head) or sound_frame(head) or bare_stream(head):
        return found
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith(PLAYLISTS):
        raise MediaError(ErrorCode.PLAYLIST, "it is a playlist or a description that names other files")
    if transport_stream(head, HEAD_BYTES):
        return Format("mpegts")
    if frames := mpeg_audio(head):  # rare headers, which only the next frame tells from chance
        return Format(frames)
    kind = "text" if _is_text(head) else "no known video, sound or picture format"
    raise MediaError(ErrorCode.UNSUPPORTED, f"the content is {kind}")


def _by_magic(head: bytes) -> Format | None:
    if head[4:8] in BOXES or (head[4:8] in LATE_BOXES and not _is_text(head[:4])):
        return _sniff_boxes(head)
    if head[:4] == EBML:
        return Format("matroska", decord=any(name in _ebml_header(head) for name in DOCTYPES))
    if head[:4] in RIFFS and head[8:12] in RIFF:
        return RIFF[head[8:12]]
    if head[:4] == b"FORM" and head[8:12] in AIFF:
        return Format("aiff")
    if transport_stream(head, 5):
        return Format("mpegts")
    return next((found for magic, found in MAGIC if head.startswith(magic)), None)


def _sniff_boxes(head: bytes) -> Format:
    """ISO media: the brands of `ftyp` tell films from stills; a zero byte in front tells decord that it is no text."""
    begin = _ftyp_at(head)
    if begin is not None:
        end = min(begin + int.from_bytes(head[begin : begin + 4]), len(head))
        if {head[at : at + 4] for at in (begin + 8, *range(begin + 16, end, 4))} & PICTURE_BRANDS:
            return PICTURE
        if head[begin + 8 : begin + 12] in HEIF_BRANDS:
            raise MediaError(ErrorCode.UNSUPPORTED, "the content is a HEIF picture")
    return Format("mov", decord=head[0] == 0) if head[4:8] in BOXES else MOV


def _ftyp_at(head: bytes) -> int | None:
    """Where the brands are: in front, or behind boxes that say nothing."""
    at = 0
    while at + 8 <= len(head):
        if head[at + 4 : at + 8] == b"ftyp":
            return at
        length = int.from_bytes(head[at : at + 4])
        at = at + length if length >= 8 else len(head)
    return None


def _ebml_header(head: bytes) -> bytes:
    """Return the header's content if all of it is here; its length says first how many bytes it has itself."""
    octets = 9 - head[4].bit_length() if len(head) > 4 else 9
    begin = 4 + octets
    length = int.from_bytes(head[4:begin]) & ((1 << 7 * octets) - 1)
    return head[begin : begin + length] if octets < 9 and begin + length <= PROBE_BYTES else b""


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
            if head[:3] == b"ID3":
                return _behind_id3(file, head)
    except OSError as error:
        raise MediaError(ErrorCode.NOT_READABLE, f"the file cannot be read: {error.strerror}") from error
    return sniff(head)


def _behind_id3(file: io.FileIO, head: bytes) -> Format:
    """ID3 stands in front of MP3, at times of FLAC or AAC: its length says where they begin (ID3v2.4, 3.1)."""
    file.seek(tag_bytes(head))
    behind = file.read(HEAD_BYTES).lstrip(b"\x00")  # padding
    found = Format("flac") if behind.startswith(b"fLaC") else sound_frame(behind)
    return found or Format("mp3")


def format_of(path: Path, limits: Limits) -> Format:
    """Check the file and sniff its first bytes."""
    with opened(path, limits) as (_, found):
        return found
