"""What a trial came to, in a real MLflow store: one run a pair, nothing lost while MLflow is away."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from model_registry import store
from model_registry.errors import NightjarError
from pipelines.serving.disagreement import Judge, Opinion
from pipelines.serving.trial_log import EXPERIMENT, TrialLog
from tests.shadow_parts import until

A, B = Judge("a@1+0", "default@3+0"), Judge("b@1+0", "default@3+0")


def opinion(judge: Judge, suggestion: str) -> Opinion:
    return Opinion(judge, suggestion, frozenset(), {}, 2.0)


def runs() -> list[Any]:
    client = store.connect()
    return list(client.search_runs([client.get_experiment_by_name(EXPERIMENT).experiment_id]))


def text_of(run: Any, name: str, folder: Path) -> str:
    return Path(store.connect().download_artifacts(run.info.run_id, name, str(folder))).read_text()


def test_a_pair_has_one_run_with_a_step_for_what_is_new(registry: Path, tmp_path: Path) -> None:
    async def play() -> None:
        log = TrialLog(every_s=0.05)
        log.of(A, B).add("first", "sha", opinion(A, "pass"), opinion(B, "review"))
        watch = asyncio.create_task(log.run())
        await until(lambda: not log.due(), 30)
        for _ in range(3):
            log.of(A, B).add("same", "sha", opinion(A, "block"), opinion(B, "block"))
        await until(lambda: not log.due())
        await asyncio.sleep(0.2)
        watch.cancel()
        log.of(A, B).failed += 1
        await log.close(30)

    asyncio.run(play())
    [run] = runs()
    assert run.info.run_name == "a@1+0 default@3+0 against b@1+0 default@3+0"
    assert run.info.status == "FINISHED"
    tags = {"champion.bundle": "a@1+0", "challenger.bundle": "b@1+0", "challenger.policy": "default@3+0"}
    assert tags.items() <= run.data.tags.items()
    history = store.connect().get_metric_history(run.info.run_id, "compared")
    assert [(metric.step, metric.value) for metric in history] == [(1, 1.0), (4, 4.0), (5, 4.0)]
    assert (run.data.metrics["agreement"], run.data.metrics["failed"]) == (0.75, 1.0)
    assert run.data.metrics["kappa"] == pytest.approx((0.75 - 9 / 16) / (1 - 9 / 16))
    table = text_of(run, "suggestions.csv", tmp_path)
    assert table == "champion,challenger,uploads\nblock,block,3\npass,review,1\n"
    [example] = json.loads(text_of(run, "examples.json", tmp_path))
    assert (example["upload_id"], example["challenger"]) == ("first", "review")


def test_nothing_new_writes_nothing(registry: Path) -> None:
    async def play() -> None:
        log = TrialLog()
        log.of(A, B).dropped += 1
        await log.close(30)

    asyncio.run(play())
    assert store.connect().get_experiment_by_name(EXPERIMENT) is None


def test_an_mlflow_that_is_away_costs_a_step_and_one_warning(
    registry: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def play() -> None:
        log = TrialLog(every_s=0.05)
        log.of(A, B).add("first", "sha", opinion(A, "pass"), opinion(B, "pass"))
        with monkeypatch.context() as away:
            away.setattr(store, "connect", _away)
            watch = asyncio.create_task(log.run())
            await asyncio.sleep(0.3)
            assert log.trouble == "the store is away"
        log.of(A, B).add("second", "sha", opinion(A, "pass"), opinion(B, "pass"))
        await until(lambda: not log.due(), 30)
        watch.cancel()
        await log.close(30)
        assert log.trouble is None

    asyncio.run(play())
    assert [record.getMessage() for record in caplog.records if record.name.startswith("pipelines")] == [
        "what the challenger came to is not written to MLflow: the store is away"
    ]
    [run] = runs()
    assert run.data.metrics["compared"] == 2


def _away() -> None:
    raise NightjarError("the store is away")


def test_the_end_does_not_wait_for_an_mlflow_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()
    monkeypatch.setattr(store, "start_run", lambda *_: go.wait(10) and "a run")
    monkeypatch.setattr(store, "log_step", lambda *_: None)
    monkeypatch.setattr(store, "end_run", lambda _: None)

    async def play() -> None:
        log = TrialLog()
        log.of(A, B).failed += 1
        began = time.monotonic()
        await log.close(0.1)
        assert time.monotonic() - began < 2

    asyncio.run(play())
    go.set()
