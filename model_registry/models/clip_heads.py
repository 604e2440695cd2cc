"""LAION's heads on a CLIP embedding: a nudity classifier and two violence class vectors.

Schuhmann, CLIP-based-NSFW-Detector (LAION, 2022, MIT). The arithmetic is NumPy: a head costs microseconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from model_registry.errors import NightjarError
from model_registry.model import InputKind, Item, Model, ModelSpec, Vector
from model_registry.reading import reading

Matrix = NDArray[np.float32]
LOGIT_SCALE = 100.0  # CLIP's own temperature: plain cosines differ by a few hundredths


@dataclass(frozen=True)
class Mlp:
    """Zero some columns, standardise, then dense layers with ReLU between them and a sigmoid at the end."""

    zero_columns: NDArray[np.int64]
    mean_D: Matrix
    deviation_D: Matrix
    layers: tuple[tuple[Matrix, Matrix], ...]  # (kernel [in, out], bias [out])

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read `mean`, `variance`, `zero_columns`, `dense{i}_kernel` and `dense{i}_bias`."""
        with np.load(path, allow_pickle=False) as arrays:
            kernels = sorted(name for name in arrays if name.endswith("_kernel"))
            layers = tuple((arrays[name], arrays[name.replace("_kernel", "_bias")]) for name in kernels)
            deviation_D = np.sqrt(arrays["variance"])
            return cls(arrays["zero_columns"].astype(np.int64), arrays["mean"], deviation_D, layers)

    def __call__(self, embeddings_ND: Matrix) -> Matrix:
        """Return float32 [N, 1] scores in [0, 1]."""
        hidden = embeddings_ND.astype(np.float32, copy=True)
        hidden[:, self.zero_columns] = 0.0
        hidden = (hidden - self.mean_D) / self.deviation_D
        for kernel, bias in self.layers[:-1]:
            hidden = np.maximum(hidden @ kernel + bias, 0.0)
        kernel, bias = self.layers[-1]
        return sigmoid(hidden @ kernel + bias)


def sigmoid(x: Matrix) -> Matrix:
    """1 / (1 + e^-x) without overflow, float32."""
    return np.exp(-np.logaddexp(0.0, -x)).astype(np.float32)


def violence_scores(embeddings_ND: Matrix, safe_violent_2D: Matrix) -> Matrix:
    """Softmax over the two classes of 100 * dot product: above 0.5 where row 1 (violent) wins; [N, 1]."""
    margins_N = embeddings_ND @ (safe_violent_2D[1] - safe_violent_2D[0])
    return sigmoid(LOGIT_SCALE * margins_N)[:, None]


def unit_examples(dimensions: int) -> list[Item]:
    """Return four fixed random vectors of length 1, float32 [D]."""
    vectors_ND = np.random.default_rng(7).normal(size=(4, dimensions)).astype(np.float32)
    return list(vectors_ND / np.linalg.norm(vectors_ND, axis=1, keepdims=True))


def _stack(batch: Sequence[Item], dimensions: int, name: str) -> Matrix:
    embeddings_ND = np.stack(batch).astype(np.float32)
    if embeddings_ND.shape[1:] != (dimensions,):
        raise NightjarError(f"{name} got vectors of shape {embeddings_ND.shape[1:]}, wanted ({dimensions},)")
    return embeddings_ND


class NudityHead(Model):
    """Unit-length CLIP embeddings to `Explicit/Explicit Nudity`."""

    dimensions: ClassVar[int]

    def __init__(self, mlp: Mlp) -> None:
        self.mlp = mlp

    @classmethod
    def load(cls, weights: Mapping[str, Path], device: str) -> Self:  # noqa: ARG003  too small for a device
        """Read the dense layers."""
        path = weights[cls.spec.artifacts[0]]
        with reading(path, f"the dense layers of {cls.spec.name}"):
            mlp = Mlp.read(path)
            if mlp.mean_D.shape != (cls.dimensions,):
                raise ValueError(f"it reads vectors of shape {mlp.mean_D.shape}, wanted ({cls.dimensions},)")
        return cls(mlp)

    def predict(self, batch: Sequence[Item]) -> list[Vector]:
        """Return one float32 [1] score an embedding."""
        return list(self.mlp(_stack(batch, len(self.mlp.mean_D), self.spec.name)))

    @classmethod
    def examples(cls) -> list[Item]:
        """Return random unit vectors."""
        return unit_examples(cls.dimensions)


class ViolenceHead(Model):
    """Unit-length CLIP embeddings to `Violence/Graphic Violence`."""

    dimensions: ClassVar[int]

    def __init__(self, safe_violent_2D: Matrix) -> None:
        self.safe_violent_2D = safe_violent_2D

    @classmethod
    def load(cls, weights: Mapping[str, Path], device: str) -> Self:  # noqa: ARG003  too small for a device
        """Read the two class vectors."""
        path = weights[cls.spec.artifacts[0]]
        with reading(path, f"the two class vectors of {cls.spec.name}"):
            safe_violent_2D = np.load(path, allow_pickle=False).astype(np.float32)
            if safe_violent_2D.shape != (2, cls.dimensions):
                raise ValueError(f"it holds shape {safe_violent_2D.shape}, wanted (2, {cls.dimensions})")
        return cls(safe_violent_2D)

    def predict(self, batch: Sequence[Item]) -> list[Vector]:
        """Return one float32 [1] score an embedding."""
        embeddings_ND = _stack(batch, self.safe_violent_2D.shape[1], self.spec.name)
        return list(violence_scores(embeddings_ND, self.safe_violent_2D))

    @classmethod
    def examples(cls) -> list[Item]:
        """Return random unit vectors."""
        return unit_examples(cls.dimensions)


def _nudity_spec(size: str) -> ModelSpec:
    return ModelSpec(
        name=f"laion_nudity_{size}",
        version="1.0.0",
        reads=InputKind.EMBEDDING,
        tower=f"clip_{size}",
        artifacts=(f"laion-nudity-{size.replace('_', '-')}",),
        labels=("Explicit/Explicit Nudity",),
        max_batch=4096,
        memory_mb=100,
    )


def _violence_spec(size: str) -> ModelSpec:
    return ModelSpec(
        name=f"laion_violence_{size}",
        version="1.0.0",
        reads=InputKind.EMBEDDING,
        tower=f"clip_{size}",
        artifacts=(f"laion-violence-{size.replace('_', '-')}",),
        labels=("Violence/Graphic Violence",),
        max_batch=4096,
        memory_mb=100,
        caveat="published without metrics",
    )


class NudityViTB32(NudityHead):
    """For ViT-B/32: layers 512-32-32-1."""

    dimensions, spec = 512, _nudity_spec("vit_b_32")


class NudityViTL14(NudityHead):
    """For ViT-L/14: layers 768-64-512-256-1."""

    dimensions, spec = 768, _nudity_spec("vit_l_14")


class ViolenceViTB32(ViolenceHead):
    """For ViT-B/32."""

    dimensions, spec = 512, _violence_spec("vit_b_32")


class ViolenceViTL14(ViolenceHead):
    """For ViT-L/14."""

    dimensions, spec = 768, _violence_spec("vit_l_14")
