"""Nothing but known media reaches a decoder, and it reaches it under no name at all."""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path

import av
import pytest
from PIL import Image

import pipelines.decode.read
from pipelines.decode import probe
from pipelines.decode.limits import Limits
from pipelines.decode.sniff import HEAD_BYTES, PICTURE, Format, check_file, format_of, opened, sniff
from pipelines.rows import ErrorCode, MediaError
from tests.footage import Tone, box_at, corners, noise, write_film, write_sound
from tests.watching import LIMITS, watch

PLAYLISTS = {
    "hls": b"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\nsegment.ts\n#EXT-X-ENDLIST\n",
    "concat": b"ffconcat version 1.0\nfile segment.ts\n",
    "sdp": b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
    "pls": b"[playlist]\nFile1=segment.ts\nNumberOfEntries=1\n",
    "xml": b'<?xml version="1.0"?><MPD><BaseURL>segment.ts</BaseURL></MPD>',
    "dash": b'<MPD profiles="urn:mpeg:dash:profile:isoff-on-demand:2011"></MPD>',
    "smil": b"<smil><body><video src='segment.ts'/></body></smil>",
}
PREFIXES = [b"", b"\xef\xbb\xbf", b"\n\r\n\t ", b"\xef\xbb\xbf \n"]


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One file of every format that can be written here."""
    folder = tmp_path_factory.mktemp("formats")
    films = {
        "mov": ("a.mp4", "libx264", None),
        "matroska": ("a.webm", "libvpx", None),
        "flv": ("a.flv", "flv", None),
        "ogg": ("a.ogv", "libvpx", "ogg"),
        "asf": ("a.wmv", "wmv2", None),
        "mpeg": ("a.mpg", "mpeg2video", "vob"),
        "mpegvideo": ("a.m2v", "mpeg2video", "mpeg2video"),
        "mpegts": ("a.ts", "libx264", None),
        "ivf": ("a.ivf", "libvpx", None),
        "gif": ("a.gif", "gif", None),
        "avi": ("a.avi", "mpeg4", None),
    }
    found = {
        name: write_film(folder / file, fps=25, seconds=1, codec=codec, container=container)
        for name, (file, codec, container) in films.items()
    }
    for name, codec in {"flac": "flac", "mp3": "libmp3lame", "wav": "pcm_s16le"}.items():
        found[name] = write_sound(folder / f"a.{name}", Tone(1.0, codec=codec))
    found["aac"] = write_sound(folder / "a.aac", Tone(1.0))
    return found


FORMATS = ["mov", "matroska", "flv", "ogg", "asf", "mpeg", "mpegvideo", "mpegts", "ivf", "gif", "avi"]
SOUNDS = ["flac", "mp3", "wav", "aac"]


@pytest.mark.parametrize("name", FORMATS)
def test_every_film_format_is_known_and_shown(samples: dict[str, Path], name: str) -> None:
    assert format_of(samples[name], LIMITS).demuxer == name
    seen = watch(samples[name])
    assert seen.frame_ms[0] in (0, 40)  # an elementary stream has no clock of its own
    assert seen.error is None


@pytest.mark.parametrize("name", SOUNDS)
def test_every_sound_format_is_known_and_heard(samples: dict[str, Path], name: str) -> None:
    assert format_of(samples[name], LIMITS).demuxer == name
    seen = watch(samples[name])
    assert seen.code == ErrorCode.NO_VIDEO
    assert len(seen.sound) == pytest.approx(16_000, rel=0.1)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "WEBP", "AVIF"])
def test_pictures_are_left_to_pillow(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.mp4"
    Image.new("RGB", (64, 64), "red").save(path, kind)
    assert format_of(path, LIMITS) is PICTURE


@pytest.mark.parametrize(
    ("head", "demuxer"),
    [
        (b"\x00\x00\x00\x14moov", "mov"),
        (b"\x00\x00\x00\x08wide", "mov"),
        (b"\x00\x00\x00\x08free", "mov"),
        (b"\x00\x00\x00\x08skip", "mov"),
        (b"\x00\x00\x00\x08mdat", "mov"),
        (b"\x00\x00\x00\x14ftypqt  ", "mov"),
        (b"ID3\x04", "mp3"),
        (b"\xff\xf3\x44", "mp3"),
        (b"\xff\xf9\x50", "aac"),
        (b"\x00\x00\x01\xb3", "mpegvideo"),
        ((b"\x47" + bytes(187)) * 3, "mpegts"),
        ((bytes(4) + b"\x47" + bytes(187)) * 3, "mpegts"),
    ],
)
def test_magic(head: bytes, demuxer: str) -> None:
    assert sniff(head).demuxer == demuxer


def test_a_heif_still_is_refused_because_ffmpeg_shows_one_tile() -> None:
    with pytest.raises(MediaError) as raised:
        sniff(b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic")
    assert raised.value.code == ErrorCode.UNSUPPORTED


def test_an_avif_still_may_call_itself_mif1_first() -> None:
    assert sniff(b"\x00\x00\x00\x1cftypmif1\x00\x00\x00\x00avifmif1miaf") is PICTURE


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("kind", PLAYLISTS)
def test_a_playlist_is_refused_under_any_name_before_a_decoder_sees_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, prefix: bytes
) -> None:
    def opens(*_: object, **__: object) -> None:
        raise AssertionError("a decoder saw it")

    monkeypatch.setattr(av, "open", opens)
    monkeypatch.setattr(pipelines.decode.read, "DecordReader", opens)
    path = tmp_path / "film.mp4"
    path.write_bytes(prefix + PLAYLISTS[kind])
    assert watch(path).code == ErrorCode.PLAYLIST


def test_the_segment_of_a_playlist_is_not_touched(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "segment.ts")  # whoever opens it waits for ever
    path = tmp_path / "film.mp4"
    path.write_bytes(PLAYLISTS["hls"])
    assert watch(path).code == ErrorCode.PLAYLIST


def test_control_the_playlist_is_one_that_ffmpeg_follows(tmp_path: Path) -> None:
    write_film(tmp_path / "segment.ts", seconds=1)
    path = tmp_path / "film.m3u8"
    path.write_bytes(PLAYLISTS["hls"])
    with av.open(str(path)) as container:
        assert next(container.decode(video=0)).width == 96


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"just some words\n" * 10, "the content is text"),
        ("一段很长的中文文字".encode() * 1000, "the content is text"),
        (b"\x7fELF" + bytes(100), "the content is no known video, sound or picture format"),
        (bytes(5000), "the content is no known video, sound or picture format"),
        (b"\xff\xfe" + "#EXTM3U\nsegment.ts".encode("utf-16-le"), "the content is no known video, sound"),
        (b"PK\x03\x04" + bytes(100), "the content is no known video, sound or picture format"),
        (b"x", "the content is text"),
        (b"RIFF\x00\x00\x00\x00JUNK", "the content is no known"),
        (b"\x47" * 300, "the content is text"),
    ],
)
def test_what_is_no_media_is_unsupported(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(content)
    seen = watch(path)
    assert seen.code == ErrorCode.UNSUPPORTED
    assert str(seen.error).startswith(message)


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "film.mp4").touch()
    assert watch(tmp_path / "film.mp4").code == ErrorCode.EMPTY_FILE


def test_a_folder(tmp_path: Path) -> None:
    assert watch(tmp_path).code == ErrorCode.NOT_A_FILE


def test_a_named_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "film.mp4")
    seen = watch(tmp_path / "film.mp4")
    assert (seen.code, str(seen.error)) == (ErrorCode.NOT_A_FILE, "it is a named pipe, not a file")


def test_a_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("s.mp4")
        assert str(watch(tmp_path / "s.mp4").error) == "it is a socket, not a file"


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null"])
def test_a_device(device: str) -> None:
    assert str(watch(Path(device)).error) == "it is a device, not a file"


def test_a_link_to_a_device_is_no_file_either(tmp_path: Path) -> None:
    (tmp_path / "film.mp4").symlink_to("/dev/zero")
    assert watch(tmp_path / "film.mp4").code == ErrorCode.NOT_A_FILE


def test_a_dangling_link(tmp_path: Path) -> None:
    (tmp_path / "film.mp4").symlink_to(tmp_path / "gone.mp4")
    assert watch(tmp_path / "film.mp4").code == ErrorCode.NOT_FOUND


def test_links_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").symlink_to(tmp_path / "b.mp4")
    (tmp_path / "b.mp4").symlink_to(tmp_path / "a.mp4")
    assert watch(tmp_path / "a.mp4").code == ErrorCode.NOT_READABLE


def test_a_link_to_a_film_is_a_film(tmp_path: Path, film: Path) -> None:
    (tmp_path / "link").symlink_to(film)
    assert watch(tmp_path / "link").frame_ms == [0, 1000, 2000]


def test_an_unreadable_file(tmp_path: Path, film: Path) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(film.read_bytes())
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    assert watch(path).code == ErrorCode.NOT_READABLE


def test_a_missing_file(tmp_path: Path) -> None:
    assert watch(tmp_path / "film.mp4").code == ErrorCode.NOT_FOUND


def test_a_file_as_a_folder(film: Path) -> None:
    assert watch(film / "more.mp4").code == ErrorCode.NOT_READABLE


@pytest.mark.parametrize("name", ["zero\x00byte.mp4", "half a \ud83d pair.mp4", "x" * 300])
def test_names_that_no_file_can_have(tmp_path: Path, name: str) -> None:
    assert watch(tmp_path / name).code in {ErrorCode.NOT_FOUND, ErrorCode.NOT_READABLE}


def test_messages_name_no_path(tmp_path: Path) -> None:
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    for name in ("missing", "circle", "x" * 300, "."):
        assert str(tmp_path) not in str(watch(tmp_path / name).error)


def test_size_is_checked_before_anything_is_read(film: Path) -> None:
    size = film.stat().st_size
    assert check_file(film, Limits(max_bytes=size)) == size
    assert watch(film, limits=Limits(max_bytes=size - 1)).code == ErrorCode.TOO_LARGE


# What FFmpeg would read out of a name.


def test_a_pattern_in_a_name_is_only_a_name(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), "blue").save(tmp_path / "img001.png")
    Image.new("RGB", (64, 64), "red").save(tmp_path / "img%03d.png")
    assert watch(tmp_path / "img%03d.png").frames_THWC[0, 0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("name", ["img%03d.jpg", "img*.png", "list.m3u8", "x.sdp", "x.ffconcat", "concat:a|b"])
def test_a_film_is_read_under_any_name(tmp_path: Path, film: Path, name: str, decoder: str) -> None:
    Image.new("RGB", (64, 64), "blue").save(tmp_path / "img001.jpg")
    Image.new("RGB", (64, 64), "blue").save(tmp_path / "img001.png")
    path = tmp_path / name
    path.write_bytes(film.read_bytes())
    seen = watch(path)
    assert seen.frame_ms == [0, 1000, 2000]
    assert seen.end is not None
    assert seen.end.decoder == decoder


def test_the_decoder_is_lent_the_file_that_was_sniffed(tmp_path: Path, film: Path) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(film.read_bytes())
    with opened(path, LIMITS) as (lent, media):
        path.unlink()
        path.write_bytes(PLAYLISTS["hls"])
        assert media == Format("mov", decord=True)
        assert lent.read_bytes() == film.read_bytes()
        assert lent.suffix == ""


def test_opened_leaves_no_descriptor_behind(tmp_path: Path, film: Path) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(PLAYLISTS["hls"])
    before = len(os.listdir("/proc/self/fd"))
    for path in (film, bad, film):
        watch(path)
    assert len(os.listdir("/proc/self/fd")) == before


# decord cannot be told the format: it may see only what its own probe cannot take for something else.

SDP = PLAYLISTS["sdp"]


@pytest.mark.parametrize(
    "head",
    [
        b"v=0\nftypjp2 \n" + SDP,
        b"v=0\nfree\n" + SDP,
        b"v=0\nskip\n" + SDP,
        b"\x1a\x45\xdf\xa3\nwebm\n" + SDP,
        b"\x1a\x45\xdf\xa3\x84\n\n\n\nwebm\n" + SDP,
        b"\x1a\x45\xdf\xa3" + b"\x01" + b"\xff" * 7 + b"webm\n" + SDP,
        b"\x1a\x45\xdf\xa3" + b"\x00" * 8 + b"webm\n" + SDP,
        b"FLV\x01\n" + SDP,
        b"\x1a\x45\xdf\xa3",
    ],
)
def test_decord_is_not_shown_text_behind_a_magic(head: bytes) -> None:
    assert not sniff(head).decord


def test_decord_is_shown_what_is_plainly_media(samples: dict[str, Path], film: Path) -> None:
    for path in (film, samples["mov"], samples["matroska"], samples["avi"]):
        assert sniff(path.read_bytes()[:HEAD_BYTES]).decord


# Media that names other media.


def _pascal(text: bytes, size: int) -> bytes:
    return bytes([len(text)]) + text.ljust(size, b"\0")


def _alias(path: Path) -> bytes:
    """A Macintosh alias record, as QuickTime's data references carry it (Inside Macintosh: Files, 4-45)."""
    absolute = str(path).encode()
    tags = struct.pack(">HH", 2, len(absolute)) + absolute + bytes(len(absolute) % 2) + b"\xff\xff\0\0"
    name = path.name.encode()
    return bytes(10) + _pascal(b"disk", 27) + bytes(12) + _pascal(name, 63) + bytes(16) + b"\0\1\0\1" + bytes(16) + tags


def _refer_to(film: bytes, target: Path) -> bytes:
    """Point the picture track of a film, whose index stands at its end, to another file."""
    begin, end = box_at(film, "moov/trak/mdia/minf/dinf/dref")
    alias = _alias(target)
    entry = struct.pack(">I4sI", 12 + len(alias), b"alis", 0) + alias
    grown = len(entry) - (end - begin - 8)
    data = bytearray(film[: begin + 8] + entry + film[end:])
    for path in ("moov", "moov/trak", "moov/trak/mdia", "moov/trak/mdia/minf", "moov/trak/mdia/minf/dinf"):
        at = box_at(film, path)[0] - 8
        struct.pack_into(">I", data, at, struct.unpack_from(">I", data, at)[0] + grown)
    struct.pack_into(">I", data, begin - 8, end - begin + 8 + grown)
    return bytes(data)


@pytest.fixture
def referring(tmp_path: Path) -> Path:
    """A film whose index says that its pictures lie in another file; its own bytes there are blanked."""
    target = write_film(tmp_path / "secret.mov", seconds=2, draw=noise)
    film = _refer_to(target.read_bytes(), target)
    begin, end = box_at(film, "mdat")
    path = tmp_path / "film.mov"
    path.write_bytes(film[:begin] + bytes(end - begin) + film[end:])
    return path


def test_control_ffmpeg_follows_the_reference_when_it_is_told_to(referring: Path) -> None:
    options = {"enable_drefs": "1", "use_absolute_path": "1"}
    with av.open(str(referring), format="mov", options=options) as container:
        assert next(container.decode(video=0)).width == 96


def test_a_data_reference_is_not_followed(referring: Path) -> None:
    seen = watch(referring)
    assert seen.code == ErrorCode.DAMAGED
    assert seen.frame_ms == []


def test_ffmpeg_may_open_nothing_but_files() -> None:
    assert probe.OPTIONS == {"protocol_whitelist": "file", "enable_drefs": "0", "use_absolute_path": "0"}


def test_corners_are_distinct() -> None:
    assert len({tuple(corners(0, 96, 64)[y, x]) for y in (0, -1) for x in (0, -1)}) == 3
