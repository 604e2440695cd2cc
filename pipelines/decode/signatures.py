"""The first bytes of every container on the allow-list, and FFmpeg's name for what reads it."""

from __future__ import annotations

from dataclasses import dataclass


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
MOV = Format("mov")
MAGIC: tuple[tuple[bytes, Format], ...] = (
    (b"FLV\x01", Format("flv")),
    (b"OggS", Format("ogg")),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", Format("asf")),
    (b"\x00\x00\x01\xba", Format("mpeg")),
    (b"\x00\x00\x01\xb3", Format("mpegvideo")),
    (b"\x00\x00\x01\xb0", Format("m4v")),
    (b"DKIF", Format("ivf")),
    (b"\x12\x00\x0a", Format("obu")),
    (b"GIF8", Format("gif")),
    (b"nut/multimedia container\x00", Format("nut")),
    (b"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02", Format("mxf")),
    (b".RMF", Format("rm")),
    (b"YUV4MPEG2 ", Format("yuv4mpegpipe")),
    (b"\x1f\x07\x00", Format("dv")),
    (b"\xb7\xd8\x00\x20\x37\x49\xda\x11", Format("wtv")),
    (b"fLaC", Format("flac")),
    (b"ID3", Format("mp3")),  # unless what is behind it tells more
    (b".snd", Format("au")),
    (b"#!AMR", Format("amr")),
    (b"caff", Format("caf")),
    (b"wvpk", Format("wv")),
    (b"MAC ", Format("ape")),
    (b"TTA1", Format("tta")),
    (b"MPCK", Format("mpc8")),
    (b"MP+", Format("mpc")),
    (b"DSD ", Format("dsf")),
    (b"riff\x2e\x91\xcf\x11", Format("w64")),
    (b"Creative Voice File\x1a", Format("voc")),
    (b"\x7f\xfe\x80\x01", Format("dts")),
    (b"\xff\xd8\xff", PICTURE),
    (b"\x89PNG\r\n\x1a\n", PICTURE),
    (b"BM", PICTURE),
)
STARTS = (b"\x00\x00\x00\x01", b"\x00\x00\x01")  # of a unit in a bare H.264 or HEVC stream (ITU-T H.264, annex B)
H264_FIRST, HEVC_FIRST = {7, 9}, {32, 33, 35}  # unit types that such streams begin with: parameter sets, delimiters
EBML = b"\x1a\x45\xdf\xa3"
DOCTYPES = (b"matroska", b"webm")
RIFF = {b"AVI ": Format("avi", decord=True), b"WAVE": Format("wav"), b"WEBP": PICTURE}
RIFFS = {b"RIFF", b"RF64", b"BW64"}  # EBU Tech 3306: the same with 64-bit sizes
AIFF = {b"AIFF", b"AIFC"}
BOXES = {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"}  # ISO/IEC 14496-12 and QuickTime
# What else a film may begin with: decord's own probe is not sure of it, FFmpeg is told.
LATE_BOXES = {
    b"uuid",
    b"styp",
    b"junk",
    b"pict",
    b"pnot",
    b"moof",
    b"sidx",
    b"emsg",
    b"prft",
    b"udta",
    b"pdin",
    b"meta",
}
PICTURE_BRANDS = {b"avif", b"avis"}
HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"mif1"}  # stills in tiles, of which FFmpeg shows one
PLAYLISTS = (b"#EXTM3U", b"ffconcat", b"v=0", b"[playlist]", b"<?xml", b"<MPD", b"<smil")
SYNC, PACKETS = 0x47, 5  # of a transport stream; so many packets in a row are no accident
PACKET_BYTES = (188, 192, 204)  # ISO/IEC 13818-1; with arrival times, as cameras write it; with error correction


def sound_frame(head: bytes) -> Format | None:
    """Tell MPEG audio, AAC, AC-3 and DTS by the header of their first frame; None for anything else."""
    head = head[:6].ljust(6, b"\x00")
    if head[:2] == b"\x0b\x77":
        return Format("eac3" if head[5] >> 3 > 10 else "ac3")
    if head[0] != 0xFF or head[1] & 0xE0 != 0xE0 or head[1] == 0xFE:  # ff fe begins text in UTF-16
        return None
    layer = head[1] >> 1 & 3
    if layer == 0:  # ISO/IEC 13818-7, 6.2: ADTS has no layer, twelve bits of sync and a sampling rate of thirteen
        return Format("aac") if head[1] & 0xF0 == 0xF0 and head[2] >> 2 & 15 < 13 else None
    usual = head[1] >> 3 & 3 != 1 and head[2] >> 4 != 15 and head[2] >> 2 & 3 != 3
    return Format("mp3") if usual else None


def bare_stream(head: bytes) -> Format | None:
    """Tell H.264 or HEVC without a container by its first unit."""
    start = next((len(mark) for mark in STARTS if head.startswith(mark)), 0)
    if not start or len(head) < start + 2 or head[start] & 0x80:
        return None
    if head[start] >> 1 in HEVC_FIRST and head[start + 1] == 1:
        return Format("hevc")
    return Format("h264") if head[start] & 31 in H264_FIRST and head[start] & 0x60 | (head[start] & 31 == 9) else None


def transport_stream(head: bytes, furthest: int) -> bool:
    """Whether sync bytes come at an even distance, from somewhere before `furthest` on: what is in front is junk."""
    at = head.find(SYNC, 0, furthest)
    while at >= 0:
        if any(_in_step(head, at, step) for step in PACKET_BYTES):
            return True
        at = head.find(SYNC, at + 1, furthest)
    return False


def _in_step(head: bytes, at: int, step: int) -> bool:
    """All packets that are here are in step; a short file may have three only, and nothing in front."""
    syncs = head[at : at + PACKETS * step : step]
    return set(syncs) == {SYNC} and len(syncs) >= (PACKETS if at > 4 else 3)
