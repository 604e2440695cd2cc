"""`nightjar serve` over fakes in a process of its own, whose replicas a test can kill.

`small` answers frames as tests/serving_parts.py does, and so does `hanging`, whose tower may hang; `videos` has the
real door and queue over a checker that takes as many seconds as the title says.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import psutil

from benchmarks.ports import free_port
from model_registry.model import InputKind, Item, Vector
from pipelines.serving import watch
from pipelines.serving.api.shown import shown_video
from pipelines.serving.contract import Answer, Checker, Upload
from pipelines.serving.ingress import Machine, Parts
from pipelines.serving.replica import ModelReplica
from pipelines.serving.service import Plan, Service
from pipelines.serving.videos import Videos, VideoSettings
from tests.serving_fakes import FakeChecker
from tests.serving_parts import PARTS, Tower, small_plan, version_of

HANGS = 254  # the first byte of a frame
HANGING = "tests.serving_process:Hanging"
SCALES = {"upscale_delay_s": 1.0, "downscale_delay_s": 5.0, "look_back_period_s": 2.0, "metrics_interval_s": 0.5}


class SlowChecker(FakeChecker):
    """Takes as many seconds as the title says."""

    async def check(self, upload: Upload, deadline_s: float | None = None) -> Answer:
        """Answer as the fake does, later."""
        await asyncio.sleep(float(upload.title or 0))
        return await super().check(upload, deadline_s)


def slow_checker(plan: Plan, service: Service, machine: Machine) -> Checker:
    """One that needs no models."""
    return SlowChecker()


def short_leases(service: Service) -> Videos | None:
    """A queue that takes a process for dead after seconds."""
    return Videos(Path(service.videos), VideoSettings(lease_s=3.0), shown=shown_video) if service.videos else None


class Hanging(Tower):
    """The tower, which hangs at such a frame while a file `hangs` lies in the temporary folder, and takes it away."""

    def predict(self, batch: Sequence[Item]) -> list[Vector]:
        """Answer, or never do."""
        token = Path(tempfile.gettempdir()) / "hangs"
        if any(frame.flat[0] == HANGS for frame in batch) and token.exists():
            token.unlink()
            threading.Event().wait()
        return super().predict(batch)


class ImpatientReplica(ModelReplica):
    """A model's replica that takes a batch of seconds for one that hangs."""

    def check_health(self) -> None:
        """As the replica does."""
        with mock.patch.object(watch, "BATCH_S", 2.0), mock.patch.dict(watch.ITEM_S, {InputKind.FRAME: 0.0}):
            super().check_health()


def hanging_plan(service: Service) -> Plan:
    """The small one with a tower that may hang."""
    found = small_plan(service)
    return replace(found, bundle=replace(found.bundle, tower=replace(found.bundle.tower, implementation=HANGING)))


SLOW = replace(Parts(), plan=small_plan, versions=version_of, checker=slow_checker, videos=short_leases)
KINDS = {"small": PARTS, "videos": SLOW, "hanging": replace(PARTS, plan=hanging_plan)}


@dataclass(frozen=True)
class Said:
    """What a caller gets, and how long it takes."""

    status: int
    headers: Mapping[str, str]
    body: Any
    seconds: float


class ServingProcess:
    """The command, from its start until it is told to stop or is killed."""

    def __init__(self, folder: Path, kind: str, *options: str, environment: Mapping[str, str] | None = None) -> None:
        self.versions, self.port = folder / "versions", free_port()
        self.versions.write_text("1")
        command = [sys.executable, "-m", "tests.serving_process", kind, "--policy", str(self.versions)]
        command += ["--port", str(self.port), "--drain", "3", "--replicas", "1", *options]
        inherited = {**os.environ, "TMPDIR": str(folder), **(environment or {})}
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=inherited)
        self.said: list[str] = []
        threading.Thread(target=lambda: self.said.extend(iter(self.process.stderr.readline, "")), daemon=True).start()

    def __enter__(self) -> ServingProcess:
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it as a user would; what is left of it after that is killed."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        finally:
            self.process.kill()
            for child in psutil.wait_procs(children, timeout=10)[1]:
                child.kill()

    def wait_until_ready(self, seconds: float = 120) -> None:
        """Return when it says so."""
        end = time.monotonic() + seconds
        while not any("ready after" in line for line in self.said):
            assert time.monotonic() < end, self.said
            assert self.process.poll() is None, self.said
            time.sleep(0.05)

    def ask(
        self,
        path: str,
        body: bytes | Mapping[str, Any] | None = None,
        timeout: float = 60,
        headers: Mapping[str, str] | None = None,
    ) -> Said:
        """Post bytes or JSON, or get; a connection that breaks is status 0."""
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        kind = {"Content-Type": "application/octet-stream" if isinstance(body, bytes) else "application/json"}
        asked = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, {**kind, **(headers or {})})
        began = time.monotonic()
        try:
            with urllib.request.urlopen(asked, timeout=timeout) as answer:
                found = (answer.status, dict(answer.headers), _read(answer.read()))
        except urllib.error.HTTPError as error:
            found = (error.code, dict(error.headers), _read(error.read()))
        except (OSError, ValueError) as error:
            found = (0, {}, repr(error))
        return Said(*found, time.monotonic() - began)

    def until_answered(
        self,
        path: str,
        body: bytes | Mapping[str, Any] | None,
        seconds: float,
        headers: Mapping[str, str] | None = None,
    ) -> float:
        """Ask until it answers with 200; return after how many seconds."""
        began = time.monotonic()
        while (said := self.ask(path, body, headers=headers)).status != 200:
            assert time.monotonic() - began < seconds, said
            time.sleep(0.1)
        return time.monotonic() - began


def _read(said: bytes) -> Any:
    """JSON, where it is an object."""
    return json.loads(said) if said.startswith(b"{") else said


def replicas(deployment: str, among: list[psutil.Process]) -> list[psutil.Process]:
    """The processes of a deployment's replicas."""
    wanted = f"ray::ServeReplica:nightjar:{deployment}"
    return [process for process in among if title_of(process).startswith(wanted)]


def title_of(process: psutil.Process) -> str:
    """What Ray calls it; nothing where it is gone."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def main(kind: str, *argv: str) -> None:
    """The command over the fakes; models that live apart grow and shrink within seconds."""
    from jobs import cli, serve
    from pipelines.serving import application, running

    options = application.replica_options

    def quick(*args: Any, **kwargs: Any) -> dict[str, Any]:
        found = options(*args, **kwargs)
        found["autoscaling_config"] |= SCALES
        found["health_check_period_s"] = 1.0
        return found

    application.replica_options = quick
    application.ModelReplica = ImpatientReplica if kind == "hanging" else ModelReplica
    serve.plan = small_plan
    running.deploy = partial(running.deploy, parts=KINDS[kind])
    cli.main(["serve", *argv])


if __name__ == "__main__":
    from tests import serving_process  # not as __main__, which Ray's workers do not have

    serving_process.main(*sys.argv[1:])
