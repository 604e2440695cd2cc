"""A Ray cluster of several nodes on one machine: each node is a tree of processes that can be killed whole."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

import psutil

from benchmarks.ports import free_port
from jobs.session import QUIET
from model_registry.errors import NightjarError

STORE_BYTES = 150 << 20  # little, so that blocks are spilled and refused as on a machine that is full
START_SECONDS = 90.0
STOP_SECONDS = 20.0
# A node that vanished is missed within seconds, and not after the 25 s that Ray waits on a network.
MISSED_AFTER = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "4",
}


class Cluster:
    """A head and workers on loopback, in processes apart from this one; closes and cleans up as a context.

    `environment` is what a driver needs to join, without what it inherits.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        head_cpus: int = 1,
        worker_cpus: Sequence[int] = (),
        head_options: Sequence[str] = ("--include-dashboard", "false"),
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="nj-"))  # short: sockets below it have 107 bytes for a name
        self.address = f"127.0.0.1:{free_port()}"
        self.environment = {**QUIET, **MISSED_AFTER, **environment}
        self.workers: list[Node] = []
        self.head: Node | None = None
        self._head_cpus, self._worker_cpus, self._head_options = head_cpus, tuple(worker_cpus), tuple(head_options)

    def __enter__(self) -> Cluster:
        try:
            _, _, port = self.address.partition(":")
            own = ["--head", "--port", port, "--temp-dir", str(self.folder / "ray")]
            own += ["--ray-client-server-port", str(free_port()), *self._head_options]
            self.head = self._start(own, self._head_cpus)
            self.head.wait_until_up()
            for cpus in self._worker_cpus:
                self.add_worker(cpus).wait_until_up()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End every node, the head last, and remove what they left."""
        for node in [*self.workers, *([self.head] if self.head else [])]:
            node.kill()
        self.workers, self.head = [], None
        shutil.rmtree(self.folder, ignore_errors=True)

    def add_worker(self, cpus: int) -> Node:
        """Start one more worker node; it joins within seconds. One at a time: two would take the same socket's name."""
        node = self._start(["--address", self.address], cpus)
        self.workers.append(node)
        return node

    def lose_worker(self, node: Node) -> None:
        """Kill a worker node as a power cut does."""
        self.workers.remove(node)
        node.kill()

    @property
    def is_up(self) -> bool:
        """Whether no node is starting."""
        return all(node.is_up for node in self.workers)

    def processes(self) -> list[psutil.Process]:
        """All processes of the living nodes."""
        nodes = [*self.workers, *([self.head] if self.head else [])]
        return [process for node in nodes for process in node.processes()]

    def _start(self, options: Sequence[str], cpus: int) -> Node:
        command = [str(Path(sys.executable).with_name("ray")), "start", "--block", "--disable-usage-stats", *options]
        command += ["--node-ip-address", "127.0.0.1", "--num-cpus", str(cpus)]
        command += ["--object-store-memory", str(STORE_BYTES), "--min-worker-port", "0", "--max-worker-port", "0"]
        for name in ("metrics-export-port", "dashboard-agent-listen-port", "dashboard-agent-grpc-port"):
            command += [f"--{name}", "0"]
        log = (self.folder / f"node-{time.monotonic_ns()}.log").open("w+b")
        return Node(command, {**os.environ, **self.environment}, cpus, log)


class Node:
    """One `ray start --block` and all that it started."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], cpus: int, log: IO[bytes]) -> None:
        self.cpus, self.log = cpus, log
        self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def wait_until_up(self) -> None:
        """Return once it says that it blocks; raises NightjarError where it does not come up."""
        deadline = time.monotonic() + START_SECONDS
        while not self.is_up:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise NightjarError(f"a Ray node does not start: {self._said()[-500:].decode(errors='replace')}")
            time.sleep(0.1)

    @property
    def is_up(self) -> bool:
        """Whether it says that it started."""
        return b"will now block" in self._said()

    def _said(self) -> bytes:
        return Path(self.log.name).read_bytes()

    def processes(self) -> list[psutil.Process]:
        """Return its process and all below."""
        try:
            first = psutil.Process(self.process.pid)
            return [first, *first.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def kill(self) -> None:
        """SIGKILL everything at once."""
        started = self.processes()[1:]
        self.process.kill()
        kill_all(started)
        self.process.wait()
        self.log.close()


def kill_all(processes: Sequence[psutil.Process]) -> None:
    """SIGKILL those that still live; a process id that was given to another since is left alone."""
    for process in processes:
        try:
            process.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(processes, timeout=STOP_SECONDS)
