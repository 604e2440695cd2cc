"""Ray Data's own `read_videos` and `map_batches`: decord in the reading tasks, both models in one actor.

`fps=1` has it hand on one frame in as many as a second has; the others are decoded all the same.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import Any

import cv2
import ray

from benchmarks.contenders.contract import BATCH, Output, Scorer, Task, contend, rows

READ_CPUS = 0.75
SCORE_CPUS = 0.5  # of two cores: two tasks read while the actor scores


def work(task: Task, ready: Callable[[], None]) -> None:
    """Read and shrink in tasks, score in an actor, write here."""
    with tempfile.TemporaryDirectory(prefix="peer-") as folder:
        ray.init(
            num_cpus=task.cores, include_dashboard=False, log_to_driver=False, logging_level="error", _temp_dir=folder
        )
        ray.data.DataContext.get_current().enable_progress_bars = False
        ready()
        with Output(task) as out:
            for batch in _scored(task).iter_batches(batch_size=None, prefetch_batches=0):
                out.write(rows(**batch))
        ray.shutdown()


def _scored(task: Task) -> ray.data.Dataset:
    frames = ray.data.read_videos(
        list(task.videos),
        include_paths=True,
        include_timestamps=True,
        fps=round(1000 / task.interval_ms),
        ray_remote_args={"num_cpus": READ_CPUS},
    )
    return frames.map(_shrunk, fn_kwargs={"task": task}, num_cpus=READ_CPUS).map_batches(
        Score,
        fn_constructor_args=(task,),
        batch_size=BATCH,
        num_cpus=SCORE_CPUS,
        compute=ray.data.ActorPoolStrategy(size=1),
    )


def _shrunk(row: dict[str, Any], task: Task) -> dict[str, Any]:
    """Scale one frame, so that only its small version leaves the task."""
    height, width = row["frame"].shape[:2]
    frame = cv2.resize(row["frame"], task.size(width, height), interpolation=cv2.INTER_AREA)
    return {"video": row["path"], "frame_ms": round(float(row["frame_timestamp"][0]) * 1000), "frame": frame}


class Score:
    """Both models in one actor."""

    def __init__(self, task: Task) -> None:
        self.scorer = Scorer(task, 1)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Score 16 frames."""
        scores = self.scorer.columns(list(batch["frame"]))
        return {"video": batch["video"], "frame_ms": batch["frame_ms"], **scores}


if __name__ == "__main__":
    contend(work)
