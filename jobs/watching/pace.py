"""One step of a run: how much of it is done, and how fast it goes lately."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

from jobs import progress

WINDOW_S = 120.0  # what a resumed run finds finished at once says nothing about the rest


class Pace:
    """How many a second were done over the last minutes."""

    def __init__(self, window_s: float = WINDOW_S) -> None:
        self.window_s = window_s
        self.seen = deque([(time.monotonic(), 0)])

    def rate(self, done: int) -> float:
        """Note that so many are done now; return how many a second it were over the window."""
        now = time.monotonic()
        self.seen.append((now, done))
        while len(self.seen) > 2 and self.seen[1][0] <= now - self.window_s:
            self.seen.popleft()
        then, before = self.seen[0]
        return (done - before) / max(now - then, 1e-3)


class Step:
    """Takes the place of a progress bar, and shows one."""

    def __init__(self, title: str, total: int, bar: progress.Bar) -> None:
        self.title, self.total, self.bar = title, total, bar
        self.done, self.note = 0, ""
        self.pace = Pace()
        self.began = time.monotonic()

    def advance(self, count: int, note: str = "") -> None:
        """Say that `count` more are done."""
        self.done, self.note = self.done + count, note
        self.bar.advance(count, note)

    @property
    def seconds(self) -> float:
        """Since it began."""
        return round(time.monotonic() - self.began, 3)

    def facts(self) -> dict[str, Any]:
        """As `progress.json` tells them."""
        rate, left = self.pace.rate(self.done), max(self.total - self.done, 0)
        eta_s = round(left / rate, 1) if rate else None
        return {"step": self.title, "done": self.done, "total": self.total, "rate": round(rate, 4), "eta_s": eta_s}


NO_STEP: dict[str, Any] = {"step": None, "done": None, "total": None, "rate": None, "eta_s": None}
