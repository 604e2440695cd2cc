"""A model turns a list into a list of the same length, in order, whoever calls."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, Generic, Self

import numpy as np
from numpy.typing import NDArray
from typing_extensions import TypeVar

from model_registry.artifacts import on_this_machine
from model_registry.errors import NightjarError
from model_registry.memory import is_out_of_memory, release

Item = NDArray[np.generic]
Vector = NDArray[np.float32]
In = TypeVar("In", default=Item, contravariant=True)
Out = TypeVar("Out", default=Vector, covariant=True)


class InputKind(StrEnum):
    """What one item of a batch is."""

    FRAME = "frame"  # uint8 [height, width, 3], RGB, any size of at least 2 x 2
    EMBEDDING = "embedding"  # float32 [D], as the tower named in ModelSpec.tower wrote it
    SOUND = "sound"  # int16 [samples], mono, 16 kHz, up to 30 s
    TEXT = "text"  # str, any length


class OutputKind(StrEnum):
    """What a model returns for one item."""

    VECTOR = "vector"  # float32 [width]: an embedding, or a score a label
    SPANS = "spans"  # tuple[Span, ...]
    LINES = "lines"  # tuple[Line, ...]


@dataclass(frozen=True)
class Span:
    """A stretch of one item of sound."""

    start_ms: int
    end_ms: int
    confidence: float  # 0 to 1


@dataclass(frozen=True)
class Word:
    """Where one word of a line lies: in the line's text and in time."""

    start: int  # code points of the line's text
    end: int
    start_ms: int
    end_ms: int


@dataclass(frozen=True)
class Line:
    """One line that a model read or heard in one item; times are the item's own."""

    text: str
    confidence: float  # 0 to 1
    language: str = ""  # ISO 639-1, empty where nobody asked
    start_ms: int = 0
    end_ms: int = 0
    words: tuple[Word, ...] = ()
    box: tuple[float, float, float, float] | None = None  # left, top, right, bottom as shares of the frame


@dataclass(frozen=True)
class ModelSpec:
    """Everything a scheduler or a reader needs to know of a model before it is loaded."""

    name: str
    version: str
    reads: InputKind
    artifacts: tuple[str, ...]  # rows of artifacts.toml that `load` is given
    labels: tuple[str, ...] = ()  # one score a label, in this order; empty for a tower
    embedding_dim: int = 0  # D of what a tower writes; 0 for a head
    writes: OutputKind = OutputKind.VECTOR
    tower: str = ""  # whose embedding a head reads
    max_batch: int = 64
    core_batch: int = 0  # items that one CPU core had best compute at once; 0: no matter, as many as there are
    gpus: float = 0.0  # share of one GPU a replica takes, where there is one
    memory_mb: int = 512  # host memory of a loaded replica
    calibrated: bool = False
    caveat: str = ""  # goes into the detail of every signal of this model

    def __post_init__(self) -> None:
        """Refuse a spec that contradicts itself."""
        if self.writes is not OutputKind.VECTOR and (self.labels or self.embedding_dim):
            raise ValueError(f"model {self.name}: what writes {self.writes.value} has neither labels nor embedding_dim")
        if self.writes is OutputKind.VECTOR and bool(self.labels) == bool(self.embedding_dim):
            raise ValueError(f"model {self.name}: give either labels or embedding_dim, not both or neither")
        if (self.reads is InputKind.EMBEDDING) != bool(self.tower):
            raise ValueError(f"model {self.name}: tower {self.tower!r} does not fit input {self.reads.value!r}")
        if self.max_batch < 1:
            raise ValueError(f"model {self.name}: max_batch is {self.max_batch}, must be at least 1")
        if self.core_batch < 0:
            raise ValueError(f"model {self.name}: core_batch is {self.core_batch}, must be 0 or more")

    @property
    def width(self) -> int:
        """Length of the vector that `predict` returns for one item."""
        return self.embedding_dim or len(self.labels)


class Model(ABC, Generic[In, Out]):
    """One loaded model. Subclasses set `spec`; no Ray, no HTTP and no threshold belongs in them."""

    spec: ClassVar[ModelSpec]

    @classmethod
    @abstractmethod
    def load(cls, weights: Mapping[str, Path], device: str) -> Self:
        """Read the weights (artifact name -> local path) and put them on `device` ("cpu", "cuda")."""

    @abstractmethod
    def predict(self, batch: Sequence[In]) -> list[Out]:
        """Return what `spec.writes` says for each item, in order: most often a float32 vector [spec.width].

        A head's vector holds one score in [0, 1] for each of `spec.labels`.
        """

    @classmethod
    @abstractmethod
    def examples(cls) -> list[Any]:
        """Return a few valid inputs; contract, parity and benchmark code derive from them."""


AnyModel = Model[Any, Any]


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
    def model_class(self) -> type[AnyModel]:
        """The class, imported on first use."""
        module, _, name = self.implementation.partition(":")
        found: type[AnyModel] = getattr(importlib.import_module(module), name)
        return found

    @property
    def spec(self) -> ModelSpec:
        """The class's spec; reads no weights."""
        return self.model_class.spec

    def load(self, device: str = "cpu") -> AnyModel:
        """Load the pinned weights onto `device`; raises NightjarError on a machine that lacks them."""
        return self.model_class.load({name: on_this_machine(name, Path(path)) for name, path in self.weights}, device)


def predict_all(model: AnyModel, items: Sequence[Any]) -> NDArray[np.float32]:
    """Run `items` through in batches of at most `max_batch`, halved where memory is short; float32 [len(items), width].

    Raises NightjarError where a model breaks its promise: one finite vector an item, a head's scores in [0, 1].
    """
    spec = model.spec
    out = np.empty((len(items), spec.width), np.float32)
    for start, vectors in _in_batches(model, items):
        _check_shapes(spec, vectors)
        out[start : start + len(vectors)] = vectors
    _check_values(spec, out)
    return out


def read_all(model: AnyModel, items: Sequence[Any]) -> list[Any]:
    """Run `items` through a model that writes spans or lines, in batches as `predict_all` does.

    Raises NightjarError where it does not return one result an item.
    """
    return [result for _, results in _in_batches(model, items) for result in results]


def _in_batches(model: AnyModel, items: Sequence[Any]) -> Iterator[tuple[int, Sequence[Any]]]:
    """Yield where each batch starts, and one result an item.

    What fits is remembered for this call only: who shares the memory may be gone by the next, and finding out again
    costs one failed batch.
    """
    start, most = 0, model.spec.max_batch
    while start < len(items):
        batch = items[start : start + most]
        results = _predicted(model, batch)
        if results is None:
            most = max(1, len(batch) // 2)
            release()
            continue
        _check_count(model.spec, results, len(batch))
        yield start, results
        start += len(batch)


def _predicted(model: AnyModel, batch: Sequence[Any]) -> list[Any] | None:
    """Return None where the batch is too large for the memory; what it held is free once this has returned."""
    try:
        return model.predict(batch)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        if len(batch) == 1:
            device = getattr(model, "device", "cpu")
            raise NightjarError(
                f"model {model.spec.name} has too little memory on {device} for a batch of 1"
            ) from error
        return None


def _check_count(spec: ModelSpec, results: Sequence[object], wanted: int) -> None:
    if len(results) != wanted:
        raise NightjarError(f"model {spec.name} returned {len(results)} results for {wanted} items")


def _check_shapes(spec: ModelSpec, vectors: Sequence[Vector]) -> None:
    if wrong := {vector.shape for vector in vectors} - {(spec.width,)}:
        raise NightjarError(f"model {spec.name} returned a vector of shape {min(wrong)}, wanted ({spec.width},)")


def _check_values(spec: ModelSpec, vectors_ND: NDArray[np.float32]) -> None:
    if not np.isfinite(vectors_ND).all():
        raise NightjarError(f"model {spec.name} returned a value that is not a finite number")
    if spec.labels and ((vectors_ND < 0.0) | (vectors_ND > 1.0)).any():
        worst = vectors_ND.flat[np.abs(vectors_ND - 0.5).argmax()]
        raise NightjarError(f"model {spec.name} returned the score {worst:g}, allowed are 0 to 1")
