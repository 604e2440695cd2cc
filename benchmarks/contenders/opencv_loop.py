"""The plain Python loop that most people write: OpenCV reads, batches of frames go through the models, one by one.

Both cores are used by the libraries' own threads: FFmpeg's while a video is decoded, the models' while they run.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2

from benchmarks.contenders.contract import Output, Scorer, Task, batches, contend
from benchmarks.contenders.opencv_threads import frames


def work(task: Task, ready: Callable[[], None]) -> None:
    """Score video after video, the batches filled across them."""
    cv2.setNumThreads(task.cores)
    ready()
    scorer = Scorer(task, task.cores)
    with Output(task) as out:
        for batch in batches(frame for path in task.videos for frame in frames(path, task, task.cores)):
            out.write(scorer.rows(batch))


if __name__ == "__main__":
    contend(work)
