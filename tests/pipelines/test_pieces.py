"""Pieces: what is committed comes back, what is not whole does not exist, the newest of twice-done work counts."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_registry.errors import NightjarError
from pipelines.pieces import ENDS, KINDS, PASSING_ERRORS, RECEIPTS, Commit, Pieces, sweep, write_piece
from pipelines.places import place
from pipelines.rows import SIGNAL, ErrorCode
from pipelines.stage import run_local
from tests.pipelines.piece_writer import windows_of
from tests.windows import DIM, LOOKED_AT, line, looked_at, seen, view, window

NIGHTS, KILLS_A_NIGHT = 8, 5


def commit(folder: Path, *rows: dict) -> str:
    """Write one piece and return its id."""
    before = set(folder.glob("windows-*"))
    write_piece(folder, looked_at(*rows))
    (made,) = set(folder.glob("windows-*")) - before
    return made.stem.removeprefix("windows-")


def scores(pieces: Pieces, *contents: str) -> list[float]:
    return sorted(pieces.rows("signals", contents)["score"].to_pylist())


class TestRoundTrip:
    def test_all_kinds(self, tmp_path):
        found = seen(0.75, 1000, 2000, evidence_ms=1500)
        row = window(
            "a",
            frame_ms=[0, 1000],
            signals=[found],
            peaks=[(40, 5700), (90, 11_000)],
            pictures={1000: b"webp"},
            stills={0: b"small"},
            embedding=[[1, 2, 3, 4], [5, 6, 7, 8]],
            said=[(5, 9, "hello")],
            shown=[(5, 9, "SALE")],
            voice=[0.5, 0.25],
        )
        commit(tmp_path, row, window("b"))
        pieces = Pieces(tmp_path)

        assert pieces.contents.keys() == {"a", "b"}
        assert pieces.rows("signals", ["a"]).to_pylist() == [
            {"content_sha256": "a", "window_index": 0, **{name: getattr(found, name) for name in SIGNAL.names}}
        ]
        assert pieces.rows("thumbnails", ["a"]).to_pylist() == [
            {"content_sha256": "a", "window_index": 0, "frame_ms": 1000, "webp": b"webp"}
        ]
        assert pieces.rows("stills", ["a"]).to_pylist() == [
            {"content_sha256": "a", "window_index": 0, "frame_ms": 0, "jpeg": b"small"}
        ]
        assert pieces.rows("peaks", ["a"]).to_pylist() == [
            {"content_sha256": "a", "window_index": 0, "time_ms": 40, "pitch": 5700, "track": None},
            {"content_sha256": "a", "window_index": 0, "time_ms": 90, "pitch": 11_000, "track": None},
        ]
        for kind, text in (("said", "hello"), ("shown", "SALE")):
            (row,) = pieces.rows(kind, ["a"]).to_pylist()
            assert (row["text"], row["start_ms"], row["end_ms"], row["words"]) == (
                text,
                5,
                9,
                line(5, 9, text)["words"],
            )
        assert pieces.rows("voices", ["a"]).to_pylist() == [
            {"content_sha256": "a", "window_index": 0, "speech_ms": 1000, "embedding": [0.5, 0.25]}
        ]
        assert pieces.rows("views", ["a"]).to_pylist() == [
            {"content_sha256": "a", "window_index": 0, **view(0, [1, 2, 3, 4])},
            {"content_sha256": "a", "window_index": 0, **view(1000, [5, 6, 7, 8])},
        ]

    def test_only_what_is_asked_for(self, tmp_path):
        commit(tmp_path, window("a", signals=[seen(0.5, 0, 1)]), window("b", signals=[seen(0.25, 0, 1)]))

        assert scores(Pieces(tmp_path), "b") == [0.25]

    @pytest.mark.parametrize("kind", KINDS)
    def test_nothing_asked_for_has_the_columns_nevertheless(self, tmp_path, kind):
        commit(tmp_path, window("a", frame_ms=[0], signals=[seen(0.5, 0, 1)], pictures={0: b"x"}))
        pieces = Pieces(tmp_path)

        assert pieces.rows(kind, []).column_names == pieces.rows(kind, ["a"]).column_names

    def test_how_it_ended(self, tmp_path):
        commit(tmp_path, window("a", 0, last=False), window("a", 1, duration_ms=40_000, error_code="damaged"))
        content = Pieces(tmp_path).contents["a"]

        assert (content.windows, content.duration_ms) == (2, 40_000)
        assert (content.error_code, content.error_message) == ("damaged", "it is damaged")

    def test_windows_without_frames(self, tmp_path):
        commit(tmp_path, window("a", frame_ms=[]), window("b", frame_ms=[0], embedding=[[1, 2, 3, 4]]), window("c"))
        views = Pieces(tmp_path).rows("views", ["a", "b", "c"])

        assert views["content_sha256"].to_pylist() == ["b"]
        assert views["embedding"].to_pylist() == [[1, 2, 3, 4]]

    def test_a_piece_without_any_frame(self, tmp_path):
        commit(tmp_path, window("a"))
        pieces = Pieces(tmp_path)

        assert {kind: pieces.rows(kind, ["a"]).num_rows for kind in KINDS} == dict.fromkeys(KINDS, 0)

    def test_a_window_that_nobody_judged(self, tmp_path):
        nothing = dict.fromkeys(KINDS)
        commit(tmp_path, window("a") | nothing, window("b", signals=[seen(0.5, 0, 1)]))

        assert Pieces(tmp_path).rows("signals", "ab")["content_sha256"].to_pylist() == ["b"]

    def test_a_slice_of_a_larger_table(self, tmp_path):
        rows = [window(c, frame_ms=[i], signals=[seen(i / 4, i, i + 1)]) for i, c in enumerate("abc")]
        write_piece(tmp_path, looked_at(*rows).slice(1, 1))
        pieces = Pieces(tmp_path)

        assert pieces.contents.keys() == {"b"}
        assert scores(pieces, "b") == [0.25]
        assert pieces.rows("views", ["b"])["frame_ms"].to_pylist() == [1]

    def test_several_chunks(self, tmp_path):
        tables = [looked_at(window(c, frame_ms=[0], signals=[seen(0.5, 0, 1)])) for c in "ab"]
        write_piece(tmp_path, pa.concat_tables(tables))

        assert Pieces(tmp_path).rows("signals", "ab")["content_sha256"].to_pylist() == ["a", "b"]

    @settings(max_examples=30, deadline=None)
    @given(vector=st.lists(st.floats(-65504, 65504, width=32), min_size=DIM, max_size=DIM))
    def test_embeddings_keep_what_float16_can_say(self, vector, tmp_path_factory):
        folder = tmp_path_factory.mktemp("pieces")
        commit(folder, window("a", frame_ms=[0], embedding=[vector]))
        (back,) = Pieces(folder).rows("views", ["a"])["embedding"].to_pylist()

        assert back == np.array(vector, np.float32).astype(np.float16).tolist()


class TestCommit:
    def test_a_receipt_a_window(self, tmp_path):
        row = window("a", frame_ms=[0, 1000], duration_ms=2000) | {"busy": [{"stage": "tower", "ms": 3.0}]}
        receipts = run_local([Commit(folder=str(tmp_path))], looked_at(row, window("b", error_code="damaged")))

        assert receipts.schema == RECEIPTS
        assert receipts.to_pylist() == [
            {
                "content_sha256": "a",
                "last": True,
                "frames": 2,
                "duration_ms": 2000,
                "error_code": None,
                "error_message": None,
                "busy": [{"stage": "tower", "ms": 3.0}, {"stage": "decode", "ms": 1.0}, {"stage": "codes", "ms": 0.5}],
            },
            {
                "content_sha256": "b",
                "last": True,
                "frames": 0,
                "duration_ms": 30_000,
                "error_code": "damaged",
                "error_message": "it is damaged",
                "busy": [{"stage": "decode", "ms": 1.0}, {"stage": "codes", "ms": 0.5}],
            },
        ]
        assert Pieces(tmp_path).contents.keys() == {"a", "b"}

    def test_it_reads_what_it_writes(self):
        assert set(Commit(folder="x").reads) == set(LOOKED_AT.names) >= set(ENDS)

    def test_only_some_kinds(self, tmp_path):
        """Files of the others are neither asked for nor made."""
        stage, others = Commit.of(("views", "peaks"), str(tmp_path), cpus=0.1), set(KINDS) - {"views", "peaks"}
        row = window("a", frame_ms=[0], signals=[seen(0.5, 0, 1)], peaks=[(1, 2)])
        run_local([stage], looked_at(row).drop_columns(sorted(others)))
        pieces = Pieces(tmp_path)

        assert set(Commit(folder="x").reads) - set(stage.reads) == others
        assert sorted(path.name.partition("-")[0] for path in tmp_path.iterdir()) == ["peaks", "views", "windows"]
        assert [pieces.rows(kind, ["a"]).num_rows for kind in ("views", "peaks")] == [1, 1]


class TestWhatIsFinished:
    def test_no_folder_holds_nothing(self, tmp_path):
        assert Pieces(tmp_path / "none").contents == {}

    def test_a_missing_last_window(self, tmp_path):
        commit(tmp_path, window("a", 0, last=False), window("a", 1, last=False))

        assert Pieces(tmp_path).contents == {}

    def test_a_missing_window_before_the_last(self, tmp_path):
        commit(tmp_path, window("a", 0, last=False), window("a", 2))
        assert Pieces(tmp_path).contents == {}

        commit(tmp_path, window("a", 1, last=False))
        assert Pieces(tmp_path).contents["a"].windows == 3

    def test_a_piece_without_its_windows_does_not_exist(self, tmp_path):
        first = commit(tmp_path, window("a", signals=[seen(0.5, 0, 1)]))
        second = commit(tmp_path, window("a", signals=[seen(0.75, 0, 1)]), window("b"))
        (tmp_path / f"windows-{second}.parquet").unlink()
        pieces = Pieces(tmp_path)

        assert {sha256: content.pieces for sha256, content in pieces.contents.items()} == {"a": (first,)}
        assert scores(pieces, "a") == [0.5]

    def test_what_is_still_being_written_is_ignored(self, tmp_path):
        commit(tmp_path, window("a"))
        (tmp_path / "windows-9.part").write_bytes(b"PAR1")

        assert Pieces(tmp_path).contents.keys() == {"a"}

    @pytest.mark.parametrize("keep", [0, 1, 0.5, 0.99])
    @pytest.mark.parametrize("kind", ["windows", "signals"])
    def test_a_torn_file_is_named_with_what_to_do(self, tmp_path, kind, keep):
        piece = commit(tmp_path, window("a", signals=[seen(0.5, 0, 1)]))
        torn = tmp_path / f"{kind}-{piece}.parquet"
        whole = torn.read_bytes()
        torn.write_bytes(whole[: keep if keep in (0, 1) else int(keep * len(whole))])

        with pytest.raises(NightjarError) as refusal:
            Pieces(tmp_path).rows("signals", ["a"])
        assert f"{torn} cannot be read (" in str(refusal.value)
        assert f"remove {tmp_path / f'windows-{piece}.parquet'}" in str(refusal.value)
        assert "\n" not in str(refusal.value)

        (tmp_path / f"windows-{piece}.parquet").unlink()  # as told
        assert Pieces(tmp_path).contents == {}

    def test_a_lost_file_is_named(self, tmp_path):
        piece = commit(tmp_path, window("a"))
        (tmp_path / f"signals-{piece}.parquet").unlink()

        with pytest.raises(NightjarError, match=f"signals-{piece}.parquet cannot be read"):
            Pieces(tmp_path).rows("signals", ["a"])


class TestDoneTwice:
    def test_the_newest_counts(self, tmp_path):
        commit(tmp_path, window("a", frame_ms=[0], signals=[seen(0.25, 0, 1)]))
        commit(tmp_path, window("a", frame_ms=[0], signals=[seen(0.75, 0, 1)]))
        pieces = Pieces(tmp_path)

        assert scores(pieces, "a") == [0.75]
        assert pieces.rows("views", ["a"]).num_rows == 1

    def test_also_where_the_newer_has_nothing_to_say(self, tmp_path):
        commit(tmp_path, window("a", 0, last=False), window("a", 1, last=False, signals=[seen(0.25, 0, 1)]))
        commit(tmp_path, window("a", 1, last=False), window("a", 2))

        assert scores(Pieces(tmp_path), "a") == []

    def test_the_two_halves_of_two_attempts(self, tmp_path):
        commit(tmp_path, *[window("a", i, last=False, signals=[seen(0.25, i, i + 1)]) for i in (0, 1)])
        commit(tmp_path, *[window("a", i, last=i == 2, signals=[seen(0.75, i, i + 1)]) for i in (1, 2)])
        pieces = Pieces(tmp_path)

        assert pieces.contents["a"].windows == 3
        assert scores(pieces, "a") == [0.25, 0.75, 0.75]

    def test_windows_beyond_the_newest_end_do_not_count(self, tmp_path):
        commit(tmp_path, *[window("a", i, last=False, signals=[seen(0.25, i, i + 1)]) for i in (0, 1, 2)])
        commit(tmp_path, window("a", 0, last=False), window("a", 1, error_code="decoder_crashed"))
        pieces = Pieces(tmp_path)

        assert pieces.contents["a"].windows == 2
        assert scores(pieces, "a") == []

    def test_a_passing_error_and_then_fine(self, tmp_path):
        commit(tmp_path, window("a", error_code="fetch_failed"))
        assert Pieces(tmp_path).settled() == set()

        commit(tmp_path, window("a", 0, last=False, signals=[seen(0.5, 0, 1)]), window("a", 1))
        pieces = Pieces(tmp_path)
        assert pieces.settled() == {"a"}
        assert pieces.contents["a"].error_code is None
        assert scores(pieces, "a") == [0.5]

    def test_the_end_of_an_attempt_that_failed_is_no_window_of_the_next(self, tmp_path):
        commit(tmp_path, window("a", error_code="fetch_failed"))
        commit(tmp_path, window("a", 1))  # and killed before window 0 was committed

        assert Pieces(tmp_path).contents == {}

    def test_the_failed_attempt_stands_until_the_next_one_ends(self, tmp_path):
        commit(tmp_path, window("a", error_code="fetch_failed"))
        commit(tmp_path, window("a", 0, last=False), window("a", 1, last=False))

        assert Pieces(tmp_path).contents["a"].error_code == "fetch_failed"

    @pytest.mark.parametrize("code", [code.value for code in ErrorCode])
    def test_only_errors_of_the_place_are_tried_again(self, tmp_path, code):
        commit(tmp_path, window("a", error_code=code))

        assert Pieces(tmp_path).settled() == (set() if code in PASSING_ERRORS else {"a"})


class TestWindowsThatFailed:
    def test_a_window_that_failed_leaves_its_content_incomplete(self, tmp_path):
        commit(tmp_path, window("a", 0, last=False, error_code="model_failed", attempts=1), window("a", 1))
        content = Pieces(tmp_path).contents["a"]

        assert (content.error_code, content.error_message) == ("model_failed", "it is model_failed")
        assert content.windows == 2
        assert Pieces(tmp_path).settled() == {"a"}
        assert Pieces(tmp_path).examined() == set()

    def test_how_it_ended_goes_before_how_a_window_failed(self, tmp_path):
        commit(tmp_path, window("a", 0, last=False, error_code="model_failed"), window("a", 1, error_code="truncated"))
        assert Pieces(tmp_path).contents["a"].error_code == "truncated"

    def test_a_retry_that_went_well_takes_the_error_away_and_is_counted(self, tmp_path):
        commit(tmp_path, window("a", 0, last=False), window("a", 1, error_code="model_crashed", attempts=3))
        assert Pieces(tmp_path).contents["a"].attempts == 3
        commit(tmp_path, window("a", 0, last=False), window("a", 1))
        content = Pieces(tmp_path).contents["a"]

        assert (content.error_code, content.attempts) == (None, 4)
        assert Pieces(tmp_path).examined() == {"a"}

    def test_pieces_of_before_attempts_were_counted_are_read(self, tmp_path):
        commit(tmp_path, window("a"))
        (path,) = tmp_path.glob("windows-*")
        pq.write_table(pq.read_table(path).drop_columns(["attempts"]), path)

        assert Pieces(tmp_path).contents["a"].attempts == 1


class TestSweep:
    def test_what_a_killed_run_left_goes_and_whole_pieces_stay(self, tmp_path):
        commit(tmp_path, window("a"))
        orphan = commit(tmp_path, window("b"))
        (tmp_path / f"windows-{orphan}.parquet").unlink()
        (tmp_path / f"windows-{orphan}.parquet.1a2b.part").write_bytes(b"half")

        assert sweep(tmp_path) == 1  # somebody may still be writing the young piece
        assert sweep(tmp_path, before_s=0) == len(KINDS)
        assert sweep(tmp_path, before_s=0) == 0
        assert Pieces(tmp_path).contents.keys() == {"a"}
        assert scores(Pieces(tmp_path), "a") == []

    def test_there_is_nothing_to_sweep_before_the_first_run(self, tmp_path):
        assert sweep(tmp_path / "features") == 0


class TestInAStore:
    def test_pieces_are_the_same_there(self, tmp_path):
        folder = place(f"memory://{tmp_path.name}/features")
        rows = [window("a", 0, last=False, signals=[seen(0.5, 0, 1)]), window("a", 1, signals=[seen(0.25, 2, 3)])]
        write_piece(folder, looked_at(rows[0]))
        assert Pieces(folder).contents == {}
        write_piece(folder, looked_at(rows[1]))

        assert scores(Pieces(folder), "a") == [0.25, 0.5]
        assert sweep(folder, before_s=0) == 0


# A plain reference: look for each window among all rows of all pieces, newest first.

attempts = st.lists(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.integers(0, 3), st.booleans()),
        min_size=1,
        max_size=5,
        unique_by=lambda w: w[:2],
    ),
    max_size=5,
)


def slow_finished(pieces):
    rows = [(number, *row) for number, piece in reversed(list(enumerate(pieces))) for row in piece]
    found = {}
    for content in "ab":
        if end := next((row for row in rows if row[1] == content and row[3]), None):
            usable = [row for row in rows if row[1] == content and (row is end or not row[3])]
            found[content] = [next((row[0] for row in usable if row[2] == i), None) for i in range(end[2] + 1)]
    return {content: numbers for content, numbers in found.items() if None not in numbers}


def one_end_a_piece(rows):
    """An attempt ends once."""
    return [row for n, row in enumerate(rows) if not row[2] or all(r[0] != row[0] or not r[2] for r in rows[:n])]


@settings(max_examples=100, deadline=None)
@given(pieces=attempts.map(lambda pieces: [one_end_a_piece(rows) for rows in pieces]))
def test_the_index_finds_what_a_plain_walk_finds(pieces, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pieces")
    for number, rows in enumerate(pieces):
        write_ends(folder, number, [window(c, i, last=last) for c, i, last in rows])
    found = {sha256: [int(name) for name in content.pieces] for sha256, content in Pieces(folder).contents.items()}

    assert found == slow_finished(pieces)


def write_ends(folder: Path, number: int, rows: list[dict]) -> None:
    """The one file of a piece that the index reads."""
    ends = pa.schema([LOOKED_AT.field(name) for name in ENDS])
    pq.write_table(pa.Table.from_pylist(rows, ends), folder / f"windows-{number:020d}.parquet")


def test_ten_thousand_contents_in_two_hundred_pieces_are_indexed_in_seconds(tmp_path):
    for piece in range(200):
        write_ends(tmp_path, piece, [window(f"{piece}-{n}", i, last=i == 2) for n in range(50) for i in range(3)])
    began = time.perf_counter()
    pieces = Pieces(tmp_path)

    assert time.perf_counter() - began < 10  # 0.2 s on two cores
    assert len(pieces.contents) == 10_000


def assert_whole(pieces: Pieces) -> None:
    """Every finished content has all of its signals, views, peaks and pictures, and no more."""
    for content, end in pieces.contents.items():
        assert end.windows == len(windows_of(content))
    for kind in KINDS:
        held = {content: [] for content in pieces.contents}
        for row in pieces.rows(kind, pieces.contents).to_pylist():
            held[row["content_sha256"]].append({name: row[name] for name in KINDS[kind].names})
        wanted = {content: [one for row in windows_of(content) for one in row[kind]] for content in pieces.contents}
        assert {content: in_order(rows) for content, rows in held.items()} == {
            content: in_order(pa.array(rows, KINDS[kind]).to_pylist()) for content, rows in wanted.items()
        }


def in_order(rows: list[dict]) -> list[dict]:
    return sorted(rows, key=lambda row: str(list(row.values())))


@pytest.fixture
def writers():
    command = [sys.executable, "-m", "tests.pipelines.piece_writer"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
    with subprocess.Popen(command, **pipes) as process:
        yield process


def test_a_writer_killed_at_any_moment_leaves_whole_contents(tmp_path, writers):
    chance = random.Random(11)
    finished, unfinished_pieces = 0, 0
    for night in range(NIGHTS):
        folder = tmp_path / str(night)
        before = 0
        for _ in range(KILLS_A_NIGHT):
            began = time.perf_counter()
            writers.stdin.write(f"{before} {folder}\n")
            writer = int(writers.stdout.readline())
            a_piece_s = time.perf_counter() - began
            time.sleep(chance.uniform(0, a_piece_s))
            os.kill(writer, signal.SIGKILL)
            assert int(writers.stdout.readline()) == -signal.SIGKILL
            pieces = Pieces(folder)
            assert_whole(pieces)
            assert len(pieces.contents) >= before, "a kill takes nothing back"
            before = len(pieces.contents)
        finished += before
        begun, done = (len(list(folder.glob(name))) for name in ("signals-*", "windows-*.parquet"))
        unfinished_pieces += begun - done
    assert finished > NIGHTS
    assert unfinished_pieces > NIGHTS, "the kills came between pieces and proved little"
