"""EfficientNet-Lite0 as the image tower of the `lite` bundle: pooled features are the embedding.

Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks" (2019); the Lite
variants drop squeeze-and-excitation and swish so that they quantise well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from model_registry.model import InputKind, Item, Model, ModelSpec, Vector
from model_registry.reading import reading

if TYPE_CHECKING:
    import torch

ARTIFACT = "efficientnet-lite0"
FEATURES = 1280
CROP = 224
RESIZE = 256  # CROP + 32 pixels of crop padding, as the weights were evaluated
MEAN, STD = (127.0,) * 3, (128.0,) * 3


class EfficientNetLite0(Model):
    """Frames to 1280 pooled features, not normalised: the ImageNet classifier reads them as they are."""

    spec: ClassVar[ModelSpec] = ModelSpec(
        name="efficientnet_lite0",
        version="1.0.0",
        reads=InputKind.FRAME,
        artifacts=(ARTIFACT,),
        embedding_dim=FEATURES,
        max_batch=16,
        gpus=0.25,
        memory_mb=600,
    )

    def __init__(self, net: Any, device: str) -> None:
        self.net = net
        self.device = device

    @classmethod
    def load(cls, weights: Mapping[str, Path], device: str) -> Self:
        """Build timm's network and fill it from the checkpoint."""
        import torch

        net = _build(weights[ARTIFACT]).eval().to(device, memory_format=torch.channels_last)
        return cls(net, device)

    def predict(self, batch: Sequence[Item]) -> list[Vector]:
        """Return the pooled features, float32 [1280] a frame."""
        import torch

        with torch.inference_mode():
            pixels_NCHW = self.preprocess(batch)
            features_ND = self.net.forward_head(self.net.forward_features(pixels_NCHW), pre_logits=True)
            return list(features_ND.float().cpu().numpy())

    def preprocess(self, batch: Sequence[Item]) -> torch.Tensor:
        """Short side to 256 (bicubic), centre 224, (x - 127) / 128; float32 [N, 3, 224, 224]."""
        import torch
        from torchvision.transforms.v2 import InterpolationMode

        from model_registry import images

        crops = [
            images.center_crop(images.resize_short_side(stack, RESIZE, InterpolationMode.BICUBIC), CROP)
            for stack in images.to_NCHW(batch, self.device)
        ]
        pixels_NCHW = images.normalise(torch.cat(crops), MEAN, STD)
        return pixels_NCHW.contiguous(memory_format=torch.channels_last)

    @classmethod
    def examples(cls) -> list[Item]:
        """Return synthetic frames of several sizes."""
        from model_registry import images

        return images.example_frames()


def _build(checkpoint: Path) -> Any:
    """Load the checkpoint into timm's twin of the network it was saved from.

    Both list the same 296 tensors in the same order under other names.
    """
    import timm
    import torch

    net = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    names = list(net.state_dict())
    with reading(checkpoint, "a checkpoint of EfficientNet-Lite0"):
        tensors = list(torch.load(checkpoint, map_location="cpu", weights_only=True).values())
        if len(names) != len(tensors):
            raise ValueError(f"it holds {len(tensors)} tensors, wanted {len(names)}")
        net.load_state_dict(dict(zip(names, tensors, strict=True)))
    return net
