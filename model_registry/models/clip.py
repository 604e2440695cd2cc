"""The CLIP image tower through open_clip's own API: a unit-length embedding a frame.

Radford et al., "Learning Transferable Visual Models From Natural Language Supervision" (2021).
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from model_registry.errors import NightjarError
from model_registry.model import InputKind, Item, Model, ModelSpec, Vector
from model_registry.reading import reading

if TYPE_CHECKING:
    import torch

CUDA_PART = 64  # frames that are brought to the device together
QUICK = 1.702  # QuickGELU's factor


@dataclass(frozen=True)
class LoadedClip:
    """Both towers of one checkpoint."""

    net: Any
    tokenizer: Callable[[list[str]], torch.Tensor]
    logit_scale: float  # what cosine similarities are multiplied by before a softmax


def load_clip(architecture: str, weights: Path, device: str) -> LoadedClip:
    """Load a checkpoint file for a built-in architecture, or a folder with `open_clip_config.json` beside it.

    OpenAI's own files are TorchScript archives and go through open_clip's loader for them.
    """
    import open_clip
    from safetensors import SafetensorError

    with reading(weights, f"a CLIP checkpoint of {architecture}", also=(SafetensorError,)):
        if weights.is_dir():
            architecture = f"local-dir:{weights}"
            net = open_clip.create_model(architecture, device=device, require_pretrained=True)
        elif _is_torchscript(weights):
            net = open_clip.load_openai_model(str(weights), precision="fp32", device=device)
        else:
            net = open_clip.create_model(architecture, pretrained=str(weights), device=device)
        tokenizer = open_clip.get_tokenizer(architecture)
    return LoadedClip(net.eval(), tokenizer, float(net.logit_scale.detach().exp()))


def _is_torchscript(path: Path) -> bool:
    """Tell a TorchScript archive from a pickled state dict: only the former carries code."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any("/code/" in name for name in archive.namelist())


class ClipTower(Model):
    """Frames to unit-length embeddings; subclasses name the architecture.

    In float32 on a CPU. On CUDA weights and activations are bfloat16, normalisations and the embedding's length
    float32: an embedding's cosine with the CPU's is above 0.999 (tests/model_registry/test_cuda_parity.py).
    """

    architecture: ClassVar[str]

    def __init__(self, visual: Any, device: str) -> None:
        self.visual = for_cuda(visual, device) if device.startswith("cuda") else visual
        self.device = device
        self.side = _square_side(visual.image_size)
        self.mean = [255.0 * share for share in visual.image_mean]  # open_clip keeps them with the checkpoint
        self.std = [255.0 * share for share in visual.image_std]

    @classmethod
    def load(cls, weights: Mapping[str, Path], device: str) -> Self:
        """Keep the image tower of the checkpoint and let the text tower go."""
        path, wanted = weights[cls.spec.artifacts[0]], cls.spec.embedding_dim
        visual = load_clip(cls.architecture, path, device).net.visual
        if (found := visual.output_dim) != wanted:
            raise NightjarError(f"{path} embeds in {found} dimensions, {cls.spec.name} wants {wanted}")
        _refuse_other_preprocessing(path, getattr(visual, "preprocess_cfg", {}))
        return cls(visual, device)

    def predict(self, batch: Sequence[Item]) -> list[Vector]:
        """Return float32 [D] of length 1 a frame."""
        import torch

        with torch.inference_mode():
            parts = [self.visual(self.preprocess(part)).float() for part in self._parts(batch)]
            embeddings_ND = parts[0] if len(parts) == 1 else torch.cat(parts)
            return list(torch.nn.functional.normalize(embeddings_ND, dim=-1).cpu().numpy())

    def _parts(self, batch: Sequence[Item]) -> list[Sequence[Item]]:
        """On CUDA a few, so that one is looked at while the next is copied; nothing waits before the last."""
        size = CUDA_PART if self.device.startswith("cuda") else len(batch)
        return [batch[start : start + size] for start in range(0, len(batch), size)]

    def preprocess(self, batch: Sequence[Item]) -> torch.Tensor:
        """Short side to the model's size (bicubic), centre crop, the checkpoint's mean and deviation."""
        import torch
        from torchvision.transforms.v2 import InterpolationMode

        from model_registry import images

        crops = [
            images.center_crop(images.resize_short_side(stack, self.side, InterpolationMode.BICUBIC), self.side)
            for stack in images.to_NCHW(batch, self.device)
        ]
        return images.normalise(torch.cat(crops), self.mean, self.std).to(self._dtype)

    @property
    def _dtype(self) -> torch.dtype:
        found: torch.dtype = next(self.visual.parameters()).dtype
        return found

    @classmethod
    def examples(cls) -> list[Item]:
        """Return synthetic frames of several sizes."""
        from model_registry import images

        return images.example_frames()


def for_cuda(visual: Any, device: str) -> Any:
    """Bring an image tower to the device, in bfloat16."""
    import torch

    one_kernel_gelu(visual)
    return visual.to(device, torch.bfloat16)


def one_kernel_gelu(visual: Any) -> None:
    """Turn QuickGELU, x sigmoid(1.702 x), from three kernels into one, in place.

    It is silu(1.702 x) / 1.702, and the layers before and after take the two factors.
    """
    import torch
    from open_clip.transformer import QuickGELU

    with torch.no_grad():
        for block in visual.transformer.resblocks:
            mlp = block.mlp
            if isinstance(mlp.gelu, QuickGELU):
                for scaled in (mlp.c_fc.weight, mlp.c_fc.bias):
                    scaled.mul_(QUICK)
                mlp.c_proj.weight.div_(QUICK)
                mlp.gelu = torch.nn.SiLU(inplace=True)


def _refuse_other_preprocessing(path: Path, config: Mapping[str, Any]) -> None:
    """A checkpoint says how its images were scaled; only OpenAI's way is built in."""
    for name, wanted in (("resize_mode", "shortest"), ("interpolation", "bicubic")):
        if (found := config.get(name, wanted)) != wanted:
            raise NightjarError(f"{path} was trained with {name} {found!r}, allowed is {wanted!r}")


def _square_side(image_size: int | tuple[int, int]) -> int:
    height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
    if height != width:
        raise NightjarError(f"the CLIP checkpoint wants images of {height} x {width} pixels, allowed are squares")
    return height


class ClipViTB32(ClipTower):
    """OpenAI's ViT-B/32: 512 dimensions."""

    architecture = "ViT-B-32-quickgelu"
    spec = ModelSpec(
        name="clip_vit_b_32",
        version="1.0.0",
        reads=InputKind.FRAME,
        artifacts=("clip-vit-b-32-openai",),
        embedding_dim=512,
        max_batch=128,
        gpus=0.5,
        memory_mb=1500,
    )


class ClipViTL14(ClipTower):
    """OpenAI's ViT-L/14: 768 dimensions."""

    architecture = "ViT-L-14-quickgelu"
    spec = ModelSpec(
        name="clip_vit_l_14",
        version="1.0.0",
        reads=InputKind.FRAME,
        artifacts=("clip-vit-l-14-openai",),
        embedding_dim=768,
        max_batch=128,
        gpus=1.0,
        memory_mb=4000,
    )
