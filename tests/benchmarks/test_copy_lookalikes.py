"""Look-alikes: the same by the same seed, alike and not the same, in halves that share nothing, true to the truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.copies.edits import EDITS
from benchmarks.copies.lookalikes import sounds
from benchmarks.copies.lookalikes.canvas import FACES, PALETTES, WORDS, theme, words, wrapped
from benchmarks.copies.lookalikes.clips import CARDS, COMMON, FLATS, SCENES, SOUNDS, TEMPLATES, Clip, clips_of
from benchmarks.copies.lookalikes.footage import MEDIA, Footage
from benchmarks.copies.lookalikes.plan import film_of, neither, uploads_of
from benchmarks.copies.sources import Source

HALVES = ("fit", "report")
has_fonts = any(Path("/usr/share/fonts").rglob("NotoSerifCJK-Regular.ttc"))
needs_fonts = pytest.mark.skipif(not has_fonts, reason="the fonts of the cards are absent")


def shown(half: str, at: int, seed: tuple[int, int], side: int = 0, seconds: float = 3.0) -> np.ndarray:
    """What the template of that number shows: the pair's seed, the video's seed."""
    style, content = seed
    own = theme(half, (160, 90), np.random.default_rng(style), side)
    moving = TEMPLATES[half][at](own, np.random.default_rng(style), np.random.default_rng(content))
    return np.asarray(moving(seconds).convert("RGB"), float)


@needs_fonts
@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("at", range(len(CARDS) + len(SCENES)), ids=[*CARDS, *SCENES])
def test_a_template_repeats_by_its_seeds_and_draws_another_picture_for_another(half: str, at: int) -> None:
    reference, again, lookalike = (
        shown(half, at, seed, side) for seed, side in (((1, 2), 0), ((1, 2), 0), ((1, 3), 1))
    )
    assert reference.shape == (90, 160, 3)
    assert np.array_equal(reference, again)
    changed = (np.abs(reference - lookalike).max(2) > 24).mean()
    assert changed > 0.002  # a few letters are enough


def test_the_halves_share_no_font_no_word_no_colours_and_no_footage() -> None:
    fit, report = ({name for face in FACES[half] for name in face} for half in HALVES)
    assert not fit & report
    assert not set(PALETTES["fit"]) & set(PALETTES["report"])
    for kind in words("fit"):
        assert not set(words("fit")[kind]) & set(words("report")[kind]), kind
    assert not {id(template) for template in TEMPLATES["fit"]} & {id(template) for template in TEMPLATES["report"]}
    listed = MEDIA.read_text("utf-8").split("[[report]]", 1)
    paths = [
        {line.split('path = "')[1].split('"')[0] for line in part.splitlines() if "path = " in line} for part in listed
    ]
    assert all(paths)
    assert not paths[0] & paths[1]
    assert WORDS.exists()


def clips(half: str = "fit", draw: int = 0) -> list[Clip]:
    sources = [Source(Path(f"{n}.mp4"), "real", f"g{n}", 20.0, (640, 360), half, "filler") for n in range(6)]
    return clips_of(sources, None, half, draw)


def test_every_kind_has_pairs_and_every_reference_is_copied_once_and_resembled_once() -> None:
    made = clips()
    films = {clip.name: film_of(clip) for clip in made}
    asked = uploads_of(made, films, "fit", 0)
    references = [clip.name for clip in made if not clip.like and not clip.filler]
    wanted = {template.__name__ for template in (*TEMPLATES["fit"], *FLATS, *SOUNDS)}
    assert {clip.kind for clip in made if not clip.filler} == wanted
    assert len(references) == 2 * len(wanted)
    assert sorted(each.like for each in asked if each.like) == sorted(references)
    assert sorted(copy.reference for each in asked for copy in each.upload.copies) == sorted(references)
    assert not any(each.like and each.upload.copies for each in asked)


def test_copies_are_told_by_more_than_a_blank_and_run_through_the_edits() -> None:
    made = clips()
    films, telling = {clip.name: film_of(clip) for clip in made}, {clip.name: clip.telling_s for clip in made}
    used: set[str] = set()
    for draw in range(3):
        for each in uploads_of(made, films, "fit", draw):
            used |= set(each.upload.edits)
            for copy in each.upload.copies:
                assert copy.ref_end_ms <= telling[copy.reference] * 1000
                assert copy.end_ms - copy.start_ms >= 3000
    assert used == {name for name, edit in EDITS.items() if edit.family != "sound" and name != "concat"}


def test_a_draw_repeats_and_another_is_another() -> None:
    assert clips() == clips()
    assert [clip.content for clip in clips()] != [clip.content for clip in clips(draw=1)]
    assert not {clip.content for clip in clips()} & {clip.content for clip in clips("report")}
    assert clips()[0].recipe == clips()[0].recipe != clips(draw=1)[0].recipe


def test_what_a_reference_shows_beside_its_sound_no_other_video_shows() -> None:
    made = [clip for clip in clips() if clip.kind in {sounding.__name__ for sounding in SOUNDS} or clip.filler]
    pictures = [(clip.footage, clip.style if clip.template else None) for clip in made]
    of_references = [p for clip, p in zip(made, pictures, strict=True) if not clip.like and not clip.filler]
    assert len(set(of_references)) == len(of_references)
    others = [p for clip, p in zip(made, pictures, strict=True) if clip.like or clip.filler]
    assert not set(of_references) & set(others)


def test_a_copy_with_a_loop_that_another_reference_has_counts_for_that_one_neither_way() -> None:
    made = clips()
    films = {clip.name: film_of(clip) for clip in made}
    asked = uploads_of(made, films, "fit", 0)
    spared = neither(asked, made)
    kinds = {clip.name: clip.kind for clip in made}
    assert len(spared) == 2 * len(COMMON)
    assert {kinds[reference] for _, reference in spared} == set(COMMON)
    truth = {(each.upload.name, copy.reference) for each in asked for copy in each.upload.copies}
    assert not truth & set(spared)


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("sounding", SOUNDS, ids=[sounding.__name__ for sounding in SOUNDS])
def test_sounds_are_alike_and_repeat_by_their_seeds(half: str, sounding: sounds.Sounding) -> None:
    one, again, other = (sounding(half, np.random.default_rng(1), np.random.default_rng(c), 2.0) for c in (2, 2, 3))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert len(one) == len(other) == 2 * 22_050
    assert np.abs(one).max() <= 0.51


def test_the_same_loop_plays_in_both_from_another_sixteenth_on() -> None:
    one, other = (sounds.loop("fit", np.random.default_rng(1), np.random.default_rng(c), 12.0) for c in (0, 1))
    spectrum = np.fft.rfft(one) * np.conj(np.fft.rfft(other))
    best = np.fft.irfft(spectrum).max() / np.sqrt((one**2).sum() * (other**2).sum())
    assert best > 0.7


def test_text_is_broken_into_lines_that_fit() -> None:
    font = theme("fit", (160, 90), np.random.default_rng(0)).font(12) if has_fonts else pytest.skip("no fonts")
    lines = wrapped("the sea returns whatever is not hers", font, 90)
    assert len(lines) > 1
    assert all(font.getlength(line) <= 90 for line in lines)
    assert len(wrapped("清晨的市场很热闹", font, 30)) > 1


def test_footage_of_a_photograph_moves_within_its_part(tmp_path: Path) -> None:
    """Left half red, right half blue: the camera on the right half never sees red."""
    from PIL import Image

    picture = np.zeros((60, 120, 3), np.uint8)
    picture[:, :60, 0], picture[:, 60:, 2] = 255, 255
    Image.fromarray(picture).save(tmp_path / "p.png")
    frames = list(Footage(tmp_path / "p.png", (0.5, 0.0, 1.0, 1.0)).frames((64, 36), 2.0, np.random.default_rng(0)))
    assert len(frames) == 10
    assert all(frame[..., 0].max() < 8 and frame[..., 2].min() > 240 for frame in frames)
