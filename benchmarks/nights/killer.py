"""A night under fire: its decoders, models, tasks, nodes and driver are killed at random moments, by a seed."""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import psutil

from benchmarks.nights.cluster import Cluster, Node, kill_all
from model_registry.errors import NightjarError

POLL_SECONDS, COUNT_SECONDS = 0.05, 0.3
EARLY_GAP_SECONDS, GAP_SECONDS = (0.3, 5.0), (0.0, 0.5)
LAST_SHARE = 0.7  # of the contents committed, the last shot is due: later it would find nobody at work
FRESH_NODE_SECONDS = (2.0, 6.0)  # until a lost node is replaced
PATIENCE_SECONDS = 15.0  # how long a victim is looked for before another kind has its turn


class Kind(StrEnum):
    """What is killed."""

    DECODER = "decode child"
    MODEL = "model actor"
    TASK = "task worker"
    NODE = "node"
    DRIVER = "driver"


# As Ray 2.60 titles its workers: an actor of a pool at all times, the worker of a task while it works on one.
POOL_ACTOR, TASK_AT_WORK, ACTOR_AT_WORK = "ray::MapWorker(", "ray::MapBatches(", ").submit"
DECODE_CHILD = "pipelines.decode.worker"


@dataclass(frozen=True)
class Kill:
    """One kill, and where the night was at that moment."""

    kind: Kind
    second: float
    pieces_in_flight: int  # blocks that somebody worked on
    settled: int  # contents that were wholly committed

    def __str__(self) -> str:
        where = f"{self.settled} contents committed, {self.pieces_in_flight} pieces in flight"
        return f"{self.kind} after {self.second:.1f} s, {where}"


@dataclass
class Account:
    """What a night under fire came to."""

    kills: list[Kill] = field(default_factory=list)
    starts: int = 0
    seconds: float = 0.0
    said: str = ""  # by the last start

    def count(self, kind: Kind) -> int:
        """Kills of one kind."""
        return sum(kill.kind is kind for kill in self.kills)


class UnderFire:
    """Runs one command to its end while it and its cluster are shot at; a killed driver is started again.

    The first half of the shots is fired while the night starts up, some seconds apart, the others as `settled`, the
    contents committed, grows. A driver is killed once it got further than the one before: a night whose drivers commit
    nothing cannot end.
    """

    def __init__(
        self,
        cluster: Cluster,
        command: Sequence[str],
        kinds: Sequence[Kind],
        seed: int,
        contents: int,
        settled: Callable[[], int],
    ) -> None:
        self.cluster, self.command, self.settled = cluster, list(command), settled
        self.kinds, self.random = list(kinds), random.Random(seed)
        late = sorted(self.random.uniform(0, LAST_SHARE * contents) for _ in kinds[: len(kinds) // 2])
        self.marks = [0.0] * (len(kinds) - len(late)) + late
        self.account = Account()
        self.due: list[tuple[float, int]] = []  # when a worker node comes back, and with how many CPUs

    def run(self, environment: Mapping[str, str], log: Path, limit_seconds: float) -> Account:
        """Return the account once the command ended well; raises NightjarError where it failed by itself."""
        began = time.monotonic()
        while self._killed(environment, log, began, limit_seconds):
            pass
        self.account.seconds = time.monotonic() - began
        self.account.said = log.read_text("utf-8", "replace")
        self._bring_all_back()
        return self.account

    def _killed(self, environment: Mapping[str, str], log: Path, began: float, limit_seconds: float) -> bool:
        """Start the driver and shoot until it ends; returns whether it was shot."""
        self.account.starts += 1
        with log.open("wb") as out:
            driver = subprocess.Popen(self.command, env=environment, stdout=out, stderr=out)
        try:
            shot = self._shoot_until_it_ends(driver, began, limit_seconds)
        finally:
            driver.kill()
            driver.wait()
        if shot:
            return True
        if driver.returncode or time.monotonic() - began > limit_seconds:
            how = f"ended with status {driver.returncode} by itself" if driver.returncode else "took too long"
            raise NightjarError(f"the night {how}; {self._told(log)}")
        return False

    def _shoot_until_it_ends(self, driver: subprocess.Popen[bytes], began: float, limit_seconds: float) -> bool:
        at_start = self.settled()
        count, count_at, shot_at, patient_until = at_start, 0.0, self._pause(), None
        while driver.poll() is None and (now := time.monotonic()) - began < limit_seconds:
            self._bring_one_back()
            if self.kinds and now >= count_at:
                count, count_at = self.settled(), now + COUNT_SECONDS
            if self.kinds and count >= self.marks[0] and now >= shot_at:
                patient_until = patient_until or now + PATIENCE_SECONDS
                if self._shoot(self.kinds[0], driver, now - began, count, at_start):
                    del self.marks[0]
                    if self.kinds.pop(0) is Kind.DRIVER:
                        return True
                    shot_at, patient_until = self._pause(), None
                elif now > patient_until:
                    self.kinds.append(self.kinds.pop(0))
                    patient_until = None
            time.sleep(POLL_SECONDS)
        return False

    def _pause(self) -> float:
        is_early = bool(self.marks) and self.marks[0] == 0
        return time.monotonic() + self.random.uniform(*(EARLY_GAP_SECONDS if is_early else GAP_SECONDS))

    def _shoot(self, kind: Kind, driver: subprocess.Popen[bytes], second: float, settled: int, at_start: int) -> bool:
        """Kill one of a kind; returns whether there was one."""
        at_work = [process for process, title in self._titles() if _works(title)]
        if kind is Kind.DRIVER:
            hit = settled > at_start and self._shoot_driver(driver)
        elif kind is Kind.NODE:
            hit = self._shoot_node(at_work)
        else:
            hit = self._shoot_process(kind)
        if hit:
            self.account.kills.append(Kill(kind, second, len(at_work), settled))
        return hit

    def _shoot_driver(self, driver: subprocess.Popen[bytes]) -> bool:
        """Kill it with all that it started; returns whether it still lived."""
        with suppress(psutil.NoSuchProcess):
            started = psutil.Process(driver.pid).children(recursive=True)
            driver.kill()  # not by psutil, which would take its exit status
            kill_all(started)
        return driver.wait() < 0

    def _shoot_node(self, at_work: Sequence[psutil.Process]) -> bool:
        """Kill a worker node, one on which somebody works where there is one, as long as another is left."""
        if len(self.cluster.workers) < 2 or not self.cluster.is_up:
            return False
        busy = [node for node in self.cluster.workers if set(node.processes()) & set(at_work)]
        node: Node = self.random.choice(busy or self.cluster.workers)
        self.cluster.lose_worker(node)
        self.due.append((time.monotonic() + self.random.uniform(*FRESH_NODE_SECONDS), node.cpus))
        return True

    def _shoot_process(self, kind: Kind) -> bool:
        victims = [process for process, title in self._titles() if _is(kind, title)]
        if not victims:
            return False
        kill_all([self.random.choice(victims)])
        return True

    def _titles(self) -> list[tuple[psutil.Process, str]]:
        return [(process, _title(process)) for process in self.cluster.processes()]

    def _bring_one_back(self) -> None:
        if self.due and time.monotonic() >= self.due[0][0] and self.cluster.is_up:
            self.cluster.add_worker(self.due.pop(0)[1])

    def _bring_all_back(self) -> None:
        for _, cpus in self.due:
            self.cluster.add_worker(cpus).wait_until_up()
        self.due.clear()

    def _told(self, log: Path) -> str:
        kills = "; ".join(map(str, self.account.kills)) or "no kills"
        return f"{kills}; it said: {log.read_text('utf-8', 'replace')[-2000:]}"


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""  # it ended meanwhile


def _works(title: str) -> bool:
    return title.startswith(TASK_AT_WORK) or (title.startswith(POOL_ACTOR) and title.endswith(ACTOR_AT_WORK))


def _is(kind: Kind, title: str) -> bool:
    if kind is Kind.DECODER:
        return DECODE_CHILD in title
    return title.startswith(POOL_ACTOR if kind is Kind.MODEL else TASK_AT_WORK)
