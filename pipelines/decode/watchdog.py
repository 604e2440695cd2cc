"""Kills processes that say nothing in time; one thread for all of them, that sleeps while all is well."""

from __future__ import annotations

import subprocess
import threading
import time


class Watchdog:
    """Kill a process unless the block is left in time. Only time spent in the block counts."""

    def __init__(self, process: subprocess.Popen[bytes], seconds: float, stalled: threading.Event) -> None:
        self.process, self.seconds, self.stalled = process, seconds, stalled
        self.deadline = 0.0

    def __enter__(self) -> None:
        self.deadline = time.monotonic() + self.seconds
        _WATCH.add(self)

    def __exit__(self, *_: object) -> None:
        _WATCH.forget(self)

    def bite(self) -> None:
        """End the wait for the process."""
        self.stalled.set()
        self.process.kill()


class _Watch:
    """Looks at the next deadline when it comes, also where the block was left long before: that wakes it once a minute.

    A thread a block, as `threading.Timer` has it, took half a millisecond of each picture.
    """

    def __init__(self) -> None:
        self._blocks: set[Watchdog] = set()
        self._news = threading.Condition()
        self._wakes = float("inf")
        self._thread: threading.Thread | None = None

    def add(self, block: Watchdog) -> None:
        with self._news:
            self._blocks.add(block)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
                self._thread.start()
            elif block.deadline < self._wakes:
                self._news.notify()

    def forget(self, block: Watchdog) -> None:
        with self._news:
            self._blocks.discard(block)

    def _run(self) -> None:
        with self._news:
            while True:
                now = time.monotonic()
                for block in [block for block in self._blocks if block.deadline <= now]:
                    self._blocks.discard(block)
                    block.bite()
                self._wakes = min((block.deadline for block in self._blocks), default=float("inf"))
                self._news.wait(None if self._wakes == float("inf") else max(0.0, self._wakes - now))


_WATCH = _Watch()
