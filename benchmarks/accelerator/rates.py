"""How fast a device multiplies matrices, how much arithmetic an image tower is, and how often a second it is done."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

WARM_UPS = 3


@dataclass(frozen=True)
class Sizes:
    """How large and how long everything is; the default takes a few minutes on one GPU."""

    seconds: float = 2.0  # of each measurement
    matrix: int = 8192  # side of the square matrices
    batches: tuple[int, ...] = (64, 128, 256, 512)  # images
    frame: tuple[int, int] = (224, 398)  # height and width as the clip bundles decode 16:9
    batches_in_a_row: int = 8  # of the pipeline, from frames in memory
    queries: int = 50_000
    bank: int = 10_000_000
    dimensions: int = 256
    tiles: tuple[tuple[int, int], ...] = ((2048, 4096), (8192, 32768), (16384, 131072))  # queries by bank rows


def synchronise(device: str) -> None:
    """Wait for all that the device was given."""
    import torch

    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def per_second(work: Callable[[], object], device: str, seconds: float) -> float:
    """Calls a second, over at least so many seconds; the first calls are not counted."""
    for _ in range(WARM_UPS):
        work()
    synchronise(device)
    calls, chunk, began = 0, 1, time.perf_counter()
    while True:
        for _ in range(chunk):
            work()
        synchronise(device)
        calls += chunk
        took = time.perf_counter() - began
        if took >= seconds:
            return calls / took
        chunk = max(1, int(calls * (seconds - took) / took))  # few waits: each lets the device run dry


def matmul_tflops(device: str, side: int, seconds: float) -> float:
    """Tera floating-point operations a second of bfloat16 products of random square matrices."""
    import torch

    with torch.inference_mode():
        one, other = (torch.randn(side, side, device=device).to(torch.bfloat16) for _ in range(2))
        out = torch.empty_like(one)
        return 2 * side**3 * per_second(lambda: torch.mm(one, other, out=out), device, seconds) / 1e12


def vit_gflops(visual: Any) -> float:
    """Giga floating-point operations of one image through a vision transformer: its matrix products, 2 a multiply-add.

    With T tokens of width W a block is T (3 W W + W W) + 2 T T W for attention (Vaswani et al. 2017, section 3.2) and
    2 T W H for the two layers of hidden width H; before them the patches, after them one projection.
    """
    tokens, width = visual.positional_embedding.shape
    hidden = visual.transformer.resblocks[0].mlp.c_fc.out_features
    blocks = len(visual.transformer.resblocks)
    block = tokens * 4 * width**2 + 2 * tokens**2 * width + 2 * tokens * width * hidden
    patches = (tokens - 1) * visual.conv1.weight.numel()
    return float(2 * (patches + blocks * block + visual.proj.numel()) / 1e9)
