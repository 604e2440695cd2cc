"""The peers' rules and the tables, on hashes and matches written by hand."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from math import inf
from pathlib import Path

import numpy as np
import pytest

from benchmarks.copies import hashes as hashes_module
from benchmarks.copies import peers
from benchmarks.copies.exam import Asked, Exam
from benchmarks.copies.hashes import FINGERPRINT_MS, HEARD_MS, SILENCE, FrameHashes, average_bits, distances
from benchmarks.copies.levels import Levels
from benchmarks.copies.metrics import Match
from benchmarks.copies.peers import Chromaprint, FrameRule, alignments, bit_errors, fitted, longest_run
from benchmarks.copies.sound import RATE, audible, babble, music, write_wav
from benchmarks.copies.tables import Trial, by_edit, by_kind, edit_uap, lookalikes, overall, worst
from benchmarks.registry import Result
from benchmarks.report import markdown

SECONDS = np.arange(10)


def test_distances_count_the_bits_that_differ() -> None:
    one, other = np.array([[0b1011, 0]], np.uint64), np.array([[0b1011, 0], [0, 1]], np.uint64)
    assert distances(one, other).tolist() == [[0, 4]]


def test_an_average_hash_says_which_of_64_parts_are_brighter_than_the_mean() -> None:
    picture = np.zeros((80, 80, 3), np.uint8)
    picture[:, 40:] = 200
    assert average_bits(picture).reshape(8, 8).tolist() == [[False] * 4 + [True] * 4] * 8


def test_a_run_is_the_most_near_frames_at_one_offset() -> None:
    """Query 4, 5, 6 show reference 1, 2, 3; query 0 looks like reference 9 as well, which is another offset."""
    near = np.zeros((10, 10), bool)
    near[[4, 5, 6, 0], [1, 2, 3, 9]] = True
    assert longest_run(SECONDS, SECONDS, near) == (4, 7, 1, 4)


def test_a_run_bears_a_frame_missed_and_ends_at_a_long_gap() -> None:
    near = np.zeros((10, 10), bool)
    near[[0, 1, 3, 9], [0, 1, 3, 9]] = True
    assert longest_run(SECONDS, SECONDS, near) == (0, 4, 0, 4)


def seen(words: list[int], quality: int = 100) -> FrameHashes:
    """Frames of one word each, far from each other where the words differ."""
    spread = np.array([[0xFFFF_FFFF_FFFF_FFFF * (word & 1), word << 8, 0, 0] for word in words], np.uint64)
    return FrameHashes(np.arange(len(words)), spread, np.full(len(words), quality), spread[:, :1])


@pytest.fixture
def videos(monkeypatch: pytest.MonkeyPatch) -> dict[str, FrameHashes]:
    known: dict[str, FrameHashes] = {}
    monkeypatch.setattr(peers, "frame_hashes", lambda path: known[path.stem])
    return known


@pytest.mark.parametrize(("share", "score"), [("query", 0.5), ("reference", 1.0), ("either", 1.0), ("seconds", 1.0)])
def test_vpdq_scores_the_share_of_frames_that_have_a_near_one(videos: dict, share: str, score: float) -> None:
    """Two of the query's four frames are near the reference's only one."""
    videos |= {"q": seen([0, 1, 0, 1]), "r": seen([1])}
    (match,) = FrameRule(share=share).detect([Path("r")], [Path("q")])
    assert (match.query, match.reference, match.score) == ("q", "r", score)


def test_vpdq_leaves_out_frames_of_low_quality(videos: dict) -> None:
    videos |= {"q": seen([0, 1], quality=49), "r": seen([0, 1])}
    assert FrameRule().detect([Path("r")], [Path("q")]) == []
    assert len(FrameRule(quality=0).detect([Path("r")], [Path("q")])) == 1


def test_fitting_takes_the_setting_that_finds_the_copy(videos: dict) -> None:
    videos |= {"q": seen([0] * 3), "x": seen([1] * 3), "r": seen([0] * 3)}
    videos["q"].pdq[:, 1] = 0xFFFF_FFFF_FF  # 40 bits away from the reference
    grid = [FrameRule(distance=31), FrameRule(distance=47)]
    truth = [Match("q", "r", 1, 0, 3000, 0, 3000)]
    assert fitted(grid, [Path("r")], [Path("q"), Path("x")], truth) == grid[1]
    assert fitted([], [Path("r")], [Path("q")], truth) is None


def test_chromaprint_aligns_a_part_and_measures_its_bit_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 200 sub-fingerprints, 60 from place 50 on are those of the reference from place 20 on, one bit in 32 wrong."""
    rng = np.random.default_rng(0)
    query, reference = (rng.integers(0, 2**32, size, np.uint32) for size in (200, 100))
    query[50:110] = reference[20:80] ^ 1
    known = {"q": query, "r": reference, "silent": np.array([], np.uint32)}
    monkeypatch.setattr(peers, "fingerprint", lambda path: known[path.stem])
    assert alignments(query, reference, 12)[0] == -30
    (match,) = Chromaprint(patience_s=0.0).detect([Path("r"), Path("silent")], [Path("q"), Path("silent")])
    assert match.score == pytest.approx(1 - 2 / 32, abs=0.2)
    assert match.start_ms == pytest.approx(50 * FINGERPRINT_MS, abs=1000)
    assert match.end_ms == pytest.approx(109 * FINGERPRINT_MS + HEARD_MS, abs=1500)
    assert match.start_ms - match.ref_start_ms == pytest.approx(30 * FINGERPRINT_MS)


def test_silence_is_like_nothing_and_aligns_nothing() -> None:
    silence = np.full(50, SILENCE, np.uint32)
    assert bit_errors(silence[:2], np.array([SILENCE, 0], np.uint32)).tolist() == [0.5, 0.5]
    assert bit_errors(np.array([0b11], np.uint32), np.array([0b10], np.uint32)).tolist() == [1 / 32]
    assert alignments(silence, silence, 12) == []


@pytest.mark.skipif(not shutil.which("fpcalc"), reason="fpcalc is absent")
def test_chromaprint_hears_a_part_of_a_piece_and_not_another_piece(tmp_path: Path) -> None:
    piece, other = (music(20, np.random.default_rng(seed)) for seed in (1, 2))
    paths = [
        write_wav(tmp_path / f"{name}.wav", samples)
        for name, samples in {"piece": piece, "part": piece[5 * RATE : 15 * RATE], "other": other}.items()
    ]
    (match,) = [found for found in Chromaprint().detect(paths[:1], paths[1:]) if found.score > 0.3]
    assert match.query == "part"
    assert match.ref_start_ms - match.start_ms == pytest.approx(5000, abs=200)
    assert match.ref_end_ms - match.ref_start_ms == pytest.approx(10_000, abs=1500)


def test_a_peer_whose_command_is_absent_has_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashes_module, "FPCALC", "no-such-command")
    assert peers.chromaprint_grid() == []


def test_made_sound_is_heard_and_repeats_by_its_seed() -> None:
    one, again, other = (music(2, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert audible(one)
    assert audible(babble(1, np.random.default_rng(0)))
    assert not audible(np.zeros(10, np.float32))


ASKED = Exam(
    (
        Asked("q1", ("crop",), "real", 1_800_000, True),
        Asked("q2", ("crop", "speed"), "photo", 1_800_000, True),
        Asked("q3", ("crop",), "real", 3_600_000, False, hard=True),
    ),
    (Match("q1", "A", 1, 0, 10, 0, 10), Match("q2", "A", 1, 0, 10, 0, 10)),
)
FOUND = {
    "good": [Match("q1", "A", 0.9, 0, 10, 0, 10), Match("q2", "A", 0.8, 0, 10, 0, 10)],
    "poor": [Match("q3", "B", 0.9, 0, 10, 0, 10), Match("q1", "A", 0.8, 0, 10, 0, 10)],
}
LEVELS = {"good": Levels(0.5, 0.85), "poor": Levels(0.5, 0.8)}
TRIAL = Trial(ASKED, FOUND, LEVELS)


def test_the_overall_table_marks_systems_and_holds_them_to_their_thresholds() -> None:
    """The poor one acts on one right and one wrong pair: one of two copies, one false in two hours."""
    assert overall([TRIAL]).splitlines()[2:] == [
        "| good | 1.000 | 1.000 | 1.000 | 1.000 | 0.500 | 1.000 | 0.0 | 0.0 | 0 |",
        "| poor | 0.250 | 0.250 | 0.000 | 0.500 | 0.500 | 0.500 | 66.7 | 0.0 | 500 |",
    ]
    silent = Trial(ASKED, {"none": []}, {"none": Levels(inf, inf)})
    assert overall([silent]).splitlines()[2] == "| none | 0.000 | 0.000 | 0.000 | - | 0.000 | 0.000 | 0.0 | 0.0 | 0 |"


def test_several_draws_are_a_median_with_the_lowest_and_the_highest() -> None:
    worse = Trial(ASKED, {"good": FOUND["good"][:1], "poor": []}, LEVELS)
    cells = overall([TRIAL, worse, TRIAL]).splitlines()[2].split(" | ")
    assert cells[1] == "1.000 (0.500 to 1.000)"
    assert cells[4] == "1.000"


def test_the_tables_by_edit_rank_its_copies_among_all_clean_uploads() -> None:
    tables = by_edit([TRIAL])
    assert tables["uAP"].splitlines()[2:] == ["| crop | 1 | 1.000 | 0.500 |", "| combined | 1 | 1.000 | 0.000 |"]
    assert tables["recall at P 0.9"].splitlines()[2] == "| crop | 1 | 1.000 | 0.000 |"
    combined = "| combined | 1 | 0.000 | 0.000 |"
    assert tables["recall at action"].splitlines()[2:] == ["| crop | 1 | 1.000 | 1.000 |", combined]
    assert tables["false pairs at action"].splitlines()[2] == "| crop | 1 | 0 | 1 |"
    assert edit_uap(ASKED, "crop", FOUND["poor"]) == 0.5
    assert np.isnan(edit_uap(ASKED, "mirror", FOUND["poor"]))


def test_kinds_are_told_apart() -> None:
    kinds = [row.split(" | ")[0] for row in by_kind([TRIAL]).splitlines()[2:]]
    assert kinds == ["| real", "| real", "| photo", "| photo"]


def test_look_alikes_are_counted_by_level_beside_the_copies_of_what_they_resemble() -> None:
    """Of kind real: the look-alike q3 is said at action by the poor one; the copy q1 by both."""
    rows = lookalikes([TRIAL]).splitlines()[2:]
    assert rows == [
        "| photo | 0 | 1 | 0 + 0 / 0 + 1 | 0 + 0 / 0 + 0 |",
        "| real | 1 | 1 | 0 + 0 / 1 + 0 | 1 + 0 / 1 + 0 |",
        "| all | 1 | 2 | 0 + 0 / 1 + 1 | 1 + 0 / 1 + 0 |",
    ]


def test_the_worst_false_claims_are_listed_by_score_and_name_what_the_upload_is() -> None:
    assert worst([TRIAL], "poor").splitlines()[2:] == [
        "| action | 0.900 | 0 | q3 | B | hard, real, crop | 0.0-0.0 | 0.0-0.0 |"
    ]
    assert worst([TRIAL], "good").splitlines()[2:] == []


def test_pairs_that_count_neither_way_are_no_answers() -> None:
    spared = Exam(ASKED.asked, ASKED.truth, frozenset({("q3", "B")}))
    assert overall([Trial(spared, FOUND, LEVELS)]).splitlines()[3].startswith("| poor | 0.500 |")


def test_a_table_is_a_block_of_its_own_in_the_report() -> None:
    result = Result({"m": [1.0]}, {}, ["A sentence.", "## Title\n\n| a |\n|---|\n| 1 |"])
    lines = markdown("name", datetime(2026, 1, 1, tzinfo=UTC), result, [], {}, "id").splitlines()
    assert "- A sentence." in lines
    assert lines[lines.index("## Title") - 1] == lines[lines.index("## Title") + 1] == ""
    assert "| 1 |" in lines
