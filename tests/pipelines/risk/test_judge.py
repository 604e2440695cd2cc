"""Judging a night: one verdict a manifest row, outputs whole or not at all, no video and no model."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model_registry.errors import NightjarError
from pipelines.pieces import Pieces, write_piece
from pipelines.risk import judge
from pipelines.risk.judge import VIDEO_SIGNALS, Night, judge_night
from pipelines.risk.policy import Policy, parse_policy
from pipelines.risk.verdicts import VERDICTS
from pipelines.rows import CONTENTS, MANIFEST
from tests.windows import looked_at, seen, window

DICE, FLAG, FILM = "d" * 64, "f" * 64, "a" * 64
IDS = ["film", "dice", "gone", "torn", "late", "flag", "dice-again", "never-hashed"]
CONTENT_OF = {"film": FILM, "dice": DICE, "torn": "e" * 64, "late": "b" * 64, "flag": FLAG, "dice-again": DICE}


def policy(name="ours", digest="0" * 64) -> Policy:
    rules = [
        {"label": "Gambling", "abstain": [0.4, 0.8], "severity": 3},
        {"label": "Hate Symbols", "abstain": [0.4, 0.8], "action": "block", "severity": 5},
    ]
    return parse_policy({"name": name, "version": "1", "rule": rules}, digest)


def commit_night(folder: Path) -> None:
    """Gambling twice, a hate symbol, a film in two windows, a damaged file; `late` lacks its second window."""
    dice = [seen(0.5, 0, 1000), seen(0.6, 10_000, 11_000), seen(0.03, 12_000, 13_000, "Alcohol")]
    write_piece(
        folder,
        looked_at(
            window(DICE, frame_ms=[0, 10_000], signals=dice, pictures={0: b"zero", 5000: b"poster", 10_000: b"ten"}),
            window(FILM, 0, last=False, frame_ms=[0]),
            window(FILM, 1, frame_ms=[30_000], duration_ms=42_000),
            window("b" * 64, 0, last=False, signals=[seen(0.9, 0, 1000)]),
        ),
    )
    write_piece(
        folder,
        looked_at(
            window(FLAG, signals=[seen(0.9, 2000, 3000, "Hate Symbols")], pictures={0: b"poster"}, duration_ms=5000),
            window("e" * 64, signals=[seen(0.1, 0, 1000)], error_code="truncated", duration_ms=7000),
        ),
    )


def night_of(folder: Path, ids=IDS, **more) -> Night:
    rows = [{"video_id": video_id, "uri": f"/in/{video_id}.mp4", "title": f"a {video_id}", **more} for video_id in ids]
    pq.write_table(pa.Table.from_pylist(rows, MANIFEST), folder / "manifest.parquet")
    hashed = [
        {
            "video_id": video_id,
            "uri": f"/in/{video_id}.mp4",
            "content_sha256": CONTENT_OF.get(video_id),
            "error_code": None if video_id in CONTENT_OF else "not_found",
            "error_message": None if video_id in CONTENT_OF else "there is no such file",
        }
        for video_id in reversed(ids)
        if video_id != "never-hashed"
    ]
    return Night(folder / "manifest.parquet", pa.Table.from_pylist(hashed, CONTENTS), Pieces(folder / "f"), "lite@1")


@pytest.fixture
def night(tmp_path) -> Night:
    commit_night(tmp_path / "f")
    return night_of(tmp_path)


def verdicts(out: Path) -> dict[str, dict]:
    return {row["video_id"]: row for row in pq.read_table(out / "verdicts.parquet").to_pylist()}


@pytest.fixture
def judged(night, tmp_path) -> dict[str, dict]:
    judge_night(night, policy(), tmp_path / "out")
    return verdicts(tmp_path / "out")


class TestVerdicts:
    def test_one_a_manifest_row_in_its_order(self, judged, tmp_path):
        table = pq.read_table(tmp_path / "out" / "verdicts.parquet")

        assert table.schema == VERDICTS
        assert table["video_id"].to_pylist() == IDS
        assert table["uri"].to_pylist() == [f"/in/{video_id}.mp4" for video_id in IDS]

    def test_a_video_with_nothing_in_it(self, judged):
        film = judged["film"]

        assert (film["suggestion"], film["complete"], film["priority"]) == ("pass", True, 0)
        assert (film["labels"], film["segments"], film["error_code"]) == ([], [], None)
        assert (film["duration_ms"], film["content_sha256"]) == (42_000, FILM)
        assert (film["bundle"], film["policy"]) == ("lite@1", "ours@1+00000000")

    def test_a_video_with_findings(self, judged):
        dice = judged["dice"]

        assert dice["suggestion"] == "review"
        assert dice["labels"] == [{"label": "Gambling", "form": "Image", "score": pytest.approx(0.6)}]
        assert [(s["start_ms"], s["end_ms"], s["evidence_ms"]) for s in dice["segments"]] == [
            (0, 1000, 0),
            (10_000, 11_000, 10_000),
        ]
        assert dice["priority"] == pytest.approx(3 / 5 * 0.6 * 0.8)
        assert judged["flag"]["suggestion"] == "block"

    def test_the_same_content_under_two_ids(self, judged):
        same = set(VERDICTS.names) - {"video_id", "uri"}

        assert {name: judged["dice"][name] for name in same} == {name: judged["dice-again"][name] for name in same}

    @pytest.mark.parametrize(
        ("video_id", "code", "message", "duration_ms"),
        [
            ("gone", "not_found", "there is no such file", None),
            ("torn", "truncated", "it is truncated", 7000),
            ("late", "not_examined", "the run ended before its turn", None),
            ("never-hashed", "not_examined", "the run ended before its turn", None),
        ],
    )
    def test_what_was_not_wholly_seen_is_for_a_person(self, judged, video_id, code, message, duration_ms):
        verdict = judged[video_id]

        assert (verdict["suggestion"], verdict["complete"]) == ("review", False)
        assert (verdict["error_code"], verdict["error_message"]) == (code, message)
        assert verdict["duration_ms"] == duration_ms
        assert verdict["priority"] == pytest.approx(0.4)

    def test_signals_of_an_unfinished_content_do_not_count_yet(self, judged):
        assert judged["late"]["segments"] == []


def test_signals_carry_every_video_id_they_belong_to(judged, tmp_path):
    table = pq.read_table(tmp_path / "out" / "signals.parquet")

    assert table.schema == VIDEO_SIGNALS
    assert [(row["video_id"], row["label"], row["start_ms"]) for row in table.to_pylist()] == [
        ("dice", "Gambling", 0),
        ("dice", "Gambling", 10_000),
        ("dice", "Alcohol", 12_000),
        ("torn", "Gambling", 0),
        ("flag", "Hate Symbols", 2000),
        ("dice-again", "Gambling", 0),
        ("dice-again", "Gambling", 10_000),
        ("dice-again", "Alcohol", 12_000),
    ]


def test_each_segment_has_its_picture_as_far_as_it_was_kept(judged, tmp_path):
    pictures = {path.name: path.read_bytes() for path in (tmp_path / "out" / "evidence").iterdir()}

    assert pictures == {f"{DICE}-0.webp": b"zero", f"{DICE}-10000.webp": b"ten"}


class TestTally:
    def test_counts(self, night, tmp_path):
        tally = judge_night(night, policy(), tmp_path / "out")

        assert (tally.videos, tally.incomplete, tally.signals, tally.segments) == (8, 4, 8, 5)
        assert tally.suggestions == {"review": 6, "block": 1, "pass": 1}
        assert tally.errors == {"not_found": 1, "truncated": 1, "not_examined": 2}

    def test_what_is_shown_first(self, night, tmp_path):
        """0.72 blocked; then 0.4 for the unseen in the manifest's order, 0.288 for the dice, 0 for the film."""
        tally = judge_night(night, policy(), tmp_path / "out")

        order = ["flag", "gone", "torn", "late", "never-hashed", "dice", "dice-again", "film"]
        assert [video.verdict["video_id"] for video in tally.shown] == order
        assert tally.shown[0].title == "a flag"
        assert [signal.label for signal in tally.shown[5].signals] == ["Gambling", "Gambling", "Alcohol"]

    @pytest.mark.parametrize("show", [0, 1, 3, 5])
    def test_only_so_many_are_kept_and_the_earlier_of_equals(self, night, tmp_path, show):
        tally = judge_night(night, policy(), tmp_path / "out", show)

        assert [video.verdict["video_id"] for video in tally.shown] == [
            "flag",
            "gone",
            "torn",
            "late",
            "never-hashed",
        ][:show]
        assert tally.videos == 8

    def test_of_equal_priority_the_graver_goes_first(self, tmp_path):
        rules = [
            {"label": "Gambling", "abstain": [0.4, 0.8], "severity": 3},
            {"label": "Hate Symbols", "abstain": [0.4, 0.4], "action": "block", "severity": 3},
        ]
        ours = parse_policy({"name": "ours", "version": "1", "rule": rules}, "0" * 64)
        dice, flag = window(DICE, signals=[seen(0.5, 0, 1000)]), window(FLAG, signals=[seen(0.5, 0, 1, "Hate Symbols")])
        write_piece(tmp_path / "f", looked_at(dice, flag))
        tally = judge_night(night_of(tmp_path, ["dice", "flag"]), ours, tmp_path / "out")

        assert [video.verdict["video_id"] for video in tally.shown] == ["flag", "dice"]

    def test_views_bring_a_video_forward(self, tmp_path):
        commit_night(tmp_path / "f")
        unknown = judge_night(night_of(tmp_path, ["dice"]), policy(), tmp_path / "a")
        watched = judge_night(night_of(tmp_path, ["dice"], views=1_000_000), policy(), tmp_path / "b")

        assert watched.shown[0].verdict["priority"] > unknown.shown[0].verdict["priority"]


class TestDecidedAt:
    def test_nothing_new_keeps_the_date(self, night, judged, tmp_path):
        judge_night(night, policy(), tmp_path / "out")

        assert verdicts(tmp_path / "out") == judged

    def test_it_is_now_when_it_is_new(self, judged):
        assert abs((datetime.now(UTC) - judged["film"]["decided_at"]).total_seconds()) < 60

    @pytest.mark.parametrize("other", [policy("others"), policy(digest="1" * 64)], ids=["renamed", "edited"])
    def test_another_policy_is_another_decision(self, night, judged, tmp_path, other):
        judge_night(night, other, tmp_path / "out")

        assert all(v["decided_at"] > judged[i]["decided_at"] for i, v in verdicts(tmp_path / "out").items())

    def test_what_was_looked_at_since_is_decided_anew_and_the_rest_is_not(self, night, judged, tmp_path):
        write_piece(tmp_path / "f", looked_at(window("b" * 64, 1)))
        judge_night(night_of(tmp_path), policy(), tmp_path / "out")
        after = verdicts(tmp_path / "out")

        assert after["late"]["error_code"] is None
        assert [video_id for video_id in IDS if after[video_id]["decided_at"] != judged[video_id]["decided_at"]] == [
            "late"
        ]

    def test_another_bundle_is_another_decision(self, night, judged, tmp_path):
        judge_night(Night(night.manifest, night.contents, night.pieces, "lite@2"), policy(), tmp_path / "out")

        assert verdicts(tmp_path / "out")["film"]["decided_at"] > judged["film"]["decided_at"]

    @pytest.mark.parametrize("content", [b"", b"PAR1", None])
    def test_an_earlier_file_that_is_torn_or_foreign_is_replaced(self, night, tmp_path, content):
        (tmp_path / "out").mkdir()
        earlier = tmp_path / "out" / "verdicts.parquet"
        if content is None:
            pq.write_table(pa.table({"x": [1]}), earlier)
        else:
            earlier.write_bytes(content)
        judge_night(night, policy(), tmp_path / "out")

        assert list(verdicts(tmp_path / "out")) == IDS


class TestChunks:
    @pytest.mark.parametrize("rows", [1, 3, 8, 1000])
    def test_however_it_is_cut_the_result_is_the_same(self, night, judged, tmp_path, monkeypatch, rows):
        monkeypatch.setattr(judge, "CHUNK_ROWS", rows)
        tally = judge_night(night, policy(), tmp_path / "cut")

        assert tally.videos == len(IDS)
        undated = [name for name in VERDICTS.names if name != "decided_at"]
        for name, columns in (("verdicts", undated), ("signals", VIDEO_SIGNALS.names)):
            whole = pq.read_table(tmp_path / "out" / f"{name}.parquet", columns=columns)
            assert pq.read_table(tmp_path / "cut" / f"{name}.parquet", columns=columns).equals(whole)
        pictures = [sorted(p.name for p in (tmp_path / out / "evidence").iterdir()) for out in ("out", "cut")]
        assert pictures[0] == pictures[1]

    def test_no_more_videos_are_held_than_a_chunk_and_what_is_shown(self, night, tmp_path, monkeypatch):
        monkeypatch.setattr(judge, "CHUNK_ROWS", 1)
        alive, most = set(), 0

        class Counted(judge.Judged):
            def __post_init__(self):
                nonlocal most
                alive.add(id(self))
                most = max(most, len(alive))

            def __del__(self):
                alive.discard(id(self))

        monkeypatch.setattr(judge, "Judged", Counted)
        judge_night(night, policy(), tmp_path / "out", show=2)

        assert most <= 2 + 2  # what is shown, one to be dropped, and the next chunk's


class TestWhole:
    def test_an_exception_in_the_middle_leaves_what_was_there(self, night, judged, tmp_path, monkeypatch):
        out = tmp_path / "out"
        before = {path: path.read_bytes() for path in out.glob("*.parquet")}
        monkeypatch.setattr(judge, "CHUNK_ROWS", 3)
        piece = night.pieces.contents[FLAG].pieces[0]
        (tmp_path / "f" / f"signals-{piece}.parquet").write_bytes(b"torn")  # not read before the second chunk

        with pytest.raises(NightjarError, match="cannot be read"):
            judge_night(night, policy("others"), out)
        assert {path: path.read_bytes() for path in out.glob("*.parquet")} == before
        assert not [path for path in out.rglob("*") if ".part" in path.name]

    def test_a_picture_that_cannot_be_written_leaves_no_part(self, night, tmp_path, monkeypatch):
        def full(handle):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            judge_night(night, policy(), tmp_path / "out")
        assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []

    def test_a_kill_in_the_middle_leaves_what_was_there(self, night, judged, tmp_path):
        out = tmp_path / "out"
        before = {path: path.read_bytes() for path in out.glob("*.parquet")}
        with subprocess.Popen([sys.executable, "-c", STALL, str(tmp_path)], stdout=subprocess.PIPE, text=True) as other:
            assert other.stdout.readline() == "chunk 1\n"
            assert other.stdout.readline() == "chunk 2\n"
            os.kill(other.pid, signal.SIGKILL)
        assert {path: path.read_bytes() for path in out.glob("*.parquet")} == before

        judge_night(night, policy("others"), out)
        assert {row["policy"] for row in verdicts(out).values()} == {"others@1+00000000"}


STALL = """
import sys, time
from pathlib import Path
from pipelines.risk import judge
from tests.pipelines.risk.test_judge import night_of, policy

def stall(*_):
    stall.chunks += 1
    print("chunk", stall.chunks, flush=True)
    time.sleep(600 * (stall.chunks == 2))

stall.chunks = 0
judge.CHUNK_ROWS, judge._save_evidence = 3, stall
judge.judge_night(night_of(Path(sys.argv[1])), policy("others"), Path(sys.argv[1]) / "out")
"""


def test_judging_opens_no_video_and_needs_no_model(night, tmp_path):
    script = f"""
import sys
from pathlib import Path
import pyarrow.parquet as pq
from pipelines.pieces import Pieces
from pipelines.risk.judge import Night, judge_night
from pipelines.risk.policy import load_policy
from pipelines.rows import CONTENTS

folder = Path({str(tmp_path)!r})
night = Night(folder / "manifest.parquet", CONTENTS.empty_table(), Pieces(folder / "f"), "lite@1")
assert judge_night(night, load_policy("default"), folder / "out").videos == {len(IDS)}
heavy = {{"torch", "ray", "decord", "av", "PIL", "mlflow", "onnxruntime", "open_clip", "timm", "torchvision", "fsspec"}}
print(sorted(heavy & sys.modules.keys()))
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)

    assert ended.stdout == "[]\n"


def test_two_thousand_videos_take_seconds(tmp_path):
    contents = [f"{n:064}" for n in range(2000)]
    rows = [window(c, signals=[seen(0.5, i * 1000, i * 1000 + 1000) for i in range(10)]) for c in contents]
    write_piece(tmp_path / "f", looked_at(*rows))
    manifest = pa.Table.from_pylist([{"video_id": c, "uri": c} for c in contents], MANIFEST)
    pq.write_table(manifest, tmp_path / "m.parquet")
    hashed = pa.Table.from_pylist([{"video_id": c, "uri": c, "content_sha256": c} for c in contents], CONTENTS)
    began = time.perf_counter()
    tally = judge_night(Night(tmp_path / "m.parquet", hashed, Pieces(tmp_path / "f"), "b"), policy(), tmp_path / "out")

    assert time.perf_counter() - began < 30  # 1 s on two cores
    assert (tally.segments, len(tally.shown)) == (2000, 300)
