"""Processes of this host: which is which, whether it still runs, and those that end with the one that started them.

Ids come again, so a process is known by its start too.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psutil

SAME_START_S = 1.0  # a start is reckoned from the clock, which may be set
PR_SET_PDEATHSIG = 1

# The kernel ends a child with the thread that started it (PR_SET_PDEATHSIG): this one lives as long as the process.
STARTER = ThreadPoolExecutor(1, thread_name_prefix="process-starter")


def start(command: Sequence[str], env: Mapping[str, str], **options: Any) -> subprocess.Popen[bytes]:
    """Start a process that imports from where this one does; it has to call `die_with_parent` to end with it."""
    path = os.pathsep.join(import_path())

    def launch() -> subprocess.Popen[bytes]:
        return subprocess.Popen(command, env={**os.environ, **env, "PYTHONPATH": path}, **options)

    return STARTER.submit(launch).result()


def import_path() -> list[str]:
    """Where this process imports from, without folders that are packages themselves.

    OpenCV puts its own there for the moment of its import, and a child that starts then would take the `typing` in it
    for Python's.
    """
    folders = [os.path.abspath(entry) for entry in sys.path]
    return [folder for folder in folders if not os.path.exists(os.path.join(folder, "__init__.py"))]


def die_with_parent(parent: int) -> None:
    """Ask the kernel for SIGKILL when the parent goes, however it goes."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(0)


def started_at(pid: int) -> float | None:
    """When a process was started, in seconds since 1970; None where there is none."""
    try:
        return psutil.Process(pid).create_time()
    except psutil.Error:
        return None


def lives(pid: int, started: float) -> bool:
    """Whether this very process still runs; one that nobody has buried does not."""
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - started) < SAME_START_S and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
