"""The taxonomy: two levels of labels, each with one sentence in English and Chinese, and a version.

Names follow Amazon Rekognition's content moderation labels, version 7, where it has one.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from model_registry.errors import UsageError

TAXONOMY_FILE = Path(__file__).with_name("labels.toml")
FORMS = ("Image", "Voice", "OCR", "Audio", "Text")


def first_level(label: str) -> str:
    """`Fraud` of `Fraud/Contact Details`, and of `Fraud`."""
    return label.partition("/")[0]


@dataclass(frozen=True)
class Label:
    """One label of the taxonomy: `Top` or `Top/Second`."""

    name: str
    en: str
    zh: str
    forms: tuple[str, ...]  # where it can be seen or heard

    def __post_init__(self) -> None:
        """Refuse a label that a reader could not use."""
        if not 1 <= len(self.name.split("/")) <= 2 or not all(self.name.split("/")):
            raise ValueError(f"label {self.name!r} has to read 'Top' or 'Top/Second'")
        if not self.en or not self.zh:
            raise ValueError(f"label {self.name!r} lacks its English or its Chinese sentence")
        if unknown := set(self.forms) - set(FORMS):
            raise ValueError(f"label {self.name!r} has forms {sorted(unknown)}; allowed: {', '.join(FORMS)}")

    @property
    def parent(self) -> str:
        """The first level."""
        return first_level(self.name)


@dataclass(frozen=True)
class Taxonomy:
    """All labels, in the file's order."""

    version: str
    labels: tuple[Label, ...]

    def names(self) -> frozenset[str]:
        """Every label's full name."""
        return frozenset(label.name for label in self.labels)

    def __getitem__(self, name: str) -> Label:
        for label in self.labels:
            if label.name == name:
                return label
        raise UsageError(f"label {name!r} is not in taxonomy {self.version}; see `nightjar models list --labels`")


@cache
def taxonomy() -> Taxonomy:
    """Read the taxonomy that ships with this version."""
    data = tomllib.loads(TAXONOMY_FILE.read_text("utf-8"))
    labels = tuple(
        Label(name=row["name"], en=row["en"], zh=row["zh"], forms=tuple(row["forms"])) for row in data["label"]
    )
    names = [label.name for label in labels]
    if repeated := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"labels.toml repeats {sorted(repeated)}")
    if orphans := {label.parent for label in labels} - set(names):
        raise ValueError(f"labels.toml lacks the first-level labels {sorted(orphans)}")
    return Taxonomy(version=data["version"], labels=labels)


def covers(rule_label: str, label: str) -> bool:
    """Tell whether a rule for `rule_label` speaks of `label`: the same, or its first level."""
    return rule_label == label or label.startswith(rule_label + "/")


def most_specific(rule_labels: Iterable[str], label: str) -> str | None:
    """Return the closest of `rule_labels` that covers `label`, or None."""
    return max((rule for rule in rule_labels if covers(rule, label)), key=len, default=None)
