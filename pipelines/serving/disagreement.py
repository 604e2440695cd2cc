"""How two judge the same uploads: how often they agree, on what they do not, how far their scores lie apart."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from pipelines.serving.contract import Answer

MOST_EXAMPLES = 100


class Judge(NamedTuple):
    """Who judges: the ids of a bundle and a policy, as verdicts have them."""

    bundle: str
    policy: str


@dataclass(frozen=True)
class Opinion:
    """What one judge said of one upload."""

    judge: Judge
    suggestion: str
    flagged: frozenset[str]  # the labels of the verdict
    highest: Mapping[str, float]  # by label: the best score that a signal or the verdict has for it
    steps_ms: float  # of all steps together; what waited for a worker is no step

    @classmethod
    def of(cls, answer: Answer) -> Opinion:
        """Read an answer."""
        verdict, highest = answer.verdict, dict[str, float]()
        for found in (*answer.signals, *verdict["labels"]):
            highest[found["label"]] = max(highest.get(found["label"], 0.0), float(found["score"]))
        return cls(
            Judge(verdict["bundle"], verdict["policy"]),
            verdict["suggestion"],
            frozenset(found["label"] for found in verdict["labels"]),
            highest,
            sum(answer.took_ms.values()),
        )


@dataclass(frozen=True)
class Example:
    """One upload of which the two suggest different things."""

    upload_id: str
    content_sha256: str | None
    champion: str
    challenger: str
    champion_labels: tuple[str, ...]
    challenger_labels: tuple[str, ...]


@dataclass
class OfLabel:
    """How the two stand to one label, over the uploads in which at least one of them has a score for it."""

    both: int = 0  # flag it
    champion_only: int = 0
    challenger_only: int = 0
    scored: int = 0
    difference: float = 0.0  # of the highest scores, summed; who has none has 0

    def add(self, label: str, champion: Opinion, challenger: Opinion) -> None:
        """Count one upload."""
        ours, theirs = label in champion.flagged, label in challenger.flagged
        self.both += ours and theirs
        self.champion_only += ours and not theirs
        self.challenger_only += theirs and not ours
        self.scored += 1
        self.difference += abs(champion.highest.get(label, 0.0) - challenger.highest.get(label, 0.0))

    def metrics(self) -> dict[str, float]:
        """What is known of the label: uploads, and the mean absolute difference of scores from 0 to 1."""
        flagged = {name: getattr(self, name) for name in ("both", "champion_only", "challenger_only")}
        return {**flagged, "score_difference": self.difference / self.scored if self.scored else 0.0}


@dataclass
class Disagreement:
    """Totals over all uploads that a champion and a challenger were given."""

    table: Counter[tuple[str, str]] = field(default_factory=Counter)  # (champion's suggestion, challenger's): uploads
    labels: defaultdict[str, OfLabel] = field(default_factory=lambda: defaultdict(OfLabel))
    examples: deque[Example] = field(default_factory=lambda: deque(maxlen=MOST_EXAMPLES))  # the latest
    failed: int = 0  # the challenger gave no answer
    dropped: int = 0  # there was no room to let it try
    champion_ms: float = 0.0
    challenger_ms: float = 0.0

    def add(self, upload_id: str, content_sha256: str | None, champion: Opinion, challenger: Opinion) -> bool:
        """Count one upload that both have judged; returns whether they suggest the same."""
        pair = (champion.suggestion, challenger.suggestion)
        self.table[pair] += 1
        self.champion_ms += champion.steps_ms
        self.challenger_ms += challenger.steps_ms
        for label in champion.highest.keys() | challenger.highest.keys():
            self.labels[label].add(label, champion, challenger)
        if same := len(set(pair)) == 1:
            return same
        labels = (tuple(sorted(opinion.flagged)) for opinion in (champion, challenger))
        self.examples.append(Example(upload_id, content_sha256, *pair, *labels))
        return same

    @property
    def compared(self) -> int:
        """Uploads that both have judged."""
        return self.table.total()

    @property
    def tried(self) -> int:
        """Those, and those on which the challenger failed."""
        return self.compared + self.failed

    def metrics(self) -> dict[str, float]:
        """Every total by name; a mean or share of nothing is left out."""
        found: dict[str, float] = {"compared": self.compared, "failed": self.failed, "dropped": self.dropped}
        if self.compared:
            found["agreement"] = agreement(self.table)
            found["champion_mean_ms"] = self.champion_ms / self.compared
            found["challenger_mean_ms"] = self.challenger_ms / self.compared
        if (beyond_chance := kappa(self.table)) is not None:
            found["kappa"] = beyond_chance
        for label, counts in self.labels.items():
            found |= {f"label/{label}/{name}": number for name, number in counts.metrics().items()}
        return found

    def rows(self) -> list[dict[str, Any]]:
        """The table of suggestions, one pair a row, most uploads first."""
        pairs = self.table.most_common()
        return [{"champion": ours, "challenger": theirs, "uploads": count} for (ours, theirs), count in pairs]

    def label_rows(self) -> list[dict[str, Any]]:
        """What is known of each label, in the order of their names."""
        return [
            {"label": label, "scored": counts.scored, **counts.metrics()}
            for label, counts in sorted(self.labels.items())
        ]

    def example_rows(self) -> list[dict[str, Any]]:
        """The latest disagreements, newest first."""
        return [asdict(example) for example in reversed(self.examples)]


def agreement(table: Mapping[tuple[str, str], int]) -> float:
    """The share of uploads on which both suggest the same."""
    return sum(count for (ours, theirs), count in table.items() if ours == theirs) / sum(table.values())


def kappa(table: Mapping[tuple[str, str], int]) -> float | None:
    """Agreement beyond what chance would give: 1 for all, 0 for chance; None where both always say one same thing.

    Cohen, A Coefficient of Agreement for Nominal Scales, Educational and Psychological Measurement 20 (1960), p. 37-46.
    Most uploads pass, so that two judges agree on most of them whatever they are worth; this takes it out.
    """
    total = sum(table.values())
    rows, columns = Counter[str](), Counter[str]()
    for (ours, theirs), count in table.items():
        rows[ours] += count
        columns[theirs] += count
    by_chance = sum(rows[name] * columns[name] for name in rows)
    if by_chance == total * total:
        return None
    expected = by_chance / total**2
    return (agreement(table) - expected) / (1 - expected)
