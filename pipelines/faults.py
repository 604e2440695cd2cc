"""What a process leaves behind when it dies of its own work: the step it was at, and what went wrong.

Python's faulthandler writes from C and without the interpreter's lock, so a crash in native code and a loop that never
comes back are recorded too. A process that is killed from outside leaves the step and no fault.
"""

from __future__ import annotations

import faulthandler
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import NoReturn

from pipelines.rows import ErrorCode

MOST_READ = 1 << 16  # bytes of a log: the fault stands at its beginning, the stack below it is for people
FATAL, TIMEOUT = "Fatal ", "Timeout ("  # how faulthandler begins


@dataclass(frozen=True)
class Fault:
    """Why a process is no more."""

    step: str = ""  # empty: nobody knows
    code: ErrorCode | None = None  # None: killed from outside, by an operator, by the system for its memory, or lost
    reason: str = ""


class FaultLog:
    """The open log of the work that goes on."""

    def __init__(self, file: FileIO, stall_seconds: float) -> None:
        self._file = file
        self._stall_seconds = stall_seconds

    def step(self, name: str) -> None:
        """Say which step begins; from now on it has `stall_seconds`, then the process ends."""
        self._file.seek(0)
        self._file.truncate()
        self._file.write(f"{name}\n".encode())
        faulthandler.dump_traceback_later(self._stall_seconds, exit=True, file=self._file)

    def die(self, reason: str) -> NoReturn:
        """End this process, which nothing can make whole again."""
        self._file.write(f"{FATAL}error: {reason}\n".encode())
        os._exit(1)


@contextmanager
def recorded(path: Path, stall_seconds: float) -> Iterator[FaultLog]:
    """Keep a log in `path` while work goes on; it stays only where the process dies."""
    restore = faulthandler.is_enabled()  # Ray's workers report on standard error
    try:
        with path.open("w+b", buffering=0) as file:
            faulthandler.enable(file, all_threads=False)
            log = FaultLog(file, stall_seconds)
            try:
                log.step("")
                yield log
            finally:
                faulthandler.cancel_dump_traceback_later()
                _report_on_stderr(restore)
    finally:
        path.unlink(missing_ok=True)


def _report_on_stderr(wanted: bool) -> None:
    try:
        if wanted:
            faulthandler.enable(all_threads=False)
            return
    except (AttributeError, OSError, RuntimeError, ValueError):  # standard error is no file here
        pass
    faulthandler.disable()


def fault_in(path: Path) -> Fault:
    """Read what a dead process left; no log tells nothing."""
    try:
        with path.open("rb") as file:
            step, *lines = file.read(MOST_READ).decode(errors="replace").split("\n")
    except OSError:
        return Fault()
    for line in lines:
        if line.startswith(TIMEOUT):
            return Fault(step, ErrorCode.MODEL_TIMEOUT, line)
        if line.startswith(FATAL):
            return Fault(step, ErrorCode.MODEL_CRASHED, line.partition(": ")[2] or line)
    return Fault(step)
