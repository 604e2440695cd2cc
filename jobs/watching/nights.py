"""How a night stands, as its folder tells: `progress.json`, `summary.json`, and whether its process still lives."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from model_registry.errors import NightjarError, UsageError
from pipelines.places import Place, exists, listed, read_bytes, redacted
from pipelines.processes import lives

PROGRESS = "progress.json"
SUMMARY = "summary.json"
NIGHTS = "dt=*"
QUIET = timedelta(minutes=1)  # a run that says nothing for so long has stalled
TOLD = {"run", "state", "host", "pid", "process_started_at", "updated_at", "command"}
EARLIER = 8  # nights looked at for the last good one


class State(StrEnum):
    """Of a night."""

    WAITING = "waiting"  # nothing has been started
    RUNNING = "running"
    STALLED = "stalled"  # its process is gone, or has been quiet for too long
    INTERRUPTED = "interrupted"
    FAILED = "failed"
    DONE = "done"

    @property
    def is_over(self) -> bool:
        """Whether nothing will change unless somebody acts."""
        return self not in (State.WAITING, State.RUNNING)

    @property
    def wants_help(self) -> bool:
        """Whether somebody has to act."""
        return self in (State.STALLED, State.INTERRUPTED, State.FAILED)


@dataclass(frozen=True)
class Standing:
    """One night: its state, one sentence about it where there is something to say, and what its files hold."""

    folder: Place
    state: State
    why: str
    progress: Mapping[str, Any]
    summary: Mapping[str, Any]

    @property
    def night(self) -> str:
        """The day, or the folder's name where it has none."""
        return self.folder.name.removeprefix("dt=")


def nights_in(folder: Place) -> list[Place]:
    """Return the nights of a folder, oldest first, or the folder itself if it is one; raises UsageError for others."""
    if nights := listed(folder, NIGHTS):
        return nights
    if folder.name.startswith("dt=") or any(exists(folder / name) for name in (PROGRESS, SUMMARY)):
        return [folder]
    wanted = f"folders dt=YYYY-MM-DD, {PROGRESS} or {SUMMARY}"
    raise UsageError(f"{redacted(str(folder))} holds no night: wanted {wanted}")


def standing(folder: Place, now: datetime | None = None) -> Standing:
    """Read how a night stands."""
    progress, summary = read_progress(folder), read_json(folder / SUMMARY)
    state, why = _judge(progress, summary, now or datetime.now(UTC))
    return Standing(folder, state, why, progress, summary)


def _judge(progress: Mapping[str, Any], summary: Mapping[str, Any], now: datetime) -> tuple[State, str]:
    if not progress:
        return (State.DONE, "") if summary else (State.WAITING, "nothing has been started yet")
    state = State(progress["state"])
    if state is State.RUNNING and summary.get("run", {}).get("id") == progress["run"]:
        return State.DONE, ""  # it was killed after the summary, which is written last
    if state is State.RUNNING and (reason := _stalled(progress, now)):
        return State.STALLED, f"{reason}; {_again(progress)}"
    if state in (State.FAILED, State.INTERRUPTED):
        return state, f"{progress.get('error') or 'no reason was kept'}; {_again(progress)}"
    return state, ""


def _stalled(progress: Mapping[str, Any], now: datetime) -> str:
    """Say why a run that calls itself running is not, or nothing."""
    here = progress["host"] == socket.gethostname()
    if here and not lives(progress["pid"], progress["process_started_at"]):
        return f"process {progress['pid']} is gone: killed after {progress['updated_at']}"
    if (quiet := now - datetime.fromisoformat(progress["updated_at"])) > QUIET:
        where = f"process {progress['pid']} on {progress['host']}"
        return f"{where} has said nothing for {span(quiet.total_seconds())}"
    return ""


def _again(progress: Mapping[str, Any]) -> str:
    return f"run the same command again: {progress['command']}"


def last_success(folder: Place) -> float | None:
    """Return when a night of this series last ended well, in seconds since 1970, as far as recent nights tell."""
    series = listed(folder.parent, NIGHTS) if folder.name.startswith("dt=") else [folder]
    known = [read_progress(night).get("last_success_at") for night in sorted(series, key=_name)[-EARLIER:]]
    return max((datetime.fromisoformat(moment).timestamp() for moment in known if moment), default=None)


def _name(folder: Place) -> str:
    return folder.name


def read_progress(folder: Place) -> dict[str, Any]:
    """Read a night's `progress.json`; nothing where there is none that says how a run stands."""
    found = read_json(folder / PROGRESS)
    return found if found.keys() >= TOLD else {}


def read_json(path: Place) -> dict[str, Any]:
    """Read one JSON object; nothing where there is none that can be read."""
    try:
        found = json.loads(read_bytes(path))
    except (OSError, ValueError, NightjarError):
        return {}
    return found if isinstance(found, dict) else {}


def span(seconds: float) -> str:
    """Write a duration as a person says it: 42 s, 5 min, 3.5 h, 2 d."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 72 * 3600 else f"{seconds / 86400:.0f} d"
