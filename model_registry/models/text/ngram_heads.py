"""Fitted heads on character n-grams: Chinese text is read by one set of weights, every other script by another."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from model_registry.model import InputKind, Model, ModelSpec, Vector
from model_registry.models.text.heads import Heads
from model_registry.models.text.ngrams import BUCKETS, NGRAMS, runs, summed
from model_registry.reading import reading

SCRIPTS = ("han", "other")
ARTIFACTS = ("text-heads-ngrams-han", "text-heads-ngrams-other")  # in the order of SCRIPTS, with the same bands
LABELS = ("Fraud", "Abuse")  # what the public sets tell: first levels, no more than that
HAN = re.compile(r"[\u3400-\u9fff]")


class NgramHeads(Model[str, Vector]):
    """Texts to a calibrated score a label, by their character n-grams."""

    spec: ClassVar[ModelSpec] = ModelSpec(
        name="text_heads_ngrams",
        version="1.0.0",
        reads=InputKind.TEXT,
        artifacts=ARTIFACTS,
        labels=LABELS,
        max_batch=1024,
        memory_mb=200,
        calibrated=True,
        caveat="fitted on messages and posts of public sets, not on your traffic",
    )

    def __init__(self, heads: Sequence[Heads]) -> None:
        """Take the heads of each script."""
        self.heads = heads
        self.weight_BX = np.concatenate([each.weight_LD for each in heads]).T.copy()  # script by script, L labels each

    @classmethod
    def load(cls, weights: Mapping[str, Path], device: str) -> Self:  # noqa: ARG003  too small for a device
        """Read the heads; they have to be for n-grams and these labels."""
        return cls([cls._read(weights[name]) for name in ARTIFACTS])

    @classmethod
    def _read(cls, path: Path) -> Heads:
        heads = Heads.read(path)
        with reading(path, f"the heads of {cls.spec.name}"):
            if heads.labels != cls.spec.labels:
                raise ValueError(f"it scores {', '.join(heads.labels)}; wanted {', '.join(cls.spec.labels)}")
            if (heads.tower, heads.weight_LD.shape[1]) != (NGRAMS, BUCKETS):
                raise ValueError(f"it was fitted on {heads.tower} of {heads.weight_LD.shape[1]}, wanted {NGRAMS}")
        return heads

    def predict(self, batch: Sequence[str]) -> list[Vector]:
        """Return one float32 [L] of scores a text."""
        if not len(batch):
            return []
        sums_SNL = np.split(summed(runs(batch), self.weight_BX), len(SCRIPTS), axis=1)
        han_N = np.array([bool(HAN.search(text)) for text in batch])
        han_NL, other_NL = (heads.calibrated(sums) for heads, sums in zip(self.heads, sums_SNL, strict=True))
        return list(np.where(han_N[:, None], han_NL, other_NL))

    @classmethod
    def examples(cls) -> list[str]:
        """Return lines of two languages and several lengths, one with nothing in it."""
        return ["", "你好", "win a free prize, text now", "今天给大家做一道番茄炒蛋", "the end " * 100]
