"""Where a run stands, told again and again: `progress.json` and `metrics.prom` in the night's folder, Ray's metrics."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from jobs import progress
from jobs.watching.logs import plain
from jobs.watching.metrics import RayMetrics, exposed, values_of
from jobs.watching.nights import PROGRESS
from model_registry.errors import NightjarError
from pipelines.places import Place, is_local, make, redacted, write_text

METRICS = "metrics.prom"
EVERY_S, EVERY_REMOTE_S = 2.0, 15.0
METRICS_EVERY_S = 15.0
LONGEST = 500  # characters of an error


def sentence(error: BaseException) -> str:
    """Say in one line what went wrong, without credentials."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted from outside"
    text = redacted(" ".join(str(error).split()))[:LONGEST]
    named = isinstance(error, NightjarError)
    return text if named and text else f"{type(error).__name__}: {text}" if text else type(error).__name__


class WarnOnce:
    """Do what may fail without harm: of each kind of thing the first failure is said, the others are silent."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def __call__(self, what: str, act: Callable[[], object]) -> None:
        """Try it."""
        try:
            act()
        except Exception as error:  # noqa: BLE001 whatever a store or Ray raises, watching never costs the night
            if what not in self._said:
                self._said.add(what)
                progress.say(f"warning: {what} of this run cannot be kept: {sentence(error)}")


class Keeper:
    """Keep telling `facts` until stopped, and whenever asked."""

    def __init__(
        self, folder: Place, labels: Mapping[str, str], facts: Callable[[], dict[str, Any]], attempt: WarnOnce
    ) -> None:
        self.folder, self.labels, self.facts, self.attempt = folder, labels, facts, attempt
        self.every_s = EVERY_S if is_local(folder) else EVERY_REMOTE_S
        self._ray = RayMetrics(labels)
        self._metrics_at = -METRICS_EVERY_S
        self._lock = threading.Lock()  # one writer a file
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._tick, name="watch", daemon=True)

    def start(self) -> None:
        """Tell now, and from now on."""
        make(self.folder)
        self.tell()
        self._thread.start()

    def stop(self) -> None:
        """Tell no more by itself."""
        self._stop.set()
        if self._thread.ident:
            self._thread.join()

    def tell(self, *, metrics: bool = False) -> None:
        """Replace what is kept; the metrics file now and then, or when asked to."""
        with self._lock:
            self.attempt("progress", lambda: self._tell(metrics=metrics))

    def _tell(self, *, metrics: bool) -> None:
        facts = self.facts()
        values = values_of(facts)
        self.attempt("Ray's metrics", lambda: self._ray.push(values))
        self.attempt(PROGRESS, lambda: self._write(PROGRESS, json.dumps(plain(facts), indent=2) + "\n"))
        if metrics or time.monotonic() - self._metrics_at >= METRICS_EVERY_S:
            self._metrics_at = time.monotonic()
            self.attempt(METRICS, lambda: self._write(METRICS, exposed(self.labels, values)))

    def _write(self, name: str, text: str) -> None:
        write_text(self.folder / name, text)

    def _tick(self) -> None:
        while not self._stop.wait(self.every_s):
            self.tell()
