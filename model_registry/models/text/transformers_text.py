"""Any encoder of Transformers as a text tower, and any of its sequence classifiers as a model of text.

A subclass is a model: it names its spec, and the one artifact of the spec is a folder as `save_pretrained` writes it,
tokenizer included. Only safetensors are read, so that a checkpoint carries no program, and no code that lies in the
folder is run. None of the catalog is of this kind; a pipeline takes one by its implementation path:

    class MultilingualE5Small(TransformersTower):
        prefix = "query: "
        spec = ModelSpec(name="multilingual_e5_small", version="1.0.0", reads=InputKind.TEXT, embedding_dim=384, ...)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np

from model_registry.model import Model, Vector
from model_registry.reading import reading

if TYPE_CHECKING:
    import torch

MAX_CHARACTERS = 4096  # of a text that reach the tokenizer: several for each token that is kept
POOLER = "pooler."  # a layer that some encoders bring and no embedding here passes through


class TransformersText(Model[str, Vector]):
    """What both kinds share: a folder, its fast tokenizer, truncation, half precision on CUDA."""

    max_tokens: ClassVar[int] = 256
    prefix: ClassVar[str] = ""  # what some encoders want before each text

    def __init__(self, net: Any, tokenizer: Any, device: str) -> None:
        self.net = net
        self.tokenizer = tokenizer
        self.device = device

    @classmethod
    def load(cls, weights: Mapping[str, Path], device: str) -> Self:
        """Read the folder and refuse one that lacks weights: Transformers would draw them at random."""
        import torch
        from safetensors import SafetensorError
        from transformers import AutoTokenizer
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()  # a worker has no terminal
        dtype = torch.float16 if device.startswith("cuda") else torch.float32
        with reading(path := weights[cls.spec.artifacts[0]], f"a checkpoint of {cls.spec.name}", (SafetensorError,)):
            if not (path / "config.json").is_file():
                raise ValueError("it is no folder with a config.json in it")
            tokenizer = AutoTokenizer.from_pretrained(path, use_fast=True, local_files_only=True)
            if not tokenizer.is_fast:
                raise ValueError(f"its tokenizer {type(tokenizer).__name__} is no fast one")
            net = cls._net(path, dtype)
        return cls(net.to(device).eval(), tokenizer, device)

    @classmethod
    def _net(cls, path: Path, dtype: torch.dtype) -> Any:
        """Read the network and hold it to the spec, or raise ValueError."""
        raise NotImplementedError

    def _run(self, batch: Sequence[str]) -> tuple[Any, torch.Tensor]:
        """Return the network's output and bool [N, T]: which tokens are text."""
        texts = [self.prefix + text.encode("utf-8", "replace").decode()[:MAX_CHARACTERS] for text in batch]
        limit = min(self.max_tokens, self.net.config.max_position_embeddings)
        tokens = self.tokenizer(texts, padding=True, truncation=True, max_length=limit, return_tensors="pt")
        tokens = tokens.to(self.device)
        return self.net(**tokens), tokens["attention_mask"].bool()

    @classmethod
    def examples(cls) -> list[str]:
        """Return lines of two languages and several lengths."""
        return ["你好", "a line of text", "今天给大家做一道番茄炒蛋", "the end " * 100]


class TransformersTower(TransformersText):
    """Texts to embeddings of length 1: the mean over a text's tokens, or its first token."""

    pooling: ClassVar[Literal["mean", "first"]] = "mean"

    @classmethod
    def _net(cls, path: Path, dtype: torch.dtype) -> Any:
        from transformers import AutoModel

        net = _read(AutoModel, path, dtype)
        if (found := net.config.hidden_size) != (wanted := cls.spec.embedding_dim):
            raise ValueError(f"it embeds in {found} dimensions, wanted {wanted}")
        return net

    def predict(self, batch: Sequence[str]) -> list[Vector]:
        """Return float32 [D] of length 1 a text."""
        import torch

        if not batch:
            return []
        with torch.inference_mode():
            output, text_NT = self._run(batch)
            hidden_NTD = output.last_hidden_state.float()
            if self.pooling == "mean":
                hidden_NTD = hidden_NTD.masked_fill(~text_NT[..., None], 0.0)
                pooled_ND = hidden_NTD.sum(dim=1) / text_NT.sum(dim=1, keepdim=True).clamp(min=1)
            else:
                pooled_ND = hidden_NTD[:, 0]
            return list(torch.nn.functional.normalize(pooled_ND, dim=1).cpu().numpy())


class TransformersClassifier(TransformersText):
    """Texts to a score a label; `classes` says which class of the checkpoint is which label."""

    classes: ClassVar[Mapping[str, str]]  # label of the spec -> class as config.json calls it

    @classmethod
    def _net(cls, path: Path, dtype: torch.dtype) -> Any:
        from transformers import AutoModelForSequenceClassification

        net = _read(AutoModelForSequenceClassification, path, dtype)
        if missing := {cls.classes[label] for label in cls.spec.labels} - set(net.config.label2id):
            raise ValueError(
                f"it has the classes {', '.join(sorted(net.config.label2id))}; wanted {', '.join(sorted(missing))}"
            )
        return net

    def predict(self, batch: Sequence[str]) -> list[Vector]:
        """Return float32 [L] scores a text: sigmoids where classes may be true together, else a softmax."""
        import torch

        if not batch:
            return []
        with torch.inference_mode():
            logits_NC = self._run(batch)[0].logits.float()
            together = self.net.config.problem_type == "multi_label_classification"
            scores_NC = logits_NC.sigmoid() if together else logits_NC.softmax(dim=1)
            wanted = [self.net.config.label2id[self.classes[label]] for label in self.spec.labels]
            return list(np.ascontiguousarray(scores_NC[:, wanted].cpu().numpy()))


def _read(kind: Any, path: Path, dtype: torch.dtype) -> Any:
    """Read a checkpoint; ValueError where a weight is missing."""
    options = {"dtype": dtype, "local_files_only": True, "use_safetensors": True, "output_loading_info": True}
    net, about = kind.from_pretrained(path, **options)
    if missing := sorted(name for name in about["missing_keys"] if POOLER not in name):
        raise ValueError(f"{len(missing)} weights are missing, {missing[0]} among them")
    return net
