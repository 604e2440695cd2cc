"""Fitted heads on a text: one logistic regression a label, calibrated, with a band of doubt each.

Scores are calibrated as Platt did, "Probabilistic Outputs for Support Vector Machines" (1999), on lines that the
regression had not seen, by a label's share of the lines it was fitted on. `nightjar models fit` writes the file, and
with it what was shown of each head: from which score on it may settle a line alone, and in which registers it may deny
what words found. No model acts on either.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from model_registry.errors import NightjarError
from model_registry.model import InputKind, Item, Model, ModelSpec, Vector
from model_registry.reading import reading

Array = NDArray[np.float32]
ARTIFACT = "text-heads-universal"
NEVER = 1.0  # the upper end of a band that nothing reaches: the head has not shown that it may settle a line alone
DIMENSIONS = 512
LABELS = (
    "Gambling",
    "Drugs & Tobacco/Products",
    "Spoken Claim/Official Endorsement",
    "Spoken Claim/Absolute Claim",
    "Spoken Claim/False Material",
    "Spoken Claim/Medical Claim",
    "Fraud/Off-Platform Lure",
    "Fraud/Fake Giveaway",
    "Fraud/Investment Scam",
    "Fraud/Impersonation",
    "Fraud/Contact Details",
    "Abuse/Insult",
    "Abuse/Threat",
    "Abuse/Hate Speech",
    "Abuse/Sexual Harassment",
)


@dataclass(frozen=True)
class Heads:
    """What a fit writes and a model reads: L labels over D dimensions."""

    labels: tuple[str, ...]
    tower: str  # `model@version` whose embeddings it was fitted on
    weight_LD: Array
    bias_L: Array
    slope_L: Array  # Platt's: a score is the sigmoid of slope * logit + offset
    offset_L: Array
    band_L2: Array  # below the first a label is denied, from the second on it stands, never where that is `NEVER`
    doubt_L: Array  # from here on there is doubt of a text that nothing but its meaning speaks against
    notes: Mapping[str, Any]  # what it was fitted on, and how
    denies: tuple[tuple[str, ...], ...] = ()  # for each label, the registers in which it was measured; none: it may not
    shown: tuple[tuple[str, ...], ...] = ()  # for each label, where it has shown that it may settle a line alone

    def __post_init__(self) -> None:
        """Refuse arrays that do not fit together, and bands turned round."""
        count, dimensions = len(self.labels), self.weight_LD.shape[-1]
        shapes = {"weight_LD": (count, dimensions), "bias_L": (count,), "slope_L": (count,), "offset_L": (count,)}
        for name, wanted in {**shapes, "band_L2": (count, 2), "doubt_L": (count,)}.items():
            array: Array = getattr(self, name)
            if array.shape != wanted:
                raise ValueError(f"{name} has shape {array.shape}, wanted {wanted}")
            if not np.isfinite(array).all():
                raise ValueError(f"{name} holds what is no number")
        if not count:
            raise ValueError("it has no label")
        for name in _NAMES:
            if getattr(self, name) and len(getattr(self, name)) != count:
                raise ValueError(f"{name} has {len(getattr(self, name))} rows for {count} labels")
        if (self.slope_L <= 0).any():
            raise ValueError(f"a slope is {self.slope_L.min():g}, wanted more than 0")
        if (self.band_L2 < 0).any() or (self.band_L2 > 1).any() or (np.diff(self.band_L2) < 0).any():
            raise ValueError("a band is not two scores from 0 to 1, the lower one first")
        if (self.doubt_L < self.band_L2[:, 0]).any() or (self.doubt_L > self.band_L2[:, 1]).any():
            raise ValueError("doubt begins outside of a band")

    @property
    def bands(self) -> dict[str, tuple[float, float]]:
        """The band of each label."""
        return {label: (float(low), float(high)) for label, (low, high) in zip(self.labels, self.band_L2, strict=True)}

    @property
    def doubts(self) -> dict[str, float]:
        """From which score on each label is in doubt where no other tier suspects it."""
        return dict(zip(self.labels, map(float, self.doubt_L), strict=True))

    @property
    def registers(self) -> dict[str, tuple[str, ...]]:
        """In which registers each label may be denied."""
        return dict(zip(self.labels, self.denies or ((),) * len(self.labels), strict=True))

    def __call__(self, embeddings_ND: Array) -> Array:
        """Return float32 [N, L] scores in [0, 1]."""
        return self.calibrated(embeddings_ND @ self.weight_LD.T)

    def calibrated(self, sums_NL: Array) -> Array:
        """Return scores of what weights came to, before the bias."""
        return sigmoid((sums_NL + self.bias_L) * self.slope_L + self.offset_L)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote; raises NightjarError where it is something else."""
        with reading(path, "a file of text heads"), np.load(path, allow_pickle=False) as arrays:
            numbers = {name: arrays[name].astype(np.float32) for name in _ARRAYS}
            labels, tower = tuple(map(str, arrays["labels"])), str(arrays["tower"])
            if "shown" not in arrays:  # of an earlier version, whose heads had to show nothing
                numbers["band_L2"][:, 1] = NEVER
            denies, shown = (_names(str(arrays[name])) if name in arrays else () for name in _NAMES)
            notes = json.loads(str(arrays["notes"]))
            return cls(labels=labels, tower=tower, notes=notes, denies=denies, shown=shown, **numbers)

    def write(self, path: Path) -> None:
        """Write one `.npz`: the same bytes for the same heads."""
        arrays: dict[str, Any] = {name: getattr(self, name) for name in _ARRAYS}
        arrays |= {name: np.array(json.dumps(getattr(self, name))) for name in _NAMES}
        arrays |= {"notes": np.array(json.dumps(self.notes, sort_keys=True)), "tower": np.array(self.tower)}
        with path.open("wb") as file:
            np.savez(file, labels=np.array(self.labels), **arrays)


_ARRAYS = ("weight_LD", "bias_L", "slope_L", "offset_L", "band_L2", "doubt_L")
_NAMES = ("denies", "shown")  # registers for each label


def _names(stored: str) -> tuple[tuple[str, ...], ...]:
    return tuple(map(tuple, json.loads(stored)))


def sigmoid(x: Array) -> Array:
    """1 / (1 + e^-x) without overflow, float32."""
    return np.exp(-np.logaddexp(0.0, -x)).astype(np.float32)


def bands(path: Path) -> dict[str, tuple[float, float]]:
    """Return each label's band of a file of heads: below the first score denied, from the second on it stands."""
    return Heads.read(path).bands


def doubts(path: Path) -> dict[str, float]:
    """Return from which score on a text that no word made suspicious is in doubt; each lies within its band."""
    return Heads.read(path).doubts


class TextHeads(Model[Item, Vector]):
    """Unit-length sentence embeddings to a calibrated score a label."""

    spec: ClassVar[ModelSpec] = ModelSpec(
        name="text_heads_universal",
        version="1.1.0",
        reads=InputKind.EMBEDDING,
        tower="universal_sentences",
        artifacts=(ARTIFACT,),
        labels=LABELS,
        max_batch=4096,
        memory_mb=100,
        calibrated=True,
        caveat="fitted on lines written for it and public sets, not on traffic",
    )

    def __init__(self, heads: Heads) -> None:
        self.heads = heads

    @classmethod
    def load(cls, weights: Mapping[str, Path], device: str) -> Self:  # noqa: ARG003  too small for a device
        """Read the heads; they have to be for this tower and these labels."""
        heads = Heads.read(path := weights[cls.spec.artifacts[0]])
        with reading(path, f"the heads of {cls.spec.name}"):
            if heads.labels != cls.spec.labels:
                raise ValueError(f"it scores {', '.join(heads.labels)}; wanted {', '.join(cls.spec.labels)}")
            if heads.tower.partition("@")[0] != cls.spec.tower:
                raise ValueError(f"it was fitted on {heads.tower}, wanted {cls.spec.tower}")
        return cls(heads)

    def predict(self, batch: Sequence[Item]) -> list[Vector]:
        """Return one float32 [L] of scores an embedding."""
        if not len(batch):
            return []
        embeddings_ND, wanted = np.stack(batch).astype(np.float32), self.heads.weight_LD.shape[1]
        if embeddings_ND.shape[1:] != (wanted,):
            raise NightjarError(f"{self.spec.name} got vectors of shape {embeddings_ND.shape[1:]}, wanted ({wanted},)")
        return list(self.heads(embeddings_ND))

    @classmethod
    def examples(cls) -> list[Item]:
        """Return four fixed random vectors of length 1, float32 [D]."""
        vectors_ND = np.random.default_rng(7).normal(size=(4, DIMENSIONS)).astype(np.float32)
        return list(vectors_ND / np.linalg.norm(vectors_ND, axis=1, keepdims=True))
