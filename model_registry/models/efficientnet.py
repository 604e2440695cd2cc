"""EfficientNet-Lite0 as the image tower of the `lite` bundle: pooled features are the embedding.

Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks" (2019); the Lite
variants drop squeeze-and-excitation and swish so that they quantise well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from model_registry.model import InputKind, Item, Model, ModelSpec, Vector
from model_registry.models.efficientnet_graph import INPUT, graph_of
from model_registry.onnx import session
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
        core_batch=1,  # 7.7 ms a frame on one core; 8.5 in a batch of 4, whose layers leave the core's cache
        gpus=0.25,
        memory_mb=600,
    )

    def __init__(self, features: Callable[[torch.Tensor], NDArray[np.float32]], device: str) -> None:
        self.features = features
        self.device = device

    @classmethod
    def load(cls, weights: Mapping[str, Path], device: str) -> Self:
        """Fill timm's network from the checkpoint, or on a CPU an ONNX graph, which takes less than half the time."""
        features = graph_features if device == "cpu" else torch_features
        return cls(features(weights[ARTIFACT], device), device)

    def predict(self, batch: Sequence[Item]) -> list[Vector]:
        """Return the pooled features, float32 [1280] a frame."""
        return list(self.features(self.preprocess(batch)))

    def preprocess(self, batch: Sequence[Item]) -> torch.Tensor:
        """Short side to 256 (bicubic), centre 224, (x - 127) / 128; float32 [N, 3, 224, 224]."""
        import torch
        from torchvision.transforms.v2 import InterpolationMode

        from model_registry import images

        crops = [
            images.center_crop(images.resize_short_side(stack, RESIZE, InterpolationMode.BICUBIC), CROP)
            for stack in images.to_NCHW(batch, self.device)
        ]
        return images.normalise(torch.cat(crops), MEAN, STD)

    @classmethod
    def examples(cls) -> list[Item]:
        """Return synthetic frames of several sizes."""
        from model_registry import images

        return images.example_frames()


def graph_features(checkpoint: Path, device: str = "cpu") -> Callable[[torch.Tensor], NDArray[np.float32]]:
    """The network in ONNX Runtime: float32 [N, 3, 224, 224] to [N, 1280]."""
    with reading(checkpoint, "a checkpoint of EfficientNet-Lite0"):
        graph = graph_of([tensor.numpy() for tensor in _tensors(checkpoint)])
    runtime = session(graph, device)

    def features(pixels_NCHW: torch.Tensor) -> NDArray[np.float32]:
        found: NDArray[np.float32] = runtime.run(None, {INPUT: pixels_NCHW.numpy()})[0]
        return found

    return features


def torch_features(checkpoint: Path, device: str) -> Callable[[torch.Tensor], NDArray[np.float32]]:
    """The same in torch: on a GPU, and the plain reference on a CPU."""
    import torch

    net = timm_twin(checkpoint).eval().to(device, memory_format=torch.channels_last)

    def features(pixels_NCHW: torch.Tensor) -> NDArray[np.float32]:
        with torch.inference_mode():
            pixels = pixels_NCHW.to(memory_format=torch.channels_last)
            found: torch.Tensor = net.forward_head(net.forward_features(pixels), pre_logits=True)
            return found.float().cpu().numpy()

    return features


def timm_twin(checkpoint: Path) -> Any:
    """Load the checkpoint into timm's twin of the network it was saved from.

    Both list the same 296 tensors in the same order under other names.
    """
    import timm

    net = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    names = list(net.state_dict())
    with reading(checkpoint, "a checkpoint of EfficientNet-Lite0"):
        tensors = _tensors(checkpoint)
        if len(names) != len(tensors):
            raise ValueError(f"it holds {len(tensors)} tensors, wanted {len(names)}")
        net.load_state_dict(dict(zip(names, tensors, strict=True)))
    return net


def _tensors(checkpoint: Path) -> list[torch.Tensor]:
    import torch

    return list(torch.load(checkpoint, map_location="cpu", weights_only=True).values())
