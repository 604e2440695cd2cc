"""Contenders do the same work: same frames, same scores; and the harness tells when one does not."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from benchmarks import peers
from benchmarks.contenders import runs, sets
from benchmarks.contenders.compare import Gaps, compared
from benchmarks.contenders.contract import BATCH, FEATURES, ROWS, Task, batches, rows
from benchmarks.contenders.parts import measured
from benchmarks.contenders.roster import PEERS
from benchmarks.contenders.runs import Contender, Run, Watch
from benchmarks.contenders.tables import gaps_table, reasons, speeds
from model_registry.bundles import PinnedBundle
from model_registry.errors import NightjarError, UsageError
from model_registry.model import ModelRef
from tests.footage import write_film

REF = ModelRef("tower", "1", "some.module:Tower", (("weights", "/somewhere"),))


def a_run(work_s: float, wall_s: float = 10.0) -> Run:
    return Run(ready_s=1.0, work_s=work_s, wall_s=wall_s, cpu_s=12.0, peak_bytes=500_000_000)


@pytest.fixture
def films(tmp_path: Path) -> list[Path]:
    """Two films of different shapes, a frame each 40 ms."""
    wide = write_film(tmp_path / "wide.mp4", seconds=3.2, fps=25, size=(320, 180), bframes=2)
    return [wide, write_film(tmp_path / "tall.mp4", seconds=2.2, fps=25, size=(180, 320))]


def task_for(films: list[Path], lite: PinnedBundle, output: Path) -> Task:
    return Task(tuple(map(str, films)), str(output), (lite.tower, *lite.frame_models))


class TestContenders:
    @pytest.mark.parametrize("name", ["nightjar", *PEERS])
    def test_each_writes_the_frames_on_screen_and_their_scores(
        self, name: str, films: list[Path], lite: PinnedBundle, tmp_path: Path, reference: Path
    ) -> None:
        """80 frames of 40 ms last to 3.16 s: 4 ticks; 55 to 2.16 s: 3."""
        contender = next((each for each in peers.present()[0] if each.name == name), None)
        if contender is None:
            pytest.skip(f"{name} needs {PEERS[name].needs}")
        task = task_for(films, lite, tmp_path / "out.parquet")
        run = contender.run(task, tmp_path)
        assert 0 < run.ready_s < run.ready_s + run.work_s < run.wall_s
        assert run.cpu_s > 0.5
        found = pq.read_table(task.output, schema=ROWS).group_by("video").aggregate([("frame_ms", "list")]).to_pylist()
        ticks = {row["video"]: sorted(row["frame_ms_list"]) for row in found}
        assert ticks == {str(films[0]): [0, 1000, 2000, 3000], str(films[1]): [0, 1000, 2000]}
        gaps = compared(name, Path(task.output), reference)
        assert gaps.largest_ms <= 1

    @pytest.fixture
    def reference(self, films: list[Path], lite: PinnedBundle, tmp_path: Path) -> Path:
        """The same by the plain means: PyAV and the models, in this process."""
        from benchmarks.contenders import pyav_frames
        from benchmarks.contenders.contract import Output, Scorer

        task = task_for(films, lite, tmp_path / "reference.parquet")
        scorer = Scorer(task, 1)
        with Output(task) as out:
            for path in task.videos:
                out.write(scorer.rows(list(pyav_frames.frames(path, task))))
        return Path(task.output)

    def test_the_parts_are_measured_bare(self, films: list[Path], lite: PinnedBundle, tmp_path: Path) -> None:
        spent = measured(task_for(films, lite, tmp_path / "none"))
        assert set(spent) == {"every_frame", "nightjar", "models", "published"}
        assert all(seconds > 0 for seconds in spent.values())


class TestContract:
    def test_a_task_survives_its_file(self, tmp_path: Path) -> None:
        task = Task(("a.mp4", "b.mp4"), "out.parquet", (REF, REF), cores=3)
        task.write(tmp_path / "request.json")
        assert Task.read(tmp_path / "request.json") == task

    def test_frames_are_scaled_by_their_shorter_side(self) -> None:
        task = Task((), "", ())
        assert task.size(1280, 720) == (455, 256)
        assert task.size(720, 1280) == (256, 455)

    def test_batches_are_whole_but_for_the_last(self) -> None:
        assert [len(batch) for batch in batches(range(2 * BATCH + 3))] == [16, 16, 3]


def write_rows(path: Path, videos: list[str], frame_ms: list[int], score: float = 0.5, turn: float = 0.0) -> Path:
    """Embeddings of two kinds of ones; `turn` is the angle between them and those of no turn."""
    embedding = np.zeros((len(videos), FEATURES), np.float32)
    embedding[:, 0], embedding[:, 1] = np.cos(turn), np.sin(turn)
    pq.write_table(rows(videos, frame_ms, embedding, np.full(len(videos), score, np.float32)), path)
    return path


class TestCompare:
    @pytest.fixture
    def ours(self, tmp_path: Path) -> Path:
        return write_rows(tmp_path / "ours.parquet", ["a", "a", "b"], [0, 1000, 0])

    def test_the_order_of_rows_does_not_matter(self, ours: Path, tmp_path: Path) -> None:
        theirs = write_rows(tmp_path / "theirs.parquet", ["b", "a", "a"], [0, 1000, 0])
        assert compared("peer", theirs, ours) == Gaps(0, 0, 0, 0, 0)

    def test_gaps_are_told(self, ours: Path, tmp_path: Path) -> None:
        theirs = write_rows(tmp_path / "theirs.parquet", ["a", "a", "b"], [0, 1042, 0], score=0.503, turn=0.1)
        gaps = compared("peer", theirs, ours)
        assert gaps.largest_ms == 42
        assert gaps.median_cosine == pytest.approx(1 - np.cos(0.1), abs=1e-6)
        assert gaps.p99_score == pytest.approx(0.003, abs=1e-6)

    @pytest.mark.parametrize(
        ("changed", "why"),
        [
            ({"frame_ms": [0, 1061, 0]}, "largest_ms is 61, allowed are 60"),
            ({"score": 0.6}, "median_score is 0.1, allowed are 0.005"),
            ({"turn": 1.0}, "median_cosine is 0.4597, allowed are 0.02; p99_cosine is 0.4597, allowed are 0.1"),
        ],
    )
    def test_other_work_is_refused(self, ours: Path, tmp_path: Path, changed: dict, why: str) -> None:
        same = {"videos": ["a", "a", "b"], "frame_ms": [0, 1000, 0]}
        theirs = write_rows(tmp_path / "theirs.parquet", **{**same, **changed})
        with pytest.raises(NightjarError, match=f"contender peer did other work than nightjar: {why}"):
            compared("peer", theirs, ours)

    def test_a_frame_more_or_less_is_refused(self, ours: Path, tmp_path: Path) -> None:
        fewer = write_rows(tmp_path / "fewer.parquet", ["a", "b"], [0, 0])
        with pytest.raises(NightjarError, match="contender peer wrote 1 frames of a, nightjar 2"):
            compared("peer", fewer, ours)
        with pytest.raises(NightjarError, match="nightjar wrote no frame"):
            compared("peer", fewer, write_rows(tmp_path / "none.parquet", [], []))


class TestRuns:
    def test_a_contender_that_fails_says_why(self, tmp_path: Path) -> None:
        with pytest.raises(NightjarError, match=r"contender nobody ended with status 1: .*No module named"):
            Contender("nobody", sys.executable).run(Task((), "", ()), tmp_path)

    def test_a_contender_that_hangs_is_ended(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(runs, "ROOT", tmp_path)
        package = tmp_path / "benchmarks" / "contenders"
        package.mkdir(parents=True)
        for path in (package.parent / "__init__.py", package / "__init__.py"):
            path.touch()
        (package / "sleeper.py").write_text("import time; time.sleep(60)")
        with pytest.raises(NightjarError, match=r"contender sleeper was not done after 0\.5 s"):
            Contender("sleeper", sys.executable).run(Task((), "", ()), tmp_path, patience_s=0.5)

    def test_processor_time_is_that_of_all_processes(self) -> None:
        watch = Watch(os.getpid(), 60)
        watch.look(memory=True)
        before = watch.cpu_s
        sum(range(5_000_000))
        watch.look()
        assert watch.cpu_s > before > 0
        assert watch.peak_bytes > 10_000_000


class TestHarness:
    def test_everyone_begins_once_and_every_second_round_goes_backwards(self) -> None:
        names = [Contender(name, "") for name in "abc"]
        orders = ["".join(each.name for each in peers.in_turn(names, turn)) for turn in range(4)]
        assert orders == ["abc", "acb", "cab", "cba"]

    def test_ratios_are_the_best_peer_over_ours_round_by_round(self) -> None:
        found = {
            "nightjar": [a_run(2, 10), a_run(4, 5), a_run(2, 10)],
            "opencv_loop": [a_run(3, 20), a_run(4, 20), a_run(9, 20)],
            "daft_frames": [a_run(8, 5), a_run(8, 10), a_run(1, 10)],
        }
        match = peers.Match(
            Task((), "", ()), found, {"opencv_loop": Gaps(1, 0, 0, 0, 0), "daft_frames": Gaps(42, 0, 0, 0, 0)}, {}
        )
        ratios = peers.ratios("short", match)
        assert ratios["vs_best_peer_short"] == [1.5, 1.0, 4.5]  # the loop: a median of 4 against 8
        assert ratios["vs_best_peer_short_process"] == [0.5, 2.0, 1.0]
        assert ratios["largest_ms_short"] == [42]
        with pytest.raises(NightjarError, match="no peer could be run"):
            peers.best({"nightjar": [a_run(1)]}, "work_s")

    def test_a_peer_that_fails_is_out_and_ours_may_not_fail(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        def run(contender: Contender, task: Task, scratch: Path) -> Run:
            if contender.name == failing:
                raise NightjarError(f"contender {failing} fell over")
            write_rows(Path(task.output), ["a"], [0])
            return a_run(1)

        monkeypatch.setattr(Contender, "run", run)
        task = Task(("a",), str(tmp_path / "out.parquet"), ())
        both = [Contender("nightjar", ""), Contender("opencv_loop", ""), Contender("daft_frames", "")]
        failing = "daft_frames"
        match = peers.played(task, both, 3, tmp_path)
        assert match.out == {"daft_frames": "contender daft_frames fell over"}
        assert {name: len(found) for name, found in match.runs.items()} == {"nightjar": 3, "opencv_loop": 3}
        failing = "nightjar"
        with pytest.raises(NightjarError, match="nightjar fell over"):
            peers.played(task, both, 1, tmp_path)

    def test_who_is_far_behind_after_one_round_is_not_waited_for(self) -> None:
        took = {"nightjar": 9, "opencv_threads": 2, "torch_loader": 3, "daft_frames": 4}
        runs_of = {name: [a_run(seconds)] for name, seconds in took.items()}
        assert peers.far_behind(peers.Match(Task((), "", ()), runs_of, {}, {})) == {"daft_frames"}

    def test_whoever_has_no_interpreter_is_left_out_with_the_reason(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(peers, "_has", lambda python, module: module == "daft" and python == "/other/python")
        monkeypatch.setenv(runs.OTHER_PYTHON, "/other/python")
        found, absent = peers.present()
        other = Contender("daft_frames", "/other/python", published=True)
        assert found == [Contender("nightjar", sys.executable), other]
        assert absent["torch_loader"] == "no interpreter has torchcodec; name one in NIGHTJAR_PEERS_PYTHON"

    def test_the_tables_say_how_long_and_where_processor_time_went(self) -> None:
        found = {"nightjar": [a_run(4), a_run(5), a_run(9)], "opencv_threads": [a_run(2)] * 3}
        assert speeds("short", found, 10).splitlines()[4:] == [
            "| opencv_threads | 2.0 (2.0 to 2.0) | 10.0 (10.0 to 10.0) | 1.0 | 5.00 | 12.0 | 500 |",
            "| nightjar | 5.0 (4.0 to 9.0) | 10.0 (10.0 to 10.0) | 1.0 | 2.00 | 12.0 | 500 |",
        ]
        parts = {"every_frame": 4.0, "nightjar": 3.0, "models": 5.0, "published": 6.0}
        rows = reasons("short", found, parts).splitlines()[4:]
        assert rows[0].startswith("| nightjar | 3.0 | 5.0 | 4.0 | 1.20 | decodes only")
        assert rows[1].startswith("| opencv_threads | 4.0 | 6.0 | 2.0 | 1.20 | decodes every frame")

    def test_the_table_of_gaps_names_each_peer(self) -> None:
        assert gaps_table("long", {"daft_frames": Gaps(42, 0, 0.5, 0, 1e-5)}).splitlines()[2:] == [
            "| contender | largest_ms | median_cosine | p99_cosine | median_score | p99_score |",
            "|---|---|---|---|---|---|",
            "| daft_frames | 42 | 0 | 0.5 | 0 | 1e-05 |",
        ]


class TestSets:
    def test_short_sources_are_multiplied_and_others_left_out(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sets, "SHORT_VIDEOS", 3)
        good = write_film(tmp_path / "good.mp4", size=(320, 240))
        brief, small = write_film(tmp_path / "brief.mp4", seconds=1, size=(320, 240)), write_film(tmp_path / "s.mp4")
        made = sets.short_set([brief, good, small], tmp_path / "short")
        assert [path.name for path in made] == ["00000-good.mp4", "00001-good.mp4", "00002-good.mp4"]
        assert len({path.read_bytes() for path in made}) == 3
        with pytest.raises(UsageError, match="none of the videos is an MP4 file of 2000 to 20000 ms"):
            sets.short_set([brief, small], tmp_path / "none")

    def test_a_file_with_hidden_frames_is_not_for_all_tools(self, tmp_path: Path) -> None:
        assert sets.plain(write_film(tmp_path / "plain.mp4")) == sets.Claim(96, 64, 3000)
        assert sets.plain(write_film(tmp_path / "other.mkv")) is None
