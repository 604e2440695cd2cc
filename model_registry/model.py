"""A model turns a list into a list of the same length, in order, whoever calls."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from model_registry.errors import NightjarError

Item = NDArray[np.generic]
Vector = NDArray[np.float32]


class InputKind(StrEnum):
    """What one item of a batch is."""

    FRAME = "frame"  # uint8 [height, width, 3], RGB, any size of at least 2 x 2
    EMBEDDING = "embedding"  # float32 [D], as the tower named in ModelSpec.tower wrote it


@dataclass(frozen=True)
class ModelSpec:
    """Everything a scheduler or a reader needs to know of a model before it is loaded."""

    name: str
    version: str
    reads: InputKind
    artifacts: tuple[str, ...]  # rows of artifacts.toml that `load` is given
    labels: tuple[str, ...] = ()  # one score a label, in this order; empty for a tower
    embedding_dim: int = 0  # D of what a tower writes; 0 for a head
    tower: str = ""  # whose embedding a head reads
    max_batch: int = 64
    gpus: float = 0.0  # share of one GPU a replica takes, where there is one
    memory_mb: int = 512  # host memory of a loaded replica
    calibrated: bool = False
    caveat: str = ""  # goes into the detail of every signal of this model

    def __post_init__(self) -> None:
        """Refuse a spec that contradicts itself."""
        if bool(self.labels) == bool(self.embedding_dim):
            raise ValueError(f"model {self.name}: give either labels or embedding_dim, not both or neither")
        if (self.reads is InputKind.EMBEDDING) != bool(self.tower):
            raise ValueError(f"model {self.name}: tower {self.tower!r} does not fit input {self.reads.value!r}")
        if self.max_batch < 1:
            raise ValueError(f"model {self.name}: max_batch is {self.max_batch}, must be at least 1")

    @property
    def width(self) -> int:
        """Length of the vector that `predict` returns for one item."""
        return self.embedding_dim or len(self.labels)


class Model(ABC):
    """One loaded model. Subclasses set `spec`; no Ray, no HTTP and no threshold belongs in them."""

    spec: ClassVar[ModelSpec]

    @classmethod
    @abstractmethod
    def load(cls, weights: Mapping[str, Path], device: str) -> Self:
        """Read the weights (artifact name -> local path) and put them on `device` ("cpu", "cuda")."""

    @abstractmethod
    def predict(self, batch: Sequence[Item]) -> list[Vector]:
        """Return one float32 vector [spec.width] for each item, in order.

        A head's vector holds one score in [0, 1] for each of `spec.labels`.
        """

    @classmethod
    @abstractmethod
    def examples(cls) -> list[Item]:
        """Return a few valid inputs; contract, parity and benchmark code derive from them."""


@dataclass(frozen=True)
class ModelRef:
    """A model pinned to one version and its files: what travels to workers instead of weights."""

    name: str
    version: str
    implementation: str  # "package.module:Class"
    weights: tuple[tuple[str, str], ...] = ()  # (artifact name, local path)

    @property
    def source(self) -> str:
        """`model@version`, as every signal names it."""
        return f"{self.name}@{self.version}"

    @property
    def model_class(self) -> type[Model]:
        """The class, imported on first use."""
        module, _, name = self.implementation.partition(":")
        found: type[Model] = getattr(importlib.import_module(module), name)
        return found

    @property
    def spec(self) -> ModelSpec:
        """The class's spec; reads no weights."""
        return self.model_class.spec

    def load(self, device: str = "cpu") -> Model:
        """Load the pinned weights onto `device`."""
        return self.model_class.load({name: Path(path) for name, path in self.weights}, device)


def predict_all(model: Model, items: Sequence[Item]) -> NDArray[np.float32]:
    """Run `items` through in batches of at most `max_batch`; float32 [len(items), width].

    Raises NightjarError where a model breaks its promise: one finite vector an item, a head's scores in [0, 1].
    """
    spec = model.spec
    out = np.empty((len(items), spec.width), np.float32)
    for start in range(0, len(items), spec.max_batch):
        batch = items[start : start + spec.max_batch]
        vectors = model.predict(batch)
        _check_shapes(spec, vectors, len(batch))
        out[start : start + len(batch)] = vectors
    _check_values(spec, out)
    return out


def _check_shapes(spec: ModelSpec, vectors: Sequence[Vector], wanted: int) -> None:
    if len(vectors) != wanted:
        raise NightjarError(f"model {spec.name} returned {len(vectors)} results for {wanted} items")
    if wrong := {vector.shape for vector in vectors} - {(spec.width,)}:
        raise NightjarError(f"model {spec.name} returned a vector of shape {min(wrong)}, wanted ({spec.width},)")


def _check_values(spec: ModelSpec, vectors_ND: NDArray[np.float32]) -> None:
    if not np.isfinite(vectors_ND).all():
        raise NightjarError(f"model {spec.name} returned a value that is not a finite number")
    if spec.labels and ((vectors_ND < 0.0) | (vectors_ND > 1.0)).any():
        worst = vectors_ND.flat[np.abs(vectors_ND - 0.5).argmax()]
        raise NightjarError(f"model {spec.name} returned the score {worst:g}, allowed are 0 to 1")
