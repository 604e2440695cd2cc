"""What becomes of a match: `action`, `in_doubt` or nothing, at the thresholds of a policy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import nan
from typing import Literal

from benchmarks.copies.metrics import HOUR_MS, Match, Pair
from pipelines.risk.policy import load_policy

Level = Literal["action", "in_doubt"]
LABEL = "Copyright"


@dataclass(frozen=True)
class Levels:
    """From `high` on there is action, from `low` on a doubt; spans below `least_ms` count for nothing."""

    low: float
    high: float
    least_ms: float = 0.0

    def level(self, match: Match, upload_ms: float) -> Level | None:
        """The level of one match; in an upload shorter than `least_ms`, its whole length is enough."""
        if match.score < self.low or match.end_ms - match.start_ms < min(self.least_ms, upload_ms):
            return None
        return "action" if match.score >= self.high and not match.doubted else "in_doubt"


def shipped() -> Levels:
    """The thresholds that the shipped policy has for what a bank matched."""
    (rule,) = (rule for rule in load_policy("default").rules if rule.label == LABEL)
    return Levels(*rule.abstain, rule.min_duration_ms)


@dataclass(frozen=True)
class Said:
    """Pairs of upload and reference that were said, by level, right and false; an action is no doubt besides."""

    right_action: int
    false_action: int
    right_doubt: int
    false_doubt: int
    copies: int
    uploads: int
    hours: float

    @property
    def precision(self) -> float:
        """Of the pairs at action, those that are copies."""
        said = self.right_action + self.false_action
        return self.right_action / said if said else nan

    @property
    def recall(self) -> float:
        """Of the copies, those at action."""
        return self.right_action / self.copies if self.copies else nan

    @property
    def recall_with_doubt(self) -> float:
        """Of the copies, those at action or in doubt."""
        return (self.right_action + self.right_doubt) / self.copies if self.copies else nan

    def false_per(self, uploads: int, level: Level = "action") -> float:
        """False pairs at a level, for so many uploads."""
        false = self.false_action if level == "action" else self.false_doubt
        return false * uploads / self.uploads if self.uploads else nan

    @property
    def false_per_1000h(self) -> float:
        """False pairs at action, for every thousand hours of uploads."""
        return self.false_action * 1000 / self.hours if self.hours else nan


def said(truth: Iterable[Match], matches: Iterable[Match], levels: Levels, lengths: Mapping[str, int]) -> Said:
    """Count pairs by level; `lengths` holds the milliseconds of every upload that was searched."""
    wanted = {match.pair for match in truth}
    of_pair: dict[Pair, Level] = {}
    for match in matches:
        level = levels.level(match, lengths[match.query])
        if level and of_pair.get(match.pair) != "action":
            of_pair[match.pair] = level
    counts = Counter((pair in wanted, level) for pair, level in of_pair.items())
    hours = sum(lengths.values()) / HOUR_MS
    right_action, false_action = counts[True, "action"], counts[False, "action"]
    right_doubt, false_doubt = counts[True, "in_doubt"], counts[False, "in_doubt"]
    return Said(right_action, false_action, right_doubt, false_doubt, len(wanted), len(lengths), hours)
