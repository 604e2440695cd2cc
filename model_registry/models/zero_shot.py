"""Zero-shot heads: CLIP compares a frame with captions of each label and with benign captions."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from model_registry.model import InputKind, Item, Model, ModelSpec, Vector
from model_registry.models.clip import ClipTower, ClipViTB32, ClipViTL14, load_clip
from model_registry.models.clip_heads import unit_examples

if TYPE_CHECKING:
    import torch

Matrix = NDArray[np.float32]
PROMPTS_FILE = Path(__file__).with_name("prompts.toml")
CAPTIONS_PER_BATCH = 64


@dataclass(frozen=True)
class LabelPrompts:
    """The captions of one label, English first, then those translated from Chinese."""

    name: str
    captions: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse a label that nothing describes."""
        if not self.captions:
            raise ValueError(f"label {self.name!r} has 0 captions, needs at least 1")


@dataclass(frozen=True)
class Prompts:
    """Everything a frame is compared with, in the file's order."""

    version: str
    benign: tuple[str, ...]
    labels: tuple[LabelPrompts, ...]

    def __post_init__(self) -> None:
        """Refuse prompts without a benign side, and labels given twice."""
        if not self.benign:
            raise ValueError(f"prompts {self.version} have 0 benign captions, need at least 1")
        names = [label.name for label in self.labels]
        if repeated := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"prompts {self.version} repeat {sorted(repeated)}; allowed: one table a label")


@cache
def zero_shot_prompts() -> Prompts:
    """Read the captions that ship with this version."""
    data = tomllib.loads(PROMPTS_FILE.read_text("utf-8"))
    labels = [LabelPrompts(row["name"], (*row["prompts"], *row["from_chinese"])) for row in data["label"]]
    return Prompts(version=data["version"], benign=tuple(data["benign"]["prompts"]), labels=tuple(labels))


def unit_rows(rows_ND: Matrix) -> Matrix:
    """Scale each row to length 1."""
    unit_ND: Matrix = rows_ND / np.linalg.norm(rows_ND, axis=1, keepdims=True)
    return unit_ND


def ensemble(captions_KD: Matrix) -> Matrix:
    """Average K caption embeddings into one unit-length row, float32 [D].

    normalise(mean_k(normalise(t_k))): prompt ensembling in embedding space, Radford et al. 2021, "Learning
    Transferable Visual Models From Natural Language Supervision", section 3.1.4.
    """
    mean_1D = unit_rows(captions_KD).mean(axis=0, keepdims=True)
    return unit_rows(mean_1D).ravel()


def label_probabilities(
    embeddings_ND: Matrix,
    labels_LD: Matrix,
    benign_BD: Matrix,
    logit_scale: float,
) -> Matrix:
    """Return the probability of each label against the benign captions, float32 [N, L] in [0, 1].

    Each label meets the benign captions alone, so several labels can score high in one frame. For image x,
    label l and benign captions b_1 ... b_B, all of unit length, and s = logit_scale:

        p(l | x) = exp(s x.l) / (exp(s x.l) + sum_j exp(s x.b_j))

    That is the softmax classifier of Radford et al. 2021 (section 3.1.2) over {l, b_1, ..., b_B}; taken in
    logarithms, it stays finite for any scale. A frame equally far from everything scores 1 / (1 + B).
    """
    labels_NL = logit_scale * (embeddings_ND @ labels_LD.T)
    benign_NB = logit_scale * (embeddings_ND @ benign_BD.T)
    benign_N1 = np.logaddexp.reduce(benign_NB, axis=1, keepdims=True)
    log_p_NL: Matrix = labels_NL - np.logaddexp(labels_NL, benign_N1)
    return np.exp(log_p_NL).astype(np.float32)


def embed_captions(
    encode_text: Callable[[torch.Tensor], torch.Tensor],
    tokenizer: Callable[[list[str]], torch.Tensor],
    captions: Sequence[str],
    device: str,
) -> Matrix:
    """Run the text tower over `captions` in batches; float32 [len(captions), D], of any length."""
    import torch

    batches = [captions[i : i + CAPTIONS_PER_BATCH] for i in range(0, len(captions), CAPTIONS_PER_BATCH)]
    with torch.inference_mode():
        parts = [encode_text(tokenizer(list(batch)).to(device)).float().cpu().numpy() for batch in batches]
    return np.concatenate(parts)


class ZeroShotHead(Model):
    """One score for every label of prompts.toml, from the embedding of the CLIP tower that `spec` names."""

    architecture: ClassVar[str]  # as open_clip calls it; the text tower of the same checkpoint
    dimensions: ClassVar[int]

    def __init__(self, labels_LD: Matrix, benign_BD: Matrix, logit_scale: float) -> None:
        self.labels_LD = labels_LD
        self.benign_BD = benign_BD
        self.logit_scale = logit_scale

    @classmethod
    def load(cls, weights: Mapping[str, Path], device: str) -> Self:
        """Embed every caption once; the network is let go, two small matrices stay."""
        prompts = zero_shot_prompts()
        (artifact,) = cls.spec.artifacts
        clip = load_clip(cls.architecture, weights[artifact], device)

        def embed(captions: Sequence[str]) -> Matrix:
            return embed_captions(clip.net.encode_text, clip.tokenizer, captions, device)

        labels_LD = np.stack([ensemble(embed(label.captions)) for label in prompts.labels])
        return cls(labels_LD, unit_rows(embed(prompts.benign)), clip.logit_scale)

    def predict(self, batch: Sequence[Item]) -> list[Vector]:
        """Score unit-length embeddings, float32 [D] each. Raises ValueError for any other shape."""
        wanted = self.labels_LD.shape[1:]
        if wrong := [item.shape for item in batch if item.shape != wanted]:
            raise ValueError(f"model {self.spec.name} got an embedding of shape {wrong[0]}, wanted {wanted}")
        if not batch:
            return []
        return list(label_probabilities(np.stack(batch), self.labels_LD, self.benign_BD, self.logit_scale))

    @classmethod
    def examples(cls) -> list[Item]:
        """Return random unit vectors."""
        return unit_examples(cls.dimensions)


def _spec(name: str, tower: type[ClipTower]) -> ModelSpec:
    return ModelSpec(
        name=name,
        version="1.0.0",
        reads=InputKind.EMBEDDING,
        tower=tower.spec.name,
        artifacts=tower.spec.artifacts,
        labels=tuple(label.name for label in zero_shot_prompts().labels),
        max_batch=1024,
        memory_mb=tower.spec.memory_mb,  # only while loading, when the whole checkpoint is read; little after
        caveat="zero-shot captions, not calibrated",
    )


class ZeroShotViTB32(ZeroShotHead):
    """For ViT-B/32."""

    architecture, dimensions = ClipViTB32.architecture, ClipViTB32.spec.embedding_dim
    spec = _spec("zero_shot_vit_b_32", ClipViTB32)


class ZeroShotViTL14(ZeroShotHead):
    """For ViT-L/14."""

    architecture, dimensions = ClipViTL14.architecture, ClipViTL14.spec.embedding_dim
    spec = _spec("zero_shot_vit_l_14", ClipViTL14)
