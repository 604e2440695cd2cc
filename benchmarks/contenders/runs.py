"""Run one contender as a process of its own and measure it from outside: time, processor time, memory."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from benchmarks.contenders.contract import Task
from model_registry.errors import NightjarError

ROOT = Path(__file__).parents[2]
OTHER_PYTHON = "NIGHTJAR_PEERS_PYTHON"  # an interpreter that has the tools which this one lacks
EVERY_S = 0.25
PATIENCE_S = 600.0  # a contender that takes longer hangs
MEMORY_EVERY = 4  # of those looks: reading a proportional set size costs more than reading a clock
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore"}


@dataclass(frozen=True)
class Run:
    """What one run of one contender took."""

    ready_s: float  # process start to ready: imports, framework up
    work_s: float  # to the output being whole: models loaded, all videos done
    wall_s: float  # of the whole process, to its end
    cpu_s: float  # of all its processes, until the output was whole
    peak_bytes: int


@dataclass(frozen=True)
class Contender:
    """One module of this package, and the interpreter that has what it needs."""

    name: str
    python: str
    module: str = ""
    published: bool = False

    def run(self, task: Task, scratch: Path, patience_s: float = PATIENCE_S) -> Run:
        """Do the task once; raises NightjarError with the process's last words where it fails or does not end."""
        launched = time.monotonic()
        moments, watch = self.said(task, scratch, patience_s)
        ended = time.monotonic()
        ready, done = moments["ready"], moments["done"]
        return Run(ready - launched, done - ready, ended - launched, watch.cpu_s, watch.peak_bytes)

    def said(self, task: Task, scratch: Path, patience_s: float = PATIENCE_S) -> tuple[dict[str, float], Watch]:
        """Run the module over a task and return the line it prints, and what was seen of its processes."""
        request, words = scratch / "request.json", scratch / "stderr.txt"
        replace(task, published=self.published).write(request)
        command = [self.python, "-m", f"benchmarks.contenders.{self.module or self.name}", str(request)]
        with (
            words.open("wb") as stderr,
            subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, cwd=ROOT, env=_environment()
            ) as process,
            Watch(process.pid, patience_s) as watch,
        ):
            line = process.stdout.readline() if process.stdout else b""
            watch.look()
            process.communicate(b"\n")
        if watch.ran_out:
            raise NightjarError(f"contender {self.name} was not done after {patience_s:g} s")
        if process.returncode or not line:
            raise NightjarError(f"contender {self.name} ended with status {process.returncode}: {_tail(words)}")
        found: dict[str, float] = json.loads(line)
        return found, watch


def _environment() -> dict[str, str]:
    """Ours, without an address of a cluster that is not a contender's own."""
    kept = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    return {**kept, **QUIET, "PYTHONPATH": str(ROOT)}


def _tail(path: Path) -> str:
    return " ".join(path.read_text("utf-8", "replace").split())[-600:]


class Watch:
    """Look at a process and its descendants now and then: processor time of each, memory of all.

    What a process spent after its last look is missed, a quarter of a second at most. Past `patience_s` all end.
    """

    def __init__(self, pid: int, patience_s: float) -> None:
        self.root = psutil.Process(pid)
        self.peak_bytes = 0
        self.ran_out = False
        self._until = time.monotonic() + patience_s
        self._spent: dict[psutil.Process, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def cpu_s(self) -> float:
        """Sum over every process that was ever seen, as it was last seen."""
        return sum(self._spent.values())

    def look(self, memory: bool = False) -> None:
        """Look once."""
        total = 0
        for process in self._all():
            with suppress(psutil.Error):  # it ended meanwhile
                times = process.cpu_times()
                self._spent[process] = times.user + times.system
                total += process.memory_full_info().pss if memory else 0
        self.peak_bytes = max(self.peak_bytes, total)

    def _all(self) -> list[psutil.Process]:
        try:
            return [self.root, *self.root.children(recursive=True)]
        except psutil.Error:
            return []

    def _run(self) -> None:
        looks = 0
        while not self._stop.wait(EVERY_S):
            looks += 1
            self.look(memory=looks % MEMORY_EVERY == 0)
            if time.monotonic() > self._until:
                self.ran_out = True
                self._kill()
                return

    def _kill(self) -> None:
        for process in reversed(self._all()):
            with suppress(psutil.Error):
                process.kill()

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
