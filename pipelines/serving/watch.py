"""A model that hangs ends the health of its replica, and Ray Serve starts another.

A caller of such a model is told 504 by its own deadline, and the next one too: no thread can be ended from outside, so
only a new process helps. Loading is no batch, and may take as long as it takes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from model_registry.errors import NightjarError
from model_registry.model import InputKind, ModelSpec

# More than the largest model of each kind needs on one core: nothing that still works may be ended.
BATCH_S = 60.0
ITEM_S = {InputKind.FRAME: 5.0, InputKind.SOUND: 60.0, InputKind.TEXT: 1.0, InputKind.EMBEDDING: 0.1}


class Runs(Protocol):
    """What runs batches: a Batcher."""

    @property
    def spec(self) -> ModelSpec:
        """The model's."""

    @property
    def running(self) -> list[tuple[float, int]]:
        """For how many seconds each batch has been running, and how many items it has."""


class Hung(NightjarError):  # noqa: N818 it is what is found, by a check
    """A batch runs far longer than batches do."""


def allowed_s(spec: ModelSpec, items: int) -> float:
    """How long a batch of so many items may run before its model counts as hung."""
    return BATCH_S + items * ITEM_S[spec.reads]


def check_running(batchers: Iterable[Runs]) -> None:
    """Raise Hung where a batch has been running for longer than it may."""
    for batcher in batchers:
        for seconds, items in batcher.running:
            if seconds > (allowed := allowed_s(batcher.spec, items)):
                what = f"model {batcher.spec.name} has been at a batch of {items} for {seconds:.0f} s"
                raise Hung(f"{what}, at most {allowed:.0f} s are allowed")
