"""The application on a real Ray Serve with small models: parity of placements, kills, reloads, draining."""

from __future__ import annotations

import http.client
import json
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks.ports import free_port
from jobs.session import ray_up
from model_registry import store
from model_registry.model import predict_all
from pipelines.serving.application import ENVIRONMENT, INGRESS, LOGGING
from pipelines.serving.placement import Placement, Room
from pipelines.serving.running import deploy
from pipelines.serving.served import INLINE_BYTES, handle_of, sent
from pipelines.serving.service import Service
from pipelines.serving.trial_log import EXPERIMENT
from tests.serving_parts import DAWDLES, DIES, FAILS, PARTS, SIDE, FrameHead, Head, Tower

ROOM = Room(cpus=0.6)  # three applications fit beside each other into the two CPUs of the tests' Ray


@dataclass(frozen=True)
class Running:
    """One application: who may change its versions, and where it listens."""

    name: str
    versions: Path

    def post(self, frames: np.ndarray, timeout: float = 60) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=timeout)
        try:
            connection.request("POST", f"/{self.name}/check", frames.tobytes())
            answer = connection.getresponse()
            body = answer.read()
            return answer.status, json.loads(body) if body.startswith(b"{") else {}
        finally:
            connection.close()

    def ingress(self, method: str) -> Any:
        return handle_of(self.name, INGRESS).options(method_name=method).remote()


PORT = free_port()


@pytest.fixture(scope="module")
def serving() -> Iterator[None]:
    """One Ray and one Serve for the file, with the switches that `nightjar serve` sets."""
    before = dict(os.environ)
    os.environ.update(ENVIRONMENT)
    with ray_up(cpus=2):
        from ray import serve

        serve.start(http_options={"host": "127.0.0.1", "port": PORT}, logging_config=LOGGING)
        yield
        serve.shutdown()
    os.environ.clear()
    os.environ.update(before)


@contextmanager
def up(folder: Path, name: str, placement: Placement, **options: Any) -> Iterator[Running]:
    from ray import serve

    versions = folder / f"{name}.txt"
    versions.write_text("1")
    service = Service(policy=str(versions), placement=placement, reload_s=0.2, drain_s=10, **options)
    deploy(service, ROOM, name, f"/{name}", PARTS)
    yield Running(name, versions)
    serve.delete(name)


@pytest.fixture(scope="module")
def apart(serving: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with up(tmp_path_factory.mktemp("apart"), "apart", Placement.APART) as running:
        yield running


@pytest.fixture(scope="module")
def together(serving: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with up(tmp_path_factory.mktemp("together"), "together", Placement.TOGETHER, replicas=2) as running:
        yield running


def frames_of(seed: int, count: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 250, (count, SIDE, SIDE, 3), np.uint8)


def first_byte(value: int, *more: int) -> np.ndarray:
    frames = frames_of(0, 1)
    frames.reshape(-1)[: 1 + len(more)] = (value, *more)
    return frames


def direct(frames: np.ndarray) -> SimpleNamespace:
    """The plain calls, in this process."""
    vectors = predict_all(Tower(), list(frames))
    return SimpleNamespace(heads=predict_all(Head(), list(vectors)), beside=predict_all(FrameHead(), list(frames)))


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize("where", ["apart", "together"])
def test_every_placement_answers_what_the_models_answer(where: str, request: pytest.FixtureRequest) -> None:
    running = request.getfixturevalue(where)
    for seed in range(5):
        frames = frames_of(seed, count=1 + 7 * seed)
        status, answer = running.post(frames)
        assert status == 200
        np.testing.assert_allclose(answer["heads"], direct(frames).heads, atol=1e-6)
        np.testing.assert_allclose(answer["beside"], direct(frames).beside, atol=1e-6)


def test_models_lie_where_they_were_placed(apart: Running, together: Running) -> None:
    answer = apart.post(frames_of(1))[1]
    assert answer["pid"] not in answer["pids"]
    answer = together.post(frames_of(1))[1]
    assert set(answer["pids"]) == {answer["pid"]}


def test_large_frames_go_through_the_object_store(apart: Running) -> None:
    frames = frames_of(3, count=6000)
    assert frames.nbytes > INLINE_BYTES
    status, answer = apart.post(frames)
    assert status == 200
    np.testing.assert_allclose(answer["beside"], direct(frames).beside, atol=1e-6)


def test_the_same_frames_are_put_once(serving: None) -> None:
    frames = frames_of(4, count=6000)
    first, by_reference = sent(list(frames))
    again, _ = sent(list(frames))
    assert by_reference
    assert again == first
    frames_of_another_upload = frames.copy()
    other, _ = sent(list(frames_of_another_upload))
    assert other != first
    assert not sent(list(frames[:5]))[1]


@pytest.mark.parametrize("where", ["apart", "together"])
def test_what_a_model_raises_reaches_its_caller_in_its_own_words(where: str, request: pytest.FixtureRequest) -> None:
    running = request.getfixturevalue(where)
    assert running.post(first_byte(FAILS)) == (422, {"code": "the frame is bad\nin two lines"})
    assert running.post(frames_of(1))[0] == 200


def test_a_model_replica_killed_mid_request_is_asked_again(apart: Running) -> None:
    token = Path(tempfile.gettempdir()) / f"nightjar-dies-{os.getpid() % 250}-7"
    token.touch()
    before = apart.post(frames_of(1))[1]["pids"][0]
    status, answer = apart.post(first_byte(DIES, os.getpid() % 250, 7))
    assert not token.exists()
    assert status == 200
    assert answer["pids"][0] != before
    assert apart.post(frames_of(2))[0] == 200


def test_an_ingress_replica_killed_mid_request_costs_no_later_request(together: Running) -> None:
    victim = together.post(frames_of(1))[1]["pid"]
    with ThreadPoolExecutor(6) as pool:
        slow = [pool.submit(together.post, first_byte(DAWDLES)) for _ in range(6)]
        time.sleep(0.8)
        os.kill(victim, signal.SIGKILL)
        statuses = [future.result()[0] for future in slow]
    assert set(statuses) <= {200, 500, 503}
    assert 200 in statuses
    until(lambda: together.post(frames_of(2))[0] == 200, 10)
    assert [together.post(frames_of(seed))[0] for seed in range(10)] == [200] * 10


@pytest.mark.parametrize("where", ["apart", "together"])
def test_a_reload_fails_no_request(where: str, request: pytest.FixtureRequest) -> None:
    running = request.getfixturevalue(where)
    stop, seen = threading.Event(), []

    def ask() -> None:
        while not stop.is_set():
            status, answer = running.post(frames_of(1))
            seen.append((status, answer.get("bundle")))

    first = running.post(frames_of(1))[1]["bundle"]
    with ThreadPoolExecutor(3) as pool:
        asking = [pool.submit(ask) for _ in range(3)]
        running.versions.write_text("2")
        try:
            until(lambda: len(seen) > 20 and all(bundle != first for _, bundle in seen[-10:]))
        finally:
            stop.set()
            for future in asking:
                future.result()
    assert {status for status, _ in seen} == {200}
    assert len({bundle for _, bundle in seen} | {first}) == 2


def test_what_cannot_be_loaded_is_said_and_the_old_versions_answer_on(apart: Running) -> None:
    before = apart.post(frames_of(1))[1]["bundle"]
    good = apart.versions.read_text()
    apart.versions.write_text("broken")
    until(lambda: apart.ingress("state").result()["trouble"] == "version broken is not on this machine")
    assert apart.post(frames_of(1))[1]["bundle"] == before
    apart.versions.write_text(good)
    until(lambda: apart.ingress("state").result()["trouble"] is None)


def test_a_challenger_is_tried_beside_what_answers_and_then_answers_itself(serving: None, tmp_path: Path) -> None:
    def state() -> dict[str, Any]:
        return running.ingress("state").result()["shadow"]

    store.connect().search_experiments()  # one process makes the file
    before = compared()
    tried = tmp_path / "tried.txt"
    tried.write_text("2")
    with up(tmp_path, "shadows", Placement.TOGETHER, challenger_policy=str(tried), shadow=1.0) as running:
        alone = [running.post(frames_of(seed)) for seed in range(3)]
        until(lambda: state()["tried"])
        assert [running.post(frames_of(seed)) for seed in range(3)] == alone
        until(lambda: state()["disagree"] >= 3)
        until(lambda: compared() != before)
        running.versions.write_text("2")
        until(lambda: state()["tried"] is None)
        disagreed = state()["disagree"]
        assert running.post(frames_of(1))[1]["suggestion"] == "review"
        assert state() == {**state(), "disagree": disagreed, "agree": 0, "failed": 0, "dropped": 0, "trouble": None}


def compared() -> list[float]:
    """Of every trial that MLflow has; a run is there a moment before its first metrics are."""
    client = store.connect()
    found = client.get_experiment_by_name(EXPERIMENT)
    measured = [run.data.metrics for run in client.search_runs([found.experiment_id])] if found else []
    return sorted(metrics["compared"] for metrics in measured if "compared" in metrics)


def test_draining_finishes_what_runs_and_refuses_what_comes(serving: None, tmp_path: Path) -> None:
    with up(tmp_path, "drains", Placement.TOGETHER) as running, ThreadPoolExecutor(2) as pool:
        running.post(frames_of(1))
        slow = pool.submit(running.post, first_byte(DAWDLES))
        time.sleep(0.8)
        drained = running.ingress("drain")
        until(lambda: running.post(frames_of(1)) == (503, {"code": "shutting_down"}), 5)
        assert slow.result()[0] == 200
        drained.result(timeout_s=10)
