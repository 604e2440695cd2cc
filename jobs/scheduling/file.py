"""The schedule as a TOML file: when the night runs, over what, where to, and on which cluster. It holds no secret."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from jobs.scheduling.cluster import Kubernetes, parse_kubernetes
from jobs.scheduling.timetable import Timetable, dated, is_dated
from model_registry.bundles import BUNDLES
from model_registry.errors import UsageError
from pipelines.risk.kinds import Kind, hold_to, is_text, is_whole, one_of

OF_THE_SCHEDULE = ("--date", "--input", "--output", "--bundle", "--policy", "--bank", "--lexicon")
BY_DAY = Kind("a text with the day in it, such as 's3://uploads/dt=%Y-%m-%d/'", is_text)


def _is_time(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value) is not None


def _is_day(value: object) -> bool:
    return isinstance(value, date) and not isinstance(value, datetime)


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(map(is_text, value))


def from_to(low: int, high: int) -> Kind:
    """A whole number within bounds."""
    return Kind(f"a whole number from {low} to {high}", lambda value: is_whole(value) and low <= value <= high)


VARIABLE = re.compile(r"env:([A-Za-z_]\w*)")
KEYS = {
    "at": Kind("a local time such as '02:30'", _is_time, required=True),
    "timezone": Kind("a time zone such as 'Asia/Shanghai'", is_text, required=True),
    "day_offset": from_to(0, 31),
    "first_night": Kind("a day such as 2026-11-21, without quotes", _is_day),
    "catch_up_nights": from_to(1, 366),
    "retry_hours": from_to(0, 12),
    "input": Kind(BY_DAY.words, is_text, required=True),
    "ready": BY_DAY,
    "missing_after_hours": from_to(0, 744),
    "output": Kind("a folder or a URI", is_text, required=True),
    "bundle": one_of(BUNDLES),
    "policy": Kind("a shipped policy or a TOML file", is_text),
    "bank": Kind("a folder or a URI", is_text),
    "lexicons": Kind("a list of files", _is_texts),
    "options": Kind("a list of texts", _is_texts),
    "webhook": Kind("the name of an environment variable such as 'env:NIGHTJAR_WEBHOOK'", is_text),
    "webhook_secret": Kind("the name of an environment variable such as 'env:NIGHTJAR_WEBHOOK_SECRET'", is_text),
    "kubernetes": Kind("a table headed [kubernetes]", lambda value: isinstance(value, dict)),
}


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """One nightly recall."""

    timetable: Timetable
    input: str  # a pattern of strftime
    output: str
    ready: str | None = None  # what is there when the manifest is whole
    catch_up_nights: int = 7
    retry_hours: int = 0
    missing_after: timedelta = timedelta(hours=6)
    bundle: str = "lite"
    policy: str = "default"
    bank: str | None = None
    lexicons: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    webhook: str | None = None  # the environment variable with its address
    webhook_secret: str | None = None
    kubernetes: Kubernetes | None = None

    def __post_init__(self) -> None:
        """Refuse patterns without a day, credentials, and options that the schedule has keys for."""
        for name in ("input", "ready"):
            if (pattern := getattr(self, name)) and not is_dated(pattern):
                raise UsageError(f"{name} is {pattern!r}, wanted {BY_DAY.words}")
            if pattern:
                dated(pattern, date(2026, 1, 1))
        for name in ("input", "ready", "output", "bank"):
            _refuse_credentials(name, getattr(self, name) or "")
        if taken := [option for option in self.options if option.startswith(OF_THE_SCHEDULE)]:
            raise UsageError(f"options has {taken[0]!r}, wanted none of {', '.join(OF_THE_SCHEDULE)}: they have keys")

    def recall(self, night: date) -> list[str]:
        """Return the call of `nightjar recall` for a night."""
        call = ["recall", "--date", night.isoformat(), "--input", dated(self.input, night), "--output", self.output]
        call += ["--bundle", self.bundle, "--policy", self.policy]
        call += ["--bank", self.bank] if self.bank else []
        return [*call, *(word for file in self.lexicons for word in ("--lexicon", file)), *self.options]

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables it reads secrets from."""
        return tuple(name for name in (self.webhook, self.webhook_secret) if name)


def _refuse_credentials(name: str, text: str) -> None:
    parts = urlsplit(text) if "://" in text else urlsplit("")
    if "@" in parts.netloc or parts.query:
        shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/..."
        raise UsageError(f"{name} is {shown!r} with credentials or a query, wanted a URI without; use the environment")


def load_schedule(path: Path) -> Schedule:
    """Read a schedule; raises UsageError that names the file, the key, the value and what is allowed."""
    try:
        return parse_schedule(tomllib.loads(path.read_bytes().decode("utf-8-sig")))
    except OSError as error:
        raise UsageError(f"schedule {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"schedule {path}: byte {error.start + 1} is not UTF-8; save the file as UTF-8") from error
    except (UsageError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"schedule {path}: {error}") from error


def parse_schedule(data: Mapping[str, Any]) -> Schedule:
    """Build a schedule from parsed TOML; raises UsageError that names the fault."""
    hold_to(KEYS, data, "it")
    zone, at = _zone(data["timezone"]), time.fromisoformat(data["at"])
    timetable = Timetable(at, zone, data.get("day_offset", 1), data.get("first_night"))
    plain = ("input", "output", "ready", "catch_up_nights", "retry_hours", "bundle", "policy", "bank")
    given: dict[str, Any] = {name: data[name] for name in plain if name in data}
    given |= {name: tuple(data[name]) for name in ("lexicons", "options") if name in data}
    given |= {name: _variable(name, data[name]) for name in ("webhook", "webhook_secret") if name in data}
    if "missing_after_hours" in data:
        given["missing_after"] = timedelta(hours=data["missing_after_hours"])
    cluster = parse_kubernetes(data["kubernetes"]) if "kubernetes" in data else None
    return Schedule(timetable=timetable, kubernetes=cluster, **given)


def _variable(name: str, text: str) -> str:
    """The variable's name; an error does not repeat what may be a secret."""
    if not (found := VARIABLE.fullmatch(text)):
        raise UsageError(
            f"{name} is not the name of an environment variable, wanted one such as 'env:NIGHTJAR_WEBHOOK'"
        )
    return found[1]


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UsageError(
            f"timezone is {name!r}, wanted a name of the time zone database, as 'Asia/Shanghai'"
        ) from error


def secret_of(variable: str | None) -> str | None:
    """Return what an environment variable holds, None where it is empty or not there."""
    return os.environ.get(variable, "").strip() or None if variable else None
