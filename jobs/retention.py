"""What of a night goes when: its decisions stay, the rest as long as a policy's [retention] says."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from fnmatch import fnmatchcase
from typing import Any

from pipelines.lock import is_held
from pipelines.places import PART, Place, read_bytes, redacted
from pipelines.risk.policy import Policy
from pipelines.trees import Tree, children, is_folder, is_link, measure

# What a part of a night holds. It goes as soon as the first of them is due: features have pictures and lines in them,
# the report shows pictures and prints lines. Whatever is not named here stays.
HOLDS = {
    "features": ("features", "evidence", "transcripts"),
    "evidence": ("evidence",),
    "report.html": ("evidence", "transcripts"),
    "transcripts.parquet": ("transcripts",),
}
AGAIN = ("policy=", "rescan=")  # folders of a night that was judged or rescanned again
SUMMARY = "summary.json"


@dataclass(frozen=True)
class Rule:
    """When things go."""

    policy: Policy
    older_than_days: int  # whatever the policy says, nothing younger goes
    unfinished: bool = False  # whether nights without a summary are touched

    def is_due(self, name: str, age_days: int) -> bool:
        """Whether a part of a night goes at this age."""
        kept = [days for kind in HOLDS[name] if (days := getattr(self.policy.retention, kind)) is not None]
        return bool(kept) and age_days >= max(self.older_than_days, min(kept))


@dataclass(frozen=True)
class Part:
    """Something of a night that goes."""

    name: str  # below the night: `features`, `policy=x/evidence`
    place: Place
    tree: Tree


@dataclass(frozen=True)
class Due:
    """What goes of one night, or why nothing does."""

    night: Place
    summary: dict[str, Any] | None = None  # None: it never finished
    age_days: int | None = None
    parts: tuple[Part, ...] = ()
    why_not: str | None = None

    @property
    def bytes(self) -> int:
        """How much goes."""
        return sum(part.tree.bytes for part in self.parts)

    @property
    def files(self) -> int:
        """How many files go."""
        return sum(part.tree.files for part in self.parts)

    @property
    def links(self) -> list[str]:
        """Symbolic links in what goes; they stay."""
        return [link for part in self.parts for link in part.tree.links]

    @property
    def is_half_done(self) -> bool:
        """Whether an earlier pruning was cut short."""
        return any(not entry["ended_at"] for entry in _entries(self.summary))


@dataclass(frozen=True)
class Night:
    """A folder that `recall` or `scan` wrote, as far as pruning needs it."""

    folder: Place
    summary: dict[str, Any] | None

    @classmethod
    def of(cls, folder: Place) -> Night:
        """Read its summary; raises ValueError where there is one that nobody can read."""
        return cls(folder, read_summary(folder))

    def age_days(self, today: date) -> int | None:
        """Days since the night, or since it was run where that was later; None where neither is known."""
        known = [day for day in (_day_in_name(self.folder.name), started_on(self.summary)) if day]
        return (today - max(known)).days if known else None


def due(folder: Place, rule: Rule, today: date) -> Due:
    """Say what goes of a night. Raises OSError."""
    if is_link(folder):
        return Due(folder, why_not="is a symbolic link")
    if holder := is_held(folder):
        return Due(folder, why_not=f"is being worked at by {holder}")
    try:
        night = Night.of(folder)
    except ValueError:
        return Due(folder, why_not=f"has a {SUMMARY} that cannot be read")
    age_days = night.age_days(today)
    if night.summary is None and not rule.unfinished:
        return Due(folder, None, age_days, why_not=f"did not finish: it has no {SUMMARY}; --unfinished prunes it")
    if age_days is None:
        return Due(folder, night.summary, why_not="says nowhere of which day it is")
    return Due(folder, night.summary, age_days, tuple(_parts(night, rule, today, age_days)))


def _parts(night: Night, rule: Rule, today: date, age_days: int) -> Iterator[Part]:
    begun = {name for entry in _entries(night.summary) if not entry["ended_at"] for name in entry["parts"]}
    for at in (night.folder, *_judged_again(night.folder)):
        again = at != night.folder
        age = _age_again(at, today, age_days) if again else age_days
        for child in children(at):
            name = f"{at.name}/{child.name}" if again else child.name
            what = _what(child.name)
            if what and (name in begun or rule.is_due(what, age)):
                yield Part(name, child, measure(child))


def _what(name: str) -> str | None:
    """Which row of HOLDS speaks of a file; one that was never finished goes with what it was to be."""
    return next((known for known in HOLDS if name == known or fnmatchcase(name, f"{known}.*{PART}")), None)


def _judged_again(folder: Place) -> list[Place]:
    return [at for at in children(folder) if at.name.startswith(AGAIN) and is_folder(at)]


def _age_again(at: Place, today: date, night_days: int) -> int:
    """Verdicts that came later are younger, where they say so."""
    try:
        then = started_on(read_summary(at))
    except ValueError:
        then = None
    return min(night_days, (today - then).days) if then else night_days


def read_summary(folder: Place) -> dict[str, Any] | None:
    """Return what a night says of itself, None where it never finished; raises ValueError."""
    try:
        found = json.loads(read_bytes(folder / SUMMARY))
    except FileNotFoundError:
        return None
    if not isinstance(found, dict):
        raise ValueError(f"{SUMMARY} is no JSON object")
    return found


def started_on(summary: Mapping[str, Any] | None) -> date | None:
    """Return the day on which a run began, in UTC, where it says so."""
    try:
        began = datetime.fromisoformat((summary or {})["run"]["started_at"])
    except (KeyError, TypeError, ValueError):
        return None
    return (began.astimezone(UTC) if began.tzinfo else began).date()


def _day_in_name(name: str) -> date | None:
    try:
        return date.fromisoformat(name.removeprefix("dt="))
    except ValueError:
        return None


def noted(
    summary: Mapping[str, Any], parts: Iterable[Part], rule: Rule, began_at: datetime, ended_at: datetime | None = None
) -> dict[str, Any]:
    """Return the summary with what goes of its night; an entry that was cut short is taken up again."""
    entries = _entries(summary)
    counted = {part.name: {"files": part.tree.files, "bytes": part.tree.bytes} for part in parts}
    for cut in (entry for entry in entries if not entry["ended_at"]):
        counted |= cut["parts"]  # from when all was still there
    entry = {
        "began_at": began_at.isoformat(timespec="seconds"),
        "ended_at": ended_at.isoformat(timespec="seconds") if ended_at else None,
        "policy": rule.policy.id,
        "older_than_days": rule.older_than_days,
        "parts": counted,
    }
    return {**summary, "pruned": [*(one for one in entries if one["ended_at"]), entry]}


def _entries(summary: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (summary or {}).get("pruned", [])
    return found


def why_gone(folder: Place, summary: Mapping[str, Any], name: str = "features") -> str | None:
    """Say when and why a part of a night was pruned, for those who miss it; None where it was not."""
    entry = next((one for one in _entries(summary) if name in one["parts"]), None)
    if entry is None:
        return None
    return f"{name} of {redacted(str(folder))} was pruned on {entry['began_at'][:10]}, as policy {entry['policy']} says"
