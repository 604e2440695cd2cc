"""A cue for weapons: the share of ImageNet probability that falls on firearm classes.

The classifier is the last layer of EfficientNet-Lite0, applied to the tower's stored embedding. It knows
1000 things and must choose among them, so it is a cue for a reviewer and no weapon detector.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from model_registry.model import InputKind, Item, Model, ModelSpec, Vector
from model_registry.models import efficientnet
from model_registry.reading import reading

# ILSVRC-2012 indices. "missile" and "projectile" are left out: they fire on space rockets.
FIREARM_CLASSES = {413: "assault rifle", 471: "cannon", 763: "revolver", 764: "rifle"}


class ImageNetWeapons(Model):
    """Pooled EfficientNet-Lite0 features to the summed probability of `FIREARM_CLASSES`."""

    spec: ClassVar[ModelSpec] = ModelSpec(
        name="imagenet_weapons",
        version="1.0.0",
        reads=InputKind.EMBEDDING,
        tower=efficientnet.EfficientNetLite0.spec.name,
        artifacts=(efficientnet.ARTIFACT,),
        labels=("Violence/Weapons",),
        max_batch=4096,
        memory_mb=100,
        caveat="only a cue: ImageNet firearm classes, not a weapon detector",
    )

    def __init__(self, weight_DK: NDArray[np.float32], bias_K: NDArray[np.float32]) -> None:
        self.weight_DK = weight_DK
        self.bias_K = bias_K

    @classmethod
    def load(cls, weights: Mapping[str, Path], device: str) -> Self:  # noqa: ARG003  a matrix product is no work
        """Read the classifier out of the tower's checkpoint."""
        import torch

        path = weights[efficientnet.ARTIFACT]
        with reading(path, "a checkpoint of EfficientNet-Lite0"):
            tensors = torch.load(path, map_location="cpu", weights_only=True)
            return cls(tensors["_fc.weight"].numpy().T.copy(), tensors["_fc.bias"].numpy())

    def predict(self, batch: Sequence[Item]) -> list[Vector]:
        """Return one float32 [1] score an embedding."""
        logits_NK = np.stack(batch).astype(np.float32) @ self.weight_DK + self.bias_K
        odds_NK = np.exp(logits_NK - logits_NK.max(axis=1, keepdims=True))
        firearms_N = odds_NK[:, list(FIREARM_CLASSES)].sum(axis=1) / odds_NK.sum(axis=1)
        return list(np.clip(firearms_N, 0.0, 1.0)[:, None])

    @classmethod
    def examples(cls) -> list[Item]:
        """Return plausible pooled features: non-negative, mostly small."""
        rng = np.random.default_rng(7)
        return list(rng.exponential(0.4, (4, efficientnet.FEATURES)).astype(np.float32))
