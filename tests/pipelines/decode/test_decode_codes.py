"""Codes: every common kind, small, inverted, mirrored, several, for two seconds in a corner, in any character set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import zxingcpp
from numpy.typing import NDArray
from PIL import Image

from pipelines.decode.codes import KINDS, regions_of, scan
from pipelines.decode.limits import Sampling
from pipelines.decode.payload import text_of
from tests.footage import write_film
from tests.watching import watch

SIZES = [(640, 360), (360, 640), (1920, 1080)]
SHARES = {"QRCode": 0.18, "DataMatrix": 0.18, "Aztec": 0.18, "PDF417": 0.7, "EAN13": 0.6}
CONTENTS = {"EAN13": "5901234123457"}
LOOKING = Sampling(frame_side=64, codes=True)


def code(kind: str, content: str | bytes, side: int) -> NDArray[np.uint8]:
    """Black on white with a quiet zone; `side` is its longer one, in pixels."""
    made = zxingcpp.create_barcode(content, getattr(zxingcpp.BarcodeFormat, kind))
    drawn = np.array(zxingcpp.write_barcode_to_image(made, scale=4))
    scale = side / max(drawn.shape)
    size = round(drawn.shape[1] * scale), round(drawn.shape[0] * scale)
    return np.array(Image.fromarray(drawn).resize(size, Image.Resampling.BILINEAR))


def scene(width: int, height: int, shift: int = 0) -> NDArray[np.uint8]:
    rows, columns = np.mgrid[:height, :width]
    return (110 + 60 * np.sin((columns + 9 * shift) / 40) * np.cos(rows / 25)).astype(np.uint8)


def put(grey: NDArray[np.uint8], drawn: NDArray[np.uint8], left: int, top: int) -> NDArray[np.uint8]:
    grey[top : top + drawn.shape[0], left : left + drawn.shape[1]] = drawn
    return grey


def read(grey: NDArray[np.uint8]) -> list[str]:
    return [found.text for region in regions_of(grey) for found in scan(grey, region)]


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", SHARES)
def test_every_kind_is_found_and_read(kind: str, size: tuple[int, int], inverted: bool, mirrored: bool) -> None:
    content = CONTENTS.get(kind, "https://t.me/joinus")
    drawn = code(kind, content, round(SHARES[kind] * min(size)))
    drawn = 255 - drawn if inverted and kind not in ("EAN13", "PDF417") else drawn
    picture = put(scene(*size), drawn, size[0] // 5, size[1] // 4)
    assert read(picture[:, ::-1] if mirrored else picture) == [content]


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_large_code(share: float) -> None:
    assert read(put(scene(640, 360), code("QRCode", "big", round(share * 360)), 20, 5)) == ["big"]


def test_three_in_one_picture() -> None:
    picture = scene(640, 360)
    for number, left in enumerate((20, 260, 480)):
        put(picture, code("QRCode", f"number {number}", 90), left, 100 + 30 * number)
    assert sorted(read(picture)) == ["number 0", "number 1", "number 2"]


def test_a_picture_without_a_code_has_none() -> None:
    grain = np.random.default_rng(0).integers(0, 255, (360, 640), np.uint8)
    assert read(scene(640, 360)) == read(grain) == []
    assert regions_of(scene(640, 360)) == []


def test_the_box_is_where_the_code_stands() -> None:
    picture = put(scene(640, 360), code("QRCode", "here", 120), 400, 200)
    (found,) = [each for region in regions_of(picture) for each in scan(picture, region)]
    assert found.box == pytest.approx((400 / 640, 200 / 360, 520 / 640, 320 / 360), abs=0.06)  # a quiet zone around


@pytest.mark.parametrize("codec", ["libx264", "libvpx-vp9", "mpeg4", "msmpeg4"])
def test_a_code_in_a_corner_for_two_seconds(tmp_path: Path, codec: str) -> None:
    def draw(index: int, width: int, height: int) -> NDArray[np.uint8]:
        picture = scene(width, height, index)
        if 20 <= index < 40:
            put(picture, code("QRCode", "https://t.me/joinus", 76), width - 90, height - 90)
        return np.repeat(picture[:, :, None], 3, axis=2)

    suffix = {"libx264": "mp4", "libvpx-vp9": "webm"}.get(codec, "avi")
    path = write_film(tmp_path / f"a.{suffix}", seconds=6, size=(640, 360), codec=codec, draw=draw)
    seen = watch(path, LOOKING)
    (found,) = [found for window in seen.windows for found in window.found]
    assert (found.text, found.form, found.source) == ("https://t.me/joinus", "OCR", "code QRCode")
    assert (found.start_ms, found.end_ms) == (2000, 4000)
    assert found.raw == b"https://t.me/joinus"
    assert sum(window.codes_ms for window in seen.windows) > 0


def test_a_code_that_stays_over_a_still_picture_is_one_line_a_window(tmp_path: Path) -> None:
    def draw(index: int, width: int, height: int) -> NDArray[np.uint8]:
        return np.repeat(put(scene(width, height), code("QRCode", "stay", 90), 50, 50)[:, :, None], 3, axis=2)

    seen = watch(write_film(tmp_path / "a.mp4", seconds=4, fps=2, size=(320, 240), draw=draw), LOOKING)
    assert [(found.text, found.start_ms) for window in seen.windows for found in window.found] == [("stay", 0)]


def test_without_asking_nobody_looks_for_codes(tmp_path: Path) -> None:
    seen = watch(write_film(tmp_path / "a.mp4", seconds=1))
    assert all(window.found == () and window.codes_ms == 0 for window in seen.windows)


@pytest.mark.parametrize(
    ("text", "charset"), [("加我微信领红包", "utf-8"), ("加我微信领红包", "gb2312"), ("加我領紅包", "big5")]
)
def test_chinese_in_any_usual_character_set(text: str, charset: str) -> None:
    """Without a mark zxing-cpp takes GB and Big5 for Japanese half-width letters."""
    (made,) = zxingcpp.read_barcodes(code("QRCode", text.encode(charset), 300), formats=KINDS)
    assert text_of(made) == text


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_code_in_a_photo(tmp_path: Path, kind: str) -> None:
    picture = put(scene(4000, 3000), code("QRCode", "https://t.me/joinus", 540), 300, 300)
    Image.fromarray(picture).save(tmp_path / "a", kind)
    (window,) = watch(tmp_path / "a", LOOKING).windows
    assert [found.text for found in window.found] == ["https://t.me/joinus"]
