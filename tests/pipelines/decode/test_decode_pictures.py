"""A still picture is a video of one frame, upright, on white, and refused where it is broken."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.rows import ErrorCode
from tests.footage import Tone, corners, noise, write_film
from tests.watching import SMALL, watch


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "WEBP", "AVIF"])
def test_every_kind(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "picture"
    Image.fromarray(corners(3, 128, 64)).save(path, kind)
    seen = watch(path)
    assert seen.error is None
    assert seen.end is not None
    assert (seen.end.media, seen.end.decoder, seen.end.duration_ms) == ("picture", "pillow", 0)
    assert (seen.frame_ms, seen.frames_THWC.shape) == ([0], (1, 64, 128, 3))
    assert np.abs(seen.frames_THWC[0].astype(int) - corners(3, 128, 64)).mean() < 5


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "I;16", "CMYK", "YCbCr", "RGBA"])
def test_every_mode(tmp_path: Path, mode: str) -> None:
    Image.new(mode, (64, 64)).save(tmp_path / "picture", "JPEG" if mode in {"CMYK", "YCbCr"} else "PNG")
    seen = watch(tmp_path / "picture")
    assert seen.error is None
    assert seen.frames_THWC.shape == (1, 64, 64, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path: Path, orientation: int) -> None:
    upright = Image.fromarray(corners(0, 128, 64))
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Image.Transpose
    stored = upright.transpose(Image.Transpose(undo[orientation])) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(watch(tmp_path / "a.png").frames_THWC[0], corners(0, 128, 64))


def test_transparency_is_laid_on_white(tmp_path: Path) -> None:
    Image.new("RGBA", (64, 64), (255, 0, 0, 0)).save(tmp_path / "a.png")
    assert watch(tmp_path / "a.png").frames_THWC.min() == 255


@pytest.mark.parametrize("kind", ["WEBP", "PNG", "AVIF", "GIF"])
def test_a_picture_that_moves_is_sampled_with_its_times(tmp_path: Path, kind: str) -> None:
    frames = [Image.fromarray(corners(index, 64, 64)) for index in range(7)]
    frames[0].save(tmp_path / "a", kind, save_all=True, append_images=frames[1:], duration=500)
    seen = watch(tmp_path / "a")
    assert seen.error is None
    assert seen.frame_ms == [0, 1000, 2000, 3000]
    assert seen.end is not None
    assert (seen.end.media, seen.end.duration_ms) == ("video", 3500)
    for number, picture in enumerate(seen.frames_THWC):
        assert np.abs(picture.astype(int) - corners(2 * number, 64, 64)).mean() < 8


def test_a_picture_that_moves_for_longer_than_a_window(tmp_path: Path) -> None:
    frames = [Image.fromarray(corners(index, 64, 64)) for index in range(10)]
    frames[0].save(tmp_path / "a", "WEBP", save_all=True, append_images=frames[1:], duration=1000)
    seen = watch(tmp_path / "a", replace(SMALL, window_ms=4000))
    assert [window.index for window in seen.windows] == [0, 1, 2]
    assert seen.frame_ms == [1000 * number for number in range(10)]


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_photo_of_sixty_megapixels_is_read_smaller(tmp_path: Path, kind: str) -> None:
    small = Image.fromarray(corners(3, 90, 60))
    small.resize((9300, 6200), Image.Resampling.NEAREST).save(tmp_path / "a", kind)
    seen = watch(tmp_path / "a")
    assert seen.error is None
    assert seen.frames_THWC.shape == (1, 64, 96, 3)
    assert np.abs(seen.frames_THWC[0].astype(int) - corners(3, 96, 64)).mean() < 6


def jpeg() -> bytes:
    file = io.BytesIO()
    Image.fromarray(corners(3, 128, 64)).save(file, "JPEG")
    return file.getvalue()


@pytest.mark.parametrize("padding", [0, 4096])
def test_the_film_of_a_motion_photo_is_seen_behind_the_still(tmp_path: Path, padding: int) -> None:
    film = write_film(tmp_path / "film.mp4", seconds=3, tone=Tone(3.0)).read_bytes()
    (tmp_path / "a.jpg").write_bytes(jpeg() + bytes(padding) + film)
    seen = watch(tmp_path / "a.jpg")
    assert seen.error is None
    assert seen.frame_ms == [0, 30_000, 31_000, 32_000]
    assert [(window.index, window.start_ms) for window in seen.windows] == [(0, 0), (1, 30_000)]
    assert len(seen.sound) > 2.8 * 16_000
    assert seen.end is not None
    assert seen.end.duration_ms == pytest.approx(33_000, abs=60)


def test_a_motion_photo_whose_film_is_broken_says_so(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", seconds=3).read_bytes()
    (tmp_path / "a.jpg").write_bytes(jpeg() + film[: len(film) // 2])
    seen = watch(tmp_path / "a.jpg")
    assert (seen.frame_ms, seen.code) == ([0], ErrorCode.DAMAGED)


def test_jpegs_one_behind_the_other_are_a_film(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.bin", seconds=3, fps=25, codec="mjpeg", container="mjpeg")
    seen = watch(path)
    assert seen.frame_ms == [0, 1000, 2000]


def test_a_second_picture_behind_a_photo_makes_no_film(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg() + jpeg())
    seen = watch(tmp_path / "a.jpg")
    assert (seen.frame_ms, seen.error) == ([0], None)


def test_sixteen_bits_of_grey_are_not_white(tmp_path: Path) -> None:
    grey = np.linspace(0, 65_535, 64 * 64).reshape(64, 64).astype(np.uint16)
    Image.fromarray(grey).save(tmp_path / "a.png")
    assert np.abs(watch(tmp_path / "a.png").frames_THWC[0, :, :, 0].astype(int) - (grey >> 8)).max() == 0


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "WEBP", "AVIF"])
def test_a_cut_picture_is_damaged(tmp_path: Path, kind: str) -> None:
    Image.fromarray(noise(0, 64, 64)).save(tmp_path / "whole", kind)
    whole = (tmp_path / "whole").read_bytes()
    for share in (0.1, 0.5, 0.9):
        (tmp_path / "cut").write_bytes(whole[: int(share * len(whole))])
        seen = watch(tmp_path / "cut")
        assert seen.code == ErrorCode.DAMAGED
        assert str(tmp_path) not in str(seen.error)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "WEBP", "AVIF"])
def test_flipped_bits_end_in_a_frame_or_a_reason(tmp_path: Path, kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "words"
    Image.fromarray(noise(0, 64, 64)).save(tmp_path / "whole", kind, **({} if kind == "BMP" else {"exif": exif}))
    whole = (tmp_path / "whole").read_bytes()
    for seed in range(60):
        random = np.random.default_rng(seed)
        flipped = bytearray(whole)
        for at in random.integers(12, min(len(whole), 12 + 40 * (1 + seed % 20)), 4):
            flipped[at] ^= 1 << int(random.integers(8))
        (tmp_path / "flipped").write_bytes(flipped)
        seen = watch(tmp_path / "flipped")
        assert seen.error or seen.frames_THWC.shape[0] == 1


def test_long_and_thin(tmp_path: Path) -> None:
    Image.new("RGB", (2000, 1)).save(tmp_path / "a.png")
    assert watch(tmp_path / "a.png").frames_THWC.shape == (1, 64, 256, 3)


@pytest.mark.parametrize(("width", "height"), [(640, 360), (359, 641), (100, 75), (64, 300), (40, 30), (1000, 700)])
def test_it_is_resized_as_pillow_does_it(tmp_path: Path, width: int, height: int) -> None:
    """Pillow's bicubic is the plain reference; FFmpeg's takes a sharper curve and rounds otherwise."""
    chance = np.random.default_rng(0).integers(0, 256, (max(4, height // 8), max(4, width // 8), 3), np.uint8)
    picture = Image.fromarray(chance).resize((width, height), Image.Resampling.BICUBIC)
    picture.save(tmp_path / "a.png")
    size = SMALL.frame_size(width, height)
    wanted = np.asarray(picture.resize(size, Image.Resampling.BICUBIC)).astype(int)
    difference = np.abs(watch(tmp_path / "a.png").frames_THWC[0] - wanted)
    assert difference.shape == (size[1], size[0], 3)
    assert difference.mean() < 2
    assert difference.max() < 20


def test_no_channel_reaches_into_another(tmp_path: Path) -> None:
    red = np.zeros((150, 200, 3), np.uint8)
    red[::2, :, 0] = 255
    Image.fromarray(red).save(tmp_path / "a.png")
    frame_HWC = watch(tmp_path / "a.png").frames_THWC[0]
    assert frame_HWC[..., 0].any()
    assert frame_HWC[..., 1:].max() <= 1  # it dithers what it rounds


def test_one_pixel_fills_a_frame(tmp_path: Path) -> None:
    Image.new("RGB", (1, 1), (10, 200, 90)).save(tmp_path / "a.png")
    assert np.abs(watch(tmp_path / "a.png").frames_THWC.astype(int) - (10, 200, 90)).max() <= 1
