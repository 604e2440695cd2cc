"""Text tiers: what each tier flags of benign text, what it loses of labelled lines, and what it costs a line.

Benign text is not what either tier was made on (`benchmarks/benign.py`). Of labelled lines, the semantic scores are
those of heads that had not seen a line's family; the lexicons were written by other hands than the lines. After a first
run, families of sayings, institutions and terms were added to the benign lines, none taken from the phrases here. Time
is that of the processor.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from benchmarks.benign import bodies
from benchmarks.registry import Result
from model_registry.bundles import pin_model
from model_registry.model import predict_all
from model_registry.models.text.heads import ARTIFACT, Heads
from pipelines.predict import loaded
from pipelines.text.night import bands_of
from pipelines.text.semantics.features import of_embeddings
from pipelines.text.semantics.fit import HeldOut, cross_validate, held_out
from pipelines.text.semantics.labelled import read_lines, shipped
from pipelines.text.semantics.measure import Measured, measure
from pipelines.text.tiers import Bands, needs_meaning, settle
from pipelines.text.words.lexicon import load_lexicons
from pipelines.text.words.matcher import Hit, Matcher

TOWER, HEADS = "universal_sentences", "text_heads_universal"
T = TypeVar("T")


def run(videos: Sequence[Path], repeat: int) -> Result:  # noqa: ARG001 - every benchmark is given the videos
    """Read benign text and labelled lines through both tiers."""
    tower, heads = (loaded(pin_model(name), "cpu", 1) for name in (TOWER, HEADS))
    thresholds = bands_of(Heads.read(Path(dict(pin_model(HEADS).weights)[ARTIFACT])))
    matcher = Matcher(load_lexicons())
    texts = bodies()

    def meaning(lines: Sequence[str]) -> list[dict[str, float]]:
        scores_NL = predict_all(heads, list(predict_all(tower, lines)))
        return [dict(zip(heads.spec.labels, map(float, scores), strict=True)) for scores in scores_NL]

    found = {name: _benign(matcher.match(lines), meaning(lines), thresholds) for name, lines in texts.items()}
    lines = read_lines(shipped())
    embeddings_ND = predict_all(tower, [line.text for line in lines])
    held = held_out(cross_validate(of_embeddings(embeddings_ND), lines, heads.spec.labels))
    costs = [_costs([line.text for line in lines], matcher, meaning) for _ in range(repeat + 1)][1:]
    metrics: dict[str, Sequence[float]] = {name: [cost[name] for cost in costs] for name in costs[0]}
    metrics |= {f"{name}/{body}": [value] for body, shares in found.items() for name, value in shares.items()}
    metrics |= {name: [value] for name, value in _all(found, texts).items()}
    metrics |= {name: [value] for name, value in _recall(matcher.match([line.text for line in lines]), held).items()}
    rows = [row for row in measure(held, lines) if not row.language]
    metrics["mean_average_precision"] = [float(np.mean([row.average_precision for row in rows]))]
    setup = {"benign_lines": {name: len(body) for name, body in texts.items()}, "labelled_lines": len(lines)}
    setup |= {"groups": len({line.group for line in lines}), "lexicons": matcher.lexicons.digest[:8]}
    return Result(metrics, setup, [_table(rows)])


def _benign(
    hits: Sequence[Sequence[Hit]], scores: Sequence[Mapping[str, float]], thresholds: Bands
) -> dict[str, float]:
    """Shares of benign lines: with a hit, with a reading that words marked, that is settled, settled or in doubt."""
    readings = [
        settle(found, score if needs_meaning(found) else None, thresholds, HEADS)
        for found, score in zip(hits, scores, strict=True)
    ]
    worded = [any(reading.marks for reading in found) for found in readings]
    return {
        "benign_tier1_any": _share(bool(found) for found in hits),
        "benign_tier1_certain": _share(not needs_meaning(found) for found in hits),
        "benign_suspicions_kept": _share(worded),
        "benign_settled": _share(any(reading.settled for reading in found) for found in readings),
        "benign_raised": _share(bool(found) for found in readings),
    }


def _all(found: Mapping[str, Mapping[str, float]], texts: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """The same over all bodies, each line once."""
    total = sum(map(len, texts.values()))
    names = next(iter(found.values()))
    shares = {name: sum(found[body][name] * len(texts[body]) for body in texts) / total for name in names}
    return shares | {"suspicions_kept_vs_any": shares["benign_suspicions_kept"] / shares["benign_tier1_any"]}


def _recall(hits: Sequence[Sequence[Hit]], held: HeldOut) -> dict[str, float]:
    """Shares of all pairs of a line and a label that is true of it."""
    rows_P, columns_P = np.nonzero(held.true_NL)
    pairs = list(zip(rows_P.tolist(), columns_P.tolist(), strict=True))
    own = [[hit for hit in hits[row] if hit.label == held.labels[column]] for row, column in pairs]
    worded_P = np.array([bool(found) for found in own])
    certain_P = np.array([any(hit.certain for hit in found) for found in own])
    asked_P = np.array([needs_meaning(hits[row]) for row, _ in pairs])
    settled_P = held.settled_NL[rows_P, columns_P]
    suspected_P = worded_P & ~certain_P & asked_P
    stands_P = (worded_P & ~asked_P) | (suspected_P & (settled_P >= 0)) | (asked_P & (settled_P > 0))
    return {
        "recall_tier1": _share(worded_P),
        "recall_tier1_certain": _share(certain_P),
        "recall_both": _share(stands_P),
        "recall_with_doubt": _share(stands_P | (asked_P & held.raised_NL[rows_P, columns_P])),
        "loss_by_tier2": _share(settled_P[suspected_P] < 0),
        "asked_of_tier2": _share(asked_P),
        "denied_by_tier2": _share(settled_P < 0),
    }


def _costs(lines: Sequence[str], matcher: Matcher, meaning: Callable[[Sequence[str]], object]) -> dict[str, float]:
    """Microseconds a line on one core."""
    _, words_s = _timed(lambda: matcher.match(lines))
    _, meaning_s = _timed(lambda: meaning(lines))
    micros = 1e6 / len(lines)
    return {
        "tier1_us_a_line": words_s * micros,
        "tier2_us_a_line": meaning_s * micros,
        "tier2_vs_tier1": meaning_s / words_s,
        "tier2_lines_a_second": len(lines) / meaning_s,
    }


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    began = time.process_time()
    return work(), time.process_time() - began


def _share(values: Iterable[bool]) -> float:
    return float(np.mean(np.fromiter(values, bool)))


def _table(rows: Sequence[Measured]) -> str:
    lines = [
        "Labelled lines, each scored by heads that had not seen its family:",
        "",
        "| label | lines | average precision | precision | stands | raised | denied | false alarms | false doubts |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.label} | {row.lines} | {row.average_precision:.2f} | {row.precision:.2f} | {row.recall:.2f} "
        f"| {row.raised:.2f} | {row.lost:.2f} | {row.false_alarms:.4f} | {row.false_doubts:.4f} |"
        for row in rows
    ]
    return "\n".join(lines)
