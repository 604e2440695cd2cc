"""Subtitles of a stored night: one video or all, said or shown, and clear words where there are none."""

import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.risk.verdicts import VERDICTS
from pipelines.text.transcripts import TRANSCRIPTS


@pytest.fixture
def night(tmp_path):
    rows = [
        ("talk", "Voice", 0, 1500, "Hello <there>"),
        ("talk", "OCR", 0, 900, "SALE"),
        ("a/b", "Voice", 10, 20, "再见"),
    ]
    lines = [dict(zip(TRANSCRIPTS.names, (*row, "en", 0.9, None, ""), strict=True)) for row in rows]
    pq.write_table(pa.Table.from_pylist(lines, TRANSCRIPTS), tmp_path / "transcripts.parquet")
    verdicts = [{"video_id": name} for name in ("talk", "silent", "a/b")]
    pq.write_table(pa.Table.from_pylist(verdicts, VERDICTS), tmp_path / "verdicts.parquet")
    return tmp_path


def subtitles(*words):
    call = [sys.executable, "-m", "jobs.subtitles", *map(str, words)]
    return subprocess.run(call, capture_output=True, text=True, timeout=120)


def test_what_is_said_is_printed(night):
    done = subtitles(night, "talk")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nHello &lt;there&gt;\n"


def test_what_is_shown_goes_to_a_file(night, tmp_path):
    done = subtitles(night, "talk", "--form", "OCR", "--output", tmp_path / "talk.vtt")
    assert done.returncode == 0
    assert "SALE" in (tmp_path / "talk.vtt").read_text("utf-8")


def test_a_silent_video_has_no_cue(night):
    assert subtitles(night, "silent").stdout == "WEBVTT\n"


def test_all_get_a_file_each_and_none_leaves_the_folder(night, tmp_path):
    out = tmp_path / "out"
    assert subtitles(night, "--all", "--output", out).returncode == 0
    assert sorted(path.name for path in out.iterdir()) == ["talk.vtt", "video-2.vtt"]
    assert "再见" in (out / "video-2.vtt").read_text("utf-8")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nobody"], "has no video 'nobody'; it has talk, silent, a/b"),
        ([], "give either a video's id or --all"),
        (["--all"], "--all writes one file a video: give --output, a folder"),
        (["talk", "--output", "/proc/none/x.vtt"], "subtitles /proc/none/x.vtt cannot be written: "),
        (["--all", "--output", __file__], f"subtitles cannot be written to {__file__}: "),
    ],
)
def test_a_wrong_call_is_one_sentence(night, words, sentence):
    done = subtitles(night, *words)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_folder_that_is_no_night(tmp_path):
    done = subtitles(tmp_path, "talk")
    assert (done.returncode, "has no transcripts" in done.stderr) == (2, True)


def test_a_night_without_its_verdicts(night):
    (night / "verdicts.parquet").unlink()
    done = subtitles(night, "talk")
    assert (done.returncode, "verdicts.parquet cannot be read" in done.stderr) == (2, True)
