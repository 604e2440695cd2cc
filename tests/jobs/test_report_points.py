"""Verified copies in the report: matched points over both pictures, the reason in words, hostile rows harmless."""

from __future__ import annotations

import html
import io
import re
from dataclasses import replace

import pytest
from PIL import Image

from jobs.report.page import render
from jobs.report.points import GAP, LINES, check_text, count_text, drawn_points
from tests.jobs.claimed import both, claimed
from tests.jobs.test_report import driver, find, opened  # noqa: F401  two of them are fixtures
from tests.jobs.test_report_claims import page_of, video


def webp(width: int, height: int, colour: str = "gray") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(out, "WEBP")
    return out.getvalue()


def point(x: float, y: float, ref_x: float, ref_y: float) -> dict[str, float]:
    return {"x": x, "y": y, "ref_x": ref_x, "ref_y": ref_y}


def row(points=(), ours=(200, 100), theirs=(100, 100), **more):
    shown = {"picture": webp(*ours, "green"), "ref_picture": webp(*theirs, "red"), "points": list(points)}
    return shown | {"verified": "verified", "reason": "83% of the detail agrees"} | more


def verified(points=(), **more):
    """A claim by picture and sound whose picture was verified."""
    picture, sound = both()
    return [replace(picture, row={**picture.row, **row(points, **more)}), sound]


class TestWords:
    @pytest.mark.parametrize(
        ("said", "text"),
        [
            ({"verified": None, "reason": None}, ""),
            ({}, ""),
            ({"verified": "verified", "reason": None}, "verified"),
            ({"verified": "verified", "points": [0] * 1214}, "verified: 1,214 matched points"),
            ({"verified": "verified", "points": [0], "reason": "it is"}, "verified: 1 matched point, it is"),
            ({"verified": "in_doubt", "points": None, "reason": "other words"}, "in doubt: other words"),
            ({"verified": "unseen", "reason": "no pictures were kept"}, "not verified: no pictures were kept"),
            ({"verified": "in_doubt", "reason": "a\nb\x1b[2J"}, "in doubt: a b"),
        ],
    )
    def test_a_check_in_words(self, said, text):
        assert check_text(said).startswith(text)
        assert "\n" not in check_text(said)
        assert "\x1b" not in check_text(said)

    def test_a_long_reason_is_cut(self):
        assert len(check_text({"verified": "in_doubt", "reason": "x" * 999})) < 200

    def test_none_are_not_counted(self):
        assert count_text(None) == count_text([]) == ""


class TestDrawing:
    def test_a_line_goes_from_the_upload_to_the_same_place_in_the_work(self):
        """Twice as wide as high beside a square: the second begins at 2 and the gap."""
        drawn = drawn_points(row([point(0.5, 0.25, 0.5, 0.75)]))

        assert drawn.columns == f"2.000fr {GAP}fr 1.000fr"
        assert drawn.aspect == "3.040"
        assert 'viewBox="0 0 3.040 1"' in drawn.svg
        assert f'd="M1.000 0.250L{2 + GAP + 0.5:.3f} 0.750"' in drawn.svg
        assert 'aria-label="1 matched point, 83% of the detail agrees"' in drawn.svg

    def test_many_points_are_drawn_in_part_and_counted_whole(self):
        drawn = drawn_points(row([point(n / 999, 0.5, 0.5, 0.5) for n in range(1000)]))

        assert drawn.svg.count("L") == LINES
        assert "1,000 matched points" in drawn.svg
        firsts = [float(x) for x in re.findall(r"M([\d.]+) 0.500L", drawn.svg)]
        assert firsts == sorted(firsts)
        assert (firsts[0], firsts[-1]) == (0.0, pytest.approx(2, abs=0.04)), "from all over the picture"

    @pytest.mark.parametrize(
        "broken",
        [
            {"picture": None},
            {"ref_picture": None},
            {"ref_picture": b"no picture"},
            {"points": None},
            {"points": []},
            {"points": [point(float("nan"), 0, 0, 0), point(1.5, 0, 0, 0), point(0, 0, -1, 0)]},
            {"picture": webp(1000, 10)},
            {"picture": webp(10, 1000)},
        ],
    )
    def test_what_cannot_be_drawn_is_not(self, broken):
        assert drawn_points(row([point(0, 0, 1, 1)])) is not None
        assert drawn_points(row([point(0, 0, 1, 1)]) | broken) is None


class TestCard:
    def test_a_verified_claim(self):
        text = html.unescape(render(page_of(video(claims=verified([point(0.1, 0.2, 0.3, 0.4)] * 214)))))

        assert '<p class="check"><bdi>verified: 214 matched points, 83% of the detail agrees</bdi></p>' in text
        assert '<div class="pair veiled" data-columns="2.000fr 0.04fr 1.000fr" data-aspect="3.040">' in text
        assert len(re.findall(r'<svg class="points"', text)) == 1
        assert 'alt="This upload: Copyright/Film and TV 0.99"' in text

    def test_a_doubt(self):
        found = [claimed(score=0.6, verified="in_doubt", reason="other words", ref_picture=webp(64, 36))]
        text = render(page_of(video(claims=found)))

        assert '<p class="check doubted"><bdi>in doubt: other words</bdi></p>' in text
        assert '<svg class="points"' not in text

    def test_a_night_from_before_verification_says_nothing_of_it(self):
        assert '<p class="check' not in render(page_of(video(claims=both(verified=None, reason=None))))

    def test_hostile_reasons_are_text(self):
        evil = '"><script>alert(1)</script>'
        text = render(page_of(video(claims=verified([point(0, 0, 1, 1)], reason=evil))))

        assert "<script>alert" not in text
        assert "&lt;script&gt;alert(1)" in text


# In a browser


def corners():
    """A mark in each corner of both pictures."""
    ends = (0.0, 1.0)
    return page_of(video("copy", verified([point(x, y, x, y) for x in ends for y in ends])))


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
def test_points_lie_where_the_pictures_are(opened, driver, width):  # noqa: F811
    """The drawing begins and ends with the pictures, at every width, and hides nothing from a click."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        browser = opened(corners())
        boxes = browser.execute_script(
            "return ['.pair figure:first-child img', '.pair figure:nth-child(2) img', '.points'].map((name) => {"
            "const box = document.querySelector(name).getBoundingClientRect();"
            "return [box.left, box.right, box.top, box.bottom]; })"
        )
        ours, theirs, drawing = boxes
        assert drawing == pytest.approx([ours[0], theirs[1], ours[2], ours[3]], abs=1.5)
        assert theirs[2:] == pytest.approx(ours[2:], abs=1.5), "one height"
        assert (ours[1] - ours[0]) / (ours[3] - ours[2]) == pytest.approx(2, rel=0.02), "no picture is stretched"
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        assert "blur" in browser.execute_script("return getComputedStyle(document.querySelector('.pair img')).filter")
        find(browser, ".pair .picture").click()
        assert [img.is_displayed() for img in browser.find_elements("css selector", "#viewer img")] == [True, True]
    finally:
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
