"""PyTorch's `DataLoader`: a worker process a core decodes with TorchCodec, the main process scores in batches.

`get_frames_played_at` returns the frames on screen at the ticks; of the others none is converted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset
from torchcodec.decoders import VideoDecoder
from torchvision.transforms.v2 import functional

from benchmarks.contenders.contract import Frame, Output, Scorer, Task, batches, contend

AHEAD = 4  # stretches that each worker holds ready
STRETCH_TICKS = 30  # a long video is several items, so that all workers are at it; TorchCodec seeks to the keyframe


def work(task: Task, ready: Callable[[], None]) -> None:
    """Decode videos in the workers; score the stream of their frames here."""
    ready()
    loader: Any = DataLoader(
        Stretches(task), batch_size=None, num_workers=task.cores, prefetch_factor=AHEAD, worker_init_fn=_one_thread
    )
    with Output(task) as out:
        decoded = iter(loader)  # the workers are forked before the models have threads
        scorer = Scorer(task, 1)
        for batch in batches(_frames(decoded)):
            out.write(scorer.rows(batch))


class Stretches(Dataset[Any]):
    """One item a stretch of a video: its name, `frame_ms` [T] and frames [T, H, W, 3]."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.stretches = [(path, ticks) for path in task.videos for ticks in _stretches(path, task.interval_ms / 1000)]

    def __len__(self) -> int:
        return len(self.stretches)

    def __getitem__(self, index: int) -> tuple[str, torch.Tensor, torch.Tensor]:
        path, ticks_s = self.stretches[index]
        decoder = VideoDecoder(path, num_ffmpeg_threads=1)
        width, height = self.task.size(decoder.metadata.width or 0, decoder.metadata.height or 0)
        played = decoder.get_frames_played_at(seconds=ticks_s)
        small = functional.resize(played.data, [height, width], antialias=True)
        return path, (played.pts_seconds * 1000).round().long(), small.permute(0, 2, 3, 1).contiguous()


def _stretches(path: str, interval_s: float) -> list[list[float]]:
    """The ticks at which some frame begins or is on screen, by the header, some at a time."""
    info = VideoDecoder(path, seek_mode="approximate").metadata
    last_s = (info.end_stream_seconds or 0.0) - 1 / (info.average_fps or 1.0)
    return list(batches(np.arange(0, last_s + 1e-3, interval_s).tolist(), STRETCH_TICKS))


def _one_thread(_: int) -> None:
    torch.set_num_threads(1)


def _frames(decoded: Iterator[tuple[str, torch.Tensor, torch.Tensor]]) -> Iterator[Frame]:
    for path, frame_ms, frames_THWC in decoded:
        for start_ms, pixels in zip(frame_ms.tolist(), frames_THWC.numpy(), strict=True):
            yield Frame(path, start_ms, pixels)


if __name__ == "__main__":
    contend(work)
