"""A whole service in small that Ray's workers can import: fake models, a plan that a file changes, a door of one route.

`Service(policy=FILE)`: the first word of FILE is the version of every model, `broken` cannot be had.
"""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from model_registry.bundles import PinnedBundle
from model_registry.errors import NightjarError
from model_registry.model import Item, ModelRef, Vector, predict_all
from pipelines.risk.policy import load_policy
from pipelines.serving.contract import Answer, Checker, Described, Refused, Upload
from pipelines.serving.ingress import Machine, Parts
from pipelines.serving.service import Plan, Service
from tests.fakes import FakeFrameHead, FakeHead, FakeTower

SIDE = 8  # pixels of a frame
DIES, FAILS, DAWDLES = 251, 252, 253  # what the first byte of a frame does to the tower


class Tower(FakeTower):
    """The fake tower, with a process id for a fifth number; some frames harm it."""

    spec = replace(FakeTower.spec, name="tower", embedding_dim=5, max_batch=8192, memory_mb=50)

    def predict(self, batch: Sequence[Item]) -> list[Vector]:
        for frame in batch:
            _harm(frame)
        return [np.append(vector, np.float32(os.getpid())) for vector in super().predict(batch)]


def _harm(frame: Item) -> None:
    match int(frame.flat[0]):
        case 251:
            token = Path(tempfile.gettempdir()) / f"nightjar-dies-{int(frame.flat[1])}-{int(frame.flat[2])}"
            if token.exists():
                token.unlink()
                os.kill(os.getpid(), signal.SIGKILL)
        case 252:
            raise ValueError("the frame is bad\nin two lines")
        case 253:
            time.sleep(1.5)


class Head(FakeHead):
    spec = replace(FakeHead.spec, name="head", tower="tower", memory_mb=50)


class FrameHead(FakeFrameHead):
    spec = replace(FakeFrameHead.spec, name="frame_head", max_batch=8192, memory_mb=50)


def ref(model: type, version: str = "1") -> ModelRef:
    return ModelRef(model.spec.name, version, f"tests.serving_parts:{model.__name__}")


def version_of(service: Service) -> str:
    return Path(service.policy).read_text().split()[0]


def small_plan(service: Service) -> Plan:
    version = version_of(service)
    if version == "broken":
        raise NightjarError("version broken is not on this machine")
    refs = [ref(model, version) for model in (Tower, FrameHead, Head)]
    return Plan(PinnedBundle("small", "1", SIDE, refs[0], tuple(refs[1:])), load_policy("default"))


class SmallChecker:
    """Frames are the bytes of the file; every model of the bundle scores them."""

    def __init__(self, plan: Plan) -> None:
        self.bundle, self.policy = plan.bundle, plan.policy
        self.models = {found.name: found.load() for found in plan.bundle.models}

    async def check(self, upload: Upload, deadline_s: float | None = None) -> Answer:
        return await run_in_threadpool(self._check, upload)

    def admit(self) -> None:
        """There is always room."""

    def _check(self, upload: Upload) -> Answer:
        frames = list(np.frombuffer(upload.path.read_bytes(), np.uint8).reshape(-1, SIDE, SIDE, 3))
        vectors = predict_all(self.models["tower"], frames)
        heads = predict_all(self.models["head"], list(vectors))
        beside = predict_all(self.models["frame_head"], frames)
        scores = {"heads": heads.tolist(), "beside": beside.tolist(), "pids": vectors[:, 4].astype(int).tolist()}
        judged = {"suggestion": "pass" if self.bundle.tower.version == "1" else "review", "labels": []}
        ids = {"video_id": upload.upload_id, "bundle": self.bundle.id, "policy": self.policy.id}
        return Answer({**ids, "content_sha256": None, **judged, **scores})

    def described(self) -> Described:
        return Described(self.bundle.id, self.policy.id, "1", None, None, ())


def small_checker(plan: Plan, service: Service, machine: Machine) -> Checker:
    return SmallChecker(plan)


def small_door(present: Callable[[], Checker], service: Service, videos: Any) -> Any:
    async def check(request: Request) -> JSONResponse:
        with tempfile.NamedTemporaryFile() as file:
            file.write(await request.body())
            file.flush()
            try:
                answer = await present().check(Upload("an upload", Path(file.name)))
            except Refused as refused:
                return JSONResponse({"code": refused.code}, refused.status)
            except ValueError as error:
                return JSONResponse({"code": str(error)}, 422)
        return JSONResponse({**answer.verdict, "pid": os.getpid()})

    return Starlette(routes=[Route("/check", check, methods=["POST"])])


PARTS = Parts(small_plan, version_of, small_checker, small_door)


def main(argv: list[str]) -> None:
    """`nightjar serve` over these parts; `--policy` names the file of versions."""
    from functools import partial

    from jobs import cli, serve
    from pipelines.serving import running

    serve.plan = small_plan
    running.deploy = partial(running.deploy, parts=PARTS)
    cli.main(["serve", *argv])


if __name__ == "__main__":
    import sys

    from tests import serving_parts  # not as __main__, which Ray's workers do not have

    serving_parts.main(sys.argv[1:])
