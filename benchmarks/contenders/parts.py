"""What the work costs bare, in processor seconds of one process: decoding every frame, decoding as we do, the models.

Told beside the contenders' own processor seconds, it says what of each is decoding, what models, and what neither.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TypeVar

from benchmarks.contenders import pyav_frames
from benchmarks.contenders.contract import Frame, Scorer, Task, batches
from pipelines.decode.limits import Limits, Sampling
from pipelines.decode.read import read

T = TypeVar("T")


def measured(task: Task) -> dict[str, float]:
    """Decode twice, score once with each runtime; seconds of processor time each."""
    spent: dict[str, float] = {}
    frames = _timed(
        spent, "every_frame", lambda: list(chain(*(pyav_frames.frames(each, task) for each in task.videos)))
    )
    _timed(spent, "nightjar", lambda: [_read(each, task) for each in task.videos])
    for name, published in (("models", False), ("published", True)):
        _score(spent, name, frames, Scorer(replace(task, published=published), 1))
    return spent


def _score(spent: dict[str, float], name: str, frames: list[Frame], scorer: Scorer) -> None:
    scorer.rows(frames[:1])  # warm: loading is no part of it
    _timed(spent, name, lambda: [scorer.rows(batch) for batch in batches(frames)])


def _timed(spent: dict[str, float], name: str, work: Callable[[], list[T]]) -> list[T]:
    began = time.process_time()
    result = work()
    spent[name] = time.process_time() - began
    return result


def _read(video: str, task: Task) -> int:
    """Count the windows, so that each is decoded and none is kept."""
    sampling = Sampling(interval_ms=task.interval_ms, frame_side=task.side, sound=False)
    return sum(1 for _ in read(Path(video), sampling, Limits()))


if __name__ == "__main__":
    said, sys.stdout = sys.stdout, sys.stderr
    print(json.dumps(measured(Task.read(Path(sys.argv[1])))), file=said)
