"""Text that comes with a file is read, each with its source; what is not read is said."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

import pipelines.decode.subtitles
from pipelines.decode.found import Found
from pipelines.decode.subtitles import plain_text
from pipelines.decode.timeline import has_captions
from pipelines.rows import ErrorCode
from tests.footage import corners, write_film
from tests.subtitled import carrying
from tests.watching import Seen, watch

CUES = [(500, 1500, r"{\b1}add me{\b0} on telegram"), (2000, 3000, r"加我微信\N领红包")]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("plain")
    made = {"libx264": write_film(folder / "a.mp4", seconds=4), "libvpx": folder / "a.webm"}
    write_film(made["libvpx"], seconds=4, codec="libvpx")
    return made


def texts(seen: Seen) -> list[tuple[str, str, int, int]]:
    assert seen.end is not None
    return [(one.source, one.text, one.start_ms, one.end_ms) for one in seen.end.found]


@pytest.mark.parametrize(
    ("codec", "container", "name"),
    [
        ("mov_text", "mp4", "mov_text"),
        ("mov_text", "mov", "mov_text"),
        ("ass", "mkv", "ssa"),
        ("subrip", "mkv", "srt"),
        ("webvtt", "mkv", "webvtt"),
        ("webvtt", "webm", "webvtt"),
    ],
)
def test_subtitles_of_every_kind(tmp_path: Path, plain: dict[str, Path], codec: str, container: str, name: str) -> None:
    film = plain["libvpx" if container == "webm" else "libx264"]
    path = carrying(film, tmp_path / f"a.{container}", tracks=[(codec, "eng", CUES)])
    seen = watch(path)
    assert seen.error is None
    assert texts(seen) == [
        (f"subtitles 1 ({name}, eng)", "add me on telegram", 500, 1500),
        (f"subtitles 1 ({name}, eng)", "加我微信 领红包", 2000, 3000),
    ]


def test_every_subtitle_track_is_read(tmp_path: Path, plain: dict[str, Path]) -> None:
    tracks = [("subrip", language, [(0, 1000, f"line {language}")]) for language in ("eng", "chi", "spa")]
    seen = watch(carrying(plain["libx264"], tmp_path / "a.mkv", tracks=tracks))
    assert [text for _, text, _, _ in texts(seen)] == ["line eng", "line chi", "line spa"]


@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_tags_and_chapters(tmp_path: Path, plain: dict[str, Path], container: str) -> None:
    tags = {"title": "cheap pills", "comment": "call 555 0142", "encoder": "nobody reads this"}
    path = carrying(
        plain["libx264"], tmp_path / f"a.{container}", tags=tags, chapters=[(0, 2000, "One"), (2000, 4000, "Two")]
    )
    seen = watch(path)
    assert seen.error is None
    assert sorted(texts(seen)) == [
        ("chapter", "One", 0, 2000),
        ("chapter", "Two", 2000, 4000),
        ("tag comment", "call 555 0142", 0, 4000),
        ("tag title", "cheap pills", 0, 4000),
    ]


def test_subtitles_that_take_too_long_are_said_to_be_unread(
    tmp_path: Path, plain: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipelines.decode.subtitles, "MOST_LINES", 0)
    seen = watch(carrying(plain["libx264"], tmp_path / "a.mkv", tracks=[("subrip", "eng", CUES)]))
    assert seen.code == ErrorCode.UNSUPPORTED
    assert str(seen.error) == "the subtitles were not read to their end"


def test_a_track_of_pictures_is_said_to_be_unread(tmp_path: Path, plain: dict[str, Path]) -> None:
    path = carrying(plain["libx264"], tmp_path / "a.mkv", tracks=[("subrip", "eng", CUES)])
    content = path.read_bytes()
    assert content.count(b"S_TEXT/UTF8") == 1
    path.write_bytes(content.replace(b"S_TEXT/UTF8", b"S_HDMV/PGS\x00"))
    seen = watch(path)
    assert seen.code == ErrorCode.UNSUPPORTED
    assert "is made of pictures and was not read" in str(seen.error)


@pytest.mark.parametrize(
    ("dialogue", "expected"),
    [
        (r"{\an8\fs20}add{\i1} me", "add me"),
        ("<v Anna>hello <b>you</b>", "hello you"),
        (r"one\Ntwo\hthree", "one two three"),
        ("3 < 4 and 5 > 4", "3 < 4 and 5 > 4"),
    ],
)
def test_markup_is_taken_off(dialogue: str, expected: str) -> None:
    assert plain_text(dialogue) == expected


def test_cover_art_is_looked_at(tmp_path: Path, plain: dict[str, Path]) -> None:
    """In a window behind the film's, so that the film's own times stay."""
    file = io.BytesIO()
    Image.fromarray(corners(3, 120, 80)).save(file, "JPEG")
    path = tmp_path / "a.mp4"
    with av.open(str(plain["libx264"])) as film, av.open(str(path), "w") as out:
        pictures = out.add_stream_from_template(film.streams.video[0])
        cover = out.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 120, 80, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        for packet in film.demux(video=0):
            if packet.dts is not None:
                packet.stream = pictures
                out.mux(packet)
        still = av.Packet(file.getvalue())
        still.stream, still.pts, still.dts, still.time_base = cover, 0, 0, Fraction(1, 1)
        out.mux(still)
    seen = watch(path)
    assert seen.error is None
    assert seen.frame_ms == [0, 1000, 2000, 3000, 30_000]
    assert seen.windows[-1].frames_THWC is not None
    assert np.abs(seen.windows[-1].frames_THWC[0].astype(int) - corners(3, 96, 64)).mean() < 8
    assert seen.end is not None
    assert seen.end.duration_ms == 4000


def captions(*pairs: tuple[int, int, int]) -> bytes:
    return b"GA94\x03" + bytes([0x40 | len(pairs), 0xFF]) + b"".join(map(bytes, pairs)) + b"\xff"


def test_closed_captions_are_said_to_be_unread(tmp_path: Path) -> None:
    """Among the user data of MPEG-2 pictures, and nothing but filling in most broadcasts."""
    film = write_film(tmp_path / "a.mpg", codec="mpeg2video", container="vob", seconds=2).read_bytes()
    assert has_captions(captions((0xFC, 0x94, 0x20)))
    assert not has_captions(captions((0xFC, 0x80, 0x80), (0xFA, 0, 0)))
    assert not has_captions(film)
    bare = write_film(tmp_path / "b.m2v", codec="mpeg2video", container="mpeg2video", seconds=2).read_bytes()
    slice_at = bare.index(b"\x00\x00\x01\x01")
    (path := tmp_path / "c.m2v").write_bytes(
        bare[:slice_at] + b"\x00\x00\x01\xb2" + captions((0xFC, 0x94, 0x20), (0xFC, 0xC8, 0xE9)) + bare[slice_at:]
    )
    seen = watch(path)
    assert seen.code == ErrorCode.UNSUPPORTED
    assert str(seen.error) == "closed captions (CEA-608 or 708) are not read"


def test_a_found_line_is_a_row() -> None:
    row = Found(0, 5, "a", "OCR", "code QRCode", box=(0.0, 0.1, 0.2, 0.3), raw=b"a").as_row()
    assert (row["box"], row["raw"], row["words"]) == ([0.0, 0.1, 0.2, 0.3], b"a", [])
