"""Keyframes first: what they leave in doubt comes out as in a dense night, whatever is killed on the way."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from jobs.night import Outcome
from jobs.recipes import Recipe, add_arguments, from_arguments
from model_registry.bundles import PinnedBundle
from model_registry.errors import UsageError
from pipelines.decode.limits import Limits, Sampling
from pipelines.passes import passes
from pipelines.pieces import Pieces
from pipelines.places import read_table
from pipelines.risk.judge import Night, judge_night
from pipelines.risk.policy import load_policy
from tests.fakes import FakeTower, fake_ref
from tests.keyframes import kill_tree, night, policy, write_manifest

pytestmark = pytest.mark.usefixtures("ray_cluster")
WENT_ON = {"rising": "score", "falling": "score", "sparse": "long_gap", "cut": "failed"}
SETTLED = {"dull", "dull again", "hidden"}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory) -> Path:
    return write_manifest(tmp_path_factory.mktemp("films"))


@pytest.fixture(scope="module")
def dense(manifest, tmp_path_factory) -> Path:
    """The night that looks at everything densely."""
    return night(manifest, tmp_path_factory.mktemp("dense"), keyframes_first=False).folder


@pytest.fixture(scope="module")
def first(manifest, tmp_path_factory) -> Outcome:
    """The undisturbed cascade."""
    return night(manifest, tmp_path_factory.mktemp("first"))


def rows(folder: Path, table: str = "verdicts") -> dict[str, list[dict]]:
    """The rows of a table by video."""
    found: dict[str, list[dict]] = {}
    for row in pq.read_table(folder / f"{table}.parquet").to_pylist():
        row.pop("decided_at", None)
        found.setdefault(row["video_id"], []).append(row)
    return found


def suggestions(folder: Path) -> dict[str, str]:
    return {video: row["suggestion"] for video, (row,) in rows(folder).items()}


def cascade(outcome: Outcome) -> dict:
    """What the summary says of it, but for how long it took."""
    return {name: value for name, value in outcome.summary["keyframes"].items() if name != "steps_s"}


def test_there_is_one_verdict_a_manifest_row(manifest, first):
    wanted = [line.partition(",")[0] for line in manifest.read_text().splitlines()[1:]]
    assert pq.read_table(first.folder / "verdicts.parquet")["video_id"].to_pylist() == wanted


def test_what_keyframes_leave_in_doubt_is_judged_exactly_as_densely(dense, first):
    for video in [*WENT_ON, "gone"]:
        assert rows(first.folder)[video] == rows(dense)[video]
        assert rows(first.folder, "signals").get(video) == rows(dense, "signals").get(video)
    assert {video: suggestions(first.folder)[video] for video in WENT_ON} == {
        "rising": "review",
        "falling": "pass",
        "sparse": "review",
        "cut": "review",
    }


def test_what_no_keyframe_shows_is_lost(dense, first):
    """The price, and the whole of it: a dense night flags this one."""
    assert suggestions(dense)["hidden"] == "review"
    assert {v for v, said in suggestions(first.folder).items() if said != suggestions(dense)[v]} == {"hidden"}


def test_the_summary_says_what_rests_on_keyframes(first):
    found = first.summary["keyframes"]
    assert (found["settled"], found["went_on"]) == (2, 4)
    assert found["doubts"] == {"score": 2, "long_gap": 1, "failed": 1}
    assert found["features"] != first.summary["run"]["features"]
    assert first.summary["counts"]["contents_looked_at"] == 6  # each once, though four were looked at twice
    assert first.summary["steps_s"]["looking"] == pytest.approx(sum(found["steps_s"].values()))
    assert json.loads((first.folder / "summary.json").read_text())["keyframes"] == found


def test_the_videos_that_rest_on_keyframes_are_named(first):
    named = rows(first.folder, "keyframes")
    assert named.keys() == SETTLED
    assert {(row["keyframes"], row["longest_gap_ms"]) for (row,) in named.values()} == {(4, 2000)}


def test_a_second_run_looks_at_nothing(manifest, dense, first):
    again = night(manifest, first.folder)
    assert again.summary["throughput"]["frames"] == 0
    assert cascade(again) == cascade(first)
    assert suggestions(again.folder) == suggestions(dense) | {"hidden": "pass"}


def test_what_failed_is_retried_densely_only(manifest, first):
    again = night(manifest, first.folder, retry_failed=True)
    assert again.summary["counts"]["contents_looked_at"] == 1
    assert cascade(again) == cascade(first)
    assert rows(again.folder)["cut"][0]["suggestion"] == "review"


def test_killed_between_the_passes_the_night_goes_on_with_the_second(manifest, first, tmp_path):
    command = [sys.executable, "-m", "tests.keyframes", str(manifest), str(tmp_path)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    said = next((line for line in process.stderr if line.startswith("keyframes settled")), "")
    kill_tree(process)
    assert "settled 2 of 6 contents; 4 go on" in said
    assert not (tmp_path / "verdicts.parquet").exists()

    again = night(manifest, tmp_path)
    assert rows(again.folder) == rows(first.folder)
    assert cascade(again) == cascade(first)
    assert again.summary["counts"]["contents_looked_at"] == 4


def test_a_stricter_policy_looks_at_more_and_at_nothing_twice(manifest, dense, first, tmp_path):
    known = night(manifest, tmp_path).summary
    more = night(manifest, tmp_path, rules=policy(longest_gap_ms=1000)).summary
    assert (known["keyframes"]["settled"], more["keyframes"]["settled"]) == (2, 0)
    assert more["counts"]["contents_looked_at"] == 2
    assert suggestions(tmp_path) == suggestions(dense)


def test_a_dense_night_after_it_looks_at_the_rest_only(manifest, dense, tmp_path):
    night(manifest, tmp_path)
    after = night(manifest, tmp_path, keyframes_first=False)
    assert after.summary["counts"]["contents_looked_at"] == 2
    assert "keyframes" not in after.summary
    assert not (tmp_path / "keyframes.parquet").exists()
    assert rows(tmp_path) == rows(dense)


def test_a_stored_night_never_passes_what_another_policy_doubts(first, tmp_path):
    features = first.folder / "features"
    folders = [features / first.summary[part]["features"] for part in ("run", "keyframes")]
    both = passes(*map(Pieces, folders), policy(longest_gap_ms=1000))
    contents = read_table(features / "contents.parquet")
    judge_night(Night(first.folder / "manifest.parquet", contents, both, "fake@1"), policy(), tmp_path)

    unseen = {video: row for video, (row,) in rows(tmp_path).items() if video in SETTLED}
    assert {(row["suggestion"], row["error_code"]) for row in unseen.values()} == {("review", "not_examined")}


def test_copies_need_every_frame():
    bundle = PinnedBundle("fake", "1", 64, fake_ref(FakeTower))
    with pytest.raises(UsageError, match="--keyframes-first cannot go with --bank: copies are found in densely"):
        Recipe(bundle, load_policy("default"), Sampling(), Limits(), Path("bank"), keyframes_first=True)


@pytest.mark.usefixtures("lite")
def test_the_command_line_asks_for_it_and_for_one_pass_or_two():
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    recipe = from_arguments(parser.parse_args(["--offline", "--keyframes-first"]))
    assert (recipe.keyframes_first, recipe.sampling.keyframes_only) == (True, False)
    assert recipe.features == from_arguments(parser.parse_args(["--offline"])).features
    with pytest.raises(UsageError, match="cannot go with --keyframes-only"):
        from_arguments(parser.parse_args(["--offline", "--keyframes-first", "--keyframes-only"]))
