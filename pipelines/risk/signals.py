"""Signals: every score above the floor becomes a row that says what was seen, when, and by which model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from model_registry.model import ModelRef
from pipelines.rows import SIGNAL, vectors_of
from pipelines.stage import Stage, Work

FLOOR = 0.02  # scores below are not stored; no policy may ask for less


@dataclass(frozen=True, kw_only=True)
class Signal:
    """One thing seen or heard in one span of one video."""

    label: str
    form: str
    score: float
    start_ms: int
    end_ms: int
    evidence_ms: int
    source: str
    detail: str = ""
    text: str = ""  # the line in which something was said, shown or written
    marks: tuple[tuple[int, int], ...] = ()  # the stretches of it that counted, in code points

    @property
    def model(self) -> str:
        """The source without its version."""
        return self.source.partition("@")[0]


@dataclass(frozen=True, kw_only=True)
class Collect(Stage):
    """Turn the score columns of the heads into one column of signals."""

    heads: tuple[tuple[ModelRef, str], ...]  # (model, its column)

    @classmethod
    def of(cls, heads: tuple[tuple[ModelRef, str], ...]) -> Collect:
        """Name the columns; the scores themselves are not kept."""
        columns = tuple(column for _, column in heads)
        reads = ("frame_ms", "end_ms", *columns)
        return cls(heads=heads, reads=reads, writes=("signals",), drops=columns)

    def open(self) -> Work:
        """Nothing to load."""

        def work(table: pa.Table) -> Iterator[pa.Table]:
            counts = np.array([len(times) for times in table["frame_ms"]], np.int64)
            starts_ms, ends_ms = spans(table["frame_ms"].to_pylist(), table["end_ms"].to_pylist())
            found: list[list[dict[str, object]]] = [[] for _ in counts]
            row_of = np.repeat(np.arange(len(counts)), counts)
            for ref, column in self.heads:
                scores_NL = vectors_of(table[column])
                for item, label_index in np.argwhere(scores_NL >= FLOOR):
                    score = float(scores_NL[item, label_index])
                    signal = _signal(ref, int(label_index), score, int(starts_ms[item]), int(ends_ms[item]))
                    found[row_of[item]].append(signal)
            yield table.append_column("signals", pa.array(found, pa.list_(SIGNAL))).drop_columns(list(self.drops))

        return work


def spans(frame_ms: list[list[int]], end_ms: list[int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """A frame stands for the time until the next one, the last for the time until its window ends."""
    starts = [ms for times in frame_ms for ms in times]
    ends = [ms for times, end in zip(frame_ms, end_ms, strict=True) for ms in [*times[1:], end][: len(times)]]
    return np.array(starts, np.int64), np.maximum(np.array(ends, np.int64), np.array(starts, np.int64))


def _signal(ref: ModelRef, label_index: int, score: float, start_ms: int, end_ms: int) -> dict[str, object]:
    spec = ref.spec
    notes = [*([] if spec.calibrated else ["raw score"]), *([spec.caveat] if spec.caveat else [])]
    return {
        "label": spec.labels[label_index],
        "form": "Image",
        "score": score,
        "start_ms": start_ms,
        "end_ms": end_ms,
        "evidence_ms": start_ms,
        "source": ref.source,
        "detail": "; ".join(notes),
    }
