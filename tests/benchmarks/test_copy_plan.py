"""Uploads as planned: every edit, half without a copy, twins among those, spans and sizes; nothing is built."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.copies.edits import EDITS, combination, even, settle, within
from benchmarks.copies.films import Film
from benchmarks.copies.render import Shelf, film_command, upload_command
from benchmarks.copies.sources import SPLITS, Source
from benchmarks.copies.uploads import SCALES, Scale, Segment, Upload, plan

DEALS = [(split, role) for split in SPLITS for role in ("copied", "filler")]


def shelf_of_four() -> list[Film]:
    sources = [Source(Path(f"{n}.mp4"), "real", f"g{n}", 30.0, (640, 360), *deal) for n, deal in enumerate(DEALS)]
    return [Film(f"{s.split}-{s.role}", (s,), s.size, "music") for s in sources]


def test_every_edit_is_planned_alone_and_combined_and_half_the_uploads_are_clean() -> None:
    uploads = plan(shelf_of_four(), SCALES["default"], 1)
    report = [upload for upload in uploads if upload.split == "report"]
    for name in EDITS:
        assert sum(upload.edits == (name,) and bool(upload.copies) for upload in report) >= 3
    assert sum(len(upload.edits) > 1 and bool(upload.copies) for upload in report) >= 24
    assert sum(not upload.copies for upload in uploads) * 2 >= len(uploads)
    assert len(EDITS) >= 22


def test_half_of_the_uploads_without_a_copy_show_a_twin_of_a_reference() -> None:
    films = shelf_of_four()
    twin = Source(Path("t.mp4"), "real", "twin", 30.0, (640, 360), "report", "twin")
    uploads = plan([*films, Film("report-twin", (twin,), twin.size, "none")], SCALES["default"], 1, ("report",))
    clean = [upload for upload in uploads if not upload.copies]
    hard = [upload for upload in clean if any(segment.film.role == "twin" for segment in upload.segments)]
    assert len(hard) == len(clean) // 2
    assert not any(segment.film.role == "twin" for upload in uploads if upload.copies for segment in upload.segments)


def test_a_plan_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    scale = Scale({"fit": 1, "report": 1}, {"fit": 2, "report": 2}, ("crop", "speed"))
    films = shelf_of_four()
    assert plan(films, scale, 1) == plan(films, scale, 1) != plan(films, scale, 2)


def test_spans_are_3_to_12_seconds_and_speed_maps_time_exactly() -> None:
    scale = Scale({"fit": 10, "report": 10}, {"fit": 0, "report": 0}, ("speed",))
    copies = [copy for upload in plan(shelf_of_four(), scale, 3) for copy in upload.copies]
    assert copies
    for copy in copies:
        shown, taken = copy.end_ms - copy.start_ms, copy.ref_end_ms - copy.ref_start_ms
        assert 3000 <= shown <= 12_000
        assert 0.8 <= taken / shown <= 1.25
        assert abs(taken / shown - 1) > 0.05
        assert copy.ref_end_ms <= 30_000


def test_one_worked_upload() -> None:
    """Two seconds of filler, then 4 s that show 5 s from 10 s on: at 2-6 s the copy, from 10-15 s of the reference."""
    copied, filler = (film for film in shelf_of_four() if film.split == "fit")
    fast = settle(("speed",), np.random.default_rng(0), (640, 360))[0]
    change = type(fast)(**{**vars(fast), "speed": 1.25})
    upload = Upload(
        "q", "fit", "real", ("speed",), (Segment(filler, 0, 50), Segment(copied, 250, 100, (change,))), (640, 360)
    )
    (copy,) = upload.copies
    assert (copy.start_ms, copy.end_ms, copy.ref_start_ms, copy.ref_end_ms) == (2000, 6000, 10_000, 15_000)
    assert upload.duration_ms == 6000


@pytest.mark.parametrize("size", [(640, 360), (360, 640), (440, 360), (640, 272)])
@pytest.mark.parametrize("name", EDITS)
def test_an_edit_leaves_an_even_size_within_360p(name: str, size: tuple[int, int]) -> None:
    for seed in range(5):
        (change,) = settle((name,), np.random.default_rng(seed), size)
        assert change.size == within(change.size)
        assert all(length % 2 == 0 and length <= 640 for length in change.size)
        assert change.picture.startswith(("[in]", "[other]"))
        assert change.picture.endswith("[out]")


def test_combinations_take_two_or_three_edits_of_different_families() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        edits = combination(rng)
        assert len({EDITS[name].family for name in edits}) == len(edits) in (2, 3)


def test_sizes_are_even() -> None:
    assert [even(value) for value in (0, 3, 4.9, 5.1)] == [2, 4, 4, 6]
    assert within((1920, 1080)) == (640, 360)
    assert within((1080, 1920)) == (360, 640)


def test_commands_name_one_input_for_each_thing_opened(tmp_path: Path) -> None:
    copied, filler = (film for film in shelf_of_four() if film.split == "fit")
    (change,) = settle(("pip_over",), np.random.default_rng(0), (640, 360))
    segments = (Segment(filler, 0, 50), Segment(copied, 0, 100, (change,), (filler, 10)))
    command = upload_command(Upload("q", "fit", "real", ("pip_over",), segments, (640, 360)), Shelf(tmp_path))
    assert command.count("-i") == 3
    assert film_command(copied, Shelf(tmp_path)).count("-i") == 2  # the footage and its music
