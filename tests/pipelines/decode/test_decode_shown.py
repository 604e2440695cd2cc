"""A frame is shown as a player shows it: in its own shape, upright, in colours of the screen, laid on a ground."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pipelines.decode import tone
from pipelines.decode.pixels import of_one_size
from tests.footage import OPTIONS, corners, same_scheduling, write_film
from tests.watching import watch

TENTH = Fraction(1, 10)
RED, BLUE = (220, 20, 20), (20, 20, 220)


def write_packets(path: Path, codec: str, size: tuple[int, int], packets: list[av.Packet]) -> Path:
    """Ten packets a second into a track whose header knows the size alone."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=10)
        stream.width, stream.height = size
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for number, packet in enumerate(packets):
            packet.pts = packet.dts = number
            packet.time_base, packet.stream = TENTH, stream
            out.mux(packet)
    return path


def jpeg_packet(size: tuple[int, int], orientation: int = 0) -> av.Packet:
    exif = Image.Exif()
    exif[0x010E] = "from a camera"
    if orientation:
        exif[0x0112] = orientation
    file = io.BytesIO()
    Image.fromarray(corners(3, *size)).save(file, "JPEG", exif=exif, quality=95)
    packet = av.Packet(file.getvalue())
    packet.is_keyframe = True
    return packet


@pytest.mark.parametrize("container", ["mov", "avi", "mkv"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_frames_with_an_exif_block_are_seen_and_upright(tmp_path: Path, container: str, orientation: int) -> None:
    """PyAV has no name for that side data, and `frame.rotation` calls a mirrored picture a turned one."""
    packets = [jpeg_packet((96, 64), orientation) for _ in range(20)]
    seen = watch(write_packets(tmp_path / f"a.{container}", "mjpeg", (96, 64), packets))
    assert (seen.error, len(seen.frame_ms)) == (None, 2)
    stored = Image.fromarray(corners(3, 96, 64))
    expected = {
        1: stored,
        2: stored.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        3: stored.transpose(Image.Transpose.ROTATE_180),
        4: stored.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
        5: stored.transpose(Image.Transpose.TRANSPOSE),
        6: stored.transpose(Image.Transpose.ROTATE_270),
        7: stored.transpose(Image.Transpose.TRANSVERSE),
        8: stored.transpose(Image.Transpose.ROTATE_90),
    }[orientation]
    assert seen.frames_THWC[0].shape == np.asarray(expected).shape
    assert np.abs(seen.frames_THWC[0].astype(int) - np.asarray(expected)).mean() < 8


def test_a_stream_that_is_turned_on_the_way(tmp_path: Path) -> None:
    packets = [jpeg_packet((96, 64), 1) for _ in range(10)] + [jpeg_packet((96, 64), 8) for _ in range(10)]
    first, second = watch(write_packets(tmp_path / "a.mov", "mjpeg", (96, 64), packets)).frames_THWC
    assert first.shape == second.shape == (96, 96, 3)
    assert np.allclose(first[16 + 8, 8], RED, atol=12)
    assert np.allclose(second[96 - 8, 16 + 8], RED, atol=12)


def encoded(codec: str, size: tuple[int, int], count: int) -> list[av.Packet]:
    context = av.CodecContext.create(codec, "w")
    context.width, context.height = size
    context.pix_fmt, context.time_base, context.framerate = "yuv420p", TENTH, Fraction(10)
    frames = [av.VideoFrame.from_ndarray(corners(3, *size), format="rgb24") for _ in range(count)]
    for number, frame in enumerate(frames):
        frame.pts, frame.time_base = number, TENTH
    return [packet for frame in [*frames, None] for packet in context.encode(frame)]


@pytest.mark.parametrize(("codec", "container"), [("libvpx-vp9", "webm"), ("libvpx", "webm"), ("mpeg4", "mkv")])
def test_a_picture_keeps_its_shape_when_the_size_changes_on_the_way(tmp_path: Path, codec: str, container: str) -> None:
    packets = encoded(codec, (96, 64), 20) + encoded(codec, (64, 128), 20)
    seen = watch(write_packets(tmp_path / f"a.{container}", codec, (96, 64), packets))
    assert seen.frames_THWC.shape == (4, 128, 96, 3)
    wide, tall = seen.frames_THWC[0], seen.frames_THWC[3]
    assert wide[:32].max() < 12 > wide[96:].max()
    assert tall[:, :16].max() < 12 > tall[:, 80:].max()
    assert np.allclose(wide[40, 8], RED, atol=30)
    assert np.allclose(tall[8, 24], RED, atol=30)
    assert np.allclose(tall[120, 24], BLUE, atol=30)


def test_frames_of_one_shape_are_only_stacked() -> None:
    frames = [corners(index, 8, 6) for index in range(3)]
    assert np.array_equal(of_one_size(frames), np.stack(frames))


@pytest.mark.parametrize("container", ["mp4", "mkv", "ts"])
def test_pixels_that_are_not_square(tmp_path: Path, container: str) -> None:
    """64 x 64 pixels, each four times as wide as high."""
    path = tmp_path / f"a.{container}"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(4, 1)
        for number in range(10):
            frame = av.VideoFrame.from_ndarray(corners(number, 64, 64), format="rgb24")
            frame.pts, frame.time_base = number, TENTH
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    assert watch(path).frames_THWC.shape == (1, 64, 256, 3)


ALPHA = {
    "a.webm": ("libvpx-vp9", "yuva420p"),
    "b.webm": ("libvpx", "yuva420p"),
    "a.mov": ("qtrle", "argb"),
    "b.mov": ("prores_ks", "yuva444p10le"),
    "c.mov": ("png", "rgba"),
    "a.mkv": ("ffv1", "bgra"),
}


@pytest.mark.parametrize("ink", [0, 255])
@pytest.mark.parametrize("name", ALPHA)
def test_what_is_drawn_on_nothing_can_be_told_from_its_ground(tmp_path: Path, name: str, ink: int) -> None:
    codec, layout = ALPHA[name]
    drawn = np.full((64, 96, 4), ink, np.uint8)
    drawn[..., 3] = 0
    drawn[20:40, 20:70, 3] = 255
    options = {"auto-alt-ref": "0"} if "vpx" in codec else {}
    with av.open(str(tmp_path / name), "w") as out:
        stream = out.add_stream(codec, rate=10, options=options)
        stream.width, stream.height, stream.pix_fmt = 96, 64, layout
        for number in range(10):
            frame = av.VideoFrame.from_ndarray(drawn, format="rgba")
            frame.pts, frame.time_base = number, TENTH
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    seen = watch(tmp_path / name)
    assert seen.error is None
    assert abs(int(seen.frames_THWC[0, 30, 40, 0]) - ink) < 16
    assert abs(int(seen.frames_THWC[0, 4, 4, 0]) - (255 - ink)) < 16


def gradient() -> NDArray[np.uint8]:
    y, x = np.mgrid[:64, :96]
    return np.stack([x * 255 // 96, y * 255 // 64, (x + y) * 255 // 160], -1).astype(np.uint8)


def in_hdr(picture: NDArray[np.uint8], transfer: int) -> NDArray[np.uint16]:
    """What a studio does to put a film for ordinary screens into HDR: white at 203 cd/m2, nothing brighter."""
    wide = np.clip((picture / 255) ** tone.GAMMA @ np.linalg.inv(tone.TO_709.astype(float)).T, 0, 1) * tone.WHITE
    if transfer == tone.PQ:
        code = tone.pq(wide.astype(np.float32))
    else:
        luma = np.maximum((wide @ tone.LUMA)[..., None] / tone.HLG_PEAK, 1e-9)
        scene = wide / tone.HLG_PEAK * luma ** ((1 - tone.HLG_GAMMA) / tone.HLG_GAMMA)
        high = tone.A * np.log(np.maximum(12 * scene - tone.B, 1e-9)) + tone.C
        code = np.where(scene <= 1 / 12, np.sqrt(3 * scene), high)
    return np.rint(np.clip(code, 0, 1) * 65535).astype(np.uint16)


@pytest.mark.parametrize(("codec", "container"), [("libx265", "mp4"), ("ffv1", "mkv")])
@pytest.mark.parametrize("transfer", [tone.PQ, tone.HLG])
def test_a_film_in_hdr_looks_as_it_did_before(tmp_path: Path, codec: str, container: str, transfer: int) -> None:
    layout = "yuv420p10le"
    names = {tone.PQ: "smpte2084", tone.HLG: "arib-std-b67"}
    colours = f"log-level=none:crf=5:colorprim=bt2020:transfer={names[transfer]}:colormatrix=bt2020nc"
    with av.open(str(tmp_path / f"a.{container}"), "w") as out:
        stream = out.add_stream(codec, rate=10, options={"x265-params": colours} if codec == "libx265" else {})
        stream.width, stream.height, stream.pix_fmt = 96, 64, layout
        context = stream.codec_context
        context.color_trc, context.color_primaries, context.colorspace, context.color_range = transfer, 9, 9, 1
        for number in range(10):
            frame = av.VideoFrame.from_ndarray(in_hdr(gradient(), transfer), format="rgb48le")
            frame = frame.reformat(format=layout, dst_colorspace=9, dst_color_range=1)
            frame.pts, frame.time_base = number, TENTH
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    seen = watch(tmp_path / f"a.{container}")
    assert seen.error is None
    assert np.abs(seen.frames_THWC[0].astype(int) - gradient()).mean() < 3


def avif_in_hdr(path: Path, transfer: int) -> None:
    with same_scheduling(), av.open(str(path), "w", format="avif") as out:
        stream = out.add_stream("libsvtav1", rate=1, options=OPTIONS["libsvtav1"] | {"crf": "5"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p10le"
        context = stream.codec_context
        context.color_trc, context.color_primaries, context.colorspace, context.color_range = transfer, 9, 9, 2
        frame = av.VideoFrame.from_ndarray(in_hdr(gradient(), transfer), format="rgb48le")
        out.mux(stream.encode(frame.reformat(format="yuv420p10le", dst_colorspace=9, dst_color_range=2)))
        out.mux(stream.encode(None))


def png_in_hdr(path: Path, transfer: int) -> None:
    """With the chunk of the third edition: primaries, transfer, matrix (none), full range."""
    Image.fromarray((in_hdr(gradient(), transfer) >> 8).astype(np.uint8)).save(path)
    said = b"cICP" + bytes([9, transfer, 0, 1])
    content, header = path.read_bytes(), 8 + 25
    chunk = struct.pack(">I", 4) + said + struct.pack(">I", zlib.crc32(said))
    path.write_bytes(content[:header] + chunk + content[header:])


@pytest.mark.parametrize(("write", "name"), [(avif_in_hdr, "a.avif"), (png_in_hdr, "a.png")])
@pytest.mark.parametrize("transfer", [tone.PQ, tone.HLG])
def test_a_picture_in_hdr_looks_as_it_did_before(
    tmp_path: Path, write: Callable[[Path, int], None], name: str, transfer: int
) -> None:
    write(tmp_path / name, transfer)
    seen = watch(tmp_path / name)
    assert seen.error is None
    assert np.abs(seen.frames_THWC[0].astype(int) - gradient()).mean() < 4


def test_highlights_are_rolled_off_and_not_cut() -> None:
    light = np.array([50, 203, 400, 700, 1000], np.float32)[None, :, None].repeat(3, 2)
    coded = np.rint(tone.pq(light) * 65535).astype(np.uint16)
    grey = tone.to_sdr(coded, tone.PQ, tone.BT2020)[0, :, 0].astype(int)
    assert np.all(np.diff(grey)[:2] > 0)
    assert np.all(np.diff(grey) >= 0)
    assert abs(grey[0] - round(255 * (50 / tone.WHITE) ** (1 / tone.GAMMA))) <= 2
    assert grey[-1] >= 250


def test_an_ordinary_film_goes_untouched(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.mp4", seconds=1)
    with av.open(str(path)) as container:
        plain = next(container.decode(video=0)).reformat(96, 64, "rgb24", interpolation="BILINEAR").to_ndarray()
    assert np.array_equal(watch(path).frames_THWC[0], plain)
