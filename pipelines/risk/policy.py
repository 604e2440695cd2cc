"""A policy: a TOML file that says from which score on a label is reviewed or blocked. It holds no model."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from model_registry.errors import UsageError
from model_registry.labels import FORMS, covers, taxonomy
from pipelines.risk.segments import Shape
from pipelines.risk.signals import FLOOR, Signal

POLICIES = Path(__file__).with_name("policies")


class Suggestion(StrEnum):
    """What happens to a video, mildest first."""

    PASS = "pass"  # noqa: S105  not a password
    REVIEW = "review"
    BLOCK = "block"

    @property
    def rank(self) -> int:
        """0 for pass, 2 for block."""
        return list(Suggestion).index(self)


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
        if not 1 <= self.severity <= 5:
            raise UsageError(f"{where}: severity is {self.severity}, wanted 1 to 5")
        if unknown := set(self.forms) - set(FORMS):
            raise UsageError(f"{where}: forms has {sorted(unknown)}; allowed: {', '.join(FORMS)}")
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
        """Whether the signal falls under this rule."""
        same = covers(self.label, signal.label) and signal.form in self.forms
        return same and fnmatchcase(signal.model, self.models)


@dataclass(frozen=True)
class Policy:
    """A named, versioned set of rules."""

    name: str
    version: str
    digest: str  # of the file: an edited policy is another one
    rules: tuple[Rule, ...]
    taxonomy: str

    @property
    def id(self) -> str:
        """`name@version+digest`."""
        return f"{self.name}@{self.version}+{self.digest[:8]}"

    def rule_for(self, signal: Signal) -> Rule | None:
        """Return the closest rule: the longer label first, then the longer model pattern; None is shadow mode."""
        fitting = [rule for rule in self.rules if rule.speaks_of(signal)]
        return max(fitting, key=lambda rule: (len(rule.label), len(rule.models)), default=None)


def load_policy(name_or_path: str) -> Policy:
    """Read a shipped policy by name, or a file; raises UsageError that names the file and the fault."""
    shipped = POLICIES / f"{name_or_path}.toml"
    path = shipped if shipped.is_file() else Path(name_or_path)
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in POLICIES.glob("*.toml")))
        raise UsageError(f"policy {name_or_path!r} is no file and none of the shipped ones ({known})")
    content = path.read_bytes()
    try:
        return parse_policy(tomllib.loads(content.decode("utf-8")), hashlib.sha256(content).hexdigest())
    except (UsageError, ValueError, TypeError, KeyError) as error:
        raise UsageError(f"policy {path}: {_sentence(error)}") from error


def _sentence(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


def parse_policy(data: dict[str, Any], digest: str) -> Policy:
    """Build a policy from parsed TOML."""
    rules = tuple(_rule(row) for row in data.get("rule", []))
    keys = [(rule.label, rule.models, rule.forms) for rule in rules]
    if repeated := {key[0] for key in keys if keys.count(key) > 1}:
        raise UsageError(f"there are two rules for the same models and forms of {sorted(repeated)}")
    return Policy(str(data["name"]), str(data["version"]), digest, rules, taxonomy().version)


def _rule(row: dict[str, Any]) -> Rule:
    known = [field.name for field in fields(Rule)]
    if unknown := set(row) - set(known):
        raise UsageError(f"rule for {row.get('label')!r} has {sorted(unknown)}; allowed: {', '.join(known)}")
    given = dict(row)
    low, high = _pair(given.pop("abstain"), row["label"])
    for name in ("action", "in_doubt"):
        if name in given:
            given[name] = _suggestion(given[name], row["label"])
    if "forms" in given:
        given["forms"] = tuple(given["forms"])
    return Rule(abstain=(low, high), **given)


def _pair(value: object, label: str) -> Sequence[float]:
    if not isinstance(value, list) or len(value) != 2 or not all(isinstance(x, int | float) for x in value):
        raise UsageError(f"rule for {label!r}: abstain is {value!r}, wanted [low, high]")
    return value


def _suggestion(value: str, label: str) -> Suggestion:
    if value not in list(Suggestion):
        raise UsageError(f"rule for {label!r}: {value!r} is no action; allowed: {', '.join(Suggestion)}")
    return Suggestion(value)
