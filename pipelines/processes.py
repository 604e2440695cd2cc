"""Processes of this host: which is which, and whether it still runs. Ids come again, so its start belongs to it."""

from __future__ import annotations

import psutil

SAME_START_S = 1.0  # a start is reckoned from the clock, which may be set


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
