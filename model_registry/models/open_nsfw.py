"""Yahoo's Open-NSFW, a ResNet-50-thin that scores a frame for pornographic content.

Mahadeokar and Pesavento, "Open Sourcing a Deep Learning Solution for Detecting NSFW Images" (Yahoo, 2016).
Its first pipeline passed every image through JPEG; video frames have been through a lossy codec already, so
that step is left out here, and scores differ from the original's by a few hundredths.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from model_registry.model import InputKind, Item, Model, ModelSpec, Vector
from model_registry.onnx import open_graph

if TYPE_CHECKING:
    import torch

ARTIFACT = "open-nsfw"
RESIZE, CROP = 256, 224
MEAN_RGB = (123.0, 117.0, 104.0)


class OpenNSFW(Model):
    """Frames to the probability of `Explicit/Explicit Nudity`, by ONNX Runtime."""

    spec: ClassVar[ModelSpec] = ModelSpec(
        name="open_nsfw",
        version="1.0.0",
        reads=InputKind.FRAME,
        artifacts=(ARTIFACT,),
        labels=("Explicit/Explicit Nudity",),
        max_batch=16,
        core_batch=1,  # a batch of 4 saves 2 % of the time, and whoever waits for it waits longer
        gpus=0.25,
        memory_mb=500,
    )

    def __init__(self, session: Any, device: str) -> None:
        self.session = session
        self.device = device
        self.input_name: str = session.get_inputs()[0].name

    @classmethod
    def load(cls, weights: Mapping[str, Path], device: str) -> Self:
        """Open the ONNX graph on CUDA where the runtime has it, else on the CPU, with torch's thread count."""
        return cls(open_graph(weights[ARTIFACT], device, folded=True), device)

    def predict(self, batch: Sequence[Item]) -> list[Vector]:
        """Return one float32 [1] score a frame: the softmax's second column."""
        pixels_NHWC = self.preprocess(batch).cpu().numpy()
        scores_N2 = self.session.run(None, {self.input_name: pixels_NHWC})[0]
        return list(np.clip(scores_N2[:, 1:], 0.0, 1.0).astype(np.float32))

    def preprocess(self, batch: Sequence[Item]) -> torch.Tensor:
        """Squash to 256 x 256 (bilinear), centre 224, BGR minus the mean; float32 [N, 224, 224, 3]."""
        import torch
        from torchvision.transforms.v2 import InterpolationMode

        from model_registry import images

        crops = [
            images.center_crop(images.squash(stack, RESIZE, InterpolationMode.BILINEAR), CROP)
            for stack in images.to_NCHW(batch, self.device)
        ]
        bgr_NCHW = torch.stack(torch.cat(crops).unbind(1)[::-1], dim=1)
        return images.normalise(bgr_NCHW, MEAN_RGB[::-1], (1.0, 1.0, 1.0)).permute(0, 2, 3, 1).contiguous()

    @classmethod
    def examples(cls) -> list[Item]:
        """Return synthetic frames of several sizes."""
        from model_registry import images

        return images.example_frames()
