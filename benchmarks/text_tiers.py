"""Text as a night reads it: false alarms a line and a video, lures found in disguise, and labelled lines found.

Harmless lines are of many registers that nothing was fitted on (`benchmarks/texts/harmless.toml`). Of the labelled sets
a fifth of the families is measured, by heads that were fitted without them; the marks of a register
(`pipelines/text/evidence.toml`) were widened after a look at what a first run missed there, and messengers beside
programs lowered after one at what it flagged of harmless lines. Shares have Wilson intervals of 95 % (Wilson, 1927).
Without a folder of texts (NIGHTJAR_TEXTS) only what is installed is read. Time is that of the processor.
"""

from __future__ import annotations

import math
import os
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.registry import Result
from benchmarks.texts.harmless import harmless
from benchmarks.texts.held import Split, refitted, split
from benchmarks.texts.peers import regression, word_lists
from benchmarks.texts.reading import A_VIDEO, Night, described, flagged
from jobs import progress
from model_registry.bundles import bundle_named, pin
from model_registry.labels import first_level
from pipelines.text.semantics.labelled import LabelledLine
from pipelines.text.tiers import needs_meaning, settle

TEXTS = "NIGHTJAR_TEXTS"
TRICKS = Path(__file__).with_name("texts") / "tricks.toml"
SETS = {"sms_en": "Fraud", "cold_zh": "Abuse", "tweets_en": "Abuse"}
NEEDS_SETS = ("denied", *(f"{kind}/{name}" for name in SETS for kind in ("recall", "false_a_thousand")))


@dataclass
class Figures:
    """What is told: metrics, tables and what could not be measured."""

    metrics: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)

    def table(self, title: str, heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Add a table in Markdown."""
        lines = [title, "", _row(heads), "|" + "---|" * len(heads), *(_row(map(str, row)) for row in rows)]
        self.notes.append("\n".join(lines))


def run(videos: Sequence[Path], repeat: int) -> Result:  # noqa: ARG001 - every benchmark is given the videos
    """Read harmless lines, tricks and labelled lines held out; nothing of it varies from one run to the next."""
    named = os.environ.get(TEXTS)
    folder, told, bundle = Path(named) if named else None, Figures(), pin(bundle_named("lite"))
    lines = harmless(folder)
    with Night.opened(bundle) as night:
        _harmless(night, lines, told)
        _tricks(night, told)
    if folder:
        parts = split(folder)
        progress.say("fitting the heads without a fifth of the families")
        with tempfile.TemporaryDirectory() as scratch, Night.opened(refitted(bundle, parts, Path(scratch))) as night:
            _labelled(night, parts, told)
            _denied(night, parts, told)
        _peers(parts, lines, told)
    else:
        told.absent |= dict.fromkeys(NEEDS_SETS, f"{TEXTS} names no folder with the labelled sets")
    setup = {"lines": sum(map(len, lines.values())), "sources": len(lines), "lines_a_video": A_VIDEO}
    return Result({name: [value] for name, value in told.metrics.items()}, setup, told.notes, unmeasured=told.absent)


def _harmless(night: Night, sources: Mapping[str, Sequence[str]], told: Figures) -> None:
    rows, every, sent = [], list[bool](), list[bool]()
    shares, labels = list[float](), Counter[str]()
    began = time.process_time()
    for name, lines in sources.items():
        scores = night.scores(lines)
        wrong, reviewed = [flagged(each) for each in scores], night.reviewed(lines)
        labels.update(max(each, key=lambda label: each[label]) for each in scores if flagged(each))
        every += wrong
        sent += reviewed
        shares += [sum(reviewed) / len(reviewed)] if len(reviewed) >= A_VIDEO / 2 else []
        rows.append((name, len(lines), _thousand(wrong), len(reviewed), _percent(reviewed)))
    told.metrics |= {
        "harmless_a_thousand": 1000 * sum(every) / len(every),
        "harmless_videos": sum(sent) / len(sent),
        "worst_source_videos": max(shares),
        "us_a_line": (time.process_time() - began) * 1e6 / len(every),
    }
    rows.append(("all", len(every), _thousand(every), len(sent), _percent(sent)))
    heads = ("source", "lines", "flagged a thousand", f"videos of {A_VIDEO} lines", "sent to review")
    told.table("Harmless lines, and videos described by them, under the starting policy:", heads, rows)
    found = [(label, count, f"{1000 * count / len(every):.2f}") for label, count in labels.most_common()]
    told.table("What harmless lines were flagged as:", ("label", "lines", "a thousand"), found)


def _tricks(night: Night, told: Figures) -> None:
    parts = tomllib.loads(TRICKS.read_text("utf-8"))
    for part, kinds in parts.items():
        found = {kind: [flagged(each) for each in night.scores(lines)] for kind, lines in kinds.items()}
        every = [each for own in found.values() for each in own]
        told.metrics[part] = sum(every) / len(every)
        rows = [(kind, len(own), sum(own)) for kind, own in found.items()]
        title = f"{part.replace('_', ' ').capitalize()} flagged ({_percent(every)} of {len(every)}):"
        told.table(title, ("kind", "lines", "flagged"), rows)


def _labelled(night: Night, parts: Split, told: Figures) -> None:
    rows = []
    for register in dict.fromkeys(line.register for line in parts.measured):
        lines = [line for line in parts.measured if line.register == register]
        scores = night.scores([line.text for line in lines])
        false = [flagged(each) for line, each in zip(lines, scores, strict=True) if not line.labels]
        right = [flagged(each) for line, each in zip(lines, scores, strict=True) if line.labels]
        rows.append((register, "any", len(right), _percent(right), _thousand(false)))
        if register in SETS:
            told.metrics[f"recall/{register}"] = sum(right) / len(right)
            told.metrics[f"false_a_thousand/{register}"] = 1000 * sum(false) / len(false)
        for label in sorted({label for line in lines for label in line.labels}):
            own = [_first(each, label) for line, each in zip(lines, scores, strict=True) if label in line.labels]
            not_own = [_first(each, label) for line, each in zip(lines, scores, strict=True) if not line.labels]
            rows.append((register, label, len(own), _percent(own), _thousand(not_own)))
    heads = ("register", "label", "lines of it", "flagged as its first level", "harmless ones, a thousand")
    told.table("Labelled lines of families that nothing was fitted on:", heads, rows)


def _first(scores: Mapping[str, float], label: str) -> bool:
    return flagged({one: score for one, score in scores.items() if first_level(one) == first_level(label)})


def _denied(night: Night, parts: Split, told: Figures) -> None:
    """Of suspicions by words that are true of their line: how many its meaning denies."""
    outcome: dict[str, list[bool]] = {}
    for line in parts.measured:
        for unit in (each.text for each in described(line.text)):
            hits, meaning = night.readings.hits(unit), night.readings.meaning(unit)
            true = {hit.label for hit in hits if any(first_level(hit.label) == first_level(one) for one in line.labels)}
            if not true or not needs_meaning(hits):
                continue
            left = {one.label for one in settle(hits, meaning, night.reader.thresholds, night.reader.heads, unit)}
            outcome.setdefault(line.register, []).extend(label not in left for label in true)
    every = [each for own in outcome.values() for each in own]
    told.metrics["denied"] = sum(every) / len(every)
    rows = [(register, len(own), _percent(own)) for register, own in outcome.items()]
    told.table("True suspicions of words, and those that meaning denies:", ("register", "suspicions", "denied"), rows)


def _peers(parts: Split, sources: Mapping[str, Sequence[str]], told: Figures) -> None:
    rows = []
    for name, label in SETS.items():
        lines = [line for line in parts.measured if line.source == name]
        fitted = [line for own in parts.fitted for line in own if line.source == name]
        found, others = regression(fitted, [line.text for line in lines], sources, label)
        rows.append(("TF-IDF and logistic regression of this set", name, *_two(found, lines), _thousand(others)))
    posts = [line for line in parts.measured if line.source == "tweets_en"]
    english = [line for name, lines in sources.items() if name.endswith("_en") for line in lines]
    flags, absent = word_lists([*(line.text for line in posts), *english])
    rows += [
        (name, "tweets_en", *_two(own[: len(posts)], posts), _thousand(own[len(posts) :]))
        for name, own in flags.items()
    ]
    heads = ("peer", "set", "recall", "false a thousand of the set", "false a thousand of the harmless sources")
    told.table("Peers on the same lines (word lists: of the English harmless sources):", heads, rows)
    told.notes += [f"left out: {name}: {why}" for name, why in absent.items()]


def _two(found: Sequence[bool], lines: Sequence[LabelledLine]) -> tuple[str, str]:
    labelled = [bool(line.labels) for line in lines]
    right = [each for each, own in zip(found, labelled, strict=True) if own]
    return _percent(right), _thousand([each for each, own in zip(found, labelled, strict=True) if not own])


def wilson(successes: int, trials: int, z: float = 1.96) -> tuple[float, float]:
    """The score interval of a share; (0, 1) of nothing."""
    if not trials:
        return 0.0, 1.0
    share, square = successes / trials, z * z / trials
    middle = share + square / 2
    spread = z * math.sqrt(share * (1 - share) / trials + square / (4 * trials))
    return max(0.0, (middle - spread) / (1 + square)), min(1.0, (middle + spread) / (1 + square))


def _percent(values: Sequence[bool]) -> str:
    low, high = wilson(sum(values), len(values))
    return f"{100 * sum(values) / max(1, len(values)):.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def _thousand(values: Sequence[bool]) -> str:
    low, high = wilson(sum(values), len(values))
    return f"{1000 * sum(values) / max(1, len(values)):.2f} ({1000 * low:.2f} to {1000 * high:.2f})"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
