"""Daft on its native runner: a generator function decodes with PyAV, a class of batch methods scores.

Its own `read_video_frames` stands still here for more than one file: daft 0.7.26 on two cores waits in `File.exists`
for ever. It decodes with PyAV in threads as well, so what is measured is the same work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import daft
import numpy as np
import pyarrow as pa
from daft import DataType, Series, col

from benchmarks.contenders import pyav_frames
from benchmarks.contenders.contract import BATCH, FEATURES, ROWS, Output, Scorer, Task, contend

FRAME = DataType.struct({"frame_ms": DataType.int64(), "pixels": DataType.image("RGB")})
SCORES = DataType.struct(
    {"embedding": DataType.fixed_size_list(DataType.float32(), FEATURES), "score": DataType.float32()}
)


def work(task: Task, ready: Callable[[], None]) -> None:
    """Videos to frames to scores, written here as they come."""
    daft.set_runner_native()
    ready()

    @daft.func(return_dtype=FRAME)  # type: ignore[untyped-decorator]
    def sampled(path: str) -> Iterator[dict[str, Any]]:
        for frame in pyav_frames.frames(path, task):
            yield {"frame_ms": frame.frame_ms, "pixels": frame.pixels_HWC}

    score = Score(task)
    frames = (
        daft.from_pydict({"video": list(task.videos)})
        .into_batches(1)
        .select("video", sampled(col("video")).alias("frame"))
    )
    scored = frames.select("video", col("frame")["frame_ms"], score.scores(col("frame")["pixels"]).alias("scores"))
    with Output(task) as out:
        for part in scored.to_arrow_iter():
            out.write(_rows(part))


@daft.cls(max_concurrency=1)
class Score:
    """Both models, loaded once."""

    def __init__(self, task: Task) -> None:
        self.scorer = Scorer(task, 1)

    @daft.method.batch(return_dtype=SCORES, batch_size=BATCH)  # type: ignore[untyped-decorator]
    def scores(self, frames: Series) -> list[dict[str, Any]]:
        """Score 16 frames."""
        columns = self.scorer.columns([np.ascontiguousarray(frame) for frame in frames.to_pylist()])
        return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _rows(part: pa.RecordBatch) -> pa.Table:
    """Lay a part of what came out as ROWS."""
    embedding, score = part["scores"].flatten()
    return pa.table([part["video"].cast(pa.string()), part["frame_ms"], embedding, score], schema=ROWS)


if __name__ == "__main__":
    contend(work)
