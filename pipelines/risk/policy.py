"""A policy: a TOML file that says from which score on a label is reviewed or blocked. It holds no model."""

from __future__ import annotations

import hashlib
import os
import re
import tomllib
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from model_registry.errors import UsageError
from model_registry.labels import FORMS, covers, taxonomy
from pipelines.risk.kinds import (
    Kind,
    hold_to,
    is_name,
    is_number,
    is_pair,
    is_tables,
    is_text,
    is_whole,
    one_of,
    some_of,
)
from pipelines.risk.segments import Shape
from pipelines.risk.signals import FLOOR, Signal

POLICIES = Path(__file__).with_name("policies")
NAME = Kind("letters, digits, '.', '_' or '-' in quotes", is_name, required=True)
TERRITORY = Kind("a country such as 'US', or '*'", lambda value: re.fullmatch(r"[A-Z]{2}|\*", str(value)) is not None)
ONLY_BY_NAME = {"clusters"}  # whose upload came first is no rule's business until `models` says so
POLICY_KEYS = {
    "name": NAME,
    "version": NAME,
    "territory": TERRITORY,
    "rule": Kind("tables headed [[rule]]", is_tables),
    "retention": Kind("a table headed [retention]", lambda value: isinstance(value, dict)),
    "keyframes": Kind("a table headed [keyframes]", lambda value: isinstance(value, dict)),
}
DAYS = Kind("a whole number of days from 0 on", lambda value: is_whole(value) and value >= 0)
RETENTION_KEYS = {"features": DAYS, "evidence": DAYS, "transcripts": DAYS}
FROM_ONE = Kind("a whole number from 1 on", lambda value: is_whole(value) and value >= 1)
KEYFRAMES_KEYS = {
    "unsure_from": Kind("a number from 0 to 1", lambda value: is_number(value) and 0 <= value <= 1),
    "longest_gap_ms": FROM_ONE,
    "every_ms": FROM_ONE,
}


class Suggestion(StrEnum):
    """What happens to a video, mildest first."""

    PASS = "pass"  # noqa: S105  not a password
    REVIEW = "review"
    BLOCK = "block"

    @property
    def rank(self) -> int:
        """0 for pass, 2 for block."""
        return list(Suggestion).index(self)


RULE_KEYS = {
    "label": Kind("a label in quotes", is_text, required=True),
    "abstain": Kind("[low, high]", is_pair, required=True),
    "action": one_of(Suggestion),
    "in_doubt": one_of(Suggestion),
    "models": Kind("a model's name or pattern in quotes", is_text),
    "forms": some_of(FORMS),
    "hold": Kind("a number", is_number),
    "smooth_ms": Kind("a whole number", is_whole),
    "gap_ms": Kind("a whole number", is_whole),
    "min_duration_ms": Kind("a whole number", is_whole),
    "severity": Kind("a whole number from 1 to 5", is_whole),
}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One label's thresholds: below `abstain[0]` nothing, from `abstain[1]` on `action`, between them a doubt."""

    label: str
    abstain: tuple[float, float]
    action: Suggestion = Suggestion.REVIEW
    in_doubt: Suggestion = Suggestion.REVIEW
    models: str = "*"  # which models' signals, as a shell pattern
    forms: tuple[str, ...] = FORMS
    hold: float | None = None  # a segment goes on down to this score; by default 0.8 of low
    smooth_ms: int = 0
    gap_ms: int = 2000
    min_duration_ms: int = 0
    severity: int = 3  # 1 to 5, weighs in the order of review

    def __post_init__(self) -> None:
        """Hold the rule to the taxonomy and to reason."""
        where = f"rule for {self.label!r}"
        taxonomy()[self.label]
        low, high = self.abstain
        if not FLOOR <= low <= high <= 1:
            raise UsageError(f"{where}: abstain is [{low}, {high}], wanted {FLOOR} <= low <= high <= 1")
        if self.hold is not None and not FLOOR <= self.hold <= low:
            raise UsageError(f"{where}: hold is {self.hold}, wanted {FLOOR} to {low}")
        if self.in_doubt.rank > self.action.rank:
            raise UsageError(f"{where}: in_doubt is {self.in_doubt}, wanted nothing graver than action, {self.action}")
        if not 1 <= self.severity <= 5:
            raise UsageError(f"{where}: severity is {self.severity}, wanted 1 to 5")
        if not self.forms or set(self.forms) - set(FORMS):
            raise UsageError(f"{where}: forms is {list(self.forms)}, wanted one or more of {', '.join(FORMS)}")
        for name in ("smooth_ms", "gap_ms", "min_duration_ms"):
            if getattr(self, name) < 0:
                raise UsageError(f"{where}: {name} is {getattr(self, name)}, wanted 0 or more")

    @property
    def shape(self) -> Shape:
        """How its signals become segments."""
        low = self.abstain[0]
        hold = max(FLOOR, 0.8 * low) if self.hold is None else self.hold
        return Shape(low, hold, self.smooth_ms, self.gap_ms, self.min_duration_ms)

    def suggests(self, score: float) -> Suggestion:
        """What a segment with this score leads to."""
        return self.action if score >= self.abstain[1] else self.in_doubt

    def speaks_of(self, signal: Signal) -> bool:
        """Whether the signal falls under this rule; of some sources only a rule that names them speaks."""
        same = covers(self.label, signal.label) and signal.form in self.forms
        shadow = signal.model in ONLY_BY_NAME and self.models == "*"
        return same and not shadow and fnmatchcase(signal.model, self.models)


@dataclass(frozen=True, kw_only=True)
class Retention:
    """For how many days a night keeps what it has besides its decisions: 0 is not at all, None for ever.

    It says nothing about verdicts: `nightjar prune` alone reads it.
    """

    features: int | None = None  # what `judge` and `rescan` read
    evidence: int | None = None  # pictures
    transcripts: int | None = None  # what people said and what was shown as text

    def __post_init__(self) -> None:
        """Hold it to reason."""
        hold_to(RETENTION_KEYS, {name: days for name, days in vars(self).items() if days is not None}, "retention")


@dataclass(frozen=True, kw_only=True)
class Keyframes:
    """When a look at keyframes settles a video; any other is looked at densely.

    It says nothing where nobody asks for keyframes first.
    """

    unsure_from: float = 0.25  # share of a rule's low: a keyframe with this score or more leaves a doubt
    longest_gap_ms: int = 10_500  # a longer stretch that nobody looked at leaves one too
    every_ms: int = 5000  # at most one keyframe is looked at in so much time

    def __post_init__(self) -> None:
        """Hold it to reason."""
        hold_to(KEYFRAMES_KEYS, vars(self), "keyframes")


@dataclass(frozen=True)
class Policy:
    """A named, versioned set of rules."""

    name: str
    version: str
    digest: str  # of the file: an edited policy is another one
    rules: tuple[Rule, ...]
    taxonomy: str
    territory: str = "*"  # where videos are shown (ISO 3166-1 alpha-2): which licences of references hold
    retention: Retention = Retention()
    keyframes: Keyframes = Keyframes()

    @property
    def id(self) -> str:
        """`name@version+digest`."""
        return f"{self.name}@{self.version}+{self.digest[:8]}"

    def rule_for(self, signal: Signal) -> Rule | None:
        """Return the closest rule: the longer label, then the longer model pattern, then the fewer forms.

        None is shadow mode.
        """
        fitting = [rule for rule in self.rules if rule.speaks_of(signal)]
        return max(fitting, key=lambda rule: (len(rule.label), len(rule.models), -len(rule.forms)), default=None)


def load_policy(name_or_path: str) -> Policy:
    """Read a shipped policy by name, or a file; raises UsageError that names the file and the fault."""
    shipped = {file.stem: file for file in sorted(POLICIES.glob("*.toml"))}
    path = shipped.get(name_or_path, Path(name_or_path))
    if not os.path.isfile(path):
        raise UsageError(f"policy {name_or_path!r} is no file and none of the shipped ones ({', '.join(shipped)})")
    try:
        content = path.read_bytes()
        return parse_policy(tomllib.loads(content.decode("utf-8-sig")), hashlib.sha256(content).hexdigest())
    except OSError as error:
        raise UsageError(f"policy {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"policy {path}: byte {error.start + 1} is not UTF-8; save the file as UTF-8 text") from error
    except (UsageError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"policy {path}: {error}") from error


def parse_policy(data: dict[str, Any], digest: str) -> Policy:
    """Build a policy from parsed TOML; raises UsageError that names the fault."""
    hold_to(POLICY_KEYS, data, "it")
    rules = tuple(_rule(row, number) for number, row in enumerate(data.get("rule", []), 1))
    keys = [(rule.label, rule.models, frozenset(rule.forms)) for rule in rules]
    if repeated := sorted({key[0] for key in keys if keys.count(key) > 1}):
        raise UsageError(f"there are two rules for {', '.join(map(repr, repeated))} with the same models and forms")
    shown, kept, first = data.get("territory", "*"), data.get("retention", {}), data.get("keyframes", {})
    hold_to(RETENTION_KEYS, kept, "retention")
    hold_to(KEYFRAMES_KEYS, first, "keyframes")
    return Policy(
        data["name"],
        data["version"],
        digest,
        rules,
        taxonomy().version,
        shown,
        Retention(**kept),
        Keyframes(**first),
    )


def _rule(row: dict[str, Any], number: int) -> Rule:
    where = f"rule for {row['label']!r}" if is_text(row.get("label")) else f"rule {number}"
    hold_to(RULE_KEYS, row, where)
    given = {**row, "abstain": tuple(row["abstain"]), "forms": tuple(row.get("forms", FORMS))}
    given |= {name: Suggestion(row[name]) for name in ("action", "in_doubt") if name in row}
    return Rule(**given)
