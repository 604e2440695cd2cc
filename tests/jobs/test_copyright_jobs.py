"""From the bank to the verdict and back: a copy is found, a licence clears it, a reference added later finds it too."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageDraw

from tests.footage import write_film

pytestmark = pytest.mark.usefixtures("lite")
SIZE = (320, 192)


def mosaic(index, width, height):
    """Another blurred mosaic every two seconds, drifting."""
    grid = np.random.default_rng([1, index // 10]).integers(0, 255, (7, 9, 3), np.uint8)
    drift = (index % 10) * 4
    wide = Image.fromarray(grid).resize((width + 40, height), Image.Resampling.BICUBIC)
    return np.asarray(wide.crop((drift, 0, drift + width, height)))


def writing(index, width, height):
    """Lines of text on paper, another page every two seconds, scrolling."""
    random = np.random.default_rng([2, index // 10])
    page = Image.new("RGB", (width, height), (250, 246, 230))
    draw = ImageDraw.Draw(page)
    for line in range(12):
        letters = "".join(random.choice(list("abcdefghij klmnop"), 40))
        draw.text((8, 18 * line - index % 10), letters, fill=(20, 20, 40), font_size=16)
    return np.asarray(page)


def lamps(index, width, height):
    """Coloured discs in the dark, others every two seconds, moving."""
    random = np.random.default_rng([3, index // 10])
    night = Image.new("RGB", (width, height), (8, 8, 24))
    draw = ImageDraw.Draw(night)
    for x, y, radius in zip(
        random.integers(0, width, 6), random.integers(0, height, 6), random.integers(10, 40, 6), strict=True
    ):
        left = int(x) + index % 10
        draw.ellipse(
            (left, int(y), left + int(radius), int(y + radius)), fill=tuple(random.integers(60, 255, 3).tolist())
        )
    return np.asarray(night)


def mirrored(draw):
    return lambda index, width, height: np.ascontiguousarray(draw(index, width, height)[:, ::-1])


def nightjar(*words: object) -> subprocess.CompletedProcess[str]:
    call = [sys.executable, "-m", "jobs.cli", *map(str, words)]
    done = subprocess.run(call, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done


def film(path: Path, draw) -> Path:
    return write_film(path, seconds=10, fps=5, size=SIZE, draw=draw)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Two films, an upload that is each of them mirrored, and one that is neither; a bank with the first film."""
    folder = tmp_path_factory.mktemp("copyright")
    (folder / "films").mkdir()
    (folder / "uploads").mkdir()
    film(folder / "films" / "first.mp4", mosaic)
    film(folder / "films" / "second.mp4", writing)
    film(folder / "uploads" / "of_first.mp4", mirrored(mosaic))
    film(folder / "uploads" / "of_second.mp4", mirrored(writing))
    film(folder / "uploads" / "neither.mp4", lamps)
    nightjar("bank", "add", folder / "films" / "first.mp4", "--bank", folder / "bank")
    return folder


@pytest.fixture(scope="module")
def night(place) -> Path:
    recall = ["recall", "--date", "2026-11-21", "--input", place / "uploads", "--output", place / "recalls"]
    nightjar(*recall, "--bank", place / "bank")
    return place / "recalls" / "dt=2026-11-21"


def copies(folder: Path) -> dict[str, list[dict]]:
    """Copyright segments by video."""
    rows = pq.read_table(folder / "verdicts.parquet").to_pylist()
    named = {Path(row["video_id"]).stem: row["segments"] for row in rows}
    return {name: [s for s in found if s["label"].startswith("Copyright/")] for name, found in named.items()}


def test_a_mirrored_copy_is_found_with_its_times(night):
    (segment,) = copies(night)["of_first"]

    assert (segment["label"], segment["form"], segment["reference_id"]) == ("Copyright/Film and TV", "Image", "first")
    assert segment["end_ms"] - segment["start_ms"] > 6000
    assert abs(segment["ref_start_ms"] - segment["start_ms"]) <= 1000
    assert abs(segment["ref_end_ms"] - segment["end_ms"]) <= 1000


def test_nothing_else_is(night):
    assert copies(night)["of_second"] == []
    assert copies(night)["neither"] == []


def test_the_match_is_in_the_tables_the_summary_and_the_evidence(night):
    matches = [row for row in pq.read_table(night / "matches.parquet").to_pylist() if row["claim_score"] >= 0.5]
    signals = pq.read_table(night / "signals.parquet").to_pylist()
    summary = json.loads((night / "summary.json").read_text("utf-8"))

    assert {(Path(row["video_id"]).stem, row["reference_id"], row["licensed"]) for row in matches} == {
        ("of_first", "first", False)
    }
    assert [row["source"] for row in signals if row["label"].startswith("Copyright/") and row["score"] >= 0.5] == [
        f"bank@{summary['copyright']['bank_version']}"
    ]
    assert summary["copyright"]["references"] == 1
    assert list((night / "evidence").glob("*.webp"))
    assert "first" in (night / "report.html").read_text("utf-8")


def test_judging_again_needs_no_bank(place, night):
    (place / "bank").rename(place / "away")
    try:
        nightjar("judge", night, "--policy", "strict", "--output", place / "judged")
    finally:
        (place / "away").rename(place / "bank")

    assert [segment["reference_id"] for segment in copies(place / "judged")["of_first"]] == ["first"]


def test_a_reference_added_later_is_found_without_the_videos(place, night):
    nightjar("bank", "add", place / "films" / "second.mp4", "--bank", place / "bank")
    (place / "uploads").rename(place / "gone")
    try:
        done = nightjar("rescan", place / "recalls", "--bank", place / "bank", "--since", "2026-01-01")
    finally:
        (place / "gone").rename(place / "uploads")
    (again,) = night.glob("rescan=*")

    assert [segment["reference_id"] for segment in copies(again)["of_second"]] == ["second"]
    assert [segment["reference_id"] for segment in copies(again)["of_first"]] == ["first"]
    assert copies(night)["of_second"] == []  # the verdicts of record stay
    assert "1 from pass to review" in done.stderr


def test_what_was_found_before_stays_when_only_news_are_looked_for(place, night):
    nightjar("rescan", night, "--bank", place / "bank", "--since", "2999-01-01")
    found = [copies(folder) for folder in night.glob("rescan=*")]

    assert all([segment["reference_id"] for segment in each["of_first"]] == ["first"] for each in found)


def test_a_licence_clears_the_copy(place, tmp_path):
    table = tmp_path / "refs.csv"
    table.write_text(f"path,licences\n{place / 'films' / 'first.mp4'},*:2026-11-01..2026-11-30\n", "utf-8")
    nightjar("bank", "add", "--metadata", table, "--bank", place / "bank")
    uploads = place / "uploads"
    for date in ("2026-11-22", "2026-12-01"):
        recall = ["recall", "--date", date, "--input", uploads, "--output", place / "later"]
        nightjar(*recall, "--bank", place / "bank")

    assert copies(place / "later" / "dt=2026-11-22")["of_first"] == []
    assert copies(place / "later" / "dt=2026-12-01")["of_first"]


def test_a_bundle_of_another_tower_is_refused(place):
    call = [sys.executable, "-m", "jobs.cli", "scan", str(place / "uploads"), "--bank", str(place / "no-bank")]
    done = subprocess.run(call, capture_output=True, text=True, timeout=120)

    assert done.returncode == 2
    assert "no-bank" in done.stderr
