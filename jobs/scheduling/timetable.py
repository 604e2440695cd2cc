"""When a night is due: a local time on the day after it, each night once, whatever the clocks do."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from model_registry.errors import UsageError

DIRECTIVES = "Ymdyj"
A_DIRECTIVE = re.compile(f"%[{DIRECTIVES}%]")
SAYS_A_DAY = re.compile(r"%[Ymyj]")  # %d alone may be a percent-encoded byte of a URI
MISTAKEN = re.compile(rf"%(?![{DIRECTIVES}]|[0-9A-Fa-f]{{2}})[A-Za-z]")
DAY = timedelta(days=1)


def dated(text: str, day: date) -> str:
    """Fill %Y, %m, %d, %y and %j with a day and make %% a %; raises UsageError for another directive.

    A text without a directive, and a local file of that very name, stay as they are.
    """
    if not is_dated(text) or os.path.lexists(text):
        return text
    if mistaken := MISTAKEN.search(text):
        allowed = ", ".join(f"%{letter}" for letter in DIRECTIVES)
        raise UsageError(f"pattern {text!r} has {mistaken.group()}, allowed: {allowed}")
    return A_DIRECTIVE.sub(lambda found: day.strftime(found.group()), text)


def is_dated(text: str) -> bool:
    """Whether a text is a pattern for days."""
    return SAYS_A_DAY.search(text) is not None


@dataclass(frozen=True)
class Timetable:
    """Night D is due at a local time, `day_offset` days after D."""

    at: time
    zone: ZoneInfo
    day_offset: int = 1
    first_night: date | None = None

    def __post_init__(self) -> None:
        """Refuse what no clock shows."""
        if self.at.tzinfo is not None:
            raise UsageError(f"at is {self.at}, wanted a local time without an offset")
        if not 0 <= self.day_offset <= 31:
            raise UsageError(f"day_offset is {self.day_offset}, wanted 0 to 31")

    def due_at(self, night: date) -> datetime:
        """Return the moment from which a night is due, in the schedule's zone.

        A time that exists twice means the first; one that does not exist means the first moment after the gap, which
        is when cron makes up for it.
        """
        wall = datetime.combine(night + self.day_offset * DAY, self.at)
        first, second = (wall.replace(tzinfo=self.zone, fold=fold).astimezone(UTC) for fold in (0, 1))
        moment = _change_between(second, first, self.zone) if second < first else first
        return moment.astimezone(self.zone)

    def nights_due(self, now: datetime, count: int) -> list[date]:
        """Return the last `count` nights that are due at a moment, oldest first."""
        newest = now.astimezone(self.zone).date() + DAY  # with day_offset 0 and odd clocks no night is left out
        nights = (newest - back * DAY for back in range(self.day_offset + count + 2))
        due = [night for night in nights if self.due_at(night) <= now and self._has_begun(night)]
        return sorted(due[:count])

    def next_runs(self, now: datetime, count: int) -> list[tuple[datetime, date]]:
        """Return the next runs after a moment, each with its night."""
        return list(islice(self._runs_after(now), count))

    def _runs_after(self, now: datetime) -> Iterator[tuple[datetime, date]]:
        night = now.astimezone(self.zone).date() - (self.day_offset + 1) * DAY
        night = max(night, self.first_night or night)
        while True:
            if (due := self.due_at(night)) > now:
                yield due, night
            night += DAY

    def _has_begun(self, night: date) -> bool:
        return self.first_night is None or night >= self.first_night


def _change_between(early: datetime, late: datetime, zone: ZoneInfo) -> datetime:
    """Find, to the second, when the clocks change between two moments in UTC."""
    before, low, high = early.astimezone(zone).utcoffset(), int(early.timestamp()), int(late.timestamp())
    while high - low > 1:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return datetime.fromtimestamp(high, UTC)
