"""The service under SIGKILL, under load and on several nodes, as callers see it over HTTP.

NIGHTJAR_CHAOS=1 adds what needs a cluster of two nodes: a model grows and shrinks, and a node is lost.
"""

from __future__ import annotations

import base64
import os
import re
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest

from benchmarks.nights.cluster import Cluster
from model_registry.model import predict_all
from pipelines.serving.api.keys import KeyFile
from pipelines.serving.application import ENVIRONMENT
from tests.serving_parts import DAWDLES, SIDE, FrameHead, Head, Tower
from tests.serving_process import HANGS, ServingProcess, replicas, title_of

CHAOS = bool(int(os.environ.get("NIGHTJAR_CHAOS", "0")))
BACK_S = 30.0  # until a service whose only replica was killed answers again
QUICK = {"text": "an ordinary day"}


@pytest.fixture
def folder() -> Iterator[Path]:
    """Ray's sockets lie there, whose paths have to be short."""
    with tempfile.TemporaryDirectory(prefix="nj-") as name:
        yield Path(name)


def until(condition: Callable[[], bool], seconds: float) -> float:
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds
        time.sleep(0.2)
    return time.monotonic() - began


def test_who_was_in_a_killed_ingress_is_told_to_try_again_and_no_accepted_video_is_lost(
    folder: Path, record_property: Callable[[str, object], None]
) -> None:
    with ServingProcess(folder, "videos", "--videos", str(folder / "queue")) as service, ThreadPoolExecutor(4) as pool:
        service.wait_until_ready()
        sent = {"video": base64.b64encode(b"risky bytes").decode(), "title": "3", "id": "mine"}
        taken = service.ask("/v1/videos", sent)
        assert taken.status == 202
        slow = [pool.submit(service.ask, "/v1/check", {"title": "3"}) for _ in range(4)]
        time.sleep(1)
        [victim] = replicas("ingress", psutil.Process(service.process.pid).children(recursive=True))
        victim.kill()

        for said in (future.result() for future in slow):
            assert (said.status, said.headers["retry-after"]) == (503, "1")
            assert said.body["error"]["code"] == "replica_lost"
        back_s = service.until_answered("/v1/check", QUICK, BACK_S)
        video = f"/v1/videos/{taken.body['id']}"
        done_s = until(lambda: service.ask(video).body["status"] == "done", 60)
        verdict = service.ask(video).body["verdict"]
        assert (verdict["video_id"], verdict["suggestion"]) == ("mine", "block")
        record_property("seconds until it answers again", back_s)
        record_property("seconds until the accepted video is done", back_s + done_s)


def counts(service: ServingProcess, headers: Mapping[str, str]) -> dict[str, float]:
    """Checks by status, as Prometheus is told."""
    while (said := service.ask("/metrics", headers=headers)).status != 200:
        time.sleep(0.2)
    found = re.findall(r'nightjar_http_requests_total\{route="/v1/check",status="(\d+)"\} (.*)', said.body.decode())
    return {status: float(count) for status, count in found}


def test_several_replicas_are_one_service_to_callers(folder: Path) -> None:
    keys = folder / "keys.json"
    _, token = KeyFile(keys).create("some", rate=6)
    headers = {"Authorization": f"Bearer {token}"}
    options = ["--replicas", "2", "--videos", str(folder / "queue"), "--keys", str(keys)]
    with ServingProcess(folder, "videos", *options) as service, ThreadPoolExecutor(8) as pool:
        service.wait_until_ready()
        asked = list(pool.map(lambda _: service.ask("/v1/check", {"title": "0.5"}, headers=headers), range(20)))
        statuses = Counter(said.status for said in asked)
        assert set(statuses) == {200, 429}
        assert 6 <= statuses[200] <= 6 + 6 * (sum(said.seconds for said in asked) / 8 + 1)
        assert len(list(folder.glob("nightjar-serve-*/counter_*.db"))) == 2

        victim, survivor = replicas("ingress", psutil.Process(service.process.pid).children(recursive=True))
        before = counts(service, headers)
        assert before["200"] == statuses[200]
        assert before["429"] >= statuses[429]
        victim.kill()
        victim.wait(10)
        assert service.until_answered("/v1/check", QUICK, 5, headers=headers) < 5
        assert survivor.is_running()
        assert counts(service, headers)["200"] == before["200"] + 1


def frames_of(seed: int, first: int = 1) -> np.ndarray:
    frames = np.random.default_rng(seed).integers(1, 250, (3, SIDE, SIDE, 3), np.uint8)
    frames.reshape(-1)[0] = first
    return frames


def is_right(service: ServingProcess, seed: int) -> int:
    """Whether an answer is that of the plain calls; returns the process of the tower that gave it."""
    frames = frames_of(seed)
    said = service.ask("/check", frames.tobytes())
    vectors = predict_all(Tower(), list(frames))
    assert said.status == 200, said
    np.testing.assert_allclose(said.body["heads"], predict_all(Head(), list(vectors)), atol=1e-6)
    np.testing.assert_allclose(said.body["beside"], predict_all(FrameHead(), list(frames)), atol=1e-6)
    [pid] = set(said.body["pids"])
    return int(pid)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """Two nodes on this machine, with the switches where Ray starts."""
    with Cluster(ENVIRONMENT, head_cpus=2, worker_cpus=(2,)) as nodes:
        yield nodes


@pytest.mark.skipif(not CHAOS, reason="two nodes take minutes; needs NIGHTJAR_CHAOS=1")
def test_a_model_grows_under_load_and_shrinks_after_it_and_a_lost_node_is_got_over(
    cluster: Cluster, folder: Path, record_property: Callable[[str, object], None]
) -> None:
    joins = {**cluster.environment, "RAY_ADDRESS": cluster.address}
    options = ["--placement", "apart", "--most-replicas", "2"]
    with ServingProcess(folder, "small", *options, environment=joins) as service, ThreadPoolExecutor(8) as pool:
        service.wait_until_ready()
        towers = lambda: replicas("tower", cluster.processes())  # noqa: E731
        assert len(towers()) == 1

        quiet = threading.Event()
        slow = frames_of(0, DAWDLES).tobytes()
        load = [
            pool.submit(lambda: [service.ask("/check", slow).status for _ in iter(quiet.is_set, True)])
            for _ in range(8)
        ]
        grown_s = until(lambda: len(towers()) == 2, 60)
        until(lambda: len({is_right(service, seed) for seed in range(6)}) == 2, 60)
        quiet.set()
        assert set().union(*(asked.result() for asked in load)) == {200}
        shrunk_s = until(lambda: len(towers()) == 1, 120)
        is_right(service, 7)

        [node] = cluster.workers
        held = [title_of(process) for process in node.processes()]
        lost = [title.split(":")[4].strip() for title in held if "ServeReplica:nightjar" in title]
        cluster.lose_worker(node)
        back_s = service.until_answered("/check", frames_of(8).tobytes(), 120)
        for seed in range(9, 15):
            is_right(service, seed)
    record_property("seconds until a second replica", grown_s)
    record_property("seconds until it is gone again", shrunk_s)
    record_property("replicas on the lost node", lost)
    record_property("seconds until it answers again", back_s)


@pytest.mark.skipif(not CHAOS, reason="a replica that hangs is replaced after half a minute; needs NIGHTJAR_CHAOS=1")
def test_a_model_that_hangs_is_replaced_and_who_waited_behind_it_is_answered(
    folder: Path, record_property: Callable[[str, object], None]
) -> None:
    with ServingProcess(folder, "hanging", "--placement", "apart") as service, ThreadPoolExecutor(1) as pool:
        service.wait_until_ready()
        before = is_right(service, 1)
        (Path(folder) / "hangs").touch()
        hung = pool.submit(service.ask, "/check", frames_of(0, HANGS).tobytes(), 120)
        until(lambda: not (Path(folder) / "hangs").exists(), 30)
        back_s = service.until_answered("/check", frames_of(2).tobytes(), 90)
        assert is_right(service, 3) != before
        assert hung.result().status in (200, 503)
    record_property("seconds until a hanging model is replaced", back_s)
