"""What is said, shown and written, by the real commands: found, marked, and found again by tomorrow's lexicon."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageDraw

from tests.footage import write_film

pytestmark = pytest.mark.usefixtures("lite")
SHOWN = "Add me on WhatsApp"
LEXICON = """
name = "tonight"
version = "1"

[[entry]]
label = "Fraud/Off-Platform Lure"
severity = 4
language = "en"
certain = true
score = 0.95
terms = ["country", "blue lantern"]
examples = { match = ["ask for the blue lantern"], pass = ["a lantern that is blue"] }
"""


def card(index, width, height):
    """A line of text on a plain card, a moving dot under it."""
    page = Image.new("RGB", (width, height), (24, 60, 90))
    draw = ImageDraw.Draw(page)
    draw.text((20, 60), SHOWN, fill="white", font_size=36)
    draw.ellipse((index % 200, 180, index % 200 + 12, 192), fill="yellow")
    return np.asarray(page)


def plain(index, width, height):
    return np.full((height, width, 3), 90 + index % 20, np.uint8)


def nightjar(*words: object) -> subprocess.CompletedProcess[str]:
    call = [sys.executable, "-m", "jobs.cli", *map(str, words)]
    return subprocess.run(call, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def night(tmp_path_factory) -> Path:
    """A card with a lure, a quiet film with a lure as its title, one with an innocent title, and real speech if any."""
    folder = tmp_path_factory.mktemp("text")
    write_film(folder / "card.mp4", seconds=6, fps=10, size=(456, 256), draw=card)
    write_film(folder / "plain.mp4", seconds=2, fps=10, size=(320, 180), draw=plain)
    write_film(folder / "other.mp4", seconds=3, fps=10, size=(320, 180), draw=plain)
    rows = [
        {"video_id": "card", "uri": str(folder / "card.mp4"), "uploader_id": "ann"},
        {
            "video_id": "lure",
            "uri": str(folder / "plain.mp4"),
            "title": "私我领红包，加 v 信：abc888",
            "uploader_id": "bob",
        },
        {
            "video_id": "calm",
            "uri": str(folder / "other.mp4"),
            "title": "A blue lantern at night",
            "uploader_id": "eve",
        },
        *_speech(),
    ]
    manifest = folder / "uploads.jsonl"
    manifest.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    done = nightjar("recall", "--date", "2026-11-21", "--input", manifest, "--output", folder / "out", "--offline")
    assert done.returncode == 0, done.stderr
    return folder / "out" / "dt=2026-11-21"


def _speech():
    from tests.media import real_media

    folder = real_media()
    return [{"video_id": "speech", "uri": str(folder / "audio/pywhispercpp/jfk.wav")}] if folder else []


def verdicts(folder):
    return {row["video_id"]: row for row in pq.read_table(folder / "verdicts.parquet").to_pylist()}


def test_a_lure_on_a_card_is_read_and_the_words_are_quoted(night):
    found = verdicts(night)["card"]
    assert found["suggestion"] == "review"
    (segment,) = [row for row in found["segments"] if row["form"] == "OCR" and row["label"].startswith("Fraud")]
    assert "whatsapp" in segment["text"].lower()
    assert segment["start_ms"] < 1500
    assert segment["end_ms"] > 4500
    assert (night / "evidence" / f"{found['content_sha256']}-{segment['evidence_ms']}.webp").is_file()


def test_a_lure_in_a_title_counts_and_an_innocent_title_does_not(night):
    found = verdicts(night)
    assert {row["form"] for row in found["lure"]["segments"]} == {"Text"}
    assert found["lure"]["suggestion"] == "review"
    assert found["calm"]["suggestion"] == "pass"


def test_transcripts_hold_what_was_shown_once(night):
    lines = [row for row in pq.read_table(night / "transcripts.parquet").to_pylist() if row["video_id"] == "card"]
    assert [row["form"] for row in lines] == ["OCR"]
    assert (lines[0]["start_ms"], lines[0]["end_ms"] >= 5500) == (0, True)


def test_signals_name_their_lexicon_and_the_words(night):
    rows = pq.read_table(night / "signals.parquet").to_pylist()
    told = [row for row in rows if row["video_id"] == "lure" and row["form"] == "Text"]
    assert told
    assert all("@" in row["source"] and row["detail"].startswith("tier ") for row in told)


def test_the_report_shows_the_line(night):
    page = (night / "report.html").read_text("utf-8")
    assert "<mark" in page
    assert "Transcript, 1 line" in page


def test_speech_is_written_down_and_a_file_of_sound_alone_is_wholly_examined(night):
    if "speech" not in verdicts(night):
        pytest.skip("there is no recorded speech on this machine")
    found = verdicts(night)["speech"]
    assert "Voice" not in {row["form"] for row in found["segments"]}
    assert (found["complete"], found["error_code"], found["suggestion"]) == (True, None, "pass")
    done = nightjar("subtitles", night, "speech")
    assert "ask what you can do for your country" in done.stdout.replace("\n", " ").lower()


def test_tomorrows_lexicon_finds_it_in_stored_transcripts(night, tmp_path):
    lexicon = tmp_path / "tonight.toml"
    lexicon.write_text(LEXICON, "utf-8")
    hidden = [path.rename(path.with_suffix(".gone")) for path in night.parent.parent.glob("*.mp4")]
    try:
        done = nightjar("rescan", night, "--lexicon", lexicon)
    finally:
        for path in hidden:
            path.rename(path.with_suffix(".mp4"))
    assert done.returncode == 0, done.stderr
    (folder,) = night.glob("rescan=*")
    found = verdicts(folder)
    assert found["calm"]["suggestion"] == "review"
    assert found["calm"]["segments"][0]["text"] == "A blue lantern at night"
    assert found["card"]["suggestion"] == "review"  # the shipped lexicons still hold
    assert verdicts(night)["calm"]["suggestion"] == "pass"
    if "speech" in found:
        spoken = [row for row in found["speech"]["segments"] if row["form"] == "Voice"]
        assert {row["label"] for row in spoken} == {"Fraud/Off-Platform Lure"}
        assert [round(row["start_ms"], -3) for row in spoken] == [6000, 10_000]  # "country" is said twice


def test_judging_again_needs_no_lexicon_and_no_model(night, tmp_path):
    done = nightjar("judge", night, "--policy", "strict", "--output", tmp_path)
    assert done.returncode == 0, done.stderr
    assert verdicts(tmp_path)["card"]["suggestion"] == "review"
    assert pq.read_table(tmp_path / "transcripts.parquet").equals(pq.read_table(night / "transcripts.parquet"))


def test_rescan_without_anything_to_look_for_is_refused(night):
    done = nightjar("rescan", night)
    assert done.returncode == 2
    assert "give --bank, --lexicon or both" in done.stderr


def test_readings_that_were_pruned_are_missed_and_not_passed_over(night, tmp_path):
    pruned = shutil.copytree(night, tmp_path / "pruned")
    for folder in pruned.rglob("text"):
        shutil.rmtree(folder)
    done = nightjar("judge", pruned, "--policy", "strict", "--output", tmp_path / "again")
    assert (done.returncode, "were the features pruned?" in done.stderr) == (2, True)
