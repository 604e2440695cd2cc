"""A file that lost its end says so, however little is missing; and what stands in front of a film does not hide it."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import av
import pytest

import pipelines.decode.read
from pipelines.decode.sniff import format_of
from pipelines.decode.structure import missing_end
from pipelines.rows import ErrorCode
from tests.footage import SoundTrack, Tone, noise, write_film, write_sound
from tests.watching import LIMITS, watch

KINDS = {  # name -> codec, container, muxer's flags
    "a.mkv": ("libx264", "matroska", ""),
    "a.webm": ("libvpx-vp9", "webm", ""),
    "a.ogv": ("libvpx", "ogg", ""),
    "a.avi": ("mpeg4", "avi", ""),
    "a.mp4": ("libx264", "mp4", "faststart"),
    "fragments.mp4": ("libx264", "mp4", "frag_keyframe+empty_moov"),
    "a.flv": ("flv", "flv", ""),
    "a.gif": ("gif", "gif", ""),
    "a.ts": ("libx264", "mpegts", ""),
    "a.m2ts": ("libx264", "mpegts", "m2ts"),
    "a.mpg": ("mpeg2video", "vob", ""),
    "older.mpg": ("mpeg1video", "mpeg", ""),  # both know the rates of television only
}


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Five seconds in every container that can tell its own end, made when first asked for."""
    folder = tmp_path_factory.mktemp("short")

    def film(name: str) -> Path:
        codec, container, flags = KINDS[name]
        path = folder / name
        codecs = {".webm": "libopus", ".mpg": "mp2"}
        tone = None if name.endswith(("gif", "ogv")) else Tone(5.0, codec=codecs.get(path.suffix, "aac"))
        fps = 25 if name.endswith("mpg") else 10
        args = {"fps": fps, "codec": codec, "container": container, "flags": flags, "tone": tone}
        return path if path.exists() else write_film(path, seconds=5, draw=noise, **args)

    return film


@pytest.mark.parametrize("name", KINDS)
def test_a_whole_file_is_not_said_to_be_cut(short: Callable[[str], Path], name: str) -> None:
    assert missing_end(short(name), format_of(short(name), LIMITS)) is None
    assert watch(short(name)).error is None


@pytest.mark.parametrize("missing", [0.2, 0.1, 0.03])
@pytest.mark.parametrize("name", KINDS)
def test_of_five_seconds_any_part_that_is_missing_is_told(
    tmp_path: Path, short: Callable[[str], Path], name: str, missing: float
) -> None:
    content = short(name).read_bytes()
    inside = int(len(content) * (1 - missing)) | 7  # of a packet: between two of them nothing tells
    (cut := tmp_path / name).write_bytes(content[:inside])
    seen = watch(cut)
    assert len(seen.frame_ms) >= 3
    assert seen.code in (ErrorCode.TRUNCATED, ErrorCode.DAMAGED)


def test_a_live_recording_without_lengths_is_whole_and_its_cut_is_told(tmp_path: Path) -> None:
    """Segment and clusters of unknown length: the last block is what says that it goes on."""
    live = write_film(tmp_path / "live.mkv", seconds=5, draw=noise).read_bytes()
    segment = live.index(b"\x18\x53\x80\x67")
    unknown = live[: segment + 4] + b"\x01" + b"\xff" * 7 + live[segment + 12 :]
    (path := tmp_path / "a.mkv").write_bytes(unknown)
    assert missing_end(path, format_of(path, LIMITS)) is None
    path.write_bytes(unknown[: len(unknown) * 3 // 4])
    assert "lacks the last" in str(missing_end(path, format_of(path, LIMITS)))


def test_whatever_an_engine_raises_the_next_one_takes_over(
    tmp_path: Path, short: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A seek in a WebM that was cut off ended as PermissionError: errno 1 of FFmpeg."""

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(pipelines.decode.read, "SparseReader", refuse)
    seen = watch(short("a.mkv"))
    assert seen.error is None
    assert seen.end is not None
    assert (seen.end.decoder, len(seen.frame_ms)) == ("pyav", 5)


BEFORE = {  # of a film, the content of a box
    **dict.fromkeys(("uuid", "styp", "junk", "pict", "prft"), bytes(24)),
    "sidx": struct.pack(">IIIIIHH", 0, 1, 1000, 0, 0, 0, 0),
    "emsg": b"\x00\x00\x00\x00a\x00b\x00" + bytes(16),
}


@pytest.mark.parametrize("kind", BEFORE)
def test_a_film_may_begin_with_another_box(tmp_path: Path, kind: str) -> None:
    """Of fragments, whose offsets count from themselves: a box in front moves nothing."""
    flags = "frag_keyframe+empty_moov+default_base_moof"
    film = write_film(tmp_path / "a.mp4", seconds=5, flags=flags).read_bytes()
    front = struct.pack(">I4s", 8 + len(BEFORE[kind]), kind.encode()) + BEFORE[kind]
    (path := tmp_path / "front.mp4").write_bytes(front + film)
    seen = watch(path)
    assert seen.frame_ms == [0, 1000, 2000, 3000, 4000]
    assert seen.error is None


@pytest.mark.parametrize("junk", [1, 100, 187, 5000, 40_000])
def test_a_transport_stream_may_begin_in_the_middle(tmp_path: Path, junk: int) -> None:
    film = write_film(tmp_path / "whole.ts", seconds=5, draw=noise).read_bytes()
    (path := tmp_path / "a.ts").write_bytes(bytes(range(1, 64)) * (junk // 63) + bytes(junk % 63) + film)
    seen = watch(path)
    assert len(seen.frame_ms) == 5
    assert format_of(path, LIMITS).demuxer == "mpegts"


def test_a_playlist_in_front_of_a_transport_stream_is_refused(tmp_path: Path) -> None:
    film = write_film(tmp_path / "whole.ts", seconds=2).read_bytes()
    (path := tmp_path / "a.ts").write_bytes(b"#EXTM3U\nother.ts\n" + film)
    assert watch(path).code == ErrorCode.PLAYLIST


@pytest.mark.parametrize(("codec", "container"), [("libx264", "h264"), ("libx265", "hevc"), ("mpeg4", "m4v")])
def test_a_bare_stream_is_seen_at_its_rate(tmp_path: Path, codec: str, container: str) -> None:
    """Its pictures have no times: all of them on one tick would be one frame of five."""
    path = write_film(tmp_path / "a.bin", seconds=5, fps=25, codec=codec, container=container, bframes=2)
    seen = watch(path)
    assert seen.frame_ms == [0, 1000, 2000, 3000, 4000]
    assert seen.error is None


@pytest.mark.parametrize(
    ("codec", "container"), [("libx264", "nut"), ("rv20", "rm"), ("rawvideo", "yuv4mpegpipe"), ("libsvtav1", "obu")]
)
def test_further_containers_that_players_know(tmp_path: Path, codec: str, container: str) -> None:
    seen = watch(write_film(tmp_path / "a.bin", seconds=3, fps=25, codec=codec, container=container))
    assert seen.frame_ms == [0, 1000, 2000]
    assert seen.error is None


def test_mxf_of_cameras(tmp_path: Path) -> None:
    seen = watch(write_film(tmp_path / "a.mxf", seconds=3, fps=25, codec="mpeg2video"))
    assert (len(seen.frame_ms), seen.error) == (3, None)


ID3 = b"ID3\x04\x00\x00\x00\x00\x00\x0a" + bytes(10)


@pytest.mark.parametrize(("name", "codec", "demuxer"), [("a.flac", "flac", "flac"), ("a.aac", "aac", "aac")])
def test_id3_may_stand_before_other_sound(tmp_path: Path, name: str, codec: str, demuxer: str) -> None:
    sound = write_sound(tmp_path / name, Tone(2.0, codec=codec)).read_bytes()
    (path := tmp_path / "tagged").write_bytes(ID3 + sound)
    assert format_of(path, LIMITS).demuxer == demuxer
    assert len(watch(path).sound) == pytest.approx(32_000, rel=0.1)


@pytest.mark.parametrize("head", [b"\xff\xe3\x18\xc4", b"\xff\xfa\x90\x00", b"\xff\xf2\x40\xc4"])
def test_every_kind_of_mpeg_sound_is_known(tmp_path: Path, head: bytes) -> None:
    (path := tmp_path / "a").write_bytes(head + bytes(400))
    assert format_of(path, LIMITS).demuxer == "mp3"


@pytest.mark.parametrize(
    ("codec", "container"),
    [
        ("pcm_s16be", "aiff"),
        ("pcm_s16be", "au"),
        ("ac3", "ac3"),
        ("pcm_s16le", "caf"),
        ("pcm_s16le", "w64"),
        ("wavpack", "wv"),
    ],
)
def test_further_sound_that_players_know(tmp_path: Path, codec: str, container: str) -> None:
    with av.open(str(tmp_path / "a.bin"), "w", format=container) as out:
        SoundTrack(out, Tone(2.0, codec=codec)).close()
    assert len(watch(tmp_path / "a.bin").sound) == pytest.approx(32_000, rel=0.1)


def test_two_bytes_of_sync_in_a_text_make_no_sound(tmp_path: Path) -> None:
    (path := tmp_path / "a").write_bytes(b"\xff\xff\xff\xff" * 100)
    assert watch(path).code == ErrorCode.UNSUPPORTED
