"""The command: it asks first, notes what went, and a kill at any moment costs nothing."""

from __future__ import annotations

import argparse
import io
import json
import signal
import subprocess
import sys

import pytest

from jobs import prune
from jobs.prune import nights_in
from jobs.retention import why_gone
from model_registry.errors import NightjarError, UsageError
from pipelines.risk.policy import load_policy
from tests.pruning import AGAIN, DECISIONS, GOES, TODAY, call, make_night, names, policy_file, pruned


class TestAsking:
    def test_a_dry_run_touches_nothing_and_says_what_would_go(self, tmp_path, capsys):
        night = make_night(tmp_path, 200)
        before = {name: (night / name).read_bytes() for name in names(night)}

        call(tmp_path, "--older-than", "30d", "--dry-run", "--json")

        assert {name: (night / name).read_bytes() for name in names(night)} == before
        out, err = capsys.readouterr()
        row = json.loads(out)
        assert row["parts"]["features"] == {"files": 4, "bytes": 40}
        assert row["parts"]["policy=strict@3/report.html"] == {"files": 1, "bytes": 10}
        assert row["dry_run"] is True
        assert "judge and rescan can no longer be run" in err

    def test_the_table_has_what_goes_with_its_bytes(self, tmp_path, capsys):
        make_night(tmp_path, 200)

        call(tmp_path, "--older-than", "30d", "--dry-run")

        assert any(
            line.split()[1:] == ["200", "features", "4", "40", "bytes"] for line in capsys.readouterr().out.splitlines()
        )

    def test_where_nobody_can_be_asked_nothing_goes(self, tmp_path, monkeypatch):
        night = make_night(tmp_path, 200)
        before = names(night)
        monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))

        with pytest.raises(UsageError, match="give --yes, or --dry-run"):
            call(tmp_path, "--older-than", "30d")
        assert names(night) == before

    @pytest.mark.parametrize(
        ("answer", "goes"), [("y\n", True), ("Yes\n", True), ("\n", False), ("no\n", False), ("", False)]
    )
    def test_on_a_terminal_one_is_asked(self, tmp_path, monkeypatch, answer, goes):
        night = make_night(tmp_path, 200)
        terminal = argparse.Namespace(isatty=lambda: True, readline=lambda: answer)
        monkeypatch.setattr("sys.stdin", terminal)

        if goes:
            call(tmp_path, "--older-than", "30d")
        else:
            with pytest.raises(UsageError, match="nothing was removed"):
                call(tmp_path, "--older-than", "30d")
        assert (night / "features").exists() is not goes

    def test_nothing_due_is_no_question(self, tmp_path, capsys):
        make_night(tmp_path, 3)

        assert call(tmp_path, "--older-than", "30d") == 0
        assert "nothing is due" in capsys.readouterr().err

    @pytest.mark.parametrize(("text", "wanted"), [("30d", 30), ("4w", 28), ("0d", 0)])
    def test_ages(self, text, wanted):
        assert prune.days(text) == wanted

    @pytest.mark.parametrize("text", ["30", "-1d", "d", "1.5d", "30 d", "1y", "٣d"])
    def test_what_is_no_age(self, text):
        with pytest.raises(argparse.ArgumentTypeError, match="wanted days such as 30d"):
            prune.days(text)

    def test_a_folder_without_nights(self, tmp_path):
        for folder in (tmp_path, tmp_path / "gone", tmp_path / "dt=2026-01-01"):
            with pytest.raises(UsageError, match="is no night and has none"):
                nights_in(folder)


class TestNote:
    def test_what_went_when_and_by_which_policy(self, tmp_path):
        ours = policy_file(tmp_path, features=30)
        night = make_night(tmp_path / "r", 200)

        call(tmp_path / "r", "--older-than", "7d", "--yes", policy=ours)

        entry = pruned(night)[0]
        assert entry["policy"] == load_policy(str(ours)).id
        assert entry["older_than_days"] == 7
        assert entry["parts"] == {"features": {"files": 4, "bytes": 40}}
        assert entry["began_at"] <= entry["ended_at"]
        assert json.loads((night / "summary.json").read_text())["counts"] == {"videos": 3}

    def test_a_second_pruning_adds_to_it(self, tmp_path):
        night = make_night(tmp_path / "r", 200)
        for days in ({"features": 30}, {"evidence": 30}, {"evidence": 30}):
            call(tmp_path / "r", "--older-than", "7d", "--yes", policy=policy_file(tmp_path, **days))

        kinds = [sorted(entry["parts"]) for entry in pruned(night)]
        assert kinds == [
            ["features"],
            ["evidence", "policy=strict@3/evidence", "policy=strict@3/report.html", "report.html"],
        ]

    def test_those_who_miss_something_are_told(self, tmp_path):
        night = make_night(tmp_path, 200)
        assert why_gone(night, {}) is None

        call(tmp_path, "--older-than", "30d", "--yes")

        said = why_gone(night, json.loads((night / "summary.json").read_text()))
        assert said == f"features of {night} was pruned on {TODAY}, as policy {load_policy('default').id} says"

    def test_a_disk_that_refuses_is_one_sentence(self, tmp_path, monkeypatch):
        make_night(tmp_path, 200)

        def refuse(*_, **__):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("pipelines.trees.os.unlink", refuse)
        with pytest.raises(NightjarError, match="cannot be pruned: Permission denied; it is half done, run it again"):
            call(tmp_path, "--older-than", "30d", "--yes")


KILLED = """
import os, signal, sys
from pipelines import trees
real, left = os.unlink, [int(sys.argv[1])]
def unlink(*args, **options):
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    left[0] -= 1
    real(*args, **options)
trees.os.unlink = unlink
import argparse
from jobs import prune
from jobs.judge import stored_night
from jobs.outcome import write_report
parser = argparse.ArgumentParser()
prune.add_arguments(parser)
prune.run(parser.parse_args([sys.argv[2], "--older-than", "30d", "--yes"]))
"""


@pytest.mark.parametrize("after", [0, 1, 3, 6])
def test_killed_it_is_known_for_pruned_and_goes_on(tmp_path, after):
    night = make_night(tmp_path, 200)

    done = subprocess.run([sys.executable, "-c", KILLED, str(after), str(tmp_path)], capture_output=True, check=False)

    assert done.returncode == -signal.SIGKILL, done.stderr
    assert pruned(night)[0]["ended_at"] is None
    assert why_gone(night, json.loads((night / "summary.json").read_text()))
    assert (night / "features/lite@1/frames-v3/windows-1.parquet").exists() == (after <= 1)
    assert names(night) & GOES

    call(tmp_path, "--older-than", "4000d", "--yes")  # what was begun is finished, whatever is asked for now

    assert names(night) == DECISIONS | AGAIN | {"summary.json"}
    (entry,) = pruned(night)
    assert entry["ended_at"]
    assert entry["parts"]["features"] == {"files": 4, "bytes": 40}


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (["judge", "--policy", "strict"], "it can be judged and rescanned no more"),
        (["subtitles", "--all", "--output", "out"], "there are no subtitles any more"),
    ],
)
def test_who_misses_what_went_is_told_when_and_why(tmp_path, command, sentence):
    night = make_night(tmp_path, 200)
    summary = json.loads((night / "summary.json").read_text())
    summary["run"] |= {"features": "lite/frames-v3"}
    (night / "summary.json").write_text(json.dumps(summary))
    call(tmp_path, "--older-than", "30d", "--yes")

    name, *options = command
    done = subprocess.run(
        [sys.executable, "-m", f"jobs.{name}", str(night), *options], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert (
        f"was pruned on {json.loads((night / 'summary.json').read_text())['pruned'][0]['began_at'][:10]}" in done.stderr
    )
    assert sentence in done.stderr
