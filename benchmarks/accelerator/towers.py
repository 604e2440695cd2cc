"""One CLIP tower with random weights, which are as fast as real ones: bare, and fed with decoded frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.accelerator.rates import Sizes, per_second, vit_gflops
from model_registry.model import Item, predict_all
from model_registry.models.clip import ClipTower


@dataclass(frozen=True)
class TowerRates:
    """What one tower does on one device."""

    gflops: float  # an image
    bare: Mapping[int, float]  # images a batch -> images a second, pixels on the device
    piped: float  # images a second from uint8 frames in memory to embeddings in memory
    device_mb: float  # the most that torch held there

    @property
    def best(self) -> float:
        """Images a second at the best batch."""
        return max(self.bare.values())

    @property
    def tflops(self) -> float:
        """Of the bare tower."""
        return self.best * self.gflops / 1e3

    @property
    def piped_share(self) -> float:
        """Of what the bare tower does."""
        return self.piped / self.best


def random_tower(model: type[ClipTower], device: str, seed: int = 7) -> ClipTower:
    """Build the tower of a catalog model with random weights, the same on every device."""
    import open_clip
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return model(open_clip.create_model(model.architecture).visual.eval(), device)


def measure(tower: ClipTower, sizes: Sizes) -> TowerRates:
    """Time the network alone at each batch, then the model as an actor calls it."""
    import torch

    cuda = tower.device.startswith("cuda")
    if cuda:
        torch.cuda.reset_peak_memory_stats(tower.device)
    bare = {batch: bare_per_second(tower, batch, sizes) for batch in sizes.batches}
    images = frames(sizes, tower.spec.max_batch)
    with torch.inference_mode():
        piped = len(images) * per_second(lambda: predict_all(tower, images), tower.device, sizes.seconds)
    held_mb = torch.cuda.max_memory_allocated(tower.device) / 1e6 if cuda else 0.0
    return TowerRates(vit_gflops(tower.visual), bare, piped, held_mb)


def bare_per_second(tower: ClipTower, batch: int, sizes: Sizes) -> float:
    """Images a second through the network, their pixels already there."""
    import torch

    weight = next(tower.visual.parameters())
    with torch.inference_mode():
        pixels_NCHW = torch.randn(batch, 3, tower.side, tower.side, device=weight.device, dtype=weight.dtype)
        return batch * per_second(lambda: tower.visual(pixels_NCHW), tower.device, sizes.seconds)


def frames(sizes: Sizes, batch: int) -> Sequence[Item]:
    """Random frames that lie in one piece of memory, as those of a window do."""
    count, (height, width) = batch * sizes.batches_in_a_row, sizes.frame
    rng = np.random.default_rng(7)
    return list(rng.integers(0, 256, (count, height, width, 3), dtype=np.uint8))
