"""The descriptor space: a tower's embedding whitened to at most 512 dimensions, and a background to score against.

The whitening is fitted in fit.py. The score against a background set is that of the Image Similarity Challenge (Douze
et al., arXiv 2106.09672, section 5).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_registry.errors import UsageError
from model_registry.reading import reading

SPACES = Path(__file__).with_name("spaces")
MOST_DIMENSIONS = 512
NEAREST = 10  # background neighbours whose mean similarity is taken off a score


@dataclass(frozen=True)
class Space:
    """How embeddings of one tower become descriptors; two descriptors compare only within one space."""

    tower: str  # `model@version` whose embeddings it reads
    mean_E: NDArray[np.float32]
    projection_ED: NDArray[np.float32]
    background_BD: NDArray[np.float32]  # descriptors of unrelated footage, unit length

    def __post_init__(self) -> None:
        """Refuse matrices that do not fit each other."""
        wide, deep = self.projection_ED.shape
        if self.mean_E.shape != (wide,) or self.background_BD.shape[1:] != (deep,) or deep > MOST_DIMENSIONS:
            shapes = f"{self.mean_E.shape}, {self.projection_ED.shape}, {self.background_BD.shape}"
            raise ValueError(f"space of {self.tower}: shapes {shapes} do not fit [E], [E, D <= 512], [B, D]")

    @property
    def dimensions(self) -> int:
        """D."""
        return int(self.projection_ED.shape[1])

    @cached_property
    def id(self) -> str:
        """`tower+digest`: the digest changes with any number in it."""
        digest = hashlib.sha256()
        for array in (self.mean_E, self.projection_ED, self.background_BD):
            digest.update(np.ascontiguousarray(array, np.float32).tobytes())
        return f"{self.tower}+{digest.hexdigest()[:8]}"

    def describe(self, embeddings_NE: NDArray[Any]) -> NDArray[np.float32]:
        """Return unit descriptors, float32 [N, D]; an embedding at the mean becomes zeros and matches nothing."""
        centred_NE = unit(np.asarray(embeddings_NE, np.float32)) - self.mean_E
        return unit(np.asarray(centred_NE @ self.projection_ED, np.float32))

    def common(self, descriptors_ND: NDArray[np.float32]) -> NDArray[np.float32]:
        """How alike each descriptor is to unrelated footage: mean similarity to its nearest neighbours, [N]."""
        if not len(self.background_BD) or not len(descriptors_ND):
            return np.zeros(len(descriptors_ND), np.float32)
        near = min(NEAREST, len(self.background_BD))
        alike_NB = descriptors_ND @ self.background_BD.T
        return np.asarray(np.partition(alike_NB, -near, axis=1)[:, -near:].mean(axis=1), np.float32)

    def demand(self, tower: str) -> None:
        """Raise UsageError where embeddings come from another tower."""
        if tower != self.tower:
            raise UsageError(
                f"the bank's descriptors come from {self.tower} and these from {tower}; "
                "choose the bundle the bank was built with, or build a bank for this one"
            )

    def save(self, path: Path) -> None:
        """Write the space as one .npz file; it appears under its name only when whole."""
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            np.savez_compressed(
                file,
                tower=np.array(self.tower),
                mean_E=self.mean_E,
                projection_ED=self.projection_ED.astype(np.float16),
                background_BD=self.background_BD.astype(np.float16),
            )
        part.replace(path)

    @classmethod
    def load(cls, path: Path) -> Space:
        """Read a space; raises NightjarError that names the file."""
        with reading(path, "a descriptor space"), np.load(path, allow_pickle=False) as file:
            arrays = {name: np.asarray(file[name], np.float32) for name in ("mean_E", "projection_ED", "background_BD")}
            return cls(tower=str(file["tower"]), **arrays)


def unit(vectors_ND: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale rows to length 1; a row of zeros stays."""
    lengths = np.linalg.norm(vectors_ND, axis=1, keepdims=True)
    return np.asarray(vectors_ND / np.maximum(lengths, 1e-12), np.float32)


def shipped_space(tower: str) -> Space | None:
    """Return the space that ships for a tower, or None."""
    path = SPACES / f"{tower.partition('@')[0]}.npz"
    if not path.exists():
        return None
    space = Space.load(path)
    return space if space.tower == tower else None
