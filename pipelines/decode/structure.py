"""Whether a file ends before its own headers say: boxes, elements, chunks and pages that go on past the last byte.

What FFmpeg shows of a file that was cut short looks whole when little is missing. The container knows better: each part
of it says first how long it is.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from pipelines.decode.signatures import PACKET_BYTES, SYNC, Format

MOST_PARTS = 100_000  # fragments of six hours at four a second
EBML_LONGEST = 8  # bytes of a size
OGG_TAIL = 1 << 17  # a page has 65,307 bytes at most (RFC 3533, 6)
OGG_HEADER, OGG_LAST_PAGE = 27, 4
FLV_HEADER, FLV_TAG, FLV_KINDS = 13, 11, {8, 9, 18}
TS_BYTES, M2TS_BYTES, TS_TAIL, TS_IN_STEP = 188, 192, 4096, 4  # packets of a transport stream
PACK, PS_TAIL = b"\0\0\1\xba", 1 << 18  # a packet has 65,541 bytes at most
STREAMED = {0, 0xFFFFFFFF, 0x7FFFFFFF}  # sizes of RIFF that nobody came back to fill in


def missing_end(path: Path, media: Format) -> str | None:
    """Say how a file is known to be cut off; None where it is whole or its container does not tell."""
    look = WAYS.get(media.demuxer)
    if look is None:
        return None
    with path.open("rb") as file:
        return look(file, path.stat().st_size)


def _boxes(file: BinaryIO, size: int) -> str | None:
    """ISO/IEC 14496-12, 4.2: 32 bits of length, or 1 and 64 bits behind the type, or 0 for the rest of the file."""
    at = 0
    for _ in range(MOST_PARTS):
        if at + 8 > size:
            return None
        file.seek(at)
        head = file.read(16)
        length = int.from_bytes(head[:4])
        length = int.from_bytes(head[8:16]) if length == 1 else length
        if length < 8 or not _is_name(head[4:8]):
            return None  # to the end, or nothing that is a box: padding
        at += length
        if at > size:
            return _past("box", head[4:8].decode("latin-1"), at - size)
    return None


def _elements(file: BinaryIO, size: int) -> str | None:
    """RFC 8794: the segment says its length, or else each of its parts does; a live recording says neither."""
    at, parts = 0, 0
    while at < size and parts < MOST_PARTS:
        found = _element(file, at)
        if found is None:
            return None
        name, begin, length = found
        parts += 1
        if length is None:
            at = begin  # its parts follow
        elif begin + length > size:
            return _past("element", name.hex(), begin + length - size)
        else:
            at = begin + length
    return None


def _element(file: BinaryIO, at: int) -> tuple[bytes, int, int | None] | None:
    """Return an element's name, where its content begins, and its length: None for unknown."""
    file.seek(at)
    head = file.read(4 + EBML_LONGEST)
    named = 9 - head[0].bit_length() if head else 9
    if named > 4 or len(head) <= named:
        return None
    octets = 9 - head[named].bit_length()
    if octets > EBML_LONGEST:
        return None
    bits = int.from_bytes(head[named : named + octets]) & ((1 << 7 * octets) - 1)
    unknown = bits == (1 << 7 * octets) - 1
    return head[:named], at + named + octets, None if unknown else bits


def _chunks(file: BinaryIO, size: int) -> str | None:
    """RIFF: one chunk after the other, each with its length in front; AVI goes on in further ones (OpenDML)."""
    at = 0
    while at + 8 <= size:
        file.seek(at)
        head = file.read(8)
        length = int.from_bytes(head[4:8], "little")
        if head[:4] != b"RIFF" or length in STREAMED:
            return None
        at += 8 + length + length % 2
        if at - length % 2 > size:
            return _past("chunk", "RIFF", at - length % 2 - size)
    return None


def _pages(file: BinaryIO, size: int) -> str | None:
    """RFC 3533, 6: the last page of a stream has a flag that says so, and every page says how long it is."""
    file.seek(max(0, size - OGG_TAIL))
    tail = file.read()
    at = tail.rfind(b"OggS")
    header = tail[at : at + OGG_HEADER]
    if at < 0 or len(header) < OGG_HEADER:
        return "the last page of the Ogg file is cut off"
    lengths = tail[at + OGG_HEADER : at + OGG_HEADER + header[26]]
    if len(lengths) < header[26] or len(tail) < at + OGG_HEADER + len(lengths) + sum(lengths):
        return "the last page of the Ogg file is cut off"
    return None if header[5] & OGG_LAST_PAGE else "the last page of the Ogg file does not end its stream"


def _tags(file: BinaryIO, size: int) -> str | None:
    """Flash Video, annex E.3: behind every tag stands how long it is, so the last one can be found from the end."""
    file.seek(size - 4)
    length = int.from_bytes(file.read(4))
    if FLV_TAG <= length <= size - 4 - FLV_HEADER:
        file.seek(size - 4 - length)
        head = file.read(4)
        if head[0] & 31 in FLV_KINDS and int.from_bytes(head[1:4]) == length - FLV_TAG:
            return None
    return "the last tag of the Flash video is cut off"


def _blocks(file: BinaryIO, size: int) -> str | None:
    """GIF89a, 17 to 27: images and extensions, each a chain of short blocks, and one byte that ends it all."""
    file.seek(10)
    flags = file.read(3)[:1]
    file.seek(_table(flags), 1)
    while (kind := file.read(1)) in (b"\x21", b"\x2c"):
        if kind == b"\x21":
            file.seek(1, 1)
        else:
            file.seek(_table(file.read(9)[8:9]) + 1, 1)
        while length := file.read(1)[:1].strip(b"\x00"):
            file.seek(length[0], 1)
    return None if kind and file.tell() <= size else "the GIF does not come to its end"


def _table(flags: bytes) -> int:
    """How many bytes of colours follow."""
    return 3 << ((flags[0] & 7) + 1) if flags and flags[0] & 0x80 else 0


def _packets(file: BinaryIO, size: int) -> str | None:
    """ISO/IEC 13818-1, 2.4.3: packets of one length, each behind a sync byte; the last one may lack a part.

    Blu-ray has a time in front of each of 188 bytes, DVB 16 bytes of check behind them.
    """
    file.seek(max(0, size - TS_TAIL))
    tail = file.read()
    for length in PACKET_BYTES:
        behind = max(0, length - TS_BYTES) if length > M2TS_BYTES else 0
        for last in range(len(tail) - 1, len(tail) - 1 - length, -1):
            if last > length * TS_IN_STEP and set(tail[last - length * TS_IN_STEP : last + 1 : length]) == {SYNC}:
                missing = (TS_BYTES + behind - (len(tail) - last)) % length  # of the next one, where that has begun
                return _past("packet", "transport stream", missing) if missing else None
    return None


def _packs(file: BinaryIO, size: int) -> str | None:
    """ISO/IEC 13818-1, 2.5.3: packs of packets, each of which says its length."""
    file.seek(max(0, size - PS_TAIL))
    tail = file.read()
    at = tail.find(PACK)
    while 0 <= at <= len(tail) - 6 and tail[at : at + 3] == PACK[:3]:
        kind = tail[at + 3]
        if kind == PACK[3] and len(tail) >= at + 14:
            at += 14 + (tail[at + 13] & 7) if tail[at + 4] & 0xC0 == 0x40 else 12
        elif kind > PACK[3]:
            at += 6 + int.from_bytes(tail[at + 4 : at + 6])
        else:
            return None  # the end code, or nothing of this layer
    return _past("packet", "program stream", at - len(tail)) if at > len(tail) else None


def _is_name(name: bytes) -> bool:
    return all(32 <= byte < 127 or byte == 0xA9 for byte in name)


def _past(kind: str, name: str, missing: int) -> str:
    return f"the file lacks the last {missing:,} bytes of its {name} {kind}"


Look = Callable[[BinaryIO, int], str | None]
WAYS: dict[str, Look] = {
    "mov": _boxes,
    "matroska": _elements,
    "avi": _chunks,
    "ogg": _pages,
    "flv": _tags,
    "gif": _blocks,
    "mpegts": _packets,
    "mpeg": _packs,
}
