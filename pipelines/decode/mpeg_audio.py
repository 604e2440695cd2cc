"""Tell MPEG audio by two of its frame headers, and where a tag of ID3 in front of a file ends.

ISO/IEC 11172-3 and 13818-3, section 2.4.1.3 (layers 1 to 3, also at the half rates, and MPEG 2.5 at a quarter).
Twelve bits of sync are little, so that the next frame has to stand where the first ends.
"""

from __future__ import annotations

# Kilobits a second by [version 1 or lower][layer], index 1 to 14.
RATES_V1 = {
    1: (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    2: (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    3: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
}
RATES_V2 = {
    1: (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    2: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    3: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
HERTZ = (44_100, 48_000, 32_000)
PARTS = {3: 1, 2: 2, 0: 4}  # version bits -> by how much the rates are lower; 1 is reserved
TAG_HEADER = 10


def mpeg_audio(head: bytes) -> str | None:
    """Return `mp3` for a file that begins with a frame of layer 1 to 3 and another after it, None for any other."""
    length = _mpeg_bytes(head)
    return "mp3" if length and _mpeg_bytes(head[length:]) else None


def tag_bytes(head: bytes) -> int:
    """How long the ID3 tag is that a file begins with, 0 for none (ID3v2.4 structure, section 3.1)."""
    if head[:3] != b"ID3" or len(head) < TAG_HEADER or max(head[6:10]) > 0x7F:
        return 0
    size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
    return TAG_HEADER + size + (TAG_HEADER if head[5] & 0x10 else 0)


def _mpeg_bytes(head: bytes) -> int:
    """How long the frame of layer 1 to 3 is that begins here, 0 for none."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return 0
    version, layer, rate, hertz = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3), head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or layer == 4 or rate in (0, 15) or hertz == 3:
        return 0
    bits = (RATES_V1 if version == 3 else RATES_V2)[layer][rate - 1] * 1000
    samples_a_second, padding = HERTZ[hertz] // PARTS[version], head[2] >> 1 & 1
    if layer == 1:
        return (12 * bits // samples_a_second + padding) * 4
    return (144 if version == 3 or layer == 2 else 72) * bits // samples_a_second + padding
