"""Pruning: decisions stay, the rest goes when the policy says, and nothing else ever does."""

from __future__ import annotations

import argparse
import os

from hypothesis import given
from hypothesis import strategies as st

from jobs.retention import Rule, due
from pipelines.lock import lock
from pipelines.risk.policy import load_policy, parse_policy
from tests.pruning import AGAIN, DECISIONS, GOES, TODAY, call, make_night, names, policy_file, pruned


class TestWhatGoes:
    def test_decisions_stay_and_all_else_goes_when_it_is_due(self, tmp_path):
        night = make_night(tmp_path, 200)

        assert call(tmp_path, "--older-than", "30d", "--yes") == 0
        assert names(night) == DECISIONS | AGAIN | {"summary.json"}
        assert not (night / "features").exists()

    def test_each_kind_has_its_own_days(self, tmp_path):
        ours = policy_file(tmp_path, features=10, evidence=20, transcripts=40)
        nights = {days: make_night(tmp_path / "r", days) for days in (5, 15, 25, 45)}

        call(tmp_path / "r", "--older-than", "0d", "--yes", policy=ours)

        gone = {days: (DECISIONS | AGAIN | GOES) - names(night) for days, night in nights.items()}
        assert gone[5] == set()
        assert {name.split("/")[0] for name in gone[15]} == {"features"}
        assert gone[25] == gone[15] | {name for name in GOES if "evidence" in name or "report" in name}
        assert gone[45] == GOES

    def test_features_go_with_the_first_of_what_they_hold(self):
        rule = Rule(parse_policy({"name": "a", "version": "1", "retention": {"transcripts": 7}}, "0" * 64), 0)

        assert rule.is_due("features", 7)
        assert rule.is_due("report.html", 7)
        assert not rule.is_due("features", 6)
        assert not rule.is_due("evidence", 10_000)  # for ever, as nothing is said of it

    @given(st.integers(0, 400), st.integers(0, 400), st.integers(0, 400))
    def test_nothing_younger_than_the_floor_goes(self, kept, floor, age):
        data = {"name": "a", "version": "1", "retention": {"features": kept, "evidence": kept, "transcripts": kept}}
        rule = Rule(parse_policy(data, "0" * 64), floor)

        assert rule.is_due("features", age) == (age >= floor and age >= kept)

    def test_a_policy_that_says_nothing_keeps_all(self, tmp_path):
        night = make_night(tmp_path / "r", 4000)
        before = names(night)

        call(tmp_path / "r", "--older-than", "0d", "--yes", policy=policy_file(tmp_path))

        assert names(night) == before
        assert pruned(night) == []

    def test_the_shipped_policies_keep_evidence_for_the_six_months_of_a_complaint(self):
        for name in ("default", "strict"):
            kept = load_policy(name).retention
            assert kept.evidence >= 190
            assert kept.transcripts >= 190
            assert kept.features == 30

    def test_a_night_that_was_run_late_is_as_young_as_its_run(self, tmp_path):
        night = make_night(tmp_path, 300, run_days_ago=3)
        before = names(night)

        call(tmp_path, "--older-than", "30d", "--yes")

        assert names(night) == before

    def test_a_file_that_was_never_finished_goes_too(self, tmp_path):
        night = make_night(tmp_path, 200)
        (night / "report.html.1234abcd.part").write_text("half")
        (night / "verdicts.parquet.1234abcd.part").write_text("half")

        call(tmp_path, "--older-than", "30d", "--yes")

        assert not (night / "report.html.1234abcd.part").exists()
        assert (night / "verdicts.parquet.1234abcd.part").exists()


class TestWhatIsLeftAlone:
    def test_a_night_that_runs(self, tmp_path, capsys):
        night = make_night(tmp_path, 200)
        before = names(night)

        with lock(night, "recall"):
            call(tmp_path, "--older-than", "30d", "--yes")

        assert names(night) == before
        assert f"is being worked at by recall, process {os.getpid()}" in capsys.readouterr().err

    def test_a_night_that_began_to_run_while_somebody_was_asked(self, tmp_path, monkeypatch, capsys):
        night = make_night(tmp_path, 200)
        before = names(night)
        monkeypatch.setattr("jobs.retention.is_held", lambda folder: None)

        with lock(night, "recall"):
            call(tmp_path, "--older-than", "30d", "--yes")

        assert names(night) == before
        assert "is being worked at by recall" in capsys.readouterr().err

    def test_a_night_that_was_run_again_while_somebody_was_asked(self, tmp_path, monkeypatch, capsys):
        night = make_night(tmp_path, 200)
        before = names(night)

        def answer():
            (night / "summary.json").write_text('{"run": {}}')
            return "y\n"

        monkeypatch.setattr("sys.stdin", argparse.Namespace(isatty=lambda: True, readline=answer))
        call(tmp_path, "--older-than", "30d")

        assert names(night) == before
        assert "is another night by now: left alone" in capsys.readouterr().err

    def test_a_night_that_did_not_finish_unless_asked_for(self, tmp_path, capsys):
        night = make_night(tmp_path, 200, finished=False)
        before = names(night)

        call(tmp_path, "--older-than", "30d", "--yes")
        assert names(night) == before
        assert "did not finish" in capsys.readouterr().err

        call(tmp_path, "--older-than", "30d", "--yes", "--unfinished")
        assert names(night) == DECISIONS | AGAIN

    def test_links_lead_nowhere(self, tmp_path, capsys):
        kept = tmp_path / "elsewhere"
        (kept / "deep").mkdir(parents=True)
        (kept / "deep" / "film.mp4").write_text("mine")
        night = make_night(tmp_path / "r", 200)
        (night / "features" / "link").symlink_to(kept)
        (night / "evidence" / "one.webp").symlink_to(kept / "deep" / "film.mp4")
        (night / "policy=linked").symlink_to(kept)
        (tmp_path / "r" / "dt=2020-01-01").symlink_to(kept)

        call(tmp_path / "r", "--older-than", "30d", "--yes")

        assert (kept / "deep" / "film.mp4").read_text() == "mine"
        assert names(night) - DECISIONS - AGAIN == {
            "summary.json",
            "features/link",
            "evidence/one.webp",
            "policy=linked",
        }
        said = capsys.readouterr().err
        assert f"{night / 'features' / 'link'} is a symbolic link: left alone" in said
        assert "dt=2020-01-01 is a symbolic link: left alone" in said

        call(tmp_path / "r", "--older-than", "30d", "--yes")
        assert len(pruned(night)) == 1

    def test_features_that_are_a_link_are_left_and_named(self, tmp_path, capsys):
        night = make_night(tmp_path / "r", 200)
        (night / "features").rename(tmp_path / "big-disk")
        (night / "features").symlink_to(tmp_path / "big-disk")

        call(tmp_path / "r", "--older-than", "30d", "--yes")

        assert (tmp_path / "big-disk" / "contents.parquet").exists()
        assert f"{night / 'features'} is a symbolic link" in capsys.readouterr().err

    def test_what_is_beside_a_night(self, tmp_path):
        make_night(tmp_path, 200)
        (tmp_path / "features").mkdir()
        (tmp_path / "features" / "mine.parquet").write_text("mine")

        call(tmp_path, "--older-than", "0d", "--yes")

        assert (tmp_path / "features" / "mine.parquet").exists()

    def test_a_night_of_no_known_day(self, tmp_path, capsys):
        make_night(tmp_path, 200).rename(tmp_path / "scanned")
        (tmp_path / "scanned" / "summary.json").write_text('{"run": {}}')

        call(tmp_path / "scanned", "--older-than", "0d", "--yes")

        assert "says nowhere of which day it is" in capsys.readouterr().err
        assert (tmp_path / "scanned" / "features").exists()

    def test_a_torn_summary(self, tmp_path, capsys):
        night = make_night(tmp_path, 200)
        (night / "summary.json").write_text("{")

        call(tmp_path, "--older-than", "0d", "--yes")

        assert "cannot be read" in capsys.readouterr().err
        assert (night / "features").exists()


def test_due_says_the_age(tmp_path):
    assert due(make_night(tmp_path, 12), Rule(load_policy("default"), 30), TODAY).age_days == 12
