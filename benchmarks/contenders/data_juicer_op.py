"""Data-Juicer: an operator in the manner of its own `video_nsfw_filter`, a process a core, over its dataset.

Its own frame extraction takes the middle of each second, from a clip that it cuts and encodes anew; none of its
operators takes the frames on screen at whole seconds. So the operator reads them through Data-Juicer's video reader
(PyAV), as its filters do, and scores them in the same process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from itertools import chain, pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from data_juicer.core.data import NestedDataset
from data_juicer.ops.base_op import OPERATORS, Mapper
from data_juicer.utils.video_utils import create_video_reader

from benchmarks.contenders import pyav_frames
from benchmarks.contenders.contract import FEATURES, Frame, Output, Scorer, Task, batches, contend, rows

NAME = "video_frame_scores_mapper"
VIDEOS_A_BATCH = 8


def work(task: Task, ready: Callable[[], None]) -> None:
    """Process the dataset with the operator and write what it added."""
    ready()
    videos = NestedDataset.from_dict({"text": [""] * len(task.videos), "videos": list(task.videos)})
    scored = videos.process([VideoFrameScores(task, num_proc=task.cores, batch_size=VIDEOS_A_BATCH)])
    with Output(task) as out:
        for part in scored.with_format("arrow").iter(batch_size=VIDEOS_A_BATCH):
            out.write(_rows(part))


@OPERATORS.register_module(NAME)
class VideoFrameScores(Mapper):  # type: ignore[misc]
    """Adds `frame_ms`, `embedding` and `score`, each a list with one entry a frame."""

    _batched_op = True

    def __init__(self, task: Task, **options: Any) -> None:
        super().__init__(**options)
        self.task = task

    def process_batched(self, samples: dict[str, Any]) -> dict[str, Any]:
        """Score the frames of some videos, whole batches across them."""
        decoded = [list(self._frames(path)) for path in samples["videos"]]
        scored = pa.concat_tables(map(_scorer(self.task).rows, batches(chain(*decoded))))
        ends = np.cumsum([0, *map(len, decoded)])
        for name in ("frame_ms", "score"):
            samples[name] = _cut(scored[name].to_numpy(), ends)
        samples["embedding"] = _cut(scored["embedding"].combine_chunks().flatten().to_numpy(), ends * FEATURES)
        return samples

    def _frames(self, path: str) -> Iterator[Frame]:
        with create_video_reader(path, backend="av").container as container:  # its own `close` fails with PyAV 18
            yield from pyav_frames.frames_of(container, path, self.task)


@cache
def _scorer(task: Task) -> Scorer:
    """One a process."""
    return Scorer(task, 1)


def _cut(values: Any, ends: Any) -> list[Any]:
    return [values[start:end] for start, end in pairwise(ends)]


def _rows(part: pa.Table) -> pa.Table:
    """Lay videos out one frame a row."""
    names = [name for name, times in zip(part["videos"].to_pylist(), part["frame_ms"], strict=True) for _ in times]
    vectors, scores = (part[name].combine_chunks().flatten().to_numpy() for name in ("embedding", "score"))
    return rows(names, part["frame_ms"].combine_chunks().flatten().to_pylist(), vectors.reshape(-1, FEATURES), scores)


if __name__ == "__main__":
    contend(work)
