"""Pruning in stores, and a night that was really judged."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from jobs.judge import stored_night
from jobs.outcome import write_report
from model_registry.errors import NightjarError, UsageError
from pipelines.pieces import write_piece
from pipelines.places import place, write_table
from pipelines.risk.judge import judge_night
from pipelines.risk.policy import load_policy
from pipelines.rows import CONTENTS, MANIFEST
from tests.pruning import AGAIN, DECISIONS, call, make_night, names, pruned
from tests.s3_server import serving
from tests.windows import looked_at, seen, window


class TestStores:
    @pytest.fixture
    def store(self):
        root = place("memory://prune-tests/recalls")
        yield root
        root.fs.rm("/prune-tests", recursive=True)

    def test_a_night_in_a_store(self, store):
        night, young = make_night(store, 200), make_night(store, 3)
        before = names(young)

        assert call(store, "--older-than", "30d", "--yes") == 0

        assert names(night) == DECISIONS | AGAIN | {"summary.json"}
        assert names(young) == before
        assert pruned(night)[0]["parts"]["features"] == {"files": 4, "bytes": 40}


@pytest.fixture(scope="module")
def s3():
    pytest.importorskip("moto", reason="needs the s3 extra and moto")
    with serving() as server:
        yield server


def test_a_night_on_s3_goes_whatever_fails_now_and_then(s3, monkeypatch):
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    root = place(f"{s3.bucket('prune')}/recalls")
    old, young = make_night(root, 200), make_night(root, 3)
    for name in ("plain.webp", "with [1] and *.webp"):
        s3.files.pipe(f"{old.path}/evidence/{name}", b"picture")
    before = s3.names(str(young))
    s3.faults(0.1, "InternalError", "SlowDown")

    for _ in range(5):
        try:
            assert call(root, "--older-than", "30d", "--yes") == 0
            break
        except NightjarError:
            continue  # a store that fails too often: run it again
    s3.faults(0)

    assert s3.names(str(old)) - {"lock"} == DECISIONS | AGAIN | {"summary.json"}
    assert s3.names(str(young)) == before
    (entry,) = pruned(old)
    assert entry["ended_at"]
    assert entry["parts"]["evidence"]["files"] == 3


def test_a_night_that_was_judged_can_be_judged_no_more(tmp_path):
    night, nude = tmp_path / "dt=2026-01-01", seen(0.9, 0, 1000, "Explicit/Explicit Nudity")
    write_piece(night / "features" / "lite@1", looked_at(window("d" * 64, signals=[nude], pictures={0: b"p"})))
    rows = [{"video_id": "dice", "uri": "/in/dice.mp4"}]
    write_table(night / "manifest.parquet", pa.Table.from_pylist(rows, MANIFEST))
    contents = pa.Table.from_pylist([{**rows[0], "content_sha256": "d" * 64}], CONTENTS)
    write_table(night / "features" / "contents.parquet", contents)
    summary = {
        "run": {"started_at": "2026-01-01T23:00:00+00:00", "features": "lite@1"},
        "versions": {"bundle": "lite@1"},
    }
    (night / "summary.json").write_text(json.dumps(summary))
    policy = load_policy("default")
    tally = judge_night(stored_night(night, summary), policy, night)
    write_report(night, "January", summary, policy, tally, stored_night(night, summary).pieces)
    verdicts = (night / "verdicts.parquet").read_bytes()
    assert list((night / "evidence").iterdir())

    call(tmp_path, "--older-than", "30d", "--yes")

    assert (night / "verdicts.parquet").read_bytes() == verdicts
    assert {path.name for path in night.iterdir()} - {"lock"} == {
        "failed.parquet",
        "verdicts.parquet",
        "signals.parquet",
        "matches.parquet",
        "manifest.parquet",
        "summary.json",
    }
    with pytest.raises(UsageError, match=r"were the features pruned|was pruned on"):
        stored_night(night, json.loads((night / "summary.json").read_text()))
