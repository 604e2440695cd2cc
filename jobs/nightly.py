"""Run every night of a schedule that is due and not finished, oldest first. What cron and Kubernetes call."""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from jobs import cli, progress
from jobs.scheduling.file import Schedule, load_schedule, secret_of
from jobs.scheduling.timetable import dated
from jobs.scheduling.webhook import Webhook, tell
from model_registry.errors import NightjarError, UsageError
from pipelines import listing, places
from pipelines.lock import LockedError

EXAMPLES = """examples:
  nightjar nightly nightly.toml
  nightjar nightly nightly.toml --dry-run
  nightjar nightly nightly.toml --now 2026-11-22T03:00+08:00

The schedule is a TOML file: `nightjar schedule example` prints one. A night is finished when its folder has a
summary.json; a night that is not is run, or goes on, by the same code as `nightjar recall`. Run it as often as you
like. Exit status: the worst of its nights."""
NOTHING_DUE = "no night is due that is not finished"


class State(StrEnum):
    """How a night stands."""

    DONE = "done"
    FAILED = "failed"
    MISSING = "missing"  # its manifest should be there by now: an alarm, once
    WAITING = "waiting"  # its manifest is not there yet
    RUNNING = "running"  # somebody else works at it

    @property
    def is_news(self) -> bool:
        """Whether somebody has to be told."""
        return self in (State.DONE, State.FAILED, State.MISSING)


@dataclass(frozen=True)
class Result:
    """What became of a night."""

    night: date
    state: State
    exit_status: int = 0
    error: str | None = None
    summary: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def text(self) -> str:
        """One line for a person."""
        if self.state is State.DONE:
            found = self.summary.get("counts", {})
            kinds = ", ".join(f"{found.get(name, 0)} {name}" for name in ("block", "review", "pass", "incomplete"))
            return f"night {self.night}: done, {found.get('videos', 0)} videos: {kinds}, in {self.seconds:.0f} s"
        return f"night {self.night}: {self.state}, {self.error}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    parser.add_argument("file", type=Path, metavar="FILE", help="the schedule, a TOML file")
    parser.add_argument("--now", type=moment, metavar="T", help="the time to go by, with its offset (default: now)")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done")


def moment(text: str) -> datetime:
    """Parse a time that says its offset from UTC."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no time, wanted one such as 2026-11-22T03:00+08:00") from error
    if parsed.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} has no offset, wanted one such as 2026-11-22T03:00+08:00")
    return parsed


def run(args: argparse.Namespace) -> int:
    """Run what is due; one line a night on standard error, one message a night to the webhook."""
    schedule, now = load_schedule(args.file), args.now or datetime.now(UTC)
    if args.dry_run:
        return _say_what_is_due(schedule, now)
    webhook = webhook_of(schedule)
    try:
        nights = unfinished(schedule, now)
    except NightjarError as error:  # the output is out of reach: nobody would learn of it without a message
        newest = schedule.timetable.nights_due(now, 1)[-1]
        tell(webhook, payload(schedule, Result(newest, State.FAILED, error=str(error))))
        raise
    if not nights:
        progress.say(NOTHING_DUE)
    return max((_one(schedule, night, now, webhook).exit_status for night in nights), default=0)


def _say_what_is_due(schedule: Schedule, now: datetime) -> int:
    nights = unfinished(schedule, now)
    for night in nights:
        verb = "run" if is_ready(schedule, night) else "wait for"
        progress.say(f"night {night}: would {verb} {_input(schedule, night)}")
    if not nights:
        progress.say(NOTHING_DUE)
    return 0


def unfinished(schedule: Schedule, now: datetime) -> list[date]:
    """Return the nights that are due and have no summary.json, oldest first."""
    due = schedule.timetable.nights_due(now, schedule.catch_up_nights)
    return [night for night in due if not places.exists(folder_of(schedule, night) / "summary.json")]


def folder_of(schedule: Schedule, night: date) -> places.Place:
    """Where `nightjar recall` puts a night."""
    return places.place(schedule.output) / f"dt={night.isoformat()}"


def is_ready(schedule: Schedule, night: date) -> bool:
    """Whether the manifest is there, and the file that says it is whole if the schedule names one."""
    marks = [dated(schedule.ready, night)] if schedule.ready else []
    return all(map(listing.exists, [*marks, dated(schedule.input, night)]))


def webhook_of(schedule: Schedule) -> Webhook | None:
    """Return whom to tell. A variable that is not set is a warning: the night is worth more than its message."""
    url = secret_of(schedule.webhook)
    if schedule.webhook and not url:
        progress.say(f"warning: {schedule.webhook} is not set, so that nobody is told how the night went")
    if schedule.webhook_secret and not secret_of(schedule.webhook_secret):
        raise UsageError(f"webhook_secret: {schedule.webhook_secret} is not set, wanted the key that signs messages")
    return Webhook(url, secret_of(schedule.webhook_secret)) if url else None


def _one(schedule: Schedule, night: date, now: datetime, webhook: Webhook | None) -> Result:
    began = time.monotonic()
    result = _guarded(night, lambda: _run_or_wait(schedule, night, now))
    result = replace(result, seconds=time.monotonic() - began)
    progress.say(result.text)
    if result.state.is_news:
        tell(webhook, payload(schedule, result))
    if result.state is State.MISSING:
        alarm = _alarm(schedule, night)
        places.make(alarm.parent)
        places.write_text(alarm, f"{result.text}\n")
    return result


def _run_or_wait(schedule: Schedule, night: date, now: datetime) -> Result:
    if not is_ready(schedule, night):
        return _absent(schedule, night, now)
    if status := _recall(schedule.recall(night)):
        return Result(night, State.FAILED, status, f"exit status {status}")
    return Result(night, State.DONE, summary=_summary(folder_of(schedule, night)))


def _recall(call: list[str]) -> int:
    args = cli.parse(call)
    return int(args.run(args))


def _absent(schedule: Schedule, night: date, now: datetime) -> Result:
    """Somebody's upload is late: early on that is no fault yet, and later one alarm is enough."""
    late = now - schedule.timetable.due_at(night) >= schedule.missing_after
    late = late and not places.exists(_alarm(schedule, night))
    state = State.MISSING if late else State.WAITING
    return Result(night, state, int(late), f"there is no {_input(schedule, night)} yet")


def _alarm(schedule: Schedule, night: date) -> places.Place:
    """What says that somebody was told that a manifest is missing."""
    return places.place(schedule.output) / "alarms" / f"missing-{night.isoformat()}.txt"


def _input(schedule: Schedule, night: date) -> str:
    return places.redacted(dated(schedule.input, night))


def _guarded(night: date, work: Callable[[], Result]) -> Result:
    """One night's fault, even a program's, costs no other night."""
    try:
        return work()
    except LockedError as error:
        return Result(night, State.RUNNING, error=places.redacted(str(error)))
    except NightjarError as error:
        cause, status = str(error), error.exit_status
    except SystemExit as end:  # argparse has said what was wrong with the call
        cause, status = "the call of `nightjar recall` was wrong", int(end.code or 0)
    except Exception as error:  # noqa: BLE001  a defect or a cluster that is gone: said in full here, in short there
        traceback.print_exc()
        cause, status = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}", 1
    return Result(night, State.FAILED, status or 1, places.redacted(cause))


def _summary(folder: places.Place) -> dict[str, Any]:
    summary: dict[str, Any] = json.loads(places.read_bytes(folder / "summary.json"))
    return summary


def payload(schedule: Schedule, result: Result) -> dict[str, Any]:
    """What the webhook is told; `text` is what chat tools show."""
    found, folder = result.summary.get("counts", {}), folder_of(schedule, result.night)
    return {
        "event": "nightjar.night",
        "night": result.night.isoformat(),
        "status": result.state,
        "counts": {name: found.get(name, 0) for name in ("videos", "block", "review", "pass", "incomplete")},
        "errors": found.get("errors", {}),
        "error": result.error,
        "seconds": round(result.seconds, 1),
        "report": places.redacted(str(folder / "report.html")) if result.state is State.DONE else None,
        "text": result.text,
    }


if __name__ == "__main__":
    from jobs.cli import main

    main(["nightly", *sys.argv[1:]])
