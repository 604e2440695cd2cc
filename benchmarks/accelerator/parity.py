"""Every model of the catalog on another device against itself on the CPU, over its own examples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from model_registry.bundles import pin_model
from model_registry.catalog import CATALOG
from model_registry.errors import NightjarError
from model_registry.model import AnyModel, ModelSpec, OutputKind, read_all
from model_registry.models.clip import ClipTower

COSINE = 1e-3  # 1 - cosine that an embedding may be off by: CLIP computes in bfloat16 on CUDA
SCORE = 2e-3  # that a score may differ by
LETTERS = 0.2  # share of letters; on CUDA Whisper computes in half precision, on a CPU in 8 bits
SPAN_MS = 64  # that a span's ends may differ by
Load = Callable[[str], AnyModel]  # device -> model


@dataclass(frozen=True)
class Parity:
    """How far one model's results lie apart, or why that is not known."""

    name: str
    measure: str
    apart: float | None
    allowed: float
    reason: str = ""

    @property
    def failed(self) -> bool:
        """Whether they lie too far apart."""
        return self.apart is not None and not self.apart <= self.allowed

    @property
    def row(self) -> str:
        """For a table."""
        found = self.reason or ("TOO FAR" if self.failed else "equal enough")
        apart = "" if self.apart is None else f"{self.apart:.2g}"
        return f"| {self.name} | {self.measure} | {apart} | {self.allowed:g} | {found} |"


def tolerance(spec: ModelSpec) -> tuple[str, float]:
    """What is measured of a model's results, and how much of it is allowed."""
    if spec.writes is OutputKind.SPANS:
        return "milliseconds between the ends of spans", SPAN_MS
    if spec.writes is OutputKind.LINES:
        return "share of letters", LETTERS
    return ("1 - cosine", COSINE) if spec.embedding_dim else ("difference of scores", SCORE)


def apart(spec: ModelSpec, found: Sequence[Any], wanted: Sequence[Any]) -> float:
    """The worst item's distance, as `tolerance` measures it; infinite where a result is not finite."""
    if len(found) != len(wanted):
        return float("inf")
    if spec.writes is OutputKind.SPANS:
        return max(map(_spans_apart, found, wanted), default=0.0)
    if spec.writes is OutputKind.LINES:
        return max(map(_lines_apart, found, wanted), default=0.0)
    ours_ND, theirs_ND = np.stack(found).astype(np.float64), np.stack(wanted).astype(np.float64)
    if not np.isfinite(ours_ND).all():
        return float("inf")
    if not spec.embedding_dim:
        return float(np.abs(ours_ND - theirs_ND).max())
    lengths_N = np.linalg.norm(ours_ND, axis=1) * np.linalg.norm(theirs_ND, axis=1)
    return float(1.0 - ((ours_ND * theirs_ND).sum(axis=1) / lengths_N).min())


def _spans_apart(found: Sequence[Any], wanted: Sequence[Any]) -> float:
    if len(found) != len(wanted):
        return float("inf")
    ends = [
        abs(getattr(one, end) - getattr(other, end)) for one, other in zip(found, wanted, strict=True) for end in ENDS
    ]
    return float(max(ends, default=0))


ENDS = ("start_ms", "end_ms")


def _lines_apart(found: Sequence[Any], wanted: Sequence[Any]) -> float:
    from benchmarks.speech_recordings import edits

    ours, theirs = ("".join(line.text for line in lines) for lines in (found, wanted))
    return edits(list(theirs), list(ours)) / max(1, len(theirs))


def compare(model: type[AnyModel], load: Load, device: str) -> Parity:
    """Load a model on both and hold one against the other; weights that are not here are a reason."""
    spec = model.spec
    name, (measure, allowed) = spec.name, tolerance(spec)
    try:
        wanted = _results(load("cpu"), model.examples())
        found = _results(load(device), model.examples())
    except (ImportError, NightjarError) as error:
        return Parity(name, measure, None, allowed, f"not measured: {error}")
    return Parity(name, measure, apart(spec, found, wanted), allowed)


def _results(model: AnyModel, examples: Sequence[Any]) -> list[Any]:
    if model.spec.writes is OutputKind.VECTOR:
        return list(model.predict(examples))
    return read_all(model, examples)


def loader_of(name: str) -> Load:
    """Load a model's weights from this machine; a CLIP tower whose weights are not here gets random ones."""
    from benchmarks.accelerator.towers import random_tower

    def load(device: str) -> AnyModel:
        try:
            return pin_model(name, download=False).load(device)
        except NightjarError:
            model = CATALOG[name]
            if not issubclass(model, ClipTower):
                raise
            return random_tower(model, device)

    return load


def table_of(rows: Iterable[Parity], device: str) -> str:
    """A block of Markdown."""
    head = [f"## CPU against {device}", "", "| model | apart in | at most | allowed | |", "|---|---|---|---|---|"]
    return "\n".join([*head, *(row.row for row in rows)])
