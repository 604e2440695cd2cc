"""What is the same picture is verified under every edit; what is only the same kind of picture never is."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from pipelines.copyright.claims import Match
from pipelines.copyright.verification.features import FeatureCache
from pipelines.copyright.verification.stills import NO_STILLS, Stills
from pipelines.copyright.verification.verify import Verdict, verify
from tests.pipelines.copyright.verification.scenes import (
    HEIGHT,
    PRICES,
    RAINBOW,
    SECONDS,
    TWINS,
    WIDTH,
    Frame,
    bars,
    card,
    figure,
    film,
    flat,
    gradient,
    haze,
    plate,
    stills,
    world,
    written,
)

LINE = Match("Image", 0.95, 0, 1000 * SECONDS - 1, 0, 1000 * SECONDS - 1)


@pytest.fixture(scope="module")
def cache():
    return FeatureCache()


@pytest.fixture(scope="module")
def original() -> list[Frame]:
    return film(1)


def scaled(frame: Frame, width: int, height: int) -> Frame:
    return cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)


def cropped(frame: Frame) -> Frame:
    return scaled(frame[30:226, 50:400], WIDTH, HEIGHT)


def turned_a_little(frame: Frame) -> Frame:
    matrix = cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT / 2), 6, 1.15)
    return cv2.warpAffine(frame, matrix, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE)


def snowy(frame: Frame) -> Frame:
    grain = np.random.default_rng(int(frame[0, 0, 0])).normal(0, 14, frame.shape)
    return np.clip(frame + grain, 0, 255).astype(np.uint8)


def recoloured(frame: Frame) -> Frame:
    tones = 255 * (frame / 255.0) ** 0.75 * np.array([0.9, 0.8, 1.0]) * 0.85 + 12
    return np.clip(0.7 * tones + 0.3 * tones[:, :, [1, 2, 0]], 0, 255).astype(np.uint8)


def bordered(frame: Frame) -> Frame:
    return scaled(np.pad(frame, ((90, 90), (0, 0), (0, 0))), WIDTH * 256 // 436, 256)


def on_its_blur(frame: Frame) -> Frame:
    ground = cv2.GaussianBlur(scaled(frame, 256, 456), (0, 0), 14)
    ground[156 : 156 + 144] = scaled(frame, 256, 144)
    return ground


def in_a_corner(frame: Frame) -> Frame:
    ground = world(900)[100 : 100 + HEIGHT, 200 : 200 + WIDTH].copy()
    ground[12:132, 20:233] = scaled(frame, 213, 120)
    return ground


def under_a_small_one(frame: Frame) -> Frame:
    under = frame.copy()
    under[150:246, 270:446] = world(901)[:96, :176]
    return under


def stacked(frame: Frame) -> Frame:
    return scaled(np.concatenate([frame, world(902)[:HEIGHT, :WIDTH]]), 256, 287)


def beside(frame: Frame) -> Frame:
    return scaled(np.concatenate([world(903)[:HEIGHT, :WIDTH], frame], axis=1), 912, 256)


def captioned(frame: Frame) -> Frame:
    plate = frame.copy()
    plate[180:236, 20:436] = 20
    return written(plate, ["WAIT FOR IT ... you will", "never guess what comes next"], 20, 30, 182, (255, 255, 255))


def stickered(frame: Frame) -> Frame:
    stuck = frame.copy()
    for n, (x, y) in enumerate([(60, 60), (360, 70), (240, 180)]):
        cv2.circle(stuck, (x, y), 34, [(250, 210, 40), (230, 60, 60), (60, 200, 90)][n], -1)
    return stuck


EDITS: dict[str, Callable[[Frame], Frame]] = {
    "as it is": lambda frame: frame,
    "crop": cropped,
    "mirror": lambda frame: frame[:, ::-1],
    "mirror and crop": lambda frame: cropped(frame[:, ::-1]),
    "turned a little": turned_a_little,
    "quarter turn": lambda frame: np.rot90(frame).copy(),
    "upside down": lambda frame: frame[::-1, ::-1],
    "aspect": lambda frame: scaled(frame, 300, 256),
    "blur": lambda frame: cv2.GaussianBlur(frame, (0, 0), 3),
    "noise": snowy,
    "colour": recoloured,
    "grey": lambda frame: cv2.cvtColor(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB),
    "borders": bordered,
    "borders of its own blur": on_its_blur,
    "picture in picture": in_a_corner,
    "picture over picture": under_a_small_one,
    "stacked": stacked,
    "side by side": beside,
    "caption": captioned,
    "stickers": stickered,
    "crop, colour and blur": lambda frame: cv2.GaussianBlur(recoloured(cropped(frame)), (0, 0), 1.5),
    "mirror, borders and caption": lambda frame: bordered(captioned(frame[:, ::-1])),
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_copy_is_verified_under_every_edit(edit, original, cache):
    upload = stills([np.ascontiguousarray(EDITS[edit](frame)) for frame in original])
    found = verify(upload, stills(original), LINE, cache)

    assert found.verdict is Verdict.VERIFIED, found.reason
    assert found.score > 0.7
    assert found.pairs[0].agreement == max(pair.agreement for pair in found.pairs)


@pytest.mark.parametrize("twin", TWINS)
def test_a_twin_is_refuted(twin, cache):
    in_bank, shown = TWINS[twin]
    found = verify(stills(shown()), stills(in_bank()), LINE, cache)

    assert found.verdict is Verdict.REFUTED, found.reason
    assert "%" in found.reason


def test_another_name_on_the_same_plate_is_no_copy(cache):
    """A few blocks differ, side by side at every moment, while the camera drifts over all the rest."""
    ours = stills(plate(11, "Mill Lane"))

    assert verify(ours, stills(plate(11, "Mill Lane")), LINE, cache).verdict is Verdict.VERIFIED
    other = verify(ours, stills(plate(11, "High Rd 7")), LINE, cache)
    assert other.verdict is Verdict.IN_DOUBT
    assert "another at every moment" in other.reason


@pytest.mark.parametrize("phase", [0.2, 0.5])
def test_a_copy_looked_at_between_the_references_frames(phase, original, cache):
    """Upload and reference are sampled once a second, and hardly ever at the same moment of the film."""
    assert verify(stills(film(1, phase=phase)), stills(original), LINE, cache).verdict is Verdict.VERIFIED


@pytest.mark.parametrize("off_ms", [-1000, 500, 1000])
def test_a_line_that_is_off_by_a_second_is_moved(off_ms, cache):
    """The descriptor is alike from one second to the next; of a fast film the detail is not."""
    fast = [film(1, 1, phase=4 * second)[0] for second in range(SECONDS)]
    found = verify(stills(fast), stills(fast), Match("Image", 0.95, 1000, 6999, 1000 + off_ms, 6999 + off_ms), cache)

    assert found.verdict is Verdict.VERIFIED
    assert all(pair.upload_ms == pair.ref_ms for pair in found.pairs)


@pytest.mark.parametrize("speed", [0.8, 1.25])
def test_a_copy_at_another_speed(speed, original, cache):
    shown = [film(1, 1, phase=speed * second)[0] for second in range(6)]
    line = Match("Image", 0.95, 0, 5999, 0, round(6000 * speed), speed)

    assert verify(stills(shown), stills(original), line, cache).verdict is Verdict.VERIFIED


def test_the_points_lie_where_both_pictures_show_the_same(original, cache):
    found = verify(stills([frame[:, ::-1].copy() for frame in original]), stills(original), LINE, cache)
    x, _, ref_x, _ = found.pairs[0].points_N4.T

    assert len(x) > 10
    assert np.allclose(x + ref_x, 1, atol=0.02)
    assert found.pairs[0].upload_ms == 1000 * found.pairs[0].upload


class TestCards:
    """Where nothing moves, all of the detail has to agree."""

    def test_the_same_card_is_verified(self, cache):
        found = verify(stills(card(PRICES)), stills(card(PRICES)), LINE, cache)

        assert found.verdict is Verdict.VERIFIED
        assert found.reason == "100% of the detail agrees of a picture that stays"

    def test_one_other_price_is_at_least_a_doubt(self, cache):
        other = (*PRICES[:3], "Coffee          4.10")
        found = verify(stills(card(other)), stills(card(PRICES)), LINE, cache)

        assert found.verdict in (Verdict.IN_DOUBT, Verdict.REFUTED)
        assert found.reason.startswith("same layout, other text or detail: ")


class TestSoft:
    """Without one sharp edge a film is told by its large shapes and by how they move."""

    @pytest.mark.parametrize("edit", ["as it is", "mirror", "crop", "blur"])
    def test_a_copy_is_verified(self, edit, cache):
        upload = stills([np.ascontiguousarray(EDITS[edit](frame)) for frame in haze(1)])

        assert verify(upload, stills(haze(1)), LINE, cache).verdict is Verdict.VERIFIED

    @pytest.mark.parametrize("edit", ["colour", "caption"])
    def test_what_changes_the_shapes_themselves_leaves_a_doubt(self, edit, cache):
        upload = stills([EDITS[edit](frame) for frame in haze(1)])

        assert verify(upload, stills(haze(1)), LINE, cache).verdict is Verdict.IN_DOUBT

    def test_another_is_no_copy(self, cache):
        assert verify(stills(haze(2)), stills(haze(1)), LINE, cache).verdict is not Verdict.VERIFIED

    def test_one_that_stands_is_too_plain(self, cache):
        standing = stills(haze(1)[:1] * SECONDS)

        found = verify(standing, standing, LINE, cache)
        assert found.verdict is Verdict.REFUTED
        assert "too plain" in found.reason


class TestTooPlain:
    """A picture without detail is nobody's, even where both show it."""

    @pytest.mark.parametrize("frames", [flat(0), flat(255), gradient(), bars(RAINBOW), bars(RAINBOW, 20)])
    def test_it_carries_no_claim(self, frames, cache):
        assert verify(stills(frames), stills(frames), LINE, cache).verdict is Verdict.REFUTED


class TestWithoutPictures:
    @pytest.mark.parametrize("kept", ["upload", "reference", "none"])
    def test_nothing_was_seen(self, kept, cache):
        there = stills(flat(9))
        upload, reference = (there if kept == side else NO_STILLS for side in ("upload", "reference"))
        found = verify(upload, reference, LINE, cache)

        assert (found.verdict, found.reason) == (Verdict.UNSEEN, "no pictures were kept to verify it on")

    def test_a_damaged_still_is_named(self, cache):
        broken = Stills(np.array([0]), (b"no picture",))
        with pytest.raises(ValueError, match="a still of 10 bytes is no picture"):
            verify(broken, broken, LINE, cache)


def test_a_single_frame_is_enough_of_a_still_picture(cache):
    photo = world(5)[:HEIGHT, :WIDTH]
    line = Match("Image", 0.9, 0, 0, 3000, 3000)
    reference = Stills(np.array([0, 3000]), stills([figure(3), photo]).pictures)

    assert verify(stills([photo]), reference, line, cache).verdict is Verdict.VERIFIED


def test_frames_that_were_left_out_looked_as_the_one_before(cache):
    """A reference of which seconds 1 to 7 looked as second 0 keeps one still for them."""
    photo = world(5)[:HEIGHT, :WIDTH]
    reference = Stills(np.array([0, 8000]), stills([photo, world(6)[:HEIGHT, :WIDTH]]).pictures)

    assert verify(stills([photo] * SECONDS), reference, LINE, cache).verdict is Verdict.VERIFIED
