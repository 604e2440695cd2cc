"""A run under watch: where it stands, what happened and how fast it goes, kept in the night's folder while it runs."""

from __future__ import annotations

import os
import shlex
import socket
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

import psutil
import pyarrow as pa

from jobs import progress
from jobs.watching.keeper import Keeper, WarnOnce, sentence
from jobs.watching.logs import RunLog, stamp
from jobs.watching.meter import Meter
from jobs.watching.nights import State, last_success
from jobs.watching.pace import NO_STEP, Step
from jobs.watching.uploads import Uploads, moment
from pipelines.places import Place, redacted
from pipelines.processes import started_at

LINES_A_CODE = 1000  # of a bucket that is gone a thousand lines say as much as a million


class Watch:
    """Keep `progress.json`, `metrics.prom` and `logs/<run>.jsonl` while a block runs.

    What cannot be written costs one warning and never the run. An exception that leaves the block is kept and goes on.
    """

    def __init__(
        self, folder: Place, job: str, run: str, heading: str = "", versions: Mapping[str, Any] | None = None
    ) -> None:
        self.folder, self.job, self.run, self.heading = folder, job, run, heading
        self.versions = versions or {"nightjar": version("nightjar"), "ray": version("ray")}
        self.day = folder.name.removeprefix("dt=") if folder.name.startswith("dt=") else ""
        self.command = command_line(sys.argv)
        self.meter = Meter()
        self.steps_s: dict[str, float] = {}
        self.state, self.error, self.summary = State.RUNNING, "", ""
        self._uploads = Uploads()
        self._step: Step | None = None
        self._steps: dict[str, dict[str, int]] = {}
        self._queue: tuple[int, datetime | None] | None = None
        self._last_success: float | None = None
        self._lines: Counter[str] = Counter()
        self._lock = threading.Lock()  # no half counted receipts, one line at a time
        self._attempt = WarnOnce()
        self._log = RunLog(folder, run)
        self._keeper = Keeper(folder, {"job": job, "day": self.day}, self.facts, self._attempt)

    def __enter__(self) -> Self:
        self._began, self._started_at = time.monotonic(), stamp()
        self._attempt("the time of the last good night", self._remember)
        about: dict[str, Any] = {"heading": self.heading or None, "command": self.command, "versions": self.versions}
        self.event("run began", job=self.job, **_process(), **about)
        self._warnings_before, warnings.showwarning = warnings.showwarning, self._shown
        progress.listeners.append(self._heard)
        self._attempt("progress", self._keeper.start)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._keeper.stop()
        warnings.showwarning = self._warnings_before
        took: dict[str, Any] = {"seconds": round(time.monotonic() - self._began, 3), "steps_s": self.steps_s}
        if error is None:
            self.state, self._last_success = State.DONE, time.time()
            self.queue(0, None)
            self.event("run ended", summary=self.summary or None, **took, **self.meter.facts())
        else:
            self.state = State.FAILED if isinstance(error, Exception) else State.INTERRUPTED
            self.error = sentence(error)
            where = self._step.title if self._step else None
            about: dict[str, Any] = {"step": where, "error_type": type(error).__name__, "error": self.error}
            self.event(f"run {self.state}", level="error", **about, **took)
        self._keeper.tell(metrics=True)
        self._save()
        self._log.close()
        progress.listeners.remove(self._heard)

    @contextmanager
    def step(self, title: str, total: int) -> Iterator[Step]:
        """Show a step's progress until the block is left; how long it took is added to `steps_s`."""
        with progress.bar(title, total) as bar:
            self._step = step = Step(title, total, bar)
            self.event("step began", step=title, total=total)
            self._keeper.tell()
            try:
                yield step
            finally:
                self.steps_s[title] = round(self.steps_s.get(title, 0.0) + step.seconds, 3)
        self.event("step ended", step=title, done=step.done, total=total, seconds=step.seconds)
        self._keeper.tell()
        self._step = None
        self._save()

    def receipts(self, table: pa.Table) -> int:
        """Count receipts of pieces, log the contents that went wrong; return how many contents they finish."""
        before = self.meter.contents
        with self._lock:
            bad = self.meter.read(table)
        owners = self._uploads.of([row["content_sha256"] for row in bad])
        for row in bad:
            ids, uploads = owners[row["content_sha256"]]
            about = {"error_message": row.get("error_message"), "video_ids": ids or None, "uploads": uploads or None}
            self._failed(row["error_code"], content_sha256=row["content_sha256"], **about)
        return self.meter.contents - before

    def ids(self, contents: pa.Table) -> None:
        """Learn whose contents they are: CONTENTS of every manifest row. Rows that could not be hashed are logged."""
        self._uploads = Uploads(contents)
        for row in self._uploads.unreadable():
            with self._lock:
                self.meter.fail(row["error_code"])
            self._failed(row["error_code"], video_id=row["video_id"], error_message=row["error_message"])

    def queue(self, total: int, oldest_uploaded_at: datetime | str | None) -> None:
        """Say how many videos wait for a decision, and when the oldest was uploaded, if anybody knows."""
        self._queue = total, moment(oldest_uploaded_at)

    def event(self, event: str, /, level: str = "info", **fields: Any) -> None:
        """Log one structured line."""
        self._attempt("the log", lambda: self._log.write(level, event, fields))

    def facts(self) -> dict[str, Any]:
        """What `progress.json` tells."""
        with self._lock:
            counted = self.meter.facts()
        total, oldest = self._queue or (None, None)
        age_s = round((datetime.now(UTC) - oldest).total_seconds(), 1) if oldest else 0.0 if total == 0 else None
        good = stamp(datetime.fromtimestamp(self._last_success, UTC)) if self._last_success else None
        if step := self._step:
            self._steps[step.title] = {"done": step.done, "total": step.total}
        return {
            "run": self.run,
            "job": self.job,
            "heading": self.heading,
            "day": self.day,
            "command": self.command,
            **_process(),
            "started_at": self._started_at,
            "updated_at": stamp(),
            "state": str(self.state),
            "error": self.error or None,
            **(step.facts() if step else NO_STEP),
            **counted,
            "queue": total,
            "queue_age_s": age_s,
            "last_success_at": good,
            "steps": dict(self._steps),
            "steps_s": dict(self.steps_s),
            "rss_bytes": psutil.Process().memory_info().rss,
        }

    def _failed(self, code: str, **about: Any) -> None:
        self._lines[code] += 1
        if self._lines[code] <= LINES_A_CODE:
            self.event("video failed", level="error", error_code=code, **about)
        elif self._lines[code] == LINES_A_CODE + 1:
            self.event("more of these are counted, not logged", level="warning", error_code=code)

    def _heard(self, message: str) -> None:
        warning = message.startswith("warning: ")
        self.event("said", level="warning" if warning else "info", message=message.removeprefix("warning: "))

    def _shown(
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        """Take the place of `warnings.showwarning`."""
        where = f"{Path(filename).name}:{lineno}"
        self.event("warned", level="warning", category=category.__name__, message=str(message), where=where)
        self._warnings_before(message, category, filename, lineno, file, line)

    def _remember(self) -> None:
        self._last_success = last_success(self.folder)

    def _save(self) -> None:
        self._attempt("the log", self._log.save)


def command_line(argv: Sequence[str]) -> str:
    """Write the call as a person would type it, without credentials; `python -m jobs.recall` is `nightjar recall`."""
    script = Path(argv[0])
    module = [script.stem] if script.parent.name == "jobs" and script.stem != "cli" else []
    return shlex.join(redacted(word) for word in ["nightjar", *module, *argv[1:]])


def _process() -> dict[str, Any]:
    return {"host": socket.gethostname(), "pid": os.getpid(), "process_started_at": started_at(os.getpid())}
