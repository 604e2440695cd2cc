"""Start one server, wait until it answers, call it, see what it takes, and end it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from benchmarks.ports import free_port
from benchmarks.servers.load import Phase, Plan
from model_registry.errors import NightjarError

ROOT = Path(__file__).parents[2]
START_S, STOP_S = 240.0, 60.0
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore"}


@dataclass(frozen=True)
class Server:
    """A command that serves; `{port}` in it is the port to take."""

    name: str
    command: Sequence[str]
    path: str = "/check"
    ready: str = "/healthz"


@dataclass(frozen=True)
class Running:
    """A server that answers."""

    server: Server
    url: str
    process: psutil.Process

    def load(self, plan: Plan, phases: Sequence[Phase], scratch: Path) -> list[dict[str, Any]]:
        """Call it from another process."""
        request = scratch / "plan.json"
        replace(plan, url=self.url + self.server.path, phases=list(phases)).write(request)
        command = [sys.executable, "-m", "benchmarks.servers.load", str(request)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment(), check=False)
        if done.returncode:
            raise NightjarError(f"the load on {self.server.name} failed: {done.stderr.strip()[-300:]}")
        found: list[dict[str, Any]] = json.loads(done.stdout)
        return found

    def memory_mb(self) -> float:
        """Proportional set size of all its processes."""
        total = 0
        for process in [self.process, *self.process.children(recursive=True)]:
            with suppress(psutil.Error):
                total += process.memory_full_info().pss
        return total / 1e6


def environment() -> dict[str, str]:
    """Ours, without an address of a cluster."""
    kept = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    return {**kept, **QUIET, "PYTHONPATH": str(ROOT)}


@contextmanager
def running(server: Server, scratch: Path) -> Iterator[Running]:
    """Start it on a free port; raises NightjarError with its last words where it never answers."""
    port, words = free_port(), scratch / f"{server.name}.txt"
    command = [word.replace("{port}", str(port)) for word in server.command]
    with words.open("wb") as said:
        started = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, cwd=ROOT, env=environment()
        )
    process = psutil.Process(started.pid)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait(started, url + server.ready, server.name, words)
        yield Running(server, url, process)
    finally:
        _end(started, process)


def _wait(started: subprocess.Popen[bytes], url: str, name: str, words: Path) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until and started.poll() is None:
        with suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
            if answer.status == 200:
                return
        time.sleep(0.25)
    raise NightjarError(
        f"server {name} does not answer: {' '.join(words.read_text('utf-8', 'replace').split())[-400:]}"
    )


def _end(started: subprocess.Popen[bytes], process: psutil.Process) -> None:
    """Ask, then kill what is left of it."""
    family = [process, *process.children(recursive=True)] if started.poll() is None else []
    started.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        started.wait(STOP_S)
    for one in family:
        with suppress(psutil.Error):
            one.kill()
    started.wait()
